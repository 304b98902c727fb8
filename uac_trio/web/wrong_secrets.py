"""Who gives wrong secrets is not listened to for a minute. One count for all that the secret of the CRM opens.

A proxy, NAT or a shared network gives a stranger the CRM's address, and he must not shut out the CRM with it. So an
address that gave the right secret lately is always listened to; what a stranger may try from there has to be kept away
by the length of the secret, or before it reaches us.
"""

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
KNOWN_FOR = 3600.0
"""Seconds for which an address that gave the right secret is not shut out."""
MAX_KNOWN = 1000
"""Of these the one whose last right secret is the oldest is forgotten first."""

_OF_ONE_SITE = (ip_network("fc00::/7"), ip_network("fe80::/10"))
"""Here the machines of a site share one /64."""


@attrs.define
class _Window:
    began: float
    wrong: int = 0
    refused: int = 0
    shut_out: bool = False


@attrs.define(eq=False)
class WrongSecrets:
    """Counts wrong secrets by client address (public IPv6: by /64, which one machine has all of)."""

    per_minute: int = 20
    """With this many in a minute an address is shut out for the next one, whatever it gives."""
    now: Callable[[], float] = trio.current_time
    """Seconds of a clock that does not go back."""
    _windows: OrderedDict[str, _Window] = attrs.field(factory=OrderedDict, init=False)
    """In order of ``began``."""
    _known: OrderedDict[str, float] = attrs.field(factory=OrderedDict, init=False)
    """When an address, to the last bit, last gave the right secret; in this order."""

    def refuses(self, address: str | None) -> bool:
        """Whether this client is shut out now; then its request is to be refused unread."""
        self.look()
        window = self._windows.get(_group(address))
        if window is None or window.wrong < self.per_minute or self._is_known(address):
            return False
        self._shut_out(_group(address), window)
        window.refused += 1
        return True

    def count(self, address: str | None) -> bool:
        """This client gave a wrong secret. Whether that is worth a line in the log: not after so many in a minute."""
        self.look()
        group = _group(address)
        window = self._windows.setdefault(group, _Window(self.now()))
        window.wrong += 1
        if window.wrong == self.per_minute:
            window.began = self.now()
            self._windows.move_to_end(group)
            if self._is_known(address):
                log.warning("web.many_wrong_secrets", client=_exact(address), wrong_secrets=window.wrong)
            else:
                self._shut_out(group, window)
        while len(self._windows) > MAX_ADDRESSES:
            self._drop_oldest()
        return window.wrong <= self.per_minute

    def accept(self, address: str | None) -> None:
        """This client gave the right secret, and was not refused."""
        exact = _exact(address)
        self._known[exact] = self.now()
        self._known.move_to_end(exact)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def look(self) -> None:
        """Let in again whose time is over."""
        at = self.now()
        while self._windows and at - next(iter(self._windows.values())).began >= WINDOW:
            self._drop_oldest()
        while self._known and at - next(iter(self._known.values())) >= KNOWN_FOR:
            self._known.popitem(last=False)

    async def run(self) -> NoReturn:
        """Tell of every end, also when nobody asks for anything any more."""
        while True:
            await trio.sleep(LOOK_EVERY)
            self.look()

    def _drop_oldest(self) -> None:
        group, window = self._windows.popitem(last=False)
        if window.shut_out:
            log.warning("web.shut_out_ended", client=group, refused=window.refused)
        elif window.wrong > self.per_minute:
            log.warning("web.many_wrong_secrets_ended", client=group, wrong_secrets=window.wrong)

    def _shut_out(self, group: str, window: _Window) -> None:
        if not window.shut_out:
            window.shut_out = True
            log.warning("web.shut_out", client=group, wrong_secrets=window.wrong, seconds=WINDOW)

    def _is_known(self, address: str | None) -> bool:
        return _exact(address) in self._known


def _exact(address: str | None) -> str:
    try:
        client = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(getattr(client, "ipv4_mapped", None) or client)


def _group(address: str | None) -> str:
    exact = _exact(address)
    if ":" not in exact:
        return exact
    client = IPv6Address(exact)
    if client.is_loopback or any(client in network for network in _OF_ONE_SITE):
        return exact
    return str(ip_network((client, 64), strict=False))
