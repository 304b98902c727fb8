"""One session with a server, from its greeting on, without I/O.

The caller reads the socket into ``receive_data()``, takes what ``next_message()`` gives, and writes what ``send()``
gives. The order of a session is the table ``TRANSITIONS``; what it does not have is an error of the side that did it.

    connection = AMIConnection(id_prefix="uac-7f3a")
    connection.receive_data(data)          # as often as the socket gives something
    while (message := connection.next_message()) is not None: ...
    answers = connection.take_answers()    # of actions that are complete
    sent = connection.send(Ping())         # write sent.data; if that fails: connection.send_failed()
"""

from __future__ import annotations

import enum

import attrs

from uac_trio.ami.action import MAX_ACTION_ID, Action, Challenge, MD5Login, PlainLogin, encode
from uac_trio.ami.message import Banner, Event, LocalProtocolError, Message, RemoteProtocolError, Response
from uac_trio.ami.parser import MessageParser

MAX_LIST = 100_000
"""Items of one listing: several times the channels of the largest servers."""


class State(enum.Enum):
    GREETING = "waiting for the server's first line"
    GREETED = "greeted; nothing asked yet"
    CHALLENGING = "asked for a challenge"
    CHALLENGED = "have the challenge"
    LOGIN = "login sent"
    READY = "logged in"
    LOST = "over: the connection ended, or what was sent may have been cut"


class Happening(enum.Enum):
    BANNER = "greeting"
    EVENT = "event"
    CHALLENGE_SENT = "Challenge sent"
    CHALLENGE_GIVEN = "challenge"
    LOGIN_SENT = "Login sent"
    ACCEPTED = "login accepted"
    REFUSED = "login refused"
    ACTION_SENT = "action sent"
    RESPONSE = "response"
    SEND_FAILED = "send failed"
    EOF = "end of the connection"


_ENDINGS = {Happening.EOF: State.LOST, Happening.SEND_FAILED: State.LOST}

TRANSITIONS: dict[State, dict[Happening, State]] = {
    State.GREETING: {Happening.BANNER: State.GREETED, **_ENDINGS},
    State.GREETED: {
        Happening.CHALLENGE_SENT: State.CHALLENGING,
        Happening.LOGIN_SENT: State.LOGIN,
        **_ENDINGS,
    },
    State.CHALLENGING: {
        Happening.CHALLENGE_GIVEN: State.CHALLENGED,
        Happening.REFUSED: State.LOST,
        Happening.RESPONSE: State.CHALLENGING,
        **_ENDINGS,
    },
    State.CHALLENGED: {Happening.LOGIN_SENT: State.LOGIN, **_ENDINGS},
    State.LOGIN: {
        Happening.ACCEPTED: State.READY,
        Happening.REFUSED: State.LOST,
        Happening.RESPONSE: State.LOGIN,
        **_ENDINGS,
    },
    State.READY: {
        Happening.EVENT: State.READY,
        Happening.ACTION_SENT: State.READY,
        Happening.RESPONSE: State.READY,
        **_ENDINGS,
    },
    State.LOST: dict(_ENDINGS),
}

_LOCAL = {Happening.CHALLENGE_SENT, Happening.LOGIN_SENT, Happening.ACTION_SENT}


@attrs.frozen(kw_only=True)
class Sent:
    """An action on its way. ``data`` is to be written, whole."""

    action_id: str
    action: Action
    data: bytes = attrs.field(repr=False)  # may hold a secret


@attrs.frozen(kw_only=True)
class Answer:
    """All the server had to say to one action. ``items`` are the events of a listing, with its closing event last."""

    sent: Sent
    response: Response
    items: tuple[Event, ...] = ()

    @property
    def success(self) -> bool:
        """False for an error, and for a listing that was broken off."""
        return self.response.success and not (self.items and self.items[-1].get("EventList").lower() == "cancelled")

    @property
    def text(self) -> str:
        return self.response.get("Message")


@attrs.define
class _Listing:
    sent: Sent
    response: Response
    items: list[Event] = attrs.field(factory=list)


