"""``[http]`` and ``[serve]`` of the configurations."""

from __future__ import annotations

import errno
from typing import Any, Self

import attrs

from uac_trio.networks import PRIVATE_NETWORKS, Network
from uac_trio.settings import addresses, setting, values


class CannotListenError(Exception):
    """The address of a ``bind`` cannot be listened on; the text has the address, the reason and the remedy."""

    @classmethod
    def at(cls, table: str, bind: str, why: OSError) -> Self:
        """``table``: the one that has ``bind``, such as ``[http]``."""
        remedy = _REMEDIES.get(why.errno or 0, "").format(port=bind.rpartition(":")[2])
        return cls(f"{table} bind = {bind!r}: {why.strerror or why}{remedy}")


_REMEDIES = {
    errno.EADDRINUSE: "; `ss -ltnp 'sport = :{port}'` names the program: end it, or set another port",
    errno.EADDRNOTAVAIL: "; this machine has no such address: 127.0.0.1:{port} is for itself alone, 0.0.0.0:{port} for "
    "all of its addresses",
    errno.EACCES: "; ports below 1024 are for root: set a higher one",
}


@attrs.frozen(kw_only=True)
class WebSettings:
    """``[http]`` of the configuration."""

    bind: str = attrs.field(
        default="127.0.0.1:5000",
        metadata=setting(
            addresses.bind,
            "Address and port that vTiger's click2call requests come to. `0.0.0.0:5000` listens on every address.",
        ),
    )
    public_url: str = attrs.field(
        default="",
        metadata=setting(
            addresses.web_address("http://172.16.1.1:5000"),
            "The URL by which the CRM and its users reach this server; links to recordings begin with it.",
        ),
    )
    max_connections: int = attrs.field(
        default=100,
        metadata=setting(
            values.whole(1, 10_000),
            "Connections open at once; half as many per client address. At the limit, a new connection replaces one"
            " whose client has not sent its request yet; if there is none, the new one is closed.",
        ),
    )
    stall_seconds: float = attrs.field(
        default=30.0, metadata=setting(values.seconds(1, 3600), "Timeout of a client that reads nothing of its reply.")
    )
    grace_seconds: float = attrs.field(
        default=3.0,
        metadata=setting(values.seconds(0, 10), "How long open replies may go on after a shutdown request."),
    )
    monitor_networks: tuple[Network, ...] = attrs.field(
        default=PRIVATE_NETWORKS,
        metadata=setting(
            addresses.networks,
            "Networks that may see `/live` and `/metrics`, which show who calls when. Default: private networks. A "
            "reverse proxy on this host makes every client look local, so it must not forward these paths.",
        ),
    )
    monitor_hosts: tuple[str, ...] = attrs.field(
        default=(),
        metadata=setting(
            addresses.hosts,
            "Host names allowed for `/live` and `/metrics` besides `localhost`, any IP address, this machine's name"
            " and those in `bind` and `public_url`. Others are refused because of DNS rebinding.",
        ),
    )
    wrong_secrets_per_minute: int = attrs.field(
        default=20,
        metadata=setting(
            values.whole(1, 10_000),
            "Rate limit: after so many wrong secrets in a minute a client is blocked for the next one.",
        ),
    )


@attrs.frozen(kw_only=True)
class CompanionSettings:
    """``[companion]`` of the configuration: events for the module that is installed in the CRM."""

    enabled: bool = attrs.field(
        default=False,
        metadata=setting(
            values.flag, "Whether browsers of the CRM's users may open a stream of events, `/crm/events`."
        ),
    )
    origins: tuple[str, ...] = attrs.field(
        default=(),
        metadata=setting(
            addresses.origins,
            "Origins of the CRM's pages, such as `https://crm.example`, where browsers reach this server at another "
            "one. Not needed where a path of the CRM's own web server leads here.",
        ),
    )


def _at_least_one(_: object, attribute: attrs.Attribute[Any], value: tuple[object, ...]) -> None:
    if not value:
        raise ValueError("expected a list of one or more")


@attrs.frozen(kw_only=True)
class ServeSettings:
    """``[serve]`` of the configuration of ``uac-trio serve-recordings``."""

    secret: str = attrs.field(
        repr=False, metadata=setting(values.filled, "`recordings_secret` of the connectors.", secret=True)
    )
    recordings: tuple[str, ...] = attrs.field(
        validator=_at_least_one,
        metadata=setting(values.absolute_paths, "The directories. Nothing outside of them is opened."),
    )
    networks: tuple[Network, ...] = attrs.field(
        validator=_at_least_one, metadata=setting(addresses.networks, "The networks of the connectors.")
    )
    bind: str = attrs.field(default="0.0.0.0:5001", metadata=setting(addresses.bind, "Address and port to listen on."))
    delete_files: bool = attrs.field(
        default=False,
        metadata=setting(values.flag, "Connectors may have files deleted (`delete_files`, `forget --files`)."),
    )
    stall_seconds: float = attrs.field(
        default=30.0,
        metadata=setting(values.seconds(1, 3600), "Timeout in seconds of a connector that reads nothing of an answer."),
    )
    max_connections: int = attrs.field(
        default=100, metadata=setting(values.whole(1, 10_000), "Connections open at once; one more is closed.")
    )
