"""A click on a number in the CRM: what is dialled for it, and whether at all.

A call costs money, and the request comes over the network: everything of it that gets near the PBX passes a list of
allowed characters here, and technology, context and caller id come from the configuration.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs

from uac_trio.calls.click import CHANNEL_ID_PREFIX
from uac_trio.crm.number import DialForm, in_form, international, normalise, spellings
from uac_trio.networks import PRIVATE_NETWORKS, Network
from uac_trio.settings import addresses, setting, values

MAX_PARAMETER = 256
"""Characters: the longest thing a CRM sends is a displayed number with a note; a secret is 32 characters or less."""

_EXTENSION = re.compile(r"[0-9A-Za-z_.-]{1,32}")


class ClickAnswer(enum.Enum):
    """What the CRM is answered; each CRM has its own words for it."""

    SUCCESS = "success"
    """The PBX has taken the order."""
    ERROR = "error"
    AUTHENTICATION_FAILURE = "authentication failure"


class Originated(enum.Enum):
    """The outcome of an order given to a PBX."""

    QUEUED = "queued"
    """The PBX has taken it; its events show what follows."""
    REFUSED = "refused"
    """The PBX said no, or is not connected: nothing was dialled, the user may click again at once."""
    UNKNOWN = "unknown"
    """Sent, or perhaps sent, and no answer came. It is never sent again: two calls are worse than none."""


@attrs.frozen(kw_only=True)
class Click2CallRules:
    """``[click2call]`` of the configuration."""

    enabled: bool = attrs.field(default=True, metadata=setting(values.flag, "Whether clicks are taken at all."))
    networks: tuple[Network, ...] = attrs.field(
        default=PRIVATE_NETWORKS,
        metadata=setting(
            addresses.networks,
            "Where `/makecall` is listened to: the addresses of the CRM's server. Default: private networks.",
        ),
    )
    allow: tuple[re.Pattern[str], ...] = attrs.field(
        default=(),
        metadata=setting(
            values.patterns,
            "What may be dialled: one of these is found in the number as typed, less its formatting, or in its "
            "international form, `+79161234567`. Empty: everything.",
        ),
    )
    deny: tuple[re.Pattern[str], ...] = attrs.field(
        default=(),
        metadata=setting(
            values.patterns,
            "What may not be dialled, even if allowed: one of these is found in any spelling of the number.",
        ),
    )
    dial_prefix: str = attrs.field(
        default="",
        metadata=setting(values.prefix, "Put before numbers that are no extensions (`9` for an outside line)."),
    )
    dial_form: DialForm = attrs.field(
        default=DialForm.AS_TYPED,
        metadata=setting(values.member(DialForm), "How numbers of `[calls] region` are dialled, before the next two."),
    )
    strip_plus: bool = attrs.field(
        default=False, metadata=setting(values.flag, "Dial `79161234567` for `+79161234567`.")
    )
    caller_id: str = attrs.field(
        default="{number} <{number}>",
        metadata=setting(
            values.template("number", "extension"),
            "What the employee's phone shows while it rings: `{number}` is the customer's, `{extension}` their own.",
        ),
    )
    ring_seconds: int = attrs.field(
        default=30,
        metadata=setting(values.whole(5, 300), "How long the employee's phone rings before the order lapses."),
    )
    answer_seconds: float = attrs.field(
        default=3.0,
        metadata=setting(
            values.seconds(0.1, 3),
            "How long the PBX may take to accept the order. The user's CRM tab is blocked meanwhile.",
        ),
    )
    guard_seconds: float = attrs.field(
        default=5.0,
        metadata=setting(values.seconds(0, 60), "The same click again within this time makes no second call."),
    )
    per_minute: int = attrs.field(
        default=10, metadata=setting(values.whole(1, 1000), "Calls one employee may start in a minute.")
    )
    total_per_minute: int = attrs.field(
        default=120, metadata=setting(values.whole(1, 10_000), "Calls all employees together may start in a minute.")
    )


@attrs.frozen(kw_only=True)
class Route:
    """How one PBX is asked to call an employee: ``originate_*`` of ``[[pbx]]``."""

    pbx: str
    extensions: re.Pattern[str] | frozenset[str] | None = attrs.field(
        default=None,
        metadata=setting(
            values.extensions,
            "Whose phones are on this PBX: a pattern the whole extension must match, or a list. Left out: all.",
            key="originate_extensions",
        ),
    )
    channel: str = attrs.field(
        default="PJSIP/{extension}",
        metadata=setting(
            values.template("extension", needs=("extension",)),
            "What rings when an employee clicks: a device, or a Local channel for all their devices.",
            key="originate_channel",
        ),
    )
    context: str = attrs.field(
        default="from-internal",
        metadata=setting(values.filled, "Where the call goes on when they answer.", key="originate_context"),
    )
    contexts: frozenset[str] = attrs.field(
        default=frozenset(),
        metadata=setting(
            values.text_set,
            "Contexts a request may ask for. Any other, which a CRM sends from its own settings, is passed over.",
            key="originate_contexts",
        ),
    )
    caller_id: str = attrs.field(
        default="{extension}",
        metadata=setting(
            values.template("extension"),
            "Who calls, to the dialplan that then calls the customer. With `{extension}` that sees the call as if "
            "the employee had dialled, and sets the company's number as it does then.",
            key="originate_caller_id",
        ),
    )
    variables: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata=setting(
            values.templates("extension", "number"),
            "Variables and functions to set on the employee's channel before it rings, such as a header for auto "
            "answer; `{extension}`, and `{number}` as it is dialled, may be in a value.",
            key="originate_variables",
        ),
    )

    def has(self, extension: str) -> bool:
        match self.extensions:
            case None:
                return True
            case re.Pattern() as pattern:
                return pattern.fullmatch(extension) is not None
            case listed:
                return extension in listed


@attrs.frozen(kw_only=True)
class Dial:
    """An order for a PBX: ring ``channel``; when it answers, send it to ``exten`` in ``context``, priority 1."""

    pbx: str
    channel: str
    context: str
    exten: str
    shown: str
    """What the employee's phone shows: the customer."""
    caller_id: str
    """Who calls, to the dialplan."""
    channel_id: str
    """Becomes Uniqueid and Linkedid of the employee's channel, and so part of the call's identity."""
    ring_seconds: int
    extension: str
    number: str
    """The customer's number less its formatting, as it was typed otherwise."""
    variables: tuple[tuple[str, str], ...] = ()


