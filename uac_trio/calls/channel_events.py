"""What can happen to channels, in the words of Asterisk 13 and later, free of AMI.

Three sources make these values: the adapter of AMI 2 and later (``ami2.py``, Asterisk 12+), the adapter of AMI 1.x
(``ami1.py``, Asterisk 1.8 to 11) and, in both, the items of a channel listing. The call model reads nothing else.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import attrs


class ChannelState(enum.IntEnum):
    """Asterisk's ``ChannelState`` (include/asterisk/channelstate.h)."""

    DOWN = 0
    RESERVED = 1
    OFFHOOK = 2
    DIALING = 3
    RING = 4
    """An incoming call is being processed: this channel calls us."""
    RINGING = 5
    """The device we called is ringing."""
    UP = 6
    BUSY = 7


CALLING = (ChannelState.RING, ChannelState.UP)
"""Of a channel that may have called us, and may dial another."""


class ChannelView(NamedTuple):
    """A channel as one event shows it. Empty text and ``None``: the event does not show it, or Asterisk has none.

    A named tuple, since one or two are made of every event.
    """

    uniqueid: str
    """Identity of the device's channel. It stays with the device, also through the masquerades of AMI 1.x."""
    name: str
    """``PJSIP/101-0000000a``."""
    linkedid: str = ""
    """Equal for channels that Asterisk counts as one call. Asterisk before 13.5 sends none."""
    state: int | None = None
    """A ``ChannelState``, or one of the rare that have no name here."""
    number: str = ""
    """CallerIDNum: of a dialled channel at first the callee's own number, later any number."""
    caller_name: str = ""
    connected: str = ""
    """ConnectedLineNum: what the device shows as the other side."""
    context: str = ""
    exten: str = ""
    tenant: str = ""
    """Tenantid (Asterisk 18.25, 20.10, 21.5, 22 and later), where the PBX sets one."""


@attrs.frozen(kw_only=True)
class ChannelEvent:
    """Something happened to one or two channels. ``event``: AMI's name of it, for people."""

    event: str

    @property
    def because(self) -> str:
        """The event in short, with the channel it is about."""
        for name in ("dialled", "channel", "picker", "retriever", "parkee", "first", "transferer"):
            about = getattr(self, name, None)
            if about is not None:
                return f"{self.event} {about.name}"
        return self.event


@attrs.frozen(kw_only=True)
class ChannelCreated(ChannelEvent):
    """Newchannel: the first event of a channel."""

    channel: ChannelView


@attrs.frozen(kw_only=True)
class ChannelChanged(ChannelEvent):
    """Newstate, NewCallerid, NewConnectedLine: the view has news."""

    channel: ChannelView


@attrs.frozen(kw_only=True)
class ChannelRenamed(ChannelEvent):
    """Rename: the same device's channel has another name."""

    uniqueid: str
    name: str


@attrs.frozen(kw_only=True)
class HangupRequested(ChannelEvent):
    """The channel's own end hung up, or AMI or the dialplan asked for it (main/channel.c, ``ast_queue_hangup``)."""

    channel: ChannelView


@attrs.frozen(kw_only=True)
class ChannelHungUp(ChannelEvent):
    """Hangup: the last event of a channel, but for its Cdr."""

    channel: ChannelView
    cause: int = 0
    """Q.850; 0 = none given."""
    tech_cause: str = ""
    """SIP status (Asterisk 20.17, 22.7 and later)."""


@attrs.frozen(kw_only=True)
class DialBegan(ChannelEvent):
    """A channel is tried: Dial(), Queue(), FollowMe(), or Originate, of which ``caller`` is None."""

    dialled: ChannelView
    caller: ChannelView | None = None
    dial_string: str = ""
    """What stood behind the technology in Dial(): ``101``, ``+7916...@trunk``; of a queue with the technology."""


@attrs.frozen(kw_only=True)
class DialProgressed(ChannelEvent):
    """The dialled device rings, or sends early media instead (183)."""

    dialled: ChannelView
    caller: ChannelView | None = None


@attrs.frozen(kw_only=True)
class DialEnded(ChannelEvent):
    """The attempt is over, or was answered. A Queue may repeat it (app_queue.c)."""

    dialled: ChannelView
    caller: ChannelView | None = None
    status: str = ""
    """DialStatus in capitals: ANSWER, BUSY, CANCEL, NOANSWER, CONGESTION, CHANUNAVAIL, CONTINUE ...; FORWARDED where
    the phone sent the call on (apps/app_dial.c, ``do_forward``)."""


@attrs.frozen(kw_only=True)
class OriginateEnded(ChannelEvent):
    """OriginateResponse: the first channel of an Originate was answered, or failed."""

    uniqueid: str
    """"" where Asterisk does not know it (a failure without a ChannelId of the client's)."""
    asked: str
    """The channel that was asked for, ``Local/101@from-internal/n``."""
    exten: str
    """The number that the dialplan was to dial."""
    is_success: bool
    reason: int = 0
    """0 failed, 1 hung up, 3 no answer, 4 answered, 5 busy, 8 congestion (main/pbx.c)."""


