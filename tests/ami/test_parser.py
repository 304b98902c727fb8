"""The parser against what servers write, against the slow obvious parser, and against anything at all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.ami.slow_parser import slow_parse
from uac_trio.ami.message import Banner, Event, Message, RemoteProtocolError, Response
from uac_trio.ami.parser import MAX_BANNER, MAX_UNWANTED, MessageParser
from uac_trio.transcript import read_transcript

TRANSCRIPTS = Path(__file__).parents[2] / "fixtures" / "ami_transcripts"
BANNER = b"Asterisk Call Manager/7.0.3\r\n"
LAST = b"Event: Last\r\nPrivilege: x\r\nA: 1\r\n\r\n"
Value = Message | Banner


def fed(chunks: Iterable[bytes], parser: MessageParser | None = None) -> list[Value]:
    parser = parser or MessageParser()
    found: list[Value] = []
    for chunk in chunks:
        parser.receive_data(chunk)
        while (message := parser.next_message()) is not None:
            found.append(message)
    return found


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def parse_three_ways(data: bytes) -> list[Value]:
    """Whole, byte by byte, and with the beginning of another message behind it."""
    whole = fed([data])
    assert fed(cut(data, 1)) == whole
    assert fed([data, b"Event: half"]) == whole
    assert fed([data + b"Event: half"]) == whole
    assert slow_parse(data) == whole
    return whole


def event(*lines: bytes) -> bytes:
    return b"\r\n".join((b"Event: T", b"Privilege: call,all", *lines)) + b"\r\n\r\n"


# ---- values


@pytest.mark.parametrize(
    ("data", "name", "values"),
    [
        pytest.param(
            event(b'AppData: CALLERID(all): "x: y" <1>'), "AppData", ['CALLERID(all): "x: y" <1>'], id="colons"
        ),
        pytest.param(event(b"AccountCode: ", b"Z: 1"), "AccountCode", [""], id="empty"),
        pytest.param(event(b"AccountCode:", b"Z: 1"), "AccountCode", [""], id="empty without the space"),
        pytest.param(event(b"Foo:bar", b"Z: 1"), "Foo", ["bar"], id="no space"),
        pytest.param(event(b"Foo:a: b", b"Z: 1"), "Foo", ["a: b"], id="no space, but one later"),
        pytest.param(event(b"AppData: a  ", b"Z: 1"), "AppData", ["a  "], id="spaces at the end"),
        pytest.param(event(b"AppData:  a", b"Z: 1"), "AppData", [" a"], id="one space is dropped"),
        pytest.param(event(b"ChanVariable: A=1", b"ChanVariable: B=2"), "ChanVariable", ["A=1", "B=2"], id="twice"),
        pytest.param(
            event(b"Variable: A=1", b"Variable: B=2", b"variable: C=3"), "Variable", ["A=1", "B=2", "C=3"], id="thrice"
        ),
        pytest.param(event(b"Xa: 1", b"Xa: 2", b"Yb: 3", b"Yb: 4"), "Yb", ["3", "4"], id="two repeated names"),
        pytest.param(event("CallerIDName: Иван".encode()), "CallerIDName", ["Иван"], id="UTF-8"),
        pytest.param(event(b"CallerIDName: J\xf6rg", b"Z: 1"), "CallerIDName", ["Jörg"], id="Latin-1"),
        pytest.param(event(b"CallerIDName: J\xf6rg", "Z: Иван".encode()), "Z", ["Иван"], id="Latin-1 beside UTF-8"),
        pytest.param(event(b"CallerIDName: \xed\xa0\x80", b"Z: 1"), "CallerIDName", ["í\xa0\x80"], id="no surrogates"),
        pytest.param(event(b"CallerIDName: a\0b", b"Z: 1"), "CallerIDName", ["a\ufffdb"], id="no NUL"),
        pytest.param(
            event("CallerIDName: a\x0bb\x1cc\u2028d\x85e".encode(), b"Z: 1"),
            "CallerIDName",
            ["a\x0bb\x1cc\u2028d\x85e"],
            id="VT, FS, U+2028 and U+0085 end no line",
        ),
        pytest.param(event(b"AppData: a\nb", b"Z: 1"), "AppData", ["a\nb"], id="LF inside"),
        pytest.param(event(b"AppData: a\rb", b"Z: 1"), "AppData", ["a\rb"], id="CR inside"),
        pytest.param(event(b"AppData: a\n", b"Z: 1"), "AppData", ["a"], id="LF at the end"),
        pytest.param(event(b"AppData: a\r\nb\r\nc", b"Z: 1"), "AppData", ["a\nb\nc"], id="CR LF inside"),
        pytest.param(event(b"Result: 100%41 sure", b"Z: 1"), "Result", ["100%41 sure"], id="nothing is unquoted"),
        pytest.param(event(b"Response: Failure", b"Z: 1"), "Response", ["Failure"], id="Response in an event"),
        pytest.param(event(b"AppData: x\r\nEvent: Fake", b"Z: 1"), "Event", ["T", "Fake"], id="a second Event"),
        pytest.param(
            event(b"ChanVariable(Local/1@a-0001;1): X=a:b"), "ChanVariable(Local/1@a-0001;1)", ["X=a:b"], id="old style"
        ),
        pytest.param(
            event(b"ChanVariable(Local/a: b@c;1): X=1"), "ChanVariable(Local/a: b@c;1)", ["X=1"], id="colon in a name"
        ),
        pytest.param(event(b"ChanVariable(Local/a: b"), "ChanVariable(Local/a", ["b"], id="a name that does not end"),
        pytest.param(event(b"AppData: " + b"x" * 65536), "AppData", ["x" * 65536], id="64 KiB"),
    ],
)
def test_values(data: bytes, name: str, values: list[str]) -> None:
    """Each awkward header comes out as it was meant, and the events around it stay whole."""
    stream = BANNER + data + LAST * 3

    found = parse_three_ways(stream) if len(stream) < 2000 else fed(cut(stream, 1000))

    assert len(found) == 5
    message = found[1]
    assert isinstance(message, Event)
    assert message.name == "T"
    assert list(message.get_all(name)) == values
    assert message.get(name) == values[0]
    assert found[2:] == [Event((("Event", "Last"), ("Privilege", "x"), ("A", "1")))] * 3


def test_every_chunk_size_gives_the_same() -> None:
    """Letters and line ends cut by reads of 1 to 39 bytes survive."""
    data = BANNER + event("CallerIDName: Иван Петров".encode(), b"AppData: a: b", b"Z: ") * 5 + LAST * 2
    whole = fed([data])

    assert len(whole) == 8
    for size in range(1, 40):
        assert fed(cut(data, size)) == whole


def test_first_header_says_what_it_is() -> None:
    """OriginateResponse has a Response header and is an event; an event's name is its first."""
    found = parse_three_ways(
        BANNER + b"Event: OriginateResponse\r\nActionID: 1\r\nResponse: Failure\r\n\r\n"
        b"Response: Error\r\nEvent: Fake\r\nMessage: no\r\n\r\n"
    )

    assert [type(message) for message in found] == [Banner, Event, Response]


