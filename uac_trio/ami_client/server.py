"""How to reach one PBX, what to ask of it, and how long to wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from uac_trio.ami import Events, Filter, PlainLogin
from uac_trio.settings import addresses, setting, values

NOISE = (
    "ChannelTalkingStart",
    "ChannelTalkingStop",
    "ContactStatus",
    "DeviceStateChange",
    "ExtensionStatus",
    "MessageWaiting",
    "Newexten",
    "PeerStatus",
    "PresenceStateChange",
    "PresenceStatus",
    "QueueMemberStatus",
    "RTCPReceived",
    "RTCPSent",
    "Registry",
    "TestEvent",
)
"""Events that come often and say nothing of calls."""


def noise_filter(noise: Sequence[str]) -> str:
    """The expression for action Filter that leaves these events out."""
    return f"!^Event: ({'|'.join(noise)})"


def _path(value: object) -> Path:
    return Path(values.absolute_path(value))


@attrs.frozen(kw_only=True)
class AMIServer:
    """How to reach one PBX. Times are in seconds."""

    name: str = attrs.field(metadata=setting(values.word, "Part of every call's identity, so it never changes."))
    host: str = attrs.field(metadata=setting(addresses.host, "Of Asterisk's manager interface."))
    port: int = attrs.field(default=5038, metadata=setting(values.whole(1, 65535), "5039 where `tls = true` is usual."))
    username: str = attrs.field(metadata=setting(values.filled, "The section of manager.conf."))
    secret: str = attrs.field(
        repr=False, metadata=setting(values.filled, "Of that section of manager.conf.", secret=True)
    )
    tls: bool = attrs.field(
        default=False,
        metadata=setting(
            values.flag, "The server's certificate is verified, always; Asterisk's TLS port is 5039 by default."
        ),
    )
    tls_ca: Path | None = attrs.field(
        default=None,
        metadata=setting(_path, "Certificates to trust instead of the system's, PEM."),
    )
    tls_name: str | None = attrs.field(
        default=None, metadata=setting(addresses.host, "The name in the certificate, where it is not `host`.")
    )
    plaintext_login: bool = attrs.field(
        default=False,
        metadata=setting(values.flag, "Send the secret as it is. Only for proxies that know no MD5 challenge."),
    )
    events: tuple[str, ...] = attrs.field(
        default=("system", "call", "agent", "cdr"),
        metadata=setting(values.words, "Classes of events to ask for; the user's `read=` bounds them."),
    )
    want_dialplan: bool = attrs.field(
        default=False,
        metadata=setting(
            values.flag,
            "Ask for class dialplan as well, two thirds of all traffic: variables such as MIXMONITOR_FILENAME.",
        ),
    )
    noise: tuple[str, ...] = attrs.field(
        default=NOISE,
        metadata=setting(
            values.words,
            "Events the server is asked to leave out. It obeys users with `write=system` only, a right that no "
            "connector needs.",
        ),
    )
    connect_timeout: float = attrs.field(
        default=10.0,
        metadata=setting(values.seconds(0.1, 120), "For the connection, with TLS where it is on."),
    )
    login_timeout: float = attrs.field(
        default=15.0,
        metadata=setting(
            values.seconds(0.1, 120), "From the connection to the accepted login. A refusal takes Asterisk a second."
        ),
    )
    ping_interval: float = attrs.field(
        default=8.0,
        metadata=setting(
            values.seconds(1, 3600),
            "A server that has sent nothing for so long gets a Ping. With `answer_timeout` and a second more: a "
            "connection that is silently dead (half-open) is noticed within 20 s.",
        ),
    )
    answer_timeout: float = attrs.field(
        default=10.0,
        metadata=setting(
            values.seconds(0.1, 120),
            "For the answer to any action. If nothing at all comes for so long after a Ping, the session ends.",
        ),
    )
    send_timeout: float = attrs.field(
        default=10.0, metadata=setting(values.seconds(0.1, 120), "For an action to be written.")
    )
    backoff_min: float = attrs.field(
        default=1.0,
        metadata=setting(values.seconds(0.1, 3600), "The first pause between two attempts to connect."),
    )
    backoff_max: float = attrs.field(
        default=60.0,
        metadata=setting(
            values.seconds(0.1, 3600),
            "Waits between attempts double from the one to the other, less up to a half at random. A session that "
            "lasted `backoff_max` begins anew.",
        ),
    )

    def __attrs_post_init__(self) -> None:
        # Raises LocalProtocolError, a ValueError, for what could not be said to the server.
        PlainLogin(username=self.username, secret=self.secret)
        Events(mask=self.events)
        if self.noise:
            Filter(expression=noise_filter(self.noise))

    def backoff(self, failures: int, fraction: float) -> float:
        """Seconds to wait after so many failures in a row. ``fraction``: 0 to 1, at random."""
        wait = min(self.backoff_max, self.backoff_min * 2.0 ** min(failures - 1, 30))
        return wait * (1.0 - fraction / 2.0)
