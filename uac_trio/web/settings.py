"""``[http]`` and ``[serve]`` of the configurations."""

from __future__ import annotations

from typing import Any

import attrs

from uac_trio.networks import PRIVATE_NETWORKS, Network


class CannotListenError(Exception):
    """The address of ``[http] bind`` cannot be listened on; the text says which and why."""


@attrs.frozen(kw_only=True)
class WebSettings:
    """``[http]`` of the configuration."""

    bind: str = "127.0.0.1:5000"
    """Address and port that vTiger's click2call requests come to. ``0.0.0.0:5000`` listens on every address."""
    public_url: str = ""
    """The URL by which the CRM and its users reach this server; links to recordings begin with it."""
    max_connections: int = 100
    """Connections open at once; half as many per client address. At the limit, a new connection replaces one whose
    client has not sent its request yet; if there is none, the new one is closed."""
    stall_seconds: float = 30.0
    """Timeout of a client that reads nothing of its reply."""
    grace_seconds: float = 3.0
    """How long open replies may go on after a shutdown request."""
    monitor_networks: tuple[Network, ...] = PRIVATE_NETWORKS
    """Networks that may see ``/live`` and ``/metrics``, which show who calls when. Default: private networks. A reverse
    proxy on this host makes every client look local, so it must not forward these paths."""
    monitor_hosts: tuple[str, ...] = ()
    """Host names allowed for ``/live`` and ``/metrics`` besides ``localhost``, any IP address, this machine's name and
    those in ``bind`` and ``public_url``. Others are refused because of DNS rebinding."""
    wrong_secrets_per_minute: int = 20
    """Rate limit: after so many wrong secrets in a minute a client is blocked for the next one."""


def parse_bind(bind: str) -> tuple[str, int]:
    """``0.0.0.0:5000`` or ``[::1]:5000`` as host and port. Raises ValueError with what was expected."""
    host, colon, port = bind.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("an address and a port, such as 0.0.0.0:5000")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address in brackets and a port, such as [::1]:5000")
    return host, int(port)


def _at_least_one(_: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    if not value:
        raise ValueError("expected a list of one or more")


@attrs.frozen(kw_only=True)
class ServeSettings:
    """``[serve]`` of the configuration of ``uac-trio serve-recordings``."""

    secret: str = attrs.field(repr=False)
    """``recordings_secret`` of the connectors."""
    recordings: tuple[str, ...] = attrs.field(validator=_at_least_one)
    """The directories. Nothing outside of them is opened."""
    networks: tuple[Network, ...] = attrs.field(validator=_at_least_one)
    """The networks of the connectors."""
    bind: str = "0.0.0.0:5001"
    """Address and port to listen on."""
    delete_files: bool = False
    """Connectors may have files deleted (``delete_files``, ``forget --files``)."""
    stall_seconds: float = 30.0
    """Timeout in seconds of a connector that reads nothing of an answer."""
    max_connections: int = 100
    """Connections open at once; one more is closed."""