@pytest.mark.parametrize("junk", [b"Foo: 1\r\n", b"Foo\r\n", b"Privilege: call,all\r\nEvent: T\r\n"])
def test_what_is_neither_event_nor_response_is_counted(junk: bytes) -> None:
    """A message of no known kind is left out and counted."""
    parser = MessageParser()

    assert len(fed([BANNER + junk + b"\r\n" + LAST], parser)) == 2
    assert parser.ignored == 1


# ---- framing


@pytest.mark.parametrize("banner", [b"Asterisk Call Manager/1.0\r\n", b"Asterisk Call Manager/13.0.0\n", b"proxy\r\n"])
def test_any_banner(banner: bytes) -> None:
    """The first line is the banner, whatever it says."""
    assert parse_three_ways(banner + LAST)[0] == Banner(banner.decode().strip())


def test_a_stream_may_begin_with_a_message() -> None:
    """Part of a recording is read without a banner, after blank lines too."""
    assert [type(message) for message in parse_three_ways(b"\r\n\r\n" + LAST + b"Response: Success\r\n\r\n")] == [
        Event,
        Response,
    ]
    assert [type(message) for message in parse_three_ways(b"RESPONSE: Success\r\n\r\n")] == [Response]


def test_a_second_banner_is_returned() -> None:
    """A banner in the middle of a stream is returned as one, not hidden in a message."""
    assert (
        parse_three_ways(BANNER + LAST + BANNER + b"\r\n" + BANNER + BANNER + LAST)[2:-1]
        == [Banner("Asterisk Call Manager/7.0.3")] * 3
    )


