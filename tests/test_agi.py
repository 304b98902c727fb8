"""FastAGI's side of the script, bytes and values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.agi import MAX_RECEIVED, AGIConnection, AGIError, AGIRequest, AGIResult, set_variable

# As Asterisk 22 sends it (res/res_agi.c, setup_env), with an argument.
ENVIRONMENT = b"""agi_network: yes
agi_network_script: route
agi_request: agi://127.0.0.1:4574/route
agi_channel: PJSIP/trunk-00000001
agi_language: en
agi_type: PJSIP
agi_uniqueid: 1795413713.0
agi_version: 22.0.0
agi_callerid: +79161234567
agi_calleridname: Ivan: Petrov
agi_callingpres: 0
agi_dnid: 4951000101
agi_rdnis: unknown
agi_context: from-trunk
agi_extension: 4951000101
agi_priority: 2
agi_enhanced: 0.0
agi_accountcode:
agi_threadid: 139
agi_arg_1: 79990001122

"""
REQUEST = AGIRequest(script="route", parameters={}, arguments=["79990001122"], caller="+79161234567")


def fed(*pieces: bytes) -> AGIConnection:
    connection = AGIConnection()
    for piece in pieces:
        connection.receive_data(piece)
    return connection


def request_of(*lines: str) -> AGIRequest:
    request = fed("".join(f"{line}\n" for line in ("agi_network: yes", *lines, "")).encode()).request()
    assert request is not None
    return request


@pytest.mark.parametrize("step", [1, 7, len(ENVIRONMENT)])
def test_environment(step: int) -> None:
    """The same request whole, by the byte, and in pieces; and not before its last line."""
    connection = AGIConnection()
    for start in range(0, len(ENVIRONMENT), step):
        assert connection.request() is None
        connection.receive_data(ENVIRONMENT[start : start + step])
    assert connection.request() == REQUEST


def test_line_ends_of_a_hand_made_request() -> None:
    """CR LF, as a person at a terminal may send, will do."""
    assert fed(ENVIRONMENT.replace(b"\n", b"\r\n")).request() == REQUEST


@pytest.mark.parametrize(
    ("lines", "script", "parameters", "arguments", "caller"),
    [
        (("agi_callerid: unknown",), "", {}, [], ""),
        (("agi_network_script: route?number=%2B7916&number=1&x=", "agi_callerid: 8916"), "route",
         {"number": "+7916", "x": ""}, [], "8916"),
        (("agi_network_script: /route/",), "route", {}, [], ""),
        (("agi_callerid: 8916", "agi_callerid: 101"), "", {}, [], "8916"),
        (("agi_callerid: 8916", "a line of the caller's own", "agi_arg_1: 5", "agi_arg_2: 6"), "", {}, ["5", "6"],
         "8916"),
        (("agi_callerid: \ud800",), "", {}, [], "???"),
    ],
)  # fmt: skip
def test_what_is_asked(
    lines: tuple[str, ...], script: str, parameters: dict[str, str], arguments: list[str], caller: str
) -> None:
    """Script, query, arguments and the caller, whatever else the environment has."""
    data = "".join(f"{line}\n" for line in ("agi_network: yes", *lines, "")).encode(errors="surrogatepass")
    request = fed(data).request()
    assert request is not None
    caller = caller.replace("???", "\ufffd" * 3)
    assert request == AGIRequest(script=script, parameters=parameters, arguments=arguments, caller=caller)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\n", b"agi_network\n", b"hello: you\n", b": \n"]
)
def test_peer_that_is_no_asterisk(data: bytes) -> None:
    """A client that does not begin as Asterisk does is found out by its first line."""
    with pytest.raises(AGIError, match="does not begin"):
        fed(data).request()


def test_environment_without_an_end() -> None:
    """No more is kept than the limit, of many lines or of one."""
    for piece in (b"agi_arg_1: x\n", b"x" * 4096):
        connection = fed(b"agi_network: yes\n")
        for _ in range((MAX_RECEIVED - 13) // len(piece)):
            connection.receive_data(piece)
            assert connection.request() is None
        with pytest.raises(AGIError, match="more than"):
            connection.receive_data(piece)


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"200 result=1\n", AGIResult(code=200, text="result=1")),
        (b"HANGUP200 result=1\n", AGIResult(code=200, text="result=1")),
        (b"HANGUP\n200 result=1\n", AGIResult(code=200, text="result=1")),
        (b"agi_dnid: left over\n\n510 Invalid or unknown command\n",
         AGIResult(code=510, text="Invalid or unknown command")),
        (b"520-Invalid command syntax.  Proper usage follows:\n",
         AGIResult(code=520, text="Invalid command syntax.  Proper usage follows:")),
        (b"200 result=1", None),
        (b"", None),
    ],
)  # fmt: skip
def test_result(data: bytes, result: AGIResult | None) -> None:
    """What Asterisk says to a command, also when the caller hangs up in between."""
    connection = fed(ENVIRONMENT, data)
    assert connection.request() == REQUEST
    assert connection.result() == result


def test_command() -> None:
    """A value is quoted, so that an empty one is sent too."""
    assert set_variable("UAC_RESPONSIBLE", "101") == b'SET VARIABLE UAC_RESPONSIBLE "101"\n'
    assert set_variable("__UAC", "") == b'SET VARIABLE __UAC ""\n'


@pytest.mark.parametrize(
    ("name", "value"),
    [("A B", "1"), ("A\n", "1"), ("", "1"), ("A", 'x" y'), ("A", "x\nHANGUP"), ("A", "x\\"), ("A", "\x00")],
)
def test_command_that_would_be_another(name: str, value: str) -> None:
    """Nothing can be sent that ends the command or its quotes."""
    with pytest.raises(ValueError, match="cannot be set"):
        set_variable(name, value)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes give a request, or need more, or are refused."""
    connection = AGIConnection()
    try:
        for piece in (b"agi_network: yes\n", *pieces, b"\n\n"):
            connection.receive_data(piece)
        assert connection.request() is not None
        connection.result()
    except AGIError:
        raise AssertionError("less than the limit, and begun well") from None
