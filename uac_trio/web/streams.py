"""The open streams of events: bounded in total and per user, one bounded queue each.

A stream whose client does not read is dropped; it opens a new one, which begins with the state as it is then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import attrs
import trio

MOST = 500
"""Streams in total: each is an open connection, and a process may have 1024 by default."""
MOST_PER_USER = 10
"""Each browser of a user has one."""
QUEUE = 32
"""Events that wait for one client: more than a user's phones cause while a connection stalls for a moment."""


@attrs.define(eq=False, kw_only=True)
class Stream:
    """One open stream."""

    user: str
    extension: str
    client: str
    """Its address."""
    events: trio.MemoryReceiveChannel[str]
    _send: trio.MemorySendChannel[str]

    def put_nowait(self, data: str) -> bool:
        """False: its client does not read, and the stream ends."""
        try:
            self._send.send_nowait(data)
        except trio.WouldBlock:
            self.end_nowait()
            return False
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it has ended
        return True

    def end_nowait(self) -> None:
        """What is in the queue is still sent."""
        self._send.close()


@attrs.frozen(kw_only=True)
class StreamsStatus:
    """Counted since the start, but for ``open``."""

    open: int
    opened: int
    events: int
    """Put into a stream's queue."""
    dropped: int
    """Streams whose clients did not read."""
    refused: Mapping[str, int]
    """Tokens, by the reason."""
    last_seen_at: float | None
    """When a stream was last open, in seconds since the epoch; None: never."""


@attrs.define(eq=False)
class Streams:
    """All of this process. Nothing in here waits."""

    now: Callable[[], float]
    """Seconds since the epoch."""
    refused: Counter[str] = attrs.field(factory=Counter, init=False)
    """Tokens, by the reason."""
    _opened: int = attrs.field(default=0, init=False)
    _events: int = attrs.field(default=0, init=False)
    _dropped: int = attrs.field(default=0, init=False)
    _last_seen_at: float | None = attrs.field(default=None, init=False)
    _of_extension: dict[str, dict[Stream, None]] = attrs.field(factory=dict, init=False)
    _of_user: Counter[str] = attrs.field(factory=Counter, init=False)
    _of_client: Counter[str] = attrs.field(factory=Counter, init=False)
    has_ended: bool = attrs.field(default=False, init=False)
    """The server shuts down."""

    @property
    def open(self) -> int:
        return self._of_user.total()

    def status(self) -> StreamsStatus:
        return StreamsStatus(
            open=self.open,
            opened=self._opened,
            events=self._events,
            dropped=self._dropped,
            refused=dict(self.refused),
            last_seen_at=self.now() if self.open else self._last_seen_at,
        )

    def has_room(self, user: str) -> bool:
        return not self.has_ended and self.open < MOST and self._of_user[user] < MOST_PER_USER

    def of_client(self, address: str) -> int:
        """Open streams of one client address. The server counts connections without them."""
        return self._of_client[address]

    @contextmanager
    def stream(self, user: str, extension: str, client: str) -> Iterator[Stream]:
        """A stream for as long as the block. ``has_room`` comes first."""
        send, receive = trio.open_memory_channel[str](QUEUE)
        stream = Stream(user=user, extension=extension, client=client, events=receive, send=send)
        self._of_extension.setdefault(extension, {})[stream] = None
        self._of_user[user] += 1
        self._of_client[client] += 1
        self._opened += 1
        self._last_seen_at = self.now()
        try:
            yield stream
        finally:
            self._remove(stream)
            receive.close()
            send.close()

    def _remove(self, stream: Stream) -> None:
        self._last_seen_at = self.now()
        streams = self._of_extension[stream.extension]
        del streams[stream]
        if not streams:
            del self._of_extension[stream.extension]
        _take_away(self._of_user, stream.user)
        _take_away(self._of_client, stream.client)

    def extensions(self) -> list[str]:
        """Those that have an open stream."""
        return list(self._of_extension)

    def put_nowait(self, extension: str, data: str) -> None:
        """To all streams of an extension."""
        for stream in list(self._of_extension.get(extension, ())):
            self._events += 1
            if not stream.put_nowait(data):
                self._dropped += 1

    def end_nowait(self) -> None:
        """End all streams; no more are opened."""
        self.has_ended = True
        for streams in self._of_extension.values():
            for stream in streams:
                stream.end_nowait()


def _take_away(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
