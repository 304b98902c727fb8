"""Actions: what is written is what the server reads, and nothing else can be written."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.ami.action import (
    MAX_ACTION_ID,
    MAX_LINE,
    MAX_LINES,
    Action,
    Challenge,
    CoreSettings,
    CoreShowChannels,
    Events,
    Filter,
    GetConfig,
    Hangup,
    Header,
    Headers,
    ListCommands,
    Logoff,
    MD5Login,
    Originate,
    ParkedCalls,
    Ping,
    PlainLogin,
    QueueStatus,
    ShowDialPlan,
    encode,
    escape_variable,
    md5_key,
)
from uac_trio.ami.message import LocalProtocolError


def order(**changes: object) -> Originate:
    given: dict[str, object] = {
        "channel": "PJSIP/101",
        "context": "from-internal",
        "exten": "+79161234567",
        "channel_id": "crm-1",
        **changes,
    }
    return Originate(**given)  # type: ignore[arg-type]


def server_reads(data: bytes) -> list[list[Header]]:
    """Actions as ``get_input()`` of main/manager.c cuts them: lines at CR LF or LF, an action at an empty line."""
    actions: list[list[Header]] = []
    headers: list[Header] = []
    for line in data.decode().replace("\r\n", "\n").split("\n")[:-1]:
        if line:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        else:
            actions.append(headers)
            headers = []
    assert headers == []
    return actions


CASES: list[tuple[Action, list[Header]]] = [
    (Challenge(), [("Action", "Challenge"), ("ActionID", "a-1"), ("AuthType", "MD5")]),
    (
        MD5Login(username="crm", key="0123"),
        [("Action", "Login"), ("ActionID", "a-1"), ("AuthType", "MD5"), ("Username", "crm"), ("Key", "0123")],
    ),
    (
        PlainLogin(username="crm", secret="päss: wörd"),
        [("Action", "Login"), ("ActionID", "a-1"), ("Username", "crm"), ("Secret", "päss: wörd")],
    ),
    (Logoff(), [("Action", "Logoff"), ("ActionID", "a-1")]),
    (Ping(), [("Action", "Ping"), ("ActionID", "a-1")]),
    (ListCommands(), [("Action", "ListCommands"), ("ActionID", "a-1")]),
    (CoreSettings(), [("Action", "CoreSettings"), ("ActionID", "a-1")]),
    (
        GetConfig(filename="manager.conf", section="crm"),
        [("Action", "GetConfig"), ("ActionID", "a-1"), ("Filename", "manager.conf"), ("Category", "crm")],
    ),
    (
        ShowDialPlan(context="from-internal", exten="101"),
        [("Action", "ShowDialPlan"), ("ActionID", "a-1"), ("Context", "from-internal"), ("Extension", "101")],
    ),
    (Events(mask=("call", "cdr")), [("Action", "Events"), ("ActionID", "a-1"), ("EventMask", "call,cdr")]),
    (
        Filter(expression="!^Event: VarSet"),
        [("Action", "Filter"), ("ActionID", "a-1"), ("Operation", "Add"), ("Filter", "!^Event: VarSet")],
    ),
    (CoreShowChannels(), [("Action", "CoreShowChannels"), ("ActionID", "a-1")]),
    (QueueStatus(), [("Action", "QueueStatus"), ("ActionID", "a-1")]),
    (ParkedCalls(), [("Action", "ParkedCalls"), ("ActionID", "a-1")]),
    (
        Hangup(uniqueid="pbx-1795413713.0;2", cause=17),
        [("Action", "Hangup"), ("ActionID", "a-1"), ("Channel", "pbx-1795413713.0;2"), ("Cause", "17")],
    ),
    (
        order(),
        [
            ("Action", "Originate"),
            ("ActionID", "a-1"),
            ("Channel", "PJSIP/101"),
            ("Context", "from-internal"),
            ("Exten", "+79161234567"),
            ("Priority", "1"),
            ("Timeout", "30000"),
            ("ChannelId", "crm-1"),
            ("Async", "true"),
        ],
    ),
    (
        order(
            channel="Local/101@from-internal/n",
            priority=2,
            timeout=2.5,
            caller_id='"Иван" <84951234567>',
            account="crm",
            variables=(("__CRM", "a,b(c)"), ("X", "1")),
        ),
        [
            ("Action", "Originate"),
            ("ActionID", "a-1"),
            ("Channel", "Local/101@from-internal/n"),
            ("Context", "from-internal"),
            ("Exten", "+79161234567"),
            ("Priority", "2"),
            ("Timeout", "2500"),
            ("CallerID", '"Иван" <84951234567>'),
            ("Account", "crm"),
            ("ChannelId", "crm-1"),
            ("Variable", r"__CRM=a\,b\(c\)"),
            ("Variable", "X=1"),
            ("Async", "true"),
        ],
    ),
    (
        order(
            caller_id="Office <101>",
            shown='"Ivan, P." <84951234567>',
            variables=(("PJSIP_HEADER(add,Alert-Info)", "<http://x>;info=answer, 0"), ("CDR(who)", "crm")),
        ),
        [
            ("Action", "Originate"),
            ("ActionID", "a-1"),
            ("Channel", "PJSIP/101"),
            ("Context", "from-internal"),
            ("Exten", "+79161234567"),
            ("Priority", "1"),
            ("Timeout", "30000"),
            ("Variable", r"CONNECTEDLINE(all,i)=\"Ivan\, P.\" <84951234567>"),
            ("Variable", "CALLERID(all)=Office <101>"),
            ("ChannelId", "crm-1"),
            ("Variable", r"PJSIP_HEADER(add,Alert-Info)=<http://x>;info=answer\, 0"),
            ("Variable", "CDR(who)=crm"),
            ("Async", "true"),
        ],
    ),
]


@pytest.mark.parametrize(("action", "headers"), CASES)
def test_what_is_written_is_what_the_server_reads(action: Action, headers: list[Header]) -> None:
    """Each action is one action to the server, with these headers in this order."""
    assert server_reads(encode(action, "a-1")) == [headers]


FIELDS: dict[str, Callable[[str], Action]] = {
    "plain username": lambda text: PlainLogin(username=text, secret="x"),
    "plain secret": lambda text: PlainLogin(username="crm", secret=text),
    "key": lambda text: MD5Login(username="crm", key=text),
    "mask": lambda text: Events(mask=(text,)),
    "filter": lambda text: Filter(expression=text),
    "file": lambda text: GetConfig(filename=text, section="crm"),
    "section": lambda text: GetConfig(filename="manager.conf", section=text),
    "shown context": lambda text: ShowDialPlan(context=text, exten="101"),
    "uniqueid": lambda text: Hangup(uniqueid=text),
    "channel": lambda text: order(channel=text),
    "context": lambda text: order(context=text),
    "exten": lambda text: order(exten=text),
    "channel id": lambda text: order(channel_id=text),
    "caller id": lambda text: order(caller_id=text),
    "shown": lambda text: order(caller_id="101", shown=text),
    "account": lambda text: order(account=text),
    "variable's name": lambda text: order(variables=((text, "1"),)),
    "variable": lambda text: order(variables=(("X", text),)),
}


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\r\n\r\nAction: Command\r\n"])
@pytest.mark.parametrize("field", FIELDS)
def test_no_line_end_gets_in(field: str, character: str) -> None:
    """No field of any action can be made with CR, LF or NUL in it, wherever they stand."""
    for text in (f"PJSIP/1{character}", f"{character}PJSIP/1", f"PJSIP/{character}1"):
        with pytest.raises(LocalProtocolError):
            FIELDS[field](text)


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "101"},
        {"channel": "/101"},
        {"channel": "PJSIP/"},
        {"channel": "PJSIP/101&PJSIP/102"},
        {"channel": "PJSIP/10 1"},
        {"channel": "PJSIP/101,tT"},
        {"channel": "PJSIP/" + "1" * 250},
        {"channel": "PJSIP/" + "ж" * 130},
        {"channel": "PJSIP/\ud800"},
        {"context": ""},
        {"context": "a,b"},
        {"context": "x" * 80},
        {"exten": ""},
        {"exten": "1" * 41},
        {"exten": "101@other"},
        {"exten": "101&102"},
        {"exten": "٣"},
        {"priority": 0},
        {"timeout": 0.5},
        {"timeout": 3601.0},
        {"timeout": float("nan")},
        {"channel_id": ""},
        {"channel_id": "x" * 150},
        {"channel_id": "a b"},
        {"caller_id": "x" * 1013},
        {"caller_id": "\ud800"},
        {"account": "ж" * 600},
        *(
            {"variables": ((name, "1"),)}
            for name in (
                "SHELL(id)",
                "FILE(/etc/x)",
                "DB(x/y)",
                "PJSIP_HEADER(remove,From)",
                "PJSIP_HEADER(add,A b)",
                "PJSIP_HEADER(add,A),B",
                "HASH(a,${b})",
                "CDR(a,b)",
                "CHANNEL(hangup_handler_push)",
                "CALLERID(num)",
            )
        ),
        {"caller_id": "101", "shown": "x" * 1000},
        {"variables": (("", "1"),)},
        {"variables": (("1X", "1"),)},
        {"variables": (("X", "\ud800"),)},
        {"variables": tuple((f"X{n}", "1") for n in range(MAX_LINES))},
    ],
)
def test_what_an_originate_refuses(changes: dict[str, object]) -> None:
    """What the server would cut, misread or take for an operator of Dial() is refused when the value is made."""
    with pytest.raises(LocalProtocolError):
        order(**changes)


def test_hangup_takes_no_pattern() -> None:
    """A channel given as /regex/ would end every channel that matches."""
    with pytest.raises(LocalProtocolError, match="uniqueid"):
        Hangup(uniqueid="/.*/")


@pytest.mark.parametrize("mask", [(), ("",), ("call,all",), ("Call",), ("1",)])
def test_event_masks(mask: tuple[str, ...]) -> None:
    """An empty item grants everything, and digits are a bit mask: neither can be said by accident."""
    with pytest.raises(LocalProtocolError):
        Events(mask=mask)


@pytest.mark.parametrize("action_id", ["", "a b", "é", "a\n", "x" * (MAX_ACTION_ID + 1)])
def test_action_ids(action_id: str) -> None:
    """An ActionID is short printable ASCII, or some servers lose the line end behind it."""
    with pytest.raises(LocalProtocolError, match="ActionID"):
        encode(Ping(), action_id)


@attrs.frozen(kw_only=True)
class Dubious(Action):
    """An action that shows one thing when it is made and another when it is sent."""

    name = "Dubious"

    shown: list[Headers]

    def headers(self) -> Headers:
        return self.shown.pop() if self.shown else ()


@pytest.mark.parametrize(
    "headers", [(("Name", "a\nb"),), (("A\nB", "c"),), (("Name", ""),), (("A", "b"),) * (MAX_LINES - 1)]
)
def test_encode_looks_once_more(headers: Headers) -> None:
    """Even an action that got past its own check is not sent with a bad header."""
    action = Dubious(shown=[headers, ()])

    with pytest.raises(LocalProtocolError):
        encode(action, "a-1")


def test_limits_are_met_exactly() -> None:
    """The longest line and the most lines the server takes are taken here too."""
    longest = Filter(expression="x" * (MAX_LINE - len("Filter: ")))
    assert max(map(len, encode(longest, "x" * MAX_ACTION_ID).split(b"\r\n"))) == MAX_LINE
    with pytest.raises(LocalProtocolError, match="1023 bytes"):
        Filter(expression="x" * (MAX_LINE - len("Filter: ") + 1))

    most = order(variables=tuple((f"X{n}", "1") for n in range(MAX_LINES - 9)))
    assert encode(most, "a-1").count(b"\r\n") == MAX_LINES + 1


def test_secrets_are_not_shown() -> None:
    """Neither the secret nor what is made of it is in the text of an action."""
    key = md5_key("840415273", "s3cret")

    assert "s3cret" not in repr(PlainLogin(username="crm", secret="s3cret"))
    assert key not in repr(MD5Login(username="crm", key=key))
    assert "Anna" not in repr(order(variables=(("NAME", "Anna"),)))


def test_md5_key() -> None:
    """The key is md5 of challenge and secret, in lower-case hexadecimal digits."""
    assert md5_key("1", "2") == "c20ad4d76fe97759aa27a0c99bff6710"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=100))
def test_a_variable_stays_one_variable(value: str) -> None:
    """Read as ``astman_get_variables`` and ``AST_STANDARD_APP_ARGS`` do, an escaped value is itself again."""
    read = ""
    escaped = False
    for character in escape_variable(value):
        if escaped:
            read, escaped = read + character, False
        elif character == "\\":
            escaped = True
        else:
            assert character not in '",()[]'
            read += character

    assert read == value


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_one_action_or_refused(caller_id: str, exten: str, variable: str) -> None:
    """Whatever a web request says, the server reads exactly one Originate, or nothing is made."""
    try:
        action = order(caller_id=caller_id, exten=exten, variables=(("X", variable),))
    except LocalProtocolError:
        return
    (headers,) = server_reads(encode(action, "a-1"))
    assert [value for name, value in headers if name == "Action"] == ["Originate"]
    assert [value for name, value in headers if name == "Exten"] == [exten]
