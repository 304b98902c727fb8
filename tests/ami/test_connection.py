"""The session's order is a table: walked here cell by cell, and against a server's side of the talk."""

from __future__ import annotations

import pytest

from uac_trio.ami.action import Action, Challenge, CoreShowChannels, MD5Login, Originate, Ping, PlainLogin
from uac_trio.ami.connection import MAX_LIST, TRANSITIONS, AMIConnection, Happening, Sent, State
from uac_trio.ami.message import Event, LocalProtocolError, Message, RemoteProtocolError, Response

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
LOGIN = MD5Login(username="crm", key="0" * 32)


def take(connection: AMIConnection, data: bytes) -> list[Message]:
    connection.receive_data(data)
    found = []
    while (message := connection.next_message()) is not None:
        found.append(message)
    return found


def block(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def reply(sent: Sent, *lines: str, response: str = "Success") -> bytes:
    return block(f"Response: {response}", f"ActionID: {sent.action_id}", *lines)


def event(*lines: str, name: str = "Hangup") -> bytes:
    return block(f"Event: {name}", "Privilege: call,all", *lines)


def at(state: State) -> AMIConnection:
    """A connection that has got as far as ``state``, by the usual way."""
    connection = AMIConnection(id_prefix="t")
    if state is State.GREETING:
        return connection
    take(connection, BANNER)
    if state is State.GREETED:
        return connection
    challenge = connection.send(Challenge())
    if state is State.CHALLENGING:
        return connection
    take(connection, reply(challenge, "Challenge: 840415273"))
    if state is State.CHALLENGED:
        return connection
    login = connection.send(LOGIN)
    if state is State.LOGIN:
        return connection
    take(connection, reply(login, "Message: Authentication accepted"))
    connection.take_answers()
    if state is State.LOST:
        connection.receive_eof()
    assert connection.state is state
    return connection


def make_happen(connection: AMIConnection, happening: Happening) -> None:
    pending = Sent(action_id=f"t-{connection._actions}", action=Ping(), data=b"")
    match happening:
        case Happening.BANNER:
            take(
                connection, b"Asterisk Call Manager/1.0\r\n" + (b"" if connection.state is State.GREETING else b"\r\n")
            )
        case Happening.EVENT:
            take(connection, event())
        case Happening.CHALLENGE_SENT:
            connection.send(Challenge())
        case Happening.CHALLENGE_GIVEN:
            take(connection, reply(pending, "Challenge: 1"))
        case Happening.LOGIN_SENT:
            connection.send(LOGIN)
        case Happening.ACCEPTED:
            take(connection, reply(pending, "Message: Authentication accepted"))
        case Happening.REFUSED:
            take(connection, reply(pending, "Message: Authentication failed", response="Error"))
        case Happening.ACTION_SENT:
            connection.send(Ping())
        case Happening.RESPONSE:
            take(connection, block("Response: Error", "ActionID: of-another", "Message: ?"))
        case Happening.SEND_FAILED:
            connection.send_failed()
        case Happening.EOF:
            connection.receive_eof()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("happening", [Happening.BANNER, Happening.EVENT, Happening.RESPONSE])
def test_what_the_server_may_say(state: State, happening: Happening) -> None:
    """Each cell that the table has is a step to its state; each that it lacks is the server's fault, and the end."""
    connection = at(state)
    if state is State.LOST:
        make_happen(connection, happening)  # nothing is listened to any more
    elif happening in TRANSITIONS[state]:
        make_happen(connection, happening)
        assert connection.state is TRANSITIONS[state][happening]
    else:
        with pytest.raises(RemoteProtocolError, match=happening.value):
            make_happen(connection, happening)
        assert connection.state is State.LOST


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("happening", [Happening.CHALLENGE_SENT, Happening.LOGIN_SENT, Happening.ACTION_SENT])
def test_what_we_may_say(state: State, happening: Happening) -> None:
    """What is not our turn is our fault, and changes nothing."""
    connection = at(state)
    if happening in TRANSITIONS[state]:
        make_happen(connection, happening)
        assert connection.state is TRANSITIONS[state][happening]
    else:
        with pytest.raises(LocalProtocolError, match=happening.value):
            make_happen(connection, happening)
        assert connection.state is state


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("happening", [Happening.SEND_FAILED, Happening.EOF])
def test_every_session_can_end(state: State, happening: Happening) -> None:
    """From every state the connection may break, twice too."""
    connection = at(state)
    make_happen(connection, happening)
    make_happen(connection, happening)

    assert connection.state is State.LOST


@pytest.mark.parametrize(
    ("state", "happening", "after"),
    [
        (State.CHALLENGING, Happening.CHALLENGE_GIVEN, State.CHALLENGED),
        (State.CHALLENGING, Happening.REFUSED, State.LOST),
        (State.LOGIN, Happening.ACCEPTED, State.READY),
        (State.LOGIN, Happening.REFUSED, State.LOST),
    ],
)
def test_answers_move_the_login_on(state: State, happening: Happening, after: State) -> None:
    """The answers to Challenge and Login decide."""
    connection = at(state)
    make_happen(connection, happening)

    assert connection.state is after is TRANSITIONS[state][happening]
    assert connection.refused == ("Authentication failed" if happening is Happening.REFUSED else None)


def test_every_cell_of_the_table_is_tested() -> None:
    """The tables above leave out no cell."""
    by_answer = {
        (State.CHALLENGING, Happening.CHALLENGE_GIVEN),
        (State.CHALLENGING, Happening.REFUSED),
        (State.LOGIN, Happening.ACCEPTED),
        (State.LOGIN, Happening.REFUSED),
    }
    walked = {Happening.BANNER, Happening.EVENT, Happening.RESPONSE, Happening.EOF, Happening.SEND_FAILED}
    walked |= {Happening.CHALLENGE_SENT, Happening.LOGIN_SENT, Happening.ACTION_SENT}

    cells = {(state, happening) for state, row in TRANSITIONS.items() for happening in row}
    assert set(TRANSITIONS) == set(State)
    assert {cell for cell in cells if cell[1] not in walked} == by_answer


def test_a_session() -> None:
    """Greeting, challenge, login, an action, the end: the messages come out in order, the answers beside them."""
    connection = AMIConnection(id_prefix="uac-1")
    assert take(connection, BANNER) == []
    assert connection.banner == "Asterisk Call Manager/11.0.0"

    challenge = connection.send(Challenge())
    assert challenge.data == b"Action: Challenge\r\nActionID: uac-1-1\r\nAuthType: MD5\r\n\r\n"
    assert len(take(connection, reply(challenge, "Challenge: 840415273"))) == 1
    assert connection.challenge == "840415273"

    login = connection.send(LOGIN)
    assert "0000" not in repr(login)
    messages = take(connection, reply(login, "Message: Authentication accepted") + event(name="FullyBooted"))
    assert [type(message) for message in messages] == [Response, Event]
    assert [answer.sent for answer in connection.take_answers()] == [challenge, login]

    ping = connection.send(Ping())
    take(connection, event() + reply(ping, "Ping: Pong") + event())
    (answer,) = connection.take_answers()
    assert answer.success
    assert answer.text == ""
    assert answer.response.get("Ping") == "Pong"
    assert connection.take_answers() == []
    assert connection.receive_eof() == ()
    assert take(connection, event()) == []


def test_plaintext_login() -> None:
    """Where it is configured, the login needs no challenge."""
    connection = at(State.GREETED)
    login = connection.send(PlainLogin(username="crm", secret="x"))
    take(connection, reply(login))

    assert connection.state is State.READY


@pytest.mark.parametrize("state", [State.CHALLENGING, State.LOGIN])
def test_login_refused_without_action_id(state: State) -> None:
    """While logging in only one action can be meant: an error without its ActionID is its answer."""
    connection = at(state)
    messages = take(connection, block("Response: Error", "Message: Authentication failed"))

    assert len(messages) == 1
    assert connection.refused == "Authentication failed"
    assert connection.state is State.LOST
    assert [answer.success for answer in connection.take_answers()][-1] is False


def test_refusal_without_a_reason() -> None:
    """A refusal without a message is reported as "no reason given"."""
    connection = at(State.LOGIN)
    take(connection, block("Response: Error"))

    assert connection.refused == "no reason given"


def test_challenge_without_challenge() -> None:
    """A success that has no challenge in it is no answer to Challenge."""
    connection = at(State.CHALLENGING)
    with pytest.raises(RemoteProtocolError, match="no challenge"):
        take(connection, reply(Sent(action_id="t-1", action=Ping(), data=b"")))
    assert connection.state is State.LOST


def test_answers_find_their_actions() -> None:
    """Responses in any order are matched by ActionID; one without an ActionID, or with a foreign one, is counted."""
    connection = at(State.READY)
    first, second = connection.send(Ping()), connection.send(Ping())
    take(connection, block("Response: Error", "Message: Failed to parse message: line too long"))
    take(connection, block("Response: Error", "ActionID: lab-1", "Message: ?"))
    take(connection, reply(second, response="Error") + reply(first) + reply(first))

    assert [(answer.sent, answer.success) for answer in connection.take_answers()] == [(second, False), (first, True)]
    assert connection.uncorrelated == 3


def listing(connection: AMIConnection, action: Action | None = None) -> Sent:
    sent = connection.send(action or CoreShowChannels())
    take(connection, reply(sent, "EventList: start", "Message: Channels will follow"))
    assert connection.take_answers() == []
    return sent


@pytest.mark.parametrize(("end", "success"), [("Complete", True), ("complete", True), ("cancelled", False)])
def test_listing(end: str, success: bool) -> None:
    """A listing is one answer with its items, whatever comes between them; they flow as events as well."""
    connection = at(State.READY)
    sent = listing(connection)
    item = event(f"ActionID: {sent.action_id}", "Channel: PJSIP/101-0001", name="CoreShowChannel")
    last = event(f"ActionID: {sent.action_id}", f"EventList: {end}", name="CoreShowChannelsComplete")
    other = event("ActionID: another", name="OriginateResponse")

    messages = take(connection, item + event() + other + item + last + item)

    (answer,) = connection.take_answers()
    assert len(messages) == 6
    assert answer.sent == sent
    assert answer.success is success
    assert [each.name for each in answer.items] == ["CoreShowChannel"] * 2 + ["CoreShowChannelsComplete"]


def test_listing_refused() -> None:
    """A listing that is refused is an answer without items."""
    connection = at(State.READY)
    sent = connection.send(CoreShowChannels())
    take(connection, reply(sent, "Message: Permission denied", response="Error"))

    (answer,) = connection.take_answers()
    assert (answer.success, answer.items, answer.text) == (False, (), "Permission denied")


def test_listing_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing cannot grow for ever."""
    assert MAX_LIST >= 20_000
    monkeypatch.setattr("uac_trio.ami.connection.MAX_LIST", 3)
    connection = at(State.READY)
    sent = listing(connection)

    with pytest.raises(RemoteProtocolError, match="items in the answer to CoreShowChannels"):
        take(connection, event(f"ActionID: {sent.action_id}") * 4)


@pytest.mark.parametrize("end", [AMIConnection.receive_eof, AMIConnection.send_failed])
def test_what_was_not_answered_is_unknown(end: object) -> None:
    """When the connection breaks, sent actions without an answer are handed back: they may have been done."""
    connection = at(State.READY)
    originate = connection.send(
        Originate(channel="PJSIP/101", context="from-internal", exten="102", channel_id="crm-1")
    )
    done = connection.send(Ping())
    listed = listing(connection)
    take(connection, reply(done))

    assert callable(end)
    assert set(end(connection)) == {originate, listed}
    assert end(connection) == ()
    with pytest.raises(LocalProtocolError):
        connection.send(Ping())


def test_messages_before_a_fault_are_given() -> None:
    """What the server said before it broke the rules is not lost."""
    connection = at(State.READY)
    connection.receive_data(event() + event() + BANNER + b"\r\n" + event())

    assert isinstance(connection.next_message(), Event)
    assert isinstance(connection.next_message(), Event)
    with pytest.raises(RemoteProtocolError):
        connection.next_message()
    assert connection.next_message() is None


def test_the_prefix_leaves_room_for_a_number() -> None:
    """ActionIDs stay within what servers echo whole."""
    with pytest.raises(LocalProtocolError, match="id_prefix"):
        AMIConnection(id_prefix="x" * 81)