@attrs.frozen(kw_only=True)
class BridgeEntered(ChannelEvent):
    channel: ChannelView
    bridge: str
    """Unique id of the bridge."""
    bridge_type: str = ""
    """``basic``, ``base`` (a conference), ``parking``, ``holding``, ``agent_hold``; "" = not known."""
    swapped: str = ""
    """Uniqueid of the channel that left in exchange."""


@attrs.frozen(kw_only=True)
class BridgeLeft(ChannelEvent):
    channel: ChannelView
    bridge: str
    """"" = whichever it was in."""


@attrs.frozen(kw_only=True)
class HoldChanged(ChannelEvent):
    """Hold, Unhold: the device asked for hold; the others hear music."""

    channel: ChannelView
    is_held: bool


@attrs.frozen(kw_only=True)
class BlindTransferred(ChannelEvent):
    """A successful transfer without asking first."""

    transferer: ChannelView
    to: str
    """The dialled extension or number."""
    transferee: ChannelView | None = None


@attrs.frozen(kw_only=True)
class AttendedTransferred(ChannelEvent):
    """A successful transfer after a consultation."""

    first: ChannelView
    """The transferer's channel to the transferee."""
    second: ChannelView | None = None
    """The transferer's channel to the target."""
    transferee: ChannelView | None = None
    target: ChannelView | None = None


@attrs.frozen(kw_only=True)
class PickedUp(ChannelEvent):
    """``picker`` took the call that rang at ``target`` (main/pickup.c)."""

    picker: ChannelView
    target: ChannelView


@attrs.frozen(kw_only=True)
class Parked(ChannelEvent):
    parkee: ChannelView
    parker: str = ""
    """Name of the parker's device, ``PJSIP/101``."""


@attrs.frozen(kw_only=True)
class Unparked(ChannelEvent):
    parkee: ChannelView
    retriever: ChannelView


@attrs.frozen(kw_only=True)
class QueueJoined(ChannelEvent):
    channel: ChannelView
    queue: str
    position: str = ""


@attrs.frozen(kw_only=True)
class QueueLeft(ChannelEvent):
    channel: ChannelView


@attrs.frozen(kw_only=True)
class CdrWritten(ChannelEvent):
    """One Cdr: party A with one party B. Any call has several (cdr_manager.c)."""

    uniqueid: str
    """Of party A's channel."""
    linkedid: str = ""
    """Only where [mappings] of cdr_manager.conf has it."""
    destination: str = ""
    """Name of party B's channel."""
    application: str = ""
    data: str = ""
    is_answered: bool = False
    """Disposition ANSWERED: of a person, a queue, a voicemail alike."""
    billable_secs: int = 0
    recording: str = ""
    """Path or name of the recording, from the first mapped header that has one."""


@attrs.frozen(kw_only=True)
class VoicemailStarted(ChannelEvent):
    """The dialplan runs VoiceMail() on the channel."""

    channel: ChannelView


@attrs.frozen(kw_only=True)
class RecordingStarted(ChannelEvent):
    """MixMonitor writes to ``path``, whether or not a phone ever answers."""

    channel: ChannelView
    path: str


class Lack(enum.Enum):
    """What a server does not show. The value is for people: what is missing, and which setting shows it."""

    CALLS = "a Cdr came for a call that no event had announced: read = call for our AMI user"
    QUEUE_MEMBERS = (
        "queues do not show which phone they ring for whom (no AgentCalled): set eventwhencalled = yes in queues.conf "
        "and read = agent for our AMI user; until then that is concluded from numbers and times"
    )


@attrs.frozen(kw_only=True)
class ServerLacks(ChannelEvent):
    """The server does not show something that calls are concluded from. Made each time that it is missed."""

    lack: Lack


@attrs.frozen(kw_only=True)
class ListedChannel:
    """One channel of a listing (CoreShowChannels)."""

    view: ChannelView
    duration: float = 0.0
    """Seconds since it was created, whole."""
    bridge: str = ""
    application: str = ""
    """``AppDial``, ``AppQueue``: dialled by another channel; ``AppDial2``: by Originate (main/dial.c)."""


@attrs.frozen(kw_only=True)
class SnapshotEvent(ChannelEvent):
    """What a server shows of all its channels at once."""


@attrs.frozen(kw_only=True)
class ChannelsListed(SnapshotEvent):
    """A complete listing: what is not in it does not exist, or was created a moment ago."""

    channels: tuple[ListedChannel, ...]


@attrs.frozen(kw_only=True)
class ListingUnusable(SnapshotEvent):
    """A listing that says of itself that items are missing."""

    announced: str
    listed: int


@attrs.frozen(kw_only=True)
class ServerBooted(SnapshotEvent):
    """FullyBooted with its Uptime (Asterisk 14 and later)."""

    uptime: int
    """Seconds, whole."""