@attrs.define(kw_only=True)
class AMIConnection:
    """``id_prefix`` begins every ActionID. It must differ between sessions: others' OriginateResponse events carry
    their ActionIDs to us."""

    id_prefix: str = attrs.field()
    parser: MessageParser = attrs.field(factory=MessageParser)

    state: State = attrs.field(default=State.GREETING, init=False)
    banner: str = attrs.field(default="", init=False)
    challenge: str = attrs.field(default="", init=False)
    """What MD5Login's key is made of, once the state is CHALLENGED."""
    refused: str | None = attrs.field(default=None, init=False)
    """Why the login was refused, in the server's words."""
    uncorrelated: int = attrs.field(default=0, init=False)
    """Responses that belong to no action we know of."""

    _actions: int = attrs.field(default=0, init=False)
    _pending: dict[str, Sent] = attrs.field(factory=dict, init=False)
    _listings: dict[str, _Listing] = attrs.field(factory=dict, init=False)
    _answers: list[Answer] = attrs.field(factory=list, init=False)

    @id_prefix.validator
    def _leaves_room(self, _: object, prefix: str) -> None:
        if len(prefix) > MAX_ACTION_ID - 20:
            raise LocalProtocolError(f"id_prefix is longer than {MAX_ACTION_ID - 20} characters")

    # ---- from the server

    def receive_data(self, data: bytes) -> None:
        """Take what one read of the socket gave; ``next_message()`` gives what it was. Nothing is taken once LOST."""
        if self.state is not State.LOST:
            self.parser.receive_data(data)

    def next_message(self) -> Message | None:
        """The next event or response, in the order of the wire; None: more data is needed, or the session is over.

        Items of listings and answers to actions are among them; ``take_answers()`` has them once more, put together.

        Raises RemoteProtocolError, after all messages before the fault; the session is LOST then.
        """
        if self.state is State.LOST:
            return None
        try:
            message = self.parser.next_message()
            while isinstance(message, Banner):
                self._move(Happening.BANNER)
                self.banner = message.text
                message = self.parser.next_message()
            if isinstance(message, Event):
                self._event(message)
            elif isinstance(message, Response):
                self._response(message)
        except RemoteProtocolError:
            self.state = State.LOST
            raise
        return message

    def take_answers(self) -> list[Answer]:
        """Actions completed since the last time."""
        answers, self._answers = self._answers, []
        return answers

    def receive_eof(self) -> tuple[Sent, ...]:
        """The connection has ended. What is returned was sent and never answered: it may or may not have been done."""
        return self._lose(Happening.EOF)

    # ---- to the server

    def send(self, action: Action) -> Sent:
        """Take an action for sending. Once its ``data`` is written, its answer will come.

        Raises LocalProtocolError if its turn is not now; then nothing may be written.
        """
        if isinstance(action, Challenge):
            happening = Happening.CHALLENGE_SENT
        elif isinstance(action, MD5Login | PlainLogin):
            happening = Happening.LOGIN_SENT
        else:
            happening = Happening.ACTION_SENT
        action_id = f"{self.id_prefix}-{self._actions + 1}"
        sent = Sent(action_id=action_id, action=action, data=encode(action, action_id))
        self._move(happening)
        self._actions += 1
        self._pending[action_id] = sent
        return sent

    def send_failed(self) -> tuple[Sent, ...]:
        """Writing failed or was cut short: what follows would be glued to half an action. As ``receive_eof()``."""
        return self._lose(Happening.SEND_FAILED)

    # ---- inside

    def _move(self, happening: Happening) -> None:
        try:
            self.state = TRANSITIONS[self.state][happening]
        except KeyError:
            text = f"{happening.value} does not belong here ({self.state.value})"
            raise (LocalProtocolError if happening in _LOCAL else RemoteProtocolError)(text) from None

    def _lose(self, happening: Happening) -> tuple[Sent, ...]:
        self._move(happening)
        unknown = (*self._pending.values(), *(listing.sent for listing in self._listings.values()))
        self._pending, self._listings = {}, {}
        return unknown

    def _event(self, event: Event) -> None:
        if self.state is not State.READY:
            self._move(Happening.EVENT)
        if not self._listings:
            return
        listing = self._listings.get(event.get("ActionID"))
        if listing is None:
            return
        listing.items.append(event)
        if len(listing.items) > MAX_LIST:
            raise RemoteProtocolError(f"more than {MAX_LIST} items in the answer to {listing.sent.action.name}")
        if event.get("EventList").lower() in ("complete", "cancelled"):
            del self._listings[listing.sent.action_id]
            self._answers.append(Answer(sent=listing.sent, response=listing.response, items=tuple(listing.items)))

    def _response(self, response: Response) -> None:
        sent = self._sent_for(response)
        if sent is None:
            self._move(Happening.RESPONSE)
            self.uncorrelated += 1
            return
        del self._pending[sent.action_id]
        match sent.action:
            case Challenge():
                self._challenged(response)
            case MD5Login() | PlainLogin():
                self._logged_in(response)
            case _:
                self._move(Happening.RESPONSE)
        if response.success and response.get("EventList").lower() == "start":
            self._listings[sent.action_id] = _Listing(sent, response)
        else:
            self._answers.append(Answer(sent=sent, response=response))

    def _sent_for(self, response: Response) -> Sent | None:
        action_id = response.get("ActionID")
        if not action_id and self.state in (State.CHALLENGING, State.LOGIN):
            # Only one action can be meant. Elsewhere an answer without ActionID (to a stray blank line, to a line too
            # long) belongs to no action.
            return next(iter(self._pending.values()))
        return self._pending.get(action_id)

    def _challenged(self, response: Response) -> None:
        self.challenge = response.get("Challenge")
        if not response.success:
            self._refuse(response)
        elif not self.challenge:
            raise RemoteProtocolError("the answer to Challenge has no challenge")
        else:
            self._move(Happening.CHALLENGE_GIVEN)

    def _logged_in(self, response: Response) -> None:
        if response.success:
            self._move(Happening.ACCEPTED)
        else:
            self._refuse(response)

    def _refuse(self, response: Response) -> None:
        self.refused = response.get("Message") or "no reason given"
        self._move(Happening.REFUSED)
