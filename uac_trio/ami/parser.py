r"""Bytes in, messages out.

A server writes one banner line and then messages: lines ended by CR LF, and an empty line after each message. What
real servers do beyond that (Asterisk 1.8 to 23), and what is done here:

* CR LF LF ends a message as well: 18.19 to 18.23 and 20.4 to 20.8 end one event so. It is not looked for in events that
  are dropped unread; an event that ends so is never dropped unread.
* A lone LF is part of a value; at the end of a value it is dropped (``Message: Park successful\n``).
* A line without a colon goes on with the value before it, joined by LF: nothing escapes a CR LF in ``AppData``.
* Blank lines between messages mean nothing.
* ``Response: Follows`` (up to Asterisk 13) is raw text up to ``--END COMMAND--``; it comes out as ``Output`` headers,
  as later servers write it.
* A ``Cdr`` cut by its 1024-byte buffer (cdr/cdr_manager.c) loses its empty line: the event glued to it is cut off.
* The first header alone says what a message is: ``OriginateResponse`` is an event that has a ``Response`` header.
* Text is UTF-8; a value that is not is read as Latin-1, and NUL becomes U+FFFD, so that every value can be stored as
  SQL text and JSON.

There are two roads to the same messages: a fast one for what nearly every message looks like, and a slow one that takes
anything. The fast one gives up rather than guess.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator

import attrs

from uac_trio.ami.message import Banner, Event, Message, RemoteProtocolError, Response

MAX_BANNER = 1024
"""Bytes. Asterisk's is 30 and no line that we send may be longer either; a server that talks on is no AMI."""

MAX_MESSAGE = 1 << 20
"""Bytes, and so of a line too. The largest event recorded is 9.5 kB; this leaves room for Command output of a busy
server (7,000 channels) and still bounds what a server can make us hold."""

MAX_UNWANTED = 1000
"""Names of events kept to be dropped unread. Asterisk has about 200; UserEvent names come in another header."""

_END = b"\r\n\r\n"
_END_COMMAND = b"--END COMMAND--"
_FOLLOWS = re.compile(rb"response: ?follows\r\n(?:privilege:[^\r\n]*\r\n)?(?:actionid:[^\r\n]*\r\n)?", re.IGNORECASE)
_NO_BANNER = re.compile(rb"[\r\n]*(?:event|response):", re.IGNORECASE)
_BANNER = b"Asterisk Call Manager/"
_LONG_NAME = re.compile(rb"chanvariable\(.*?\):", re.IGNORECASE | re.DOTALL)
_KINDS: dict[str, type[Event | Response]] = {"event": Event, "response": Response}


Wanted = Callable[[str, str], bool | bytes]
"""(event's name, banner) to whether such events are read: True, False, or only those that have these bytes in them."""