def test_blank_lines_between_messages_mean_nothing() -> None:
    """Test builds of Asterisk end TestEvent with one blank line too many; the event after it is whole."""
    assert len(parse_three_ways(BANNER + b"\r\n" + LAST + b"\r\n" + LAST + b"\r\n\r\n\r\n" + LAST)) == 4


def test_lf_after_cr_lf_ends_a_message() -> None:
    """Asterisk 18.19 to 18.23 and 20.4 to 20.8 end CoreShowChannelMapComplete so."""
    data = b"Event: CoreShowChannelMapComplete\r\nListItems: 1\r\n\n"

    found = parse_three_ways(BANNER + data + LAST + data + b"\r\n" + LAST)

    assert [message.get("Event") for message in found if isinstance(message, Event)] == [
        "CoreShowChannelMapComplete",
        "Last",
    ] * 2


def test_lf_before_cr_lf_is_part_of_the_value() -> None:
    """``Park successful`` is sent with a LF of its own."""
    found = parse_three_ways(BANNER + b"Response: Success\r\nMessage: Park successful\n\r\n\r\n" + LAST)

    assert isinstance(found[1], Response)
    assert found[1].get("Message") == "Park successful"
    assert len(found) == 3


def test_a_cut_cdr_does_not_swallow_what_follows() -> None:
    """A Cdr that lost its empty line to a full buffer ends where the next event begins."""
    cdr = b"Event: Cdr\r\nPrivilege: cdr,all\r\nUniqueID: 1.1\r\nUserField: cut her"
    hangup = b"\r\nEvent: Hangup\r\nPrivilege: call,all\r\nUniqueid: 1.1"

    found = parse_three_ways(BANNER + cdr + b"\r\n" + cdr + hangup + b"\r\n\r\n" + LAST)

    assert [message.get("Event") for message in found if isinstance(message, Event)] == ["Cdr", "Cdr", "Hangup", "Last"]


def test_event_lines_elsewhere_are_values() -> None:
    """Only a Cdr is known to be glued: in other events a caller may have put the lines there."""
    found = parse_three_ways(BANNER + event(b"AppData: x\r\nEvent: Hangup\r\nPrivilege: call,all") + LAST)

    assert [message.get("Event") for message in found if isinstance(message, Event)] == ["T", "Last"]
    cdr = b"Event: Cdr\r\nUserField: x\r\nEvent: Hangup\r\n\r\n"
    assert len(parse_three_ways(BANNER + cdr + LAST)) == 3