@attrs.frozen(kw_only=True)
class ClickRequest:
    """What a CRM asked for, as it was sent."""

    extension: str
    """Whose phone is to ring first."""
    number: str
    """The number to call, as it stands in the CRM."""
    context: str = ""
    """The dialplan context that the CRM names; "" = none."""


@attrs.frozen(kw_only=True)
class Refusal:
    """Why nothing is dialled. ``reason`` is for the log, in words, and holds nothing of the request."""

    answer: ClickAnswer
    reason: str


def plan_click(
    click: ClickRequest,
    *,
    rules: Click2CallRules,
    routes: Sequence[Route],
    is_extension: Callable[[str], bool],
    region: str,
    token: str,
    is_connected: Callable[[str], bool] = lambda _: True,
) -> Dial | Refusal:
    """What is dialled for a click, or why nothing is.

    ``token`` makes the channel's id unique: letters, digits, dots and dashes. ``is_connected``, by a PBX's name: do
    orders reach it now?
    """
    if not rules.enabled:
        return refused("click2call is turned off: [click2call] enabled = false")
    extension = click.extension.strip()
    if not _EXTENSION.fullmatch(extension) or not is_extension(extension):
        return refused(
            "the employee of this click is no extension by [calls] extensions; it comes from the CRM user's settings"
        )
    route = _route(routes, extension, is_connected)
    if route is None:
        return refused("no [[pbx]] has this extension: originate_extensions of each names others")
    try:
        number = normalise(click.number, is_extension=is_extension, region=region)
    except ValueError as why:
        return refused(str(why))
    if number == extension:
        return refused("an employee cannot call their own phone")
    outside = not is_extension(number)
    if rules.allow and not _is_found(rules.allow, {number, international(number, region)} if outside else {number}):
        return refused("no pattern of [click2call] allow permits this number")
    if _is_found(rules.deny, spellings(number, region) if outside else {number}):
        return refused("a pattern of [click2call] deny forbids this number")
    return _dial(extension, number, click.context, rules, route, is_extension, region, token)


def _is_found(patterns: Iterable[re.Pattern[str]], texts: Collection[str]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)


def _route(routes: Sequence[Route], extension: str, is_connected: Callable[[str], bool]) -> Route | None:
    """The first PBX that has this extension, one that is connected before one that is not."""
    having = [route for route in routes if route.has(extension)]
    return next((route for route in having if is_connected(route.pbx)), having[0] if having else None)


