"""Makes a settings object of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from uac_trio.config.keys import Keys, keys_of
from uac_trio.config.reader import Reader
from uac_trio.config.tables import table_of

T = TypeVar("T")


def read(reader: Reader, settings: type[T], *, table: str = "", keys: Keys | None = None) -> T | None:
    """One table as its settings class; None after a problem, which the reader keeps.

    ``table`` and ``keys``: of a CRM's settings, whose table is in no list and may be described by types.
    """
    name = table or table_of(settings)
    known = keys_of(settings) if keys is None else keys
    before = len(reader.problems)
    values = reader.table(name, known)
    return build(reader, settings, values, known, table=name) if len(reader.problems) == before else None


def build(
    reader: Reader,
    settings: type[T],
    values: Mapping[str, Any],
    keys: Keys,
    *,
    table: str,
    index: int = 0,
    **more: object,
) -> T | None:
    """The settings object of ``values``, which may have keys of other classes too; None after a problem.

    A value that the class refuses becomes a problem of its key. ``more``: attributes that are no keys.
    """
    if any(key.required and name not in values for name, key in keys.items()):
        return None  # reported already
    before = len(reader.problems)
    for name, why in _refused(settings, values, keys).items():
        reader.wrong(table, name, why, index)
    if len(reader.problems) > before:
        return None
    try:
        return settings(**{key.attribute: values[name] for name, key in keys.items() if name in values}, **more)
    except ValueError as why:
        reader.wrong(table, "", str(why), index)
        return None


def _refused(settings: type[Any], values: Mapping[str, Any], keys: Keys) -> dict[str, str]:
    """Why the class's own validators refuse values, by key."""
    refused: dict[str, str] = {}
    fields = attrs.fields_dict(settings)
    for name, key in keys.items():
        field = fields[key.attribute]
        if field.validator is None or name not in values:
            continue
        try:
            field.validator(None, field, values[name])
        except ValueError as why:
            refused[name] = str(why)
    return refused