@pytest.mark.parametrize(
    ("head", "body", "output"),
    [
        (b"ActionID: 7\r\n", b"one\n\n  two: 2\n", ["one", "", "  two: 2"]),
        (b"", b"Event: x\nno line end", ["Event: x", "no line end"]),
        (b"", b"", [""]),
        (b"", b"a\r\n\r\nEvent: VarSet\r\nb\r\n\nc\r\n", ["a", "", "Event: VarSet", "b", "", "c"]),
        (b"ActionID: 7\r\n", b"\nActionID: 8\r\nz", ["", "ActionID: 8", "z"]),
    ],
)
def test_command_output_of_old_servers(head: bytes, body: bytes, output: list[str]) -> None:
    """Up to Asterisk 13 output is raw up to its marker; it comes out as the Output headers of later servers."""
    data = b"Response: Follows\r\nPrivilege: Command\r\n" + head + body + b"--END COMMAND--\r\n\r\n"

    found = parse_three_ways(BANNER + LAST + data + LAST)

    response = found[2]
    assert isinstance(response, Response)
    assert response.success
    assert list(response.get_all("Output")) == output
    assert response.get("ActionID") == ("7" if head else "")
    assert len(found) == 4


def test_command_output_behind_other_things() -> None:
    """Raw output is known as such behind blank lines and a message that ended with CR LF LF."""
    data = b"Response: Follows\r\nPrivilege: Command\r\nx: y\r\n\na\r\n\r\nb--END COMMAND--\r\n\r\n"

    found = parse_three_ways(BANNER + b"\r\nEvent: X\r\n\n" + data + LAST)

    assert isinstance(found[2], Response)
    assert list(found[2].get_all("Output")) == ["x: y", "", "a", "", "b"]
    assert len(found) == 4


def test_command_output_of_new_servers() -> None:
    """Since Asterisk 14 each line is a header; leading blanks stay."""
    found = parse_three_ways(
        BANNER + b"Response: Success\r\nMessage: Command output follows\r\nOutput:  a\r\nOutput: \r\n\r\n"
    )

    assert isinstance(found[1], Response)
    assert found[1].get_all("Output") == (" a", "")


# ---- limits


def refused(chunks: Iterable[bytes], parser: MessageParser) -> tuple[list[Value], str]:
    """All messages before the fault, and what the fault is said to be."""
    found: list[Value] = []
    for chunk in chunks:
        parser.receive_data(chunk)
        try:
            while (message := parser.next_message()) is not None:
                found.append(message)
        except RemoteProtocolError as error:
            with pytest.raises(RemoteProtocolError):
                parser.next_message()
            parser.receive_data(LAST)
            assert parser.unfinished == 0
            return found, str(error)
    return found, ""


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
@pytest.mark.parametrize("length", [99, 100, 104, 300])
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\n"])
def test_message_limit(size: int, length: int, end: bytes) -> None:
    """A message over the limit is an error in any chunking, ended or not, after the messages before it.

    An unended one may be over by the three bytes that may belong to its end.
    """
    long = b"Event: " + b"x" * (length - 7)
    data = BANNER + LAST + long + end + (LAST if end == b"\r\n\r\n" else b"")

    found, error = refused(cut(data, size), MessageParser(max_message=100))

    assert len(found) == (4 if length <= 100 and end == b"\r\n\r\n" else 2)
    assert ("longer than the 100 bytes allowed" in error) is (length > 100)
    if error:
        assert "b'Event: xxx" in error


@pytest.mark.parametrize("size", [1, 50, 10**6])
def test_raw_output_limit(size: int) -> None:
    """Raw output that does not end is an error as well, and what comes behind it is not believed."""
    raw = b"Response: Follows\r\nPrivilege: Command\r\n" + b"x\r\n\r\n" * 40

    found, error = refused(cut(BANNER + raw + LAST, size), MessageParser(max_message=150))

    assert found == [Banner("Asterisk Call Manager/7.0.3")]
    assert "Response: Follows" in error


@pytest.mark.parametrize("data", [b"x" * (MAX_BANNER + 1), b"x" * (MAX_BANNER + 1) + b"\r\n", b"\0" * 5000])
@pytest.mark.parametrize("size", [1, 10**6])
def test_banner_limit(data: bytes, size: int) -> None:
    """A banner longer than the limit is refused: the port is not that of an Asterisk manager interface."""
    found, error = refused(cut(data, size), MessageParser())

    assert found == []
    assert "not the port of an Asterisk manager interface" in error