def _dial(
    extension: str,
    number: str,
    context: str,
    rules: Click2CallRules,
    route: Route,
    is_extension: Callable[[str], bool],
    region: str,
    token: str,
) -> Dial:
    exten = number
    if not is_extension(number):
        exten = in_form(number, rules.dial_form, region)
        exten = rules.dial_prefix + (exten.removeprefix("+") if rules.strip_plus else exten)
    return Dial(
        pbx=route.pbx,
        channel=route.channel.format(extension=extension),
        context=context if context in route.contexts else route.context,
        exten=exten,
        shown=rules.caller_id.format(number=number, extension=extension),
        caller_id=route.caller_id.format(extension=extension),
        channel_id=CHANNEL_ID_PREFIX + token,
        ring_seconds=rules.ring_seconds,
        extension=extension,
        number=number,
        variables=tuple(
            (name, value.format(extension=extension, number=exten)) for name, value in route.variables.items()
        ),
    )


FREEPBX_SKIPS_VOICEMAIL = "originate-skipvm"
"""FreePBX's context for calls that are placed for an employee: as from-internal, but no mailbox answers."""

_FREEPBX_EMPLOYEE = re.compile(r"(Local/[^@]*@)from-internal(?=/|$)", re.IGNORECASE)


def skipping_voicemail(channel: str) -> str:
    """The Local ``channel`` into from-internal as one into FreePBX's context without voicemail; "" for any other.

    VoiceMail() answers at once (app_voicemail.c), and pbx.c sends the answered channel into the dialplan: when the
    answer is known, the customer is being called already. So a mailbox must not come to answer.
    """
    skipping, found = _FREEPBX_EMPLOYEE.subn(rf"\g<1>{FREEPBX_SKIPS_VOICEMAIL}", channel)
    return skipping if found else ""


class Verdict(enum.Enum):
    """What the guard says to a click."""

    NEW = "new"
    DOUBLE = "double"
    TOO_MANY = "too many"
    """Of this employee."""
    TOO_MANY_IN_ALL = "too many in all"


@attrs.define
class ClickGuard:
    """Remembers the clicks of the last minute. Times are seconds of any clock that does not go back."""

    guard_seconds: float
    per_minute: int
    total_per_minute: int
    _recent: dict[tuple[str, str], tuple[float, ClickAnswer]] = attrs.field(factory=dict, init=False)
    _starts: dict[str, deque[float]] = attrs.field(factory=dict, init=False)

    def limit(self, rules: Click2CallRules) -> None:
        """Take the limits of ``rules`` from now on; what was clicked counts on."""
        self.guard_seconds = rules.guard_seconds
        self.per_minute, self.total_per_minute = rules.per_minute, rules.total_per_minute

    def admit(self, dial: Dial, at: float) -> Verdict:
        """Whether this click is to make a call. Of clicks that are NEW it keeps the time."""
        self._forget(at)
        if (dial.extension, dial.number) in self._recent:
            return Verdict.DOUBLE
        starts = self._starts.setdefault(dial.extension, deque())
        if len(starts) >= self.per_minute:
            return Verdict.TOO_MANY
        if sum(map(len, self._starts.values())) >= self.total_per_minute:
            return Verdict.TOO_MANY_IN_ALL
        starts.append(at)
        # Until the PBX has answered, the double of a click gets the likely answer.
        self._recent[dial.extension, dial.number] = (at, ClickAnswer.SUCCESS)
        return Verdict.NEW

    def settle(self, dial: Dial, outcome: Originated) -> ClickAnswer:
        """The answer for a click with this outcome, which its doubles get as well.

        After REFUSED nothing rings, so the next click is a new one.
        """
        key = (dial.extension, dial.number)
        answer = ClickAnswer.SUCCESS if outcome is Originated.QUEUED else ClickAnswer.ERROR
        if outcome is Originated.REFUSED:
            self._recent.pop(key, None)
        elif key in self._recent:
            self._recent[key] = (self._recent[key][0], answer)
        return answer

    def answer_to_double(self, dial: Dial) -> ClickAnswer:
        """The answer to the click that this one doubles, so far as it is known."""
        return self._recent[dial.extension, dial.number][1]

    def _forget(self, at: float) -> None:
        self._recent = {key: kept for key, kept in self._recent.items() if at - kept[0] < self.guard_seconds}
        for extension, starts in list(self._starts.items()):
            while starts and at - starts[0] >= 60:
                starts.popleft()
            if not starts:
                del self._starts[extension]


def refused(reason: str) -> Refusal:
    """Nothing is dialled, for this ``reason``."""
    return Refusal(answer=ClickAnswer.ERROR, reason=reason)
