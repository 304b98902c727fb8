"""Finds the CRM of a configuration: its table has the name of an entry point of the group ``uac_trio.crm``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import cast

import attrs

from uac_trio.config.keys import Key, Keys, key_of
from uac_trio.config.reader import Reader
from uac_trio.crm.protocol import CRMSettings
from uac_trio.settings.values import Read, WrongValueError, filled, flag, member, text

GROUP = "uac_trio.crm"


def crm_names() -> list[str]:
    """The names of the tables for CRMs, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def chosen_crm(reader: Reader) -> str:
    """The name of the CRM's table in the file; "" after a problem, which the reader keeps."""
    known = crm_names()
    given = [name for name in known if name in reader.data]
    if len(given) == 1:
        return given[0]
    which = " or ".join(f"[{name}]" for name in known)
    if given:
        reader.wrong(given[1], "", f"expected one CRM to deliver to, but there is also [{given[0]}]; remove one")
    else:
        reader.wrong(known[0] if known else "crm", "", f"expected one table {which}, the CRM to deliver to")
    return ""


def load_settings(reader: Reader, name: str) -> type[CRMSettings] | None:
    """The settings class of the CRM ``name``; None after a problem, which the reader keeps."""
    (entry, *_) = entry_points(group=GROUP, name=name)
    try:
        return cast("type[CRMSettings]", entry.load())
    except (ImportError, AttributeError) as why:
        reader.wrong(name, "", f"{entry.value} cannot be loaded: {why}; install its package again")
        return None


def keys_of_crm(settings: type[CRMSettings]) -> Keys:
    """The keys of the CRM's table: an attribute that is not described as a setting is read by its type.

    Raises TypeError for a type of which a configuration has no values.
    """
    attributes = attrs.fields(attrs.resolve_types(cast("type[attrs.AttrsInstance]", settings)))
    keys = (key_of(field) or _key_by_type(settings, field) for field in attributes if field.init)
    return {key.name: key for key in keys}


def _key_by_type(settings: type[CRMSettings], field: attrs.Attribute[object]) -> Key:
    secret = field.name == "secret"
    return Key(
        name=field.name,
        attribute=field.name,
        read=filled if secret else _reader_of(settings, field),
        required=field.default is attrs.NOTHING,
        secret=secret,
    )


def _reader_of(settings: type[CRMSettings], field: attrs.Attribute[object]) -> Read:
    kind = field.type
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return member(kind)
    if kind not in _READERS:
        raise TypeError(f"{settings.__qualname__}.{field.name}: a configuration has no values of type {kind}")
    return _READERS[kind]


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongValueError("a number")
    return float(value)


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise WrongValueError("a table of texts")
    return value


_READERS: Mapping[object, Read] = {
    str: text,
    bool: flag,
    float: _number,
    Mapping[str, str]: _table,
}
"""By the type of the attribute. The settings class validates the values further."""
