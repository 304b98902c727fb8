"""The protocol between a connector and a recordings host: paths, signature, JSON. Both ends use this module.

Every request is a POST with a JSON object, signed with a shared secret: HMAC-SHA256 over the time, the path and the
body. The secret itself is never sent. A request is valid for ``FRESH`` seconds; an attacker who intercepts one can only
replay it for that long.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from uac_trio.recordings.place import Look, Wanted

LOOK, OPEN, READ, DELETE = "/recordings/look", "/recordings/open", "/recordings/read", "/recordings/delete"

FRESH = 300.0
"""Seconds that the clocks of the two machines may differ."""
MOST_LOOKS = 50
"""Files per look request."""
LONGEST = 4096
"""Characters of a path (PATH_MAX)."""
MOST_READ = 1 << 20
"""Bytes per read request."""
MOST_REQUESTED = 4 << 20
"""Bytes of a request. ``MOST_LOOKS`` longest paths fit, even with two escapes per character."""
MOST_ANSWERED = 4 << 20
"""Bytes of a JSON answer, which has the reasons of ``MOST_LOOKS`` files."""

MOST_SIZE = 1 << 50
"""Bytes of a file; the database stores no more."""
LONGEST_WORDS = 1000
"""Characters that are kept of a reason or a name in an answer."""

_SIGNATURE = re.compile(r"UAC-HMAC-SHA256 ([0-9]{1,12}):([0-9a-f]{64})", re.ASCII)


class SignatureError(Exception):
    """The request is not signed with the secret."""


class ClockError(Exception):
    """The signature is right, but the two clocks differ; the text says by how much."""


def signature(secret: str, path: str, body: bytes, at: float) -> str:
    """The ``Authorization`` header of a request made ``at``, seconds since the epoch."""
    seconds = int(at)
    return f"UAC-HMAC-SHA256 {seconds}:{_digest(secret, path, body, seconds)}"


def check_signature(secret: str, path: str, body: bytes, authorization: str, now: float) -> None:
    """Raises SignatureError, ClockError."""
    found = _SIGNATURE.fullmatch(authorization)
    if found is None or not hmac.compare_digest(found[2], _digest(secret, path, body, int(found[1]))):
        raise SignatureError
    if abs(now - int(found[1])) > FRESH:
        raise ClockError(f"the clocks of the two machines differ by {abs(now - int(found[1])):.0f} s")


def _digest(secret: str, path: str, body: bytes, seconds: int) -> str:
    return hmac.digest(secret.encode(), f"{seconds}\n{path}\n".encode() + body, "sha256").hex()


@attrs.frozen(kw_only=True)
class FarHandle:
    """A file of the other machine as it was when it was opened."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    head: bytes

    @property
    def identity(self) -> tuple[int, int, int]:
        return (self.inode, self.size, self.mtime_ns)


def as_json(value: Mapping[str, object]) -> bytes:
    """ASCII, so that a path with surrogates (not valid UTF-8) is unchanged."""
    return json.dumps(value).encode()


def from_json(content: bytes) -> dict[str, Any]:
    """Raises ValueError for anything but an object."""
    try:
        value = json.loads(content)
    except RecursionError as why:
        raise ValueError("nested too deeply") from why
    if not isinstance(value, dict):
        raise ValueError("is no object")
    return value


def wanted_to_json(wanted: Wanted) -> dict[str, object]:
    return {"path": wanted.path, "at": wanted.at}


def read_wanted(value: object) -> Wanted:
    """Raises ValueError."""
    match value:
        case {"path": str(path), "at": int() | float() as at} if len(path) <= LONGEST and 0 <= at < 1e11:
            return Wanted(path=path, at=float(at))
        case _:
            raise ValueError("is no recording")


def read_span(value: object) -> tuple[int, int]:
    """Start and length of the piece to read. Raises ValueError."""
    match value:
        case {"start": int(start), "length": int(length)} if 0 <= start < 1 << 50 and 0 < length <= MOST_READ:
            return start, length
        case _:
            raise ValueError("is no piece of a file")


def look_to_json(look: Look) -> dict[str, object]:
    return {"identity": look.identity, "size": look.size, "trouble": look.trouble}


def read_look(value: object) -> Look:
    """Raises ValueError."""
    match value:
        case {"identity": list() | None as identity, "size": int(size), "trouble": str(trouble)} if (
            0 <= size < MOST_SIZE and (identity is None or _is_identity(identity))
        ):
            seen = None if identity is None else tuple(identity)
            return Look(identity=seen, size=size, trouble=words(trouble))
        case _:
            raise ValueError("is no look")


def words(text: str) -> str:
    """Text of the other machine, shortened and escaped for logs and the database."""
    return text[:LONGEST_WORDS].encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _is_identity(numbers: list[object]) -> bool:
    return len(numbers) == 3 and all(type(each) is int and -(1 << 63) <= each < 1 << 64 for each in numbers)


def handle_to_json(handle: FarHandle) -> dict[str, object]:
    return {
        "name": handle.name,
        "size": handle.size,
        "mtime_ns": handle.mtime_ns,
        "inode": handle.inode,
        "head": base64.b64encode(handle.head).decode(),
    }


def read_handle(value: object) -> FarHandle:
    """Raises ValueError."""
    match value:
        case {"name": str(name), "size": int(size), "mtime_ns": int(mtime), "inode": int(inode), "head": str(head)} if (
            0 <= size < MOST_SIZE and _is_identity([inode, size, mtime])
        ):
            try:
                content = base64.b64decode(head, validate=True)
            except binascii.Error as why:
                raise ValueError("has no beginning") from why
            return FarHandle(name=words(name), size=size, mtime_ns=mtime, inode=inode, head=content)
        case _:
            raise ValueError("is no file")
