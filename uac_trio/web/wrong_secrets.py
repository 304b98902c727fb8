"""Rate limit for wrong secrets: blocks a client for a minute. One count for everything that the CRM's secret protects.

An attacker may share the CRM's address (proxy, NAT, shared network) and must not be able to block the CRM. So an
address that sent the right secret recently is never blocked. Against guesses from there only a long secret helps, or a
limit in front of this server.
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
"""Seconds of counting, and of a block."""
LOOK_EVERY = 10.0
MAX_ADDRESSES = 10_000
"""Most addresses that are counted; beyond it the oldest is dropped."""
KNOWN_FOR = 3600.0
"""Seconds for which an address that sent the right secret is not blocked."""
MAX_KNOWN = 1000
"""Most such addresses; beyond it the one with the oldest right secret is dropped."""

_OF_ONE_SITE = (ip_network("fc00::/7"), ip_network("fe80::/10"))
"""Networks in which the machines of a site share one /64."""


@attrs.define
class _Window:
    began: float
    wrong: int = 0
    refused: int = 0
    blocked: bool = False


@attrs.define(eq=False)
class WrongSecrets:
    """Counts wrong secrets by client address (public IPv6: by /64, since one machine may use all of it)."""

    per_minute: int = 20
    """With this many in a minute an address is blocked for the next one, even with the right secret."""
    now: Callable[[], float] = trio.current_time
    """Seconds of a monotonic clock."""
    _windows: OrderedDict[str, _Window] = attrs.field(factory=OrderedDict, init=False)
    """In order of ``began``."""
    _known: OrderedDict[str, float] = attrs.field(factory=OrderedDict, init=False)
    """When each exact address last sent the right secret; in this order."""

    def refuses(self, address: str | None) -> bool:
        """Whether this client is blocked now. Then refuse its request without reading it."""
        self.look()
        window = self._windows.get(_group(address))
        if window is None or window.wrong < self.per_minute or self._is_known(address):
            return False
        self._block(_group(address), window)
        window.refused += 1
        return True

    def count(self, address: str | None) -> bool:
        """Count a wrong secret of this client. Returns whether to log it: no longer once the limit is exceeded."""
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
                self._block(group, window)
        while len(self._windows) > MAX_ADDRESSES:
            self._drop_oldest()
        return window.wrong <= self.per_minute

    def accept(self, address: str | None) -> None:
        """Note that this client sent the right secret and was not blocked."""
        exact = _exact(address)
        self._known[exact] = self.now()
        self._known.move_to_end(exact)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def look(self) -> None:
        """End the blocks and counts whose time is over."""
        at = self.now()
        while self._windows and at - next(iter(self._windows.values())).began >= WINDOW:
            self._drop_oldest()
        while self._known and at - next(iter(self._known.values())) >= KNOWN_FOR:
            self._known.popitem(last=False)

    async def run(self) -> NoReturn:
        """End blocks in time, and log it, even without further requests."""
        while True:
            await trio.sleep(LOOK_EVERY)
            self.look()

    def _drop_oldest(self) -> None:
        group, window = self._windows.popitem(last=False)
        if window.blocked:
            log.warning("web.client_unblocked", client=group, refused=window.refused)
        elif window.wrong > self.per_minute:
            log.warning("web.many_wrong_secrets_ended", client=group, wrong_secrets=window.wrong)

    def _block(self, group: str, window: _Window) -> None:
        if not window.blocked:
            window.blocked = True
            log.warning("web.client_blocked", client=group, wrong_secrets=window.wrong, seconds=WINDOW)

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
