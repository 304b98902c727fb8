r"""What may be said to the server.

A value cannot carry CR, LF or NUL: to the server these end a line, so that a caller's name could add headers or a
whole action (``Action: Command``). Every action looks over its own headers when it is made, and ``encode()`` does so
once more; both raise LocalProtocolError. The server's limits (main/manager.c) are kept in the same place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import md5
from typing import Any, ClassVar

import attrs

from uac_trio.ami.message import LocalProtocolError

Header = tuple[str, str]
Headers = tuple[Header, ...]

MAX_LINE = 1022
"""Bytes of a line without its end: the server reads lines into 1024 (``manager.c``, ``inbuf``). Before 1.8.18 the rest
of a longer line was read as a new header."""

MAX_LINES = 128
"""Of one action (``AST_MAX_MANHEADERS``); with more it is not executed."""

MAX_ACTION_ID = 100
"""Some handlers echo it through a buffer of 150 bytes and lose the line end with the rest."""

_ACTION_ID = re.compile(rf"[!-~]{{1,{MAX_ACTION_ID}}}")
_LABEL = re.compile(r"[a-z]+")
_CHANNEL = re.compile(r"[A-Za-z0-9]+/[^\s,&|\"\\()\[\]{}<>$\x00-\x1f]+")
_CHANNEL_ID = re.compile(r"[A-Za-z0-9._:-]{1,149}")
_UNIQUEID = re.compile(r"[A-Za-z0-9._:;-]{1,150}")
_CONTEXT = re.compile(r"[A-Za-z0-9_.-]{1,79}")
_EXTEN = re.compile(r"[0-9A-Za-z*#+._-]{1,40}")
_VARIABLE = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,79}"
    r"|PJSIP_HEADER\(add,[A-Za-z0-9-]{1,64}\)"
    r"|HASH\([A-Za-z_][A-Za-z0-9_]{0,39},[A-Za-z0-9_-]{1,64}\)"
    r"|CDR\([A-Za-z_][A-Za-z0-9_]{0,39}\)"
    r"|CHANNEL\((?:language|musicclass|accountcode|userfield)\)"
)
_ESCAPED = re.compile(r'([\\",()\[\]])')


def check_header(name: str, value: str) -> None:
    """Raises LocalProtocolError unless this is one line that the server takes as it is meant."""
    if not value:
        raise LocalProtocolError(f"{name} is empty")
    if any(character in text for text in (name, value) for character in "\r\n\0"):
        raise LocalProtocolError(f"{name} may not hold a line end or NUL")
    try:
        length = len(f"{name}: {value}".encode())
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"{name} is not valid text") from error
    if length > MAX_LINE:
        raise LocalProtocolError(f"{name} makes a line of {length} bytes; the server takes {MAX_LINE}")


@attrs.frozen(kw_only=True)
class Action:
    """What all actions have. ``headers()`` are those after ``Action`` and ``ActionID``."""

    name: ClassVar[str]

    def headers(self) -> Headers:
        return ()

    def __attrs_post_init__(self) -> None:
        _check(self.headers())


def encode(action: Action, action_id: str) -> bytes:
    """The bytes of an action, up to its empty line.

    Raises LocalProtocolError; then nothing of it may be sent.
    """
    if not _ACTION_ID.fullmatch(action_id):
        raise LocalProtocolError(f"an ActionID is 1 to {MAX_ACTION_ID} printable ASCII characters")
    headers = action.headers()
    _check(headers)
    lines = [("Action", action.name), ("ActionID", action_id), *headers]
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode() + b"\r\n"


def _check(headers: Headers) -> None:
    if len(headers) + 2 > MAX_LINES:
        raise LocalProtocolError(f"{len(headers) + 2} lines in an action; the server takes {MAX_LINES}")
    for name, value in headers:
        check_header(name, value)


def _matches(pattern: re.Pattern[str], expected: str) -> Callable[[Any, attrs.Attribute[str], str], None]:
    def check(_: object, attribute: attrs.Attribute[str], value: str) -> None:
        if not pattern.fullmatch(value):
            raise LocalProtocolError(f"{attribute.name} must be {expected}")

    return check


# ---- the session


@attrs.frozen(kw_only=True)
class Challenge(Action):
    """Asks for the number that an MD5 login is made with."""

    name = "Challenge"

    def headers(self) -> Headers:
        return (("AuthType", "MD5"),)


def md5_key(challenge: str, secret: str) -> str:
    """What ``Login`` proves the secret with. It keeps the secret off the wire; it does not hide what follows."""
    return md5((challenge + secret).encode(), usedforsecurity=False).hexdigest()


@attrs.frozen(kw_only=True)
class MD5Login(Action):
    name = "Login"

    username: str
    key: str = attrs.field(repr=False)

    def headers(self) -> Headers:
        return (("AuthType", "MD5"), ("Username", self.username), ("Key", self.key))


@attrs.frozen(kw_only=True)
class PlainLogin(Action):
    """The secret goes over the wire as it is."""

    name = "Login"

    username: str
    secret: str = attrs.field(repr=False)

    def headers(self) -> Headers:
        return (("Username", self.username), ("Secret", self.secret))


@attrs.frozen(kw_only=True)
class Logoff(Action):
    name = "Logoff"


@attrs.frozen(kw_only=True)
class Ping(Action):
    name = "Ping"


@attrs.frozen(kw_only=True)
class Events(Action):
    """Which classes of events to send; ``("on",)`` for all. Cannot exceed the user's ``read=`` of manager.conf."""

    name = "Events"

    mask: tuple[str, ...] = attrs.field()

    @mask.validator
    def _labels(self, _: object, mask: tuple[str, ...]) -> None:
        if not mask or not all(_LABEL.fullmatch(label) for label in mask):
            raise LocalProtocolError("mask must be names of event classes, such as call and cdr")

    def headers(self) -> Headers:
        return (("EventMask", ",".join(self.mask)),)


