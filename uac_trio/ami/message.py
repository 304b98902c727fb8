"""What the server said: one block of header lines, kept in order.

AMI names are case-insensitive and may repeat (``Variable``, ``ChanVariable``, ``Output``); the first value wins where
one value is wanted, as in Asterisk itself (main/manager.c, ``astman_get_header``). That the *first* wins is also a
defence: values with CR LF inside are sent raw, so a caller can add headers, but only after the real ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import attrs


class RemoteProtocolError(Exception):
    """The server did what AMI does not allow; the connection is of no more use."""


class LocalProtocolError(ValueError):
    """We were about to do what AMI does not allow; nothing was sent."""


class Message:
    """One AMI message. ``headers`` are (name, value) pairs in the order of the wire.

    A value like those of attrs, written by hand for its cost: the parser makes thousands a second, of which few are
    asked for more than some values, so ``headers`` are made from the text when they are read.
    """

    __slots__ = ("_headers", "_values", "text")

    text: str
    """The block without its end, if each of its lines is ``Name: value`` and no name comes twice; else ""."""

    def __init__(self, headers: tuple[tuple[str, str], ...]) -> None:
        self._headers: tuple[tuple[str, str], ...] | None = headers
        self.text = ""
        self._values: dict[str, str] = {}
        for name, value in headers:
            self._values.setdefault(name.lower(), value)

    @classmethod
    def from_text(cls, text: str, values: dict[str, str]) -> Self:
        """The parser's short cut: what ``text`` is to be, and the value of each name in lower case."""
        message = cls.__new__(cls)
        message._headers, message.text, message._values = None, text, values  # noqa: SLF001
        return message

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        if self._headers is None:
            lines = self.text.split("\r\n")
            self._headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
        return self._headers

    def get(self, name: str, default: str = "") -> str:
        """The first value of ``name`` (any case), or ``default``."""
        return self._values.get(name.lower(), default)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all headers, each once, in lower case."""
        return tuple(self._values)

    def pick(self, keys: Sequence[str]) -> list[str]:
        """The first value of each of ``keys``, which are in lower case; "" for those that are not there."""
        get = self._values.get
        return [get(key, "") for key in keys]

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every value of ``name``, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and type(other) is type(self) and other.headers == self.headers

    def __hash__(self) -> int:
        return hash(self.headers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.headers!r})"


class Event(Message):
    """A block whose first header is ``Event``."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._values["event"]


class Response(Message):
    """A block whose first header is ``Response``."""

    __slots__ = ()

    @property
    def success(self) -> bool:
        return self._values["response"].lower() in ("success", "goodbye", "follows")


@attrs.frozen(slots=True)
class Banner:
    """The line a server opens with, e.g. ``Asterisk Call Manager/11.0.0``. Proxies say other things."""

    text: str


_ESCAPE = re.compile(r"\\([abfnrtv\\'\"?])")
_MEANING = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unescape_c(text: str) -> str:
    r"""Undo ``ast_escape_c`` (main/utils.c): ``O\'Brien`` -> ``O'Brien``, ``\\n`` -> ``\n`` as two characters.

    Only for the values that Asterisk 13.5 and later escape: CallerIDName and ConnectedLineName of channel events with
    any prefix, ChanVariable, VarSet's Value. What is no escape is left as it is.
    """
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[1]), text)