def test_unfinished_message_is_counted() -> None:
    """The bytes of an incomplete message are counted: they are lost when the connection ends."""
    parser = MessageParser()
    fed([BANNER + LAST + b"Event: Hang"], parser)
    assert parser.unfinished == 11

    fed([b"up\r\n\r\nResponse: Follows\r\nPrivilege: Command\r\nx\r\n\r\n"], parser)
    assert parser.unfinished > 0
    fed([b"--END COMMAND--\r\n\r\n"], parser)
    assert parser.unfinished == 0


# ---- dropping


def test_unwanted_events_are_dropped() -> None:
    """Only wanted events come out; responses always do; each name is asked for once, and all are counted."""
    asked: list[str] = []

    def wanted(name: str, _: str) -> bool:
        asked.append(name)
        return name == "Last"

    parser = MessageParser(wanted=wanted)
    response = b"Response: Success\r\nPing: Pong\r\n\r\n"
    found = fed([BANNER + (event(b"A: 1") + response + LAST) * 5], parser)

    assert found == slow_parse(BANNER + (response + LAST) * 5)
    assert parser.dropped == 5
    assert asked.count("T") == 1


def test_events_of_which_some_are_wanted() -> None:
    """Only those that hold the bytes are read; the banner is known by then."""
    banners: set[str] = set()

    def wanted(name: str, banner: str) -> bool | bytes:
        banners.add(banner)
        return b"A: 2" if name == "T" else True

    parser = MessageParser(wanted=wanted)
    stream = event(b"A: 1") + event(b"A: 2") + LAST
    found = fed([BANNER + stream * 5], parser)

    assert found == slow_parse(BANNER + (event(b"A: 2") + LAST) * 5)
    assert parser.dropped == 5
    assert banners == {"Asterisk Call Manager/7.0.3"}


def test_events_glued_to_an_unwanted_one_are_kept() -> None:
    """A Cdr is read though it is unwanted, and CR LF LF ends any event that is seen to end so."""

    def wanted(name: str, _: str) -> bool:
        return name in ("Hangup", "Last")

    cdr = b"Event: Cdr\r\nPrivilege: cdr,all\r\nEvent: Hangup\r\nPrivilege: call,all\r\n\r\n"
    odd = b"Event: Odd\r\nA: 1\r\n\n"

    found = fed([BANNER + (cdr + odd + LAST) * 3], MessageParser(wanted=wanted))

    assert [message.get("Event") for message in found if isinstance(message, Event)] == ["Hangup", "Last"] * 3


