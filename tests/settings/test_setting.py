"""An attribute that is described as a setting."""

from __future__ import annotations

import attrs

from uac_trio.config.keys import keys_of, names_of, optional
from uac_trio.settings import setting, values


@attrs.frozen(kw_only=True)
class Settings:
    host: str = attrs.field(metadata=setting(values.filled, "Where it is."))
    password: str = attrs.field(repr=False, metadata=setting(values.filled, "Of it.", key="secret", secret=True))
    port: int = attrs.field(default=80, metadata=setting(values.whole(1, 99), "Its port."))
    name: str = ""


def test_keys() -> None:
    """Its metadata make an attribute a key, required without a default; a secret may be in a file."""
    keys = keys_of(Settings)
    assert [(key.name, key.attribute, key.required, key.secret) for key in keys.values()] == [
        ("host", "host", True, False),
        ("secret", "password", True, True),
        ("port", "port", False, False),
    ]
    assert keys["port"].read(99) == 99
    assert names_of(keys) == ["host", "secret", "secret_file", "port"]
    assert [key.required for key in optional(keys).values()] == [False] * 3
