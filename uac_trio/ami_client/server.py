"""How to reach one PBX, what to ask of it, and how long to wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from uac_trio.ami import Events, Filter, PlainLogin

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


def _positive(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not value > 0:
        raise ValueError(f"{attribute.name} must be greater than 0")


@attrs.frozen(kw_only=True)
class AMIServer:
    """How to reach one PBX. Times are in seconds."""

    name: str
    """Part of every call's identity, so it never changes."""
    host: str
    """Of Asterisk's manager interface."""
    port: int = 5038
    """5039 where ``tls = true`` is usual."""
    tls: bool = False
    """The server's certificate is verified, always; Asterisk's TLS port is 5039 by default."""
    tls_ca: Path | None = None
    """Certificates to trust instead of the system's, PEM."""
    tls_name: str | None = None
    """The name in the certificate, where it is not ``host``."""
    username: str
    """The section of manager.conf."""
    secret: str = attrs.field(repr=False)
    plaintext_login: bool = False
    """Send the secret as it is. Only for proxies that know no MD5 challenge."""
    events: tuple[str, ...] = ("system", "call", "agent", "cdr")
    """Classes of events to ask for; the user's ``read=`` bounds them."""
    want_dialplan: bool = False
    """Ask for class dialplan as well, two thirds of all traffic: variables such as MIXMONITOR_FILENAME."""
    noise: tuple[str, ...] = NOISE
    """Events the server is asked to leave out. It obeys users with ``write=system``
    only, a right that no connector needs."""
    connect_timeout: float = attrs.field(default=10.0, validator=_positive)
    """For the connection, with TLS where it is on."""
    login_timeout: float = attrs.field(default=15.0, validator=_positive)
    """From the connection to the accepted login. A refusal takes Asterisk a second."""
    ping_interval: float = attrs.field(default=8.0, validator=_positive)
    """A server that has sent nothing for so long gets a Ping. With ``answer_timeout`` and a second more: a
    connection that is silently dead (half-open) is noticed within 20 s."""
    answer_timeout: float = attrs.field(default=10.0, validator=_positive)
    """For the answer to any action. If nothing at all comes for so long after a Ping, the session ends."""
    send_timeout: float = attrs.field(default=10.0, validator=_positive)
    """For an action to be written."""
    backoff_min: float = attrs.field(default=1.0, validator=_positive)
    """The first pause between two attempts to connect."""
    backoff_max: float = attrs.field(default=60.0, validator=_positive)
    """Waits between attempts double from the one to the other, less up to a half at random. A session that lasted
    ``backoff_max`` begins anew."""

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