def test_unwanted_names_do_not_grow_without_end() -> None:
    """A server that makes up names is asked about each, not remembered."""
    parser = MessageParser(wanted=lambda name, banner: False)
    names = 2 * (MAX_UNWANTED + 10)

    assert fed([BANNER] + [b"Event: N%d\r\nA: 1\r\n\r\n" % (n // 2) for n in range(names)], parser) == [
        Banner("Asterisk Call Manager/7.0.3")
    ]
    assert parser.dropped == names


def test_all_of_a_chunk_may_be_left_for_later() -> None:
    """Data may be given before earlier messages were taken."""
    parser = MessageParser()
    parser.receive_data(BANNER + LAST)
    parser.receive_data(LAST)

    assert len(fed([b""], parser)) == 3


# ---- properties

ATOMS = [
    b"Event: ", b"Event:", b"Response: ", b"Follows", b"Cdr", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n\n",
    b"A", b": ", b":", b" ", b"x: y", b"Privilege: ", b"ActionID: 1", b"--END COMMAND--", b"Asterisk Call Manager/",
    b"1.1", b"\xff", "И".encode(), "İ".encode(), b"\0", b"ChanVariable(", b"):", b"Foo", b"foo", b"Key(0)",
    b"response: follows\r\n", b"Event: X\r\n", BANNER, LAST,
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(ATOMS) | st.binary(max_size=3), max_size=30).map(b"".join)


@st.composite
def chunkings(draw: st.DrawFn, streams: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    data = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return data, [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(chunkings(HOSTILE))
@example((b"", []))
def test_any_bytes_in_any_chunks(case: tuple[bytes, list[bytes]]) -> None:
    """Hostile bytes, however they are cut, give what the slow parser gives of the whole."""
    data, chunks = case

    assert fed(chunks) == slow_parse(data)


@given(HOSTILE, st.integers(1, 60), st.integers(1, 30))
def test_limits_hold_for_any_bytes(data: bytes, limit: int, size: int) -> None:
    """Whatever comes, it is messages or RemoteProtocolError, and never more is held than the limit and one read."""
    parser = MessageParser(max_message=limit)
    for chunk in cut(BANNER + data, size):
        parser.receive_data(chunk)
        try:
            while parser.next_message() is not None:
                pass
        except RemoteProtocolError:
            return
        assert parser.unfinished <= max(2 * limit + size + 10, MAX_BANNER)


names = st.text(st.characters(codec="ascii", exclude_characters=":\r\n\0("), min_size=1, max_size=8)
values = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_what_is_written_is_read(headers: list[tuple[str, str]]) -> None:
    """Headers written as a server writes them come back the same."""
    pairs = (("Event", "X"), *headers)
    data = "".join(f"{name}: {value}\r\n" for name, value in pairs).encode() + b"\r\n"

    assert fed([BANNER + data])[1:] == [Event(pairs)]


def sessions(scenario: str) -> list[bytes]:
    """What the servers sent in a scenario, each version and variant."""
    found = sorted(TRANSCRIPTS.rglob(f"{scenario}.jsonl"))
    assert found, f"no {scenario}.jsonl in {TRANSCRIPTS}"
    chunks = [read_transcript(path.name, path.read_bytes()).chunks for path in found]
    return [b"".join(chunk.data for chunk in each if chunk.direction == "recv") for each in chunks]


@pytest.mark.parametrize(
    "scenario", ["proto_odd_values", "proto_login_md5", "proto_listings", "inbound_utf8_name", "queue_local_members"]
)
def test_real_sessions(scenario: str) -> None:
    """Real sessions in pieces of 1 to 300 bytes give what the slow parser gives, and nothing is left over."""
    for data in sessions(scenario):
        rng = random.Random(scenario)
        chunks = []
        rest = data
        while rest:
            size = rng.randint(1, 300)
            chunks.append(rest[:size])
            rest = rest[size:]
        parser = MessageParser()

        assert fed(chunks, parser) == slow_parse(data)
        assert parser.unfinished == 0


MUTATIONS: list[Callable[[random.Random, bytes], bytes]] = [
    lambda rng, data: data[: (at := rng.randrange(len(data)))] + data[at + rng.randint(1, 40) :],
    lambda rng, data: data[: (at := rng.randrange(len(data)))] + rng.choice(ATOMS) + data[at:],
    lambda rng, data: data[: (at := rng.randrange(len(data)))] + bytes([rng.randrange(256)]) + data[at + 1 :],
    lambda rng, data: data[: (at := rng.randrange(len(data)))] + data[max(0, at - rng.randint(1, 400)) :],
    lambda rng, data: data.replace(*rng.choice([(b": ", b":"), (b"\r\n", b"\n"), (b"Privilege", b"Event")]), 3),
]


def test_mutated_transcripts() -> None:
    """Real sessions with parts lost, doubled, put in and changed: never a crash, always the slow parser's word."""
    for data in sessions("proto_odd_values") + sessions("inbound_utf8_name"):
        for seed in range(25):
            rng = random.Random(seed)
            mutated = data[:20_000]
            for _ in range(rng.randint(1, 6)):
                mutated = rng.choice(MUTATIONS)(rng, mutated)

            assert fed(cut(mutated, rng.randint(50, 5000))) == slow_parse(mutated), seed
