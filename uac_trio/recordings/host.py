"""Client of ``uac-trio serve-recordings``, which serves the recordings of another machine.

A file is read in pieces, one request each. The server keeps nothing open between two requests, so a slow listener costs
it nothing. If the file was replaced between two pieces, reading fails.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import structlog

from uac_trio.http_client import HTTPClient, HTTPReply, NoReplyError, NotSentError, UntrustedError, open_http_client
from uac_trio.recordings import wire
from uac_trio.recordings.finding import NO_FILE, RecordingKeptError, RecordingMissingError
from uac_trio.recordings.place import Look, RecordingsBusyError, Wanted
from uac_trio.recordings.settings import HostSettings

log = structlog.get_logger()

T = TypeVar("T")

CONNECT_WITHIN = 5.0
ANSWER_WITHIN = 30.0
"""Seconds. The server's own timeout for its directories is 20."""
CONNECTIONS = 16
"""At once."""


@attrs.define(eq=False)
class FarFile:
    """A file of the other machine. Nothing is kept open."""

    wanted: Wanted
    handle: wire.FarHandle
    _host: RecordingsHost

    @property
    def name(self) -> str:
        return self.handle.name

    @property
    def size(self) -> int:
        return self.handle.size

    @property
    def mtime_ns(self) -> int:
        return self.handle.mtime_ns

    @property
    def inode(self) -> int:
        return self.handle.inode

    @property
    def identity(self) -> tuple[object, ...]:
        return (self._host.settings.url, *self.handle.identity)

    async def read(self, start: int, length: int) -> bytes:
        return await self._host.read(self, start, min(length, wire.MOST_READ))

    def again(self) -> FarFile:
        return self

    def close(self) -> None:
        """There is nothing to close."""


