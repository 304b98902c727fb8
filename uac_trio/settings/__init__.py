"""Describes settings: the metadata of an attribute says how its value is read from TOML and what it means.

The settings class of a room is the one description of its settings: ``config`` reads a table by its attributes,
``docs/configuration.md`` is made from them, and the example file is compared with them.
"""

from uac_trio.settings.setting import Setting, setting

__all__ = ["Setting", "setting"]