@attrs.frozen(kw_only=True)
class Filter(Action):
    """Adds a filter for the rest of the session: a POSIX regular expression, after ``!`` if it is to exclude.

    Needs ``write=system``.
    """

    name = "Filter"

    expression: str

    def headers(self) -> Headers:
        return (("Operation", "Add"), ("Filter", self.expression))


# ---- listings


@attrs.frozen(kw_only=True)
class CoreShowChannels(Action):
    """All channels there are: CoreShowChannel events. Needs ``write=reporting`` or ``system``."""

    name = "CoreShowChannels"


@attrs.frozen(kw_only=True)
class CoreSettings(Action):
    """``AsteriskVersion``, ``CoreCDRenabled`` and more, as headers. Needs ``write=reporting`` or ``system``."""

    name = "CoreSettings"


@attrs.frozen(kw_only=True)
class ListCommands(Action):
    """The actions that our user may ask for: a header each, ``Originate: Originate a call.  (Priv: originate,all)``."""

    name = "ListCommands"


@attrs.frozen(kw_only=True)
class GetConfig(Action):
    """One section of a file in Asterisk's configuration directory, as headers ``Line-000000-000003: read=call,cdr``.

    Needs ``write=config`` or ``system``. Without a section the server would send the secrets of all users.
    """

    name = "GetConfig"

    filename: str
    section: str

    def headers(self) -> Headers:
        return (("Filename", self.filename), ("Category", self.section))


@attrs.frozen(kw_only=True)
class ShowDialPlan(Action):
    """What an extension of a context does: ListDialplan events; an error names the one that is not there.

    Needs ``write=reporting`` or ``config``.
    """

    name = "ShowDialPlan"

    context: str
    exten: str

    def headers(self) -> Headers:
        return (("Context", self.context), ("Extension", self.exten))


@attrs.frozen(kw_only=True)
class QueueStatus(Action):
    """All queues: QueueParams, QueueMember and QueueEntry events."""

    name = "QueueStatus"


@attrs.frozen(kw_only=True)
class ParkedCalls(Action):
    """All parked calls: ParkedCall events. Needs ``write=call``."""

    name = "ParkedCalls"


@attrs.frozen(kw_only=True)
class DeviceStateList(Action):
    """Devices whose state Asterisk keeps: DeviceStateChange events with ``Device: PJSIP/101``. Since Asterisk 13.

    Needs ``write=reporting`` or ``call``.
    """

    name = "DeviceStateList"


@attrs.frozen(kw_only=True)
class ExtensionStateList(Action):
    """Hints of the dialplan: ExtensionStatus events with ``Exten: 101`` and ``Hint: PJSIP/101``. Since Asterisk 13.

    Needs ``write=reporting`` or ``call``.
    """

    name = "ExtensionStateList"


@attrs.frozen(kw_only=True)
class PJSIPShowEndpoints(Action):
    """Endpoints: EndpointList events with ``ObjectName`` and ``OutboundAuths``. Needs ``write=system``."""

    name = "PJSIPShowEndpoints"