@attrs.define
class MessageParser:
    """``receive_data()`` only stores; ``next_message()`` gives what is complete.

    ``wanted`` says whether an event is worth reading, by its name and the banner ("" if there was none): always, never,
    or only with some bytes in it. What it does not want is dropped as bytes after the first of its name, which is
    several times cheaper than to read it. Responses are never dropped.

    A stream that begins with a message (part of a recording) is read without a banner.
    """

    wanted: Wanted | None = None
    max_message: int = MAX_MESSAGE

    dropped: int = attrs.field(default=0, init=False)
    """Events that were not wanted."""
    ignored: int = attrs.field(default=0, init=False)
    """Messages that are neither an event nor a response."""

    _greeted: bool = attrs.field(default=False, init=False)
    _blocks: Iterator[bytes] = attrs.field(factory=lambda: iter(()), init=False)
    _ready: deque[Message | Banner] = attrs.field(factory=deque, init=False)
    _rest: list[bytes] = attrs.field(factory=list, init=False)  # the reads that a message not ended yet came in
    _rest_length: int = attrs.field(default=0, init=False)
    _rest_end: bytes = attrs.field(default=b"", init=False)
    _follows: list[bytes] = attrs.field(factory=list, init=False)  # raw Command output not ended yet
    _follows_length: int = attrs.field(default=0, init=False)
    _banner: str = attrs.field(default="", init=False)
    _marks: dict[bytes, bytes | None] = attrs.field(factory=dict, init=False)
    """By an event's first line, with its line end: what has to be in such an event; None: it is never wanted."""
    _error: RemoteProtocolError | None = attrs.field(default=None, init=False)

    @property
    def unfinished(self) -> int:
        """Bytes of a message whose end has not come; lost if the connection ends here."""
        return self._rest_length + self._follows_length

    def receive_data(self, data: bytes) -> None:
        """Take what one read of the socket gave, of any length. After an error nothing is taken."""
        if self._error is not None:
            return
        if self._rest:
            # A long message that comes in many small reads is looked at once a read, not all of it at each read.
            window = self._rest_end + data
            self._rest.append(data)
            self._rest_length += len(data)
            self._rest_end = window[-3:]
            if self._greeted and _END not in window:
                self._check_rest()
                return
            data = b"".join(self._rest)
        if not self._greeted:
            data = data.lstrip(b"\r\n")
            start = self._end_of_banner(data)
            if start is None:
                return
            data = data[start:]
        blocks = data.split(_END)
        self._set_rest(blocks.pop())
        if len(data) > self.max_message:
            for index, block in enumerate(blocks):
                if len(block) > self.max_message:
                    self._refuse(block)
                    blocks = blocks[:index]
                    break
            else:
                self._check_rest()
        self._blocks = iter([*self._blocks, *blocks])

    def next_message(self) -> Message | Banner | None:
        """The next message, or None: more data is needed.

        Raises RemoteProtocolError, after all messages before the fault, and then at each call.
        """
        if self._ready:
            return self._ready.popleft()
        marks = self._marks
        for block in self._blocks:
            line = block[: block.find(b"\n") + 1]
            if line in marks and not self._follows:
                mark = marks[line]
                if mark is None or mark not in block:
                    self.dropped += 1
                    continue
            self._read(block)
            if self._ready:
                return self._ready.popleft()
        if self._error is not None:
            raise self._error
        return None

    # ---- framing

    def _end_of_banner(self, data: bytes) -> int | None:
        """Where the messages begin, or None: no whole line yet."""
        if _NO_BANNER.match(data):
            self._greeted = True
            return 0
        end = data.find(b"\n")
        if end > MAX_BANNER or (end < 0 and len(data) > MAX_BANNER):
            self._set_rest(b"")
            self._error = RemoteProtocolError(
                f"no greeting line in the first {MAX_BANNER} bytes, which begin with {data[:40]!r}: "
                "this is not the port of an Asterisk manager interface"
            )
            return None
        if end < 0:
            self._set_rest(data)
            return None
        self._greeted = True
        self._banner = _text(data[:end].rstrip(b"\r"))
        self._ready.append(Banner(self._banner))
        return end + 1

    def _set_rest(self, rest: bytes) -> None:
        self._rest = [rest] if rest else []
        self._rest_length = len(rest)
        self._rest_end = rest[-3:]

    def _check_rest(self) -> None:
        if self._rest_length > self.max_message + 3:  # all of an end but its last byte may be there
            self._refuse(b"".join(self._rest))

    def _refuse(self, begin: bytes) -> None:
        self._error = RemoteProtocolError(
            f"a message that begins with {begin[:60]!r} is longer than the {self.max_message} bytes allowed"
        )
        self._set_rest(b"")

    # ---- reading

    def _read(self, block: bytes) -> None:
        """Put what a block holds into ``_ready``: nothing, one message, or several that were glued."""
        if self._follows:
            self._read_follows(block)
            return
        message = _read_fast(block)
        if message is not None and not (type(message) is Response and _FOLLOWS.match(block)):
            self._offer(message, block)
            return
        pieces = block.split(b"\r\n\n")
        for index, piece in enumerate(pieces):
            lines = self._take_banners(piece.split(b"\r\n"))
            text = b"\r\n".join(lines)
            if _FOLLOWS.match(text):
                self._read_follows(b"\r\n\n".join([text, *pieces[index + 1 :]]))
                return
            if lines:
                for glued in _unglue(lines):
                    self._offer(_message(read_headers(glued)), None)

    def _take_banners(self, lines: list[bytes]) -> list[bytes]:
        """The lines without empty ones and banners before the first header."""
        for index, text in enumerate(lines):
            line = text.lstrip(b"\r\n")
            if line.startswith(_BANNER):
                self._ready.append(Banner(_text(line)))
            elif line:
                return [line, *lines[index + 1 :]]
        return []

    def _offer(self, message: Message | None, block: bytes | None) -> None:
        if message is None:
            self.ignored += 1
        elif self.wanted is None or not isinstance(message, Event):
            self._ready.append(message)
        else:
            self._offer_event(message, block, self.wanted(message.name, self._banner))

    def _offer_event(self, event: Event, block: bytes | None, wanted: bool | bytes) -> None:
        if wanted is True or (wanted and (block is None or wanted in block)):
            self._ready.append(event)
        else:
            self.dropped += 1
        # A Cdr has to be read even so: what is glued to it may be wanted.
        if wanted is not True and block is not None and event.name != "Cdr" and len(self._marks) < MAX_UNWANTED:
            self._marks[block[: block.find(b"\n") + 1]] = wanted or None

    def _read_follows(self, block: bytes) -> None:
        self._follows.append(block)
        self._follows_length += len(block) + len(_END)
        if block.endswith(_END_COMMAND):
            block = _END.join(self._follows)
            self._follows, self._follows_length = [], 0
            self._ready.append(_read_command_output(block))
        elif self._follows_length > self.max_message:
            begin, self._follows, self._follows_length = self._follows[0], [], 0
            self._refuse(begin)
            deque(self._blocks, maxlen=0)


