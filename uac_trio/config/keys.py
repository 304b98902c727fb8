"""The keys of a table: what the metadata of a settings class says of its attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from uac_trio.settings import Setting
from uac_trio.settings.values import Read


@attrs.frozen(kw_only=True)
class Key:
    """One key of a table."""

    name: str
    attribute: str
    """Of the settings class; mostly the same name."""
    read: Read
    required: bool = False
    secret: bool = False
    """Its value never appears in a message, and the key ``file`` may name a file that has it."""

    @property
    def file(self) -> str:
        return f"{self.name}_file"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, self.file) if self.secret else (self.name,)


Keys = Mapping[str, Key]
"""By name, in the order of the settings class."""


def key_of(field: attrs.Attribute[Any]) -> Key | None:
    """The key that ``field`` is; None if it is not described as a setting."""
    described: Setting | None = field.metadata.get(Setting)
    if described is None:
        return None
    return Key(
        name=described.key or field.name,
        attribute=field.name,
        read=described.read,
        required=field.default is attrs.NOTHING,
        secret=described.secret,
    )


def keys_of(settings: type[Any]) -> Keys:
    """The described attributes of ``settings``."""
    keys = (key_of(field) for field in attrs.fields(settings))
    return {key.name: key for key in keys if key is not None}


def optional(keys: Keys) -> Keys:
    """The same keys, none of them required."""
    return {name: attrs.evolve(key, required=False) for name, key in keys.items()}


def names_of(keys: Keys) -> list[str]:
    """Every name that may stand in the file, those of files with secrets too."""
    return [name for key in keys.values() for name in key.names]
