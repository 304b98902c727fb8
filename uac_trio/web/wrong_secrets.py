"""Who gives wrong secrets is not listened to for a minute. One count for all that the secret of the CRM opens."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NoReturn

import attrs
import structlog
import trio

log = structlog.get_logger()

WINDOW = 60.0
"""Seconds: of the count, and of being shut out."""
LOOK_EVERY = 10.0
MAX_ADDRESSES = 10_000
"""A flood from more than these makes us forget the oldest, not grow."""


@attrs.define
class _Window:
    began: float
    wrong: int = 0
    refused: int = 0


@attrs.define(eq=False)
class WrongSecrets:
    """Counts wrong secrets by client address (IPv6: by /64, which one machine has all of)."""

    per_minute: int = 20
    """With this many in a minute an address is shut out for the next one, whatever it gives."""
    now: Callable[[], float] = trio.current_time
    """Seconds of a clock that does not go back."""
    _windows: OrderedDict[str, _Window] = attrs.field(factory=OrderedDict, init=False)
    """In order of ``began``."""

    def refuses(self, address: str | None) -> bool:
        """Whether this client is shut out now; then its request is to be refused unread."""
        self.look()
        window = self._windows.get(_group(address))
        if window is None or window.wrong < self.per_minute:
            return False
        window.refused += 1
        return True

    def count(self, address: str | None) -> None:
        """This client gave a wrong secret."""
        self.look()
        group = _group(address)
        window = self._windows.setdefault(group, _Window(self.now()))
        window.wrong += 1
        if window.wrong == self.per_minute:
            window.began = self.now()
            self._windows.move_to_end(group)
            log.warning("web.shut_out", client=group, wrong_secrets=window.wrong, seconds=WINDOW)
        while len(self._windows) > MAX_ADDRESSES:
            self._drop_oldest()

    def look(self) -> None:
        """Let in again whose time is over."""
        at = self.now()
        while self._windows and at - next(iter(self._windows.values())).began >= WINDOW:
            self._drop_oldest()

    async def run(self) -> NoReturn:
        """Tell of every end, also when nobody asks for anything any more."""
        while True:
            await trio.sleep(LOOK_EVERY)
            self.look()

    def _drop_oldest(self) -> None:
        group, window = self._windows.popitem(last=False)
        if window.wrong >= self.per_minute:
            log.warning("web.shut_out_ended", client=group, refused=window.refused)


def _group(address: str | None) -> str:
    try:
        client = ip_address(address or "")
    except ValueError:
        return "unknown"
    if not isinstance(client, IPv6Address):
        return str(client)
    return str(client.ipv4_mapped or ip_network((client, 64), strict=False))
