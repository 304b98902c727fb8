"""How a connector asks another machine for recordings: paths, signature, JSON. Both ends use this module.

Every question is a POST with a JSON object, signed with a secret that only the two know: HMAC-SHA256 over the time, the
path and the body. The secret itself never travels. A question is good for ``FRESH`` seconds, which bounds what can be
done with one that somebody has overheard: hearing the same file again.
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
"""Files asked about at once."""
LONGEST = 4096
"""Characters of a path that is asked about; a longer one is no file's (PATH_MAX)."""
MOST_READ = 1 << 20
"""Bytes read at once."""
MOST_ASKED = 4 << 20
"""Bytes of a question; ``MOST_LOOKS`` paths of the longest kind, each letter written as two escapes, have less."""
MOST_TOLD = 4 << 20
"""Bytes of an answer in JSON, which has the reasons of ``MOST_LOOKS`` files."""

MOST_SIZE = 1 << 50
"""Bytes of a file; more is no file's, and no database's."""
LONGEST_WORDS = 1000
"""Characters of a reason or a name that are taken from an answer."""

_SIGNATURE = re.compile(r"UAC-HMAC-SHA256 ([0-9]{1,12}):([0-9a-f]{64})", re.ASCII)


class SignatureError(Exception):
    """The question is not of one who knows the secret."""


class ClockError(Exception):
    """He knows the secret, but his clock or ours is wrong; the text says by how much."""


def signature(secret: str, path: str, body: bytes, at: float) -> str:
    """The ``Authorization`` of a question asked ``at``, seconds since the epoch."""
    seconds = int(at)
    return f"UAC-HMAC-SHA256 {seconds}:{_digest(secret, path, body, seconds)}"


def check_signature(secret: str, path: str, body: bytes, told: str, now: float) -> None:
    """Raises SignatureError, ClockError."""
    found = _SIGNATURE.fullmatch(told)
    if found is None or not hmac.compare_digest(found[2], _digest(secret, path, body, int(found[1]))):
        raise SignatureError
    if abs(now - int(found[1])) > FRESH:
        raise ClockError(f"the clocks of the two machines differ by {abs(now - int(found[1])):.0f} s")


def _digest(secret: str, path: str, body: bytes, seconds: int) -> str:
    return hmac.digest(secret.encode(), f"{seconds}\n{path}\n".encode() + body, "sha256").hex()


@attrs.frozen(kw_only=True)
class FarHandle:
    """A file of the other machine, as it was when it was found."""

    name: str
    size: int
    mtime_ns: int
    inode: int
    head: bytes

    @property
    def identity(self) -> tuple[int, int, int]:
        return (self.inode, self.size, self.mtime_ns)


def as_json(value: Mapping[str, object]) -> bytes:
    """ASCII: a path that is no text (surrogates) comes through as it is."""
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


def told_wanted(wanted: Wanted) -> dict[str, object]:
    return {"path": wanted.path, "at": wanted.at}


def read_wanted(value: object) -> Wanted:
    """Raises ValueError."""
    match value:
        case {"path": str(path), "at": int() | float() as at} if len(path) <= LONGEST and 0 <= at < 1e11:
            return Wanted(path=path, at=float(at))
        case _:
            raise ValueError("is no recording")


def read_span(value: object) -> tuple[int, int]:
    """Start and length of what is to be read. Raises ValueError."""
    match value:
        case {"start": int(start), "length": int(length)} if 0 <= start < 1 << 50 and 0 < length <= MOST_READ:
            return start, length
        case _:
            raise ValueError("is no piece of a file")


def told_look(look: Look) -> dict[str, object]:
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


def words(told: str) -> str:
    """What the other machine says, fit for a log, a database and the end of a sentence."""
    return told[:LONGEST_WORDS].encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _is_identity(numbers: list[object]) -> bool:
    return len(numbers) == 3 and all(type(each) is int and -(1 << 63) <= each < 1 << 64 for each in numbers)


def told_handle(handle: FarHandle) -> dict[str, object]:
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
