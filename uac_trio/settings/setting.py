"""One setting as metadata of an attribute of a settings class.

    port: int = attrs.field(default=5038, metadata=setting(whole(1, 65535), "5039 where `tls = true` is usual."))

An attribute without this metadata is no key of the configuration. One without a default is required.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from uac_trio.settings.values import Read


@attrs.frozen(kw_only=True)
class Setting:
    """How one key of a table is read, and what it means."""

    read: Read
    """Converts the value, and says of a wrong one what was expected: type, bounds, unit."""
    meaning: str
    """For the documentation, in Markdown."""
    key: str = ""
    """Its name in the file, where that is not the attribute's."""
    secret: bool = False
    """Its value appears in no message, and may stand in a file that the key ``..._file`` names."""


def setting(read: Read, meaning: str, *, key: str = "", secret: bool = False) -> Mapping[object, object]:
    """The metadata of an attribute that is a key of the configuration."""
    return {Setting: Setting(read=read, meaning=meaning, key=key, secret=secret)}