@attrs.define(eq=False)
class RecordingsHost:
    """The other machine, for one PBX."""

    settings: HostSettings
    now: Callable[[], float]
    _client: HTTPClient
    trouble: str = attrs.field(default="", init=False)
    """Why it serves nothing, for the administrator; "" if no request has failed since it last worked."""

    async def open(self, wanted: Wanted) -> tuple[FarFile, bytes]:
        if len(wanted.path) > wire.LONGEST:
            raise RecordingMissingError(NO_FILE)
        handle = await self._request_json(wire.OPEN, wire.wanted_to_json(wanted), _handle_or_reason)
        if isinstance(handle, str):
            raise RecordingMissingError(f"{self._name()}: {handle}")
        return FarFile(wanted, handle, self), handle.head

    async def look(self, wanted: Sequence[Wanted]) -> list[Look]:
        looks: list[Look] = []
        wanted = [attrs.evolve(one, path="") if len(one.path) > wire.LONGEST else one for one in wanted]
        for start in range(0, len(wanted), wire.MOST_LOOKS):
            some = [wire.wanted_to_json(one) for one in wanted[start : start + wire.MOST_LOOKS]]
            looks += await self._request_json(wire.LOOK, {"recordings": some}, partial(_looks, len(some)))
        # awaiting.py compares the trouble of an existing file, so that text stays as it is.
        return [
            attrs.evolve(look, trouble=f"{self._name()}: {look.trouble}") if look.identity is None else look
            for look in looks
        ]

    async def greet(self) -> None:
        """Check that it answers. Raises RecordingsBusyError."""
        await self._request_json(wire.LOOK, {"recordings": []}, partial(_looks, 0))

    async def delete(self, wanted: Wanted) -> bool:
        if len(wanted.path) > wire.LONGEST:
            return False
        deleted = await self._request_json(wire.DELETE, wire.wanted_to_json(wanted), _deleted_or_reason)
        if isinstance(deleted, str):
            raise RecordingKeptError(f"{self._name()}: {deleted}")
        return deleted

    async def read(self, file: FarFile, start: int, length: int) -> bytes:
        """For ``FarFile``."""
        fields = {
            **wire.wanted_to_json(file.wanted),
            "identity": file.handle.identity,
            "start": start,
            "length": length,
        }
        reply = await self._ask(wire.READ, fields, most=wire.MOST_READ)
        if reply.status == HTTPStatus.CONFLICT:
            raise OSError(errno.ESTALE, "was replaced or removed while it was read")
        if reply.status != HTTPStatus.OK or len(reply.body) > length:
            raise self._failed(f"answers {reply.status}")
        self._works()
        return reply.body

    async def _request_json(self, path: str, fields: Mapping[str, object], read: Callable[[dict[str, Any]], T]) -> T:
        """The answer as parsed by ``read``, which raises ValueError or KeyError for an invalid one."""
        reply = await self._ask(path, fields, most=wire.MOST_ANSWERED)
        if reply.status != HTTPStatus.OK:
            raise self._failed(f"answers {reply.status}")
        try:
            parsed = read(wire.from_json(reply.body))
        except (ValueError, KeyError) as why:
            raise self._failed(
                "does not answer as uac-trio serve-recordings does; does another program run there?"
            ) from why
        self._works()
        return parsed

    async def _ask(self, path: str, fields: Mapping[str, object], *, most: int) -> HTTPReply:
        body = wire.as_json(fields)
        headers = {
            "Content-Type": "application/json",
            "Authorization": wire.signature(self.settings.secret, path, body, self.now()),
        }
        try:
            reply = await self._client.post(
                self.settings.url + path, body, headers, most=most, within=CONNECT_WITHIN + ANSWER_WITHIN
            )
        except UntrustedError as why:
            raise self._failed(f"{why}; recordings_ca can name its authority") from why
        except NotSentError as why:
            raise self._failed(f"no connection ({why}); does uac-trio serve-recordings run there?") from why
        except NoReplyError as why:
            raise self._failed(str(why)) from why
        if reply.status == HTTPStatus.FORBIDDEN:
            raise self._failed(_refusal(reply))
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise self._failed("its directories do not answer")
        return reply

    def _name(self) -> str:
        return urlsplit(self.settings.url).netloc

    def _failed(self, what: str) -> RecordingsBusyError:
        trouble = f"[[pbx]] {self.settings.pbx}: recordings_url: {self.settings.url}: {what}"
        if trouble != self.trouble:
            log.warning("recordings.host_fails", pbx=self.settings.pbx, host=self._name(), reason=trouble)
        self.trouble = trouble
        return RecordingsBusyError(trouble)

    def _works(self) -> None:
        if self.trouble:
            log.info("recordings.host_works_again", pbx=self.settings.pbx, host=self._name())
        self.trouble = ""


@asynccontextmanager
async def open_host(settings: HostSettings, now: Callable[[], float]) -> AsyncIterator[RecordingsHost]:
    """Raises OSError if ``ca_file`` cannot be read."""
    client = open_http_client(
        connect_timeout=CONNECT_WITHIN, reply_timeout=ANSWER_WITHIN, connections=CONNECTIONS, ca_file=settings.ca_file
    )
    async with client as http:
        yield RecordingsHost(settings, now, http)


def _handle_or_reason(answer: dict[str, Any]) -> wire.FarHandle | str:
    return wire.words(str(answer["missing"])) if "missing" in answer else wire.read_handle(answer)


def _looks(number: int, answer: dict[str, Any]) -> list[Look]:
    parsed = answer["looks"]
    if not isinstance(parsed, list) or len(parsed) != number:
        raise ValueError("has another number of looks")
    return [wire.read_look(one) for one in parsed]


def _deleted_or_reason(answer: dict[str, Any]) -> bool | str:
    return wire.words(str(answer["refused"])) if "refused" in answer else answer["deleted"] is True


def _refusal(reply: HTTPReply) -> str:
    try:
        clock = wire.from_json(reply.body).get("clock")
    except ValueError:
        clock = None
    if isinstance(clock, str) and clock:
        return f"refuses us: {wire.words(clock[:200])}"
    return "refuses us: recordings_secret must be the [serve] secret there, and [serve] networks must have our address"