# ---- one message


def _text(data: bytes) -> str:
    """Never fails, and never gives what SQL or JSON cannot take: surrogates, NUL."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\0", "\ufffd")


def _read_fast(block: bytes) -> Event | Response | None:
    """The message, if it is of the usual form in every respect; None if the slow road has to look at it."""
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return None
    return read_usual(text)


def read_usual(text: str) -> Event | Response | None:
    """A message from its text without its end; None if it is not of the usual form."""
    lines = text.split("\r\n")
    values = {name.lower(): value for name, found, value in [line.partition(": ") for line in lines] if found}
    names = "".join(values)
    if len(values) != len(lines) or ":" in names or "(" in names or text.count("\n") != len(lines) - 1 or "\0" in text:
        return None
    kind = _KINDS.get(next(iter(values)))
    return None if kind is None else kind.from_text(text, values)


def read_headers(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    """Header lines of any form to (name, value) pairs."""
    headers: list[tuple[bytes, list[bytes]]] = []
    for line in lines:
        long_name = _LONG_NAME.match(line)  # a channel's name in it may have colons
        end = long_name.end() - 1 if long_name else line.find(b":")
        if end >= 0:
            headers.append((line[:end], [line[end + 1 :].removeprefix(b" ")]))
        elif headers:
            headers[-1][1].append(line)
        else:
            headers.append((line, [b""]))
    return tuple((_text(name), _text(b"\n".join(value).rstrip(b"\n"))) for name, value in headers)


def _message(headers: tuple[tuple[str, str], ...]) -> Message | None:
    kind = _KINDS.get(headers[0][0].lower())
    return None if kind is None else kind(headers)


def _unglue(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Cut off what was glued to a Cdr without its empty line."""
    start = 0
    for index in range(1, len(lines) - 1):
        glued = lines[index].startswith(b"Event: ") and lines[index + 1].startswith(b"Privilege: ")
        if glued and lines[start] == b"Event: Cdr":
            yield lines[start:index]
            start = index
    yield lines[start:]


def _read_command_output(block: bytes) -> Response:
    found = _FOLLOWS.match(block)
    assert found is not None  # noqa: S101 - raw mode began with this
    headers = read_headers(found[0].removesuffix(b"\r\n").split(b"\r\n"))
    body = block[found.end() :].removesuffix(_END_COMMAND)
    lines = body.removesuffix(b"\n").removesuffix(b"\r").split(b"\n")
    return Response((*headers, *(("Output", _text(line.removesuffix(b"\r"))) for line in lines)))
