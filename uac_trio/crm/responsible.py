"""Who in the CRM is responsible for a caller, in neutral terms."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable

import attrs

from uac_trio.networks import PRIVATE_NETWORKS, Network
from uac_trio.settings import addresses, setting, values

ASKING = 0.9
"""Share of a deadline that the CRM has; the rest is for the answer to Asterisk."""


@attrs.frozen(kw_only=True)
class ResponsibleRules:
    """``[route]`` of the configuration."""

    bind: str = attrs.field(
        default="",
        metadata=setting(values.or_none(addresses.bind), 'Address and port for FastAGI, `0.0.0.0:4574`; "": none.'),
    )
    secret: str = attrs.field(
        default="",
        repr=False,
        metadata=setting(
            values.text,
            'What `GET /route` must be asked with; "": there is none. Not the CRM\'s, for it stands in the dialplan.',
            secret=True,
        ),
    )
    networks: tuple[Network, ...] = attrs.field(
        default=PRIVATE_NETWORKS,
        metadata=setting(
            addresses.networks, "Where questions are listened to, by FastAGI and by HTTP: the addresses of the PBXes."
        ),
    )
    variable: str = attrs.field(
        default="UAC_RESPONSIBLE", metadata=setting(values.variable, "The channel variable that FastAGI sets.")
    )
    deadline_seconds: float = attrs.field(
        default=1.0,
        metadata=setting(
            values.seconds(0.1, 5),
            "The whole of an answer, from the connection on. The caller hears nothing meanwhile.",
        ),
    )
    cache_seconds: float = attrs.field(
        default=60.0,
        metadata=setting(values.seconds(0, 3600), "How long an answer of the CRM is taken for true; 0: not at all."),
    )
    url: str = attrs.field(
        default="",
        metadata=setting(
            values.or_none(addresses.web_address("http://crm.example/modules/PBXManager/callbacks/SPAgi.php")),
            'Where the CRM answers the question; "": where it usually does.',
        ),
    )

    @property
    def is_on(self) -> bool:
        return bool(self.bind or self.secret)


class Finding(enum.Enum):
    """What a question led to."""

    OWNED = "owned"
    NO_OWNER = "no owner"
    """There is no employee to send the caller to, and asking again soon would bring nothing."""
    FAILED = "failed"
    """It is not known, for this number."""
    AWAY = "away"
    """It is not known, nor would it be for any other number: no answer, or we are refused as such."""


@attrs.frozen(kw_only=True)
class Responsible:
    """The answer: ``extension`` if ``finding`` is OWNED, else "" and ``reason`` in words for an administrator."""

    finding: Finding
    extension: str = ""
    reason: str = ""


Ask = Callable[[str, float], Awaitable[Responsible]]
"""Who is responsible for this caller's number, to be answered within so many seconds. Raises nothing."""