@attrs.frozen(kw_only=True)
class SIPpeers(Action):
    """Peers of chan_sip: PeerEntry events with ``ObjectName``. Needs ``write=reporting`` or ``system``."""

    name = "SIPpeers"


# ---- calls


@attrs.frozen(kw_only=True)
class Hangup(Action):
    """Ends a channel, by its Uniqueid: a name could be a ``/regex/``, which would end all that match."""

    name = "Hangup"

    uniqueid: str = attrs.field(validator=_matches(_UNIQUEID, "a Uniqueid"))
    cause: int = 16

    def headers(self) -> Headers:
        return (("Channel", self.uniqueid), ("Cause", str(self.cause)))


@attrs.frozen(kw_only=True)
class Originate(Action):
    """Calls ``channel``; when it answers, it goes on at ``exten`` in ``context``.

    Always asynchronous: a synchronous Originate holds back all events of the connection until the phone is answered.
    The success of the response says "queued" only; the outcome is in OriginateResponse and the channel's own
    events, whose Uniqueid is ``channel_id``.
    """

    name = "Originate"

    channel: str = attrs.field()
    context: str = attrs.field(validator=_matches(_CONTEXT, "the name of a context"))
    exten: str = attrs.field(validator=_matches(_EXTEN, "1 to 40 of 0-9 A-Z a-z * # + . _ -"))
    priority: int = attrs.field(default=1)
    channel_id: str = attrs.field(validator=_matches(_CHANNEL_ID, "1 to 149 letters, digits and . _ : -"))
    timeout: float = attrs.field(default=30.0)
    """Seconds that ``channel`` may ring."""
    caller_id: str | None = None
    """``"Name" <number>``: who calls, to the dialplan that runs when the phone is answered; and what the phone shows,
    unless ``shown`` says something else."""
    shown: str | None = None
    """What the phone shows while it rings, in the same form. Needs ``caller_id``."""
    account: str | None = None
    variables: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)

    @channel.validator
    def _technology_and_data(self, _: object, channel: str) -> None:
        # More is cut off in silence, and a list (&) or an option (,) is no channel.
        if not _CHANNEL.fullmatch(channel) or len(channel.encode("utf-8", "surrogatepass")) > 255:
            raise LocalProtocolError(
                'channel must be like PJSIP/101: at most 255 bytes, no blanks or any of ,&|"\\()[]{}<>$'
            )

    @priority.validator
    def _positive(self, _: object, priority: int) -> None:
        if priority < 1:
            raise LocalProtocolError("priority must be 1 or more")

    @timeout.validator
    def _reasonable(self, _: object, timeout: float) -> None:
        if not 1 <= timeout <= 3600:
            raise LocalProtocolError("timeout must be 1 to 3600 seconds")

    @variables.validator
    def _harmless_names(self, _: object, variables: tuple[tuple[str, str], ...]) -> None:
        # A name that ends in ) is a dialplan function: FILE(), SHELL() and DB() would be as welcome as PJSIP_HEADER().
        if not all(_VARIABLE.fullmatch(name) for name, _ in variables):
            raise LocalProtocolError(
                "a variable's name is letters, digits and _, or PJSIP_HEADER(add,...), HASH(...,...), CDR(...), "
                "CHANNEL(language), (musicclass), (accountcode) or (userfield)"
            )

    def headers(self) -> Headers:
        return (
            ("Channel", self.channel),
            ("Context", self.context),
            ("Exten", self.exten),
            ("Priority", str(self.priority)),
            ("Timeout", str(round(self.timeout * 1000))),
            *self._who_calls(),
            *((("Account", self.account),) if self.account else ()),
            ("ChannelId", self.channel_id),
            *(("Variable", f"{name}={escape_variable(value)}") for name, value in self.variables),
            ("Async", "true"),
        )

    def _who_calls(self) -> Headers:
        """The header CallerID sets caller and connected line alike (main/pbx.c, ``pbx_outgoing_attempt``), after the
        variables; so where the two differ, both are set as variables, and before the phone is called."""
        if not self.caller_id or self.shown is None:
            return (("CallerID", self.caller_id),) if self.caller_id else ()
        names = ("CONNECTEDLINE(all,i)", self.shown), ("CALLERID(all)", self.caller_id)
        return tuple(("Variable", f"{name}={escape_variable(value)}") for name, value in names)


def escape_variable(value: str) -> str:
    r"""A value for ``Variable``, where a bare comma would begin another variable (``astman_get_variables``)."""
    return _ESCAPED.sub(r"\\\1", value)
