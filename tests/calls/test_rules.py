"""Names, numbers and ids as servers write them, and whose channel is whose."""

from __future__ import annotations

import re

import pytest

from uac_trio.calls import TrackerRules
from uac_trio.calls.channel import ChannelState
from uac_trio.calls.party import MAX_LINES, PartyFinder
from uac_trio.calls.rules import (
    creation_order,
    dialled_number,
    extension_by_name,
    is_outside_context,
    known,
    parse_channel_name,
    whole,
)

TRUNKS: frozenset[str] = frozenset(("gate-7", "777"))
RULES = TrackerRules(devices={"sip-anna": "101", "anna": "101"}, trunks=TRUNKS)


@pytest.mark.parametrize(
    ("name", "technology", "endpoint", "is_person"),
    [
        ("PJSIP/101-0000000a", "PJSIP", "101", True),
        ("SIP/101-00000b3f", "SIP", "101", True),
        ("IAX2/office-2-4711", "IAX2", "office-2", True),
        ("DAHDI/i1/79161234567-1a", "DAHDI", "i1/79161234567", True),
        ("DAHDI/4-1", "DAHDI", "4", True),
        ("PJSIP/sip-anna-0000001f", "PJSIP", "sip-anna", True),
        ("SIP/10.0.0.5-00000003", "SIP", "10.0.0.5", True),
        ("Dongle/dongle0-0100000001", "Dongle", "dongle0", True),
        ("Motif/anna@example.org-1b2c", "Motif", "anna@example.org", True),
        ("OOH323/gate-12", "OOH323", "gate", True),
        ("PJSIP/101", "PJSIP", "101", True),
        ("AsyncGoto/PJSIP/101-0000000a", "PJSIP", "101", True),
        ("Parked/SIP/101-0000000a", "SIP", "101", True),
        ("SIP/101-0000000a<ZOMBIE>", "SIP", "101", True),
        ("AsyncGoto/SIP/101-0000000a<ZOMBIE>", "SIP", "101", True),
        ("Local/101@from-queue-00000003;2", "Local", "101", False),
        ("Message/ast_msg_queue", "Message", "ast_msg_queue", False),
        ("CBAnn/1234-00000001;1", "CBAnn", "1234", False),
        ("Snoop/1795413713.0-00000000", "Snoop", "1795413713.0", False),
        ("UnicastRTP/10.0.0.9:5000-0x7f", "UnicastRTP", "10.0.0.9:5000", False),
        ("", "", "", True),
        ("odd", "odd", "", True),
    ],
)
def test_channel_names(name: str, technology: str, endpoint: str, is_person: bool) -> None:
    """The endpoint stands between the slash and the last hyphen, whatever wrapper or mark is around."""
    parsed = parse_channel_name(name)
    assert (parsed.technology, parsed.endpoint, parsed.is_person) == (technology, endpoint, is_person)


@pytest.mark.parametrize(
    ("name", "pair", "half"),
    [
        ("Local/101@from-queue-00000003;1", "Local/101@from-queue-00000003", "1"),
        ("Local/101@from-queue-00000003;2", "Local/101@from-queue-00000003", "2"),
        ("Local/s;b@ctx-00000003;2", "Local/s;b@ctx-00000003", "2"),
        ("Local/101@from-queue-00000003", "Local/101@from-queue-00000003", ""),
        ("PJSIP/101-0000000a", "", ""),
    ],
)
def test_local_pairs(name: str, pair: str, half: str) -> None:
    """Both halves of a Local channel have the same pair; nothing else has one."""
    parsed = parse_channel_name(name)
    assert (parsed.pair, parsed.half) == (pair, half)


@pytest.mark.parametrize(
    ("dial_string", "endpoint", "number"),
    [
        ("101", "101", "101"),
        ("PJSIP/101", "101", "101"),
        ("+79161234567@trunk", "trunk", "+79161234567"),
        ("trunk/+79161234567", "trunk", "+79161234567"),
        ("g1/84951234567", "i1", "84951234567"),
        ("101@from-queue/n", "101", "101"),
        ("101/sip:101@127.0.22.101:5060", "101", "101"),
        ("trunk/sip:+79161234567@10.0.0.1", "trunk", "+79161234567"),
        ("trunk/sips:84951234567@10.0.0.1;user=phone", "trunk", "84951234567"),
        ("84951234567@777", "777", "84951234567"),
        ("777/84951234567", "777", "84951234567"),
        ("*65", "trunk", "*65"),
        ("anna", "anna", ""),
        ("unknown", "trunk", ""),
        ("", "", ""),
    ],
)
def test_dialled_numbers(dial_string: str, endpoint: str, number: str) -> None:
    """The number in a DialString of any form; the endpoint itself only where there is no other."""
    assert dialled_number(dial_string, endpoint) == number


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("PJSIP/101-0000000a", "101"),
        ("PJSIP/101-mobile-0000000a", "101"),
        ("SIP/101_2-0000000a", "101"),
        ("PJSIP/sip-anna-0000001f", "101"),
        ("SIP/anna-0000001f", "101"),
        ("PJSIP/bob-0000001f", ""),
        ("PJSIP/4951000101-0000001f", ""),
        ("PJSIP/777-0000001f", ""),
        ("DAHDI/101-1", ""),
        ("Local/101@from-internal-00000003;1", ""),
    ],
)
def test_extensions_by_name(name: str, extension: str) -> None:
    """What a channel's name gives away: not of ports, lines and helpers."""
    assert extension_by_name(RULES, parse_channel_name(name)) == extension


@pytest.mark.parametrize(
    ("rules", "employees", "others"),
    [
        (TrackerRules(), ["10", "101", "54321"], ["1", "123456", "+101", "1o1", "101 ", ""]),
        (TrackerRules(extensions=r"2\d\d"), ["200", "299"], ["101", "2000", "1200"]),
        (TrackerRules(extensions=["101", "anna"]), ["101", "anna"], ["102"]),
        (TrackerRules(extensions=frozenset({"7"})), ["7"], ["77"]),
        (TrackerRules(extensions=re.compile("1..")), ["1ab"], ["1abc"]),
    ],
)
def test_who_is_an_employee(rules: TrackerRules, employees: list[str], others: list[str]) -> None:
    """A pattern must match the whole number; a list is taken as it is."""
    assert [number for number in employees + others if rules.is_extension(number)] == employees


def test_creation_order() -> None:
    """Uniqueids sort by epoch and counter as numbers, with a systemname or without; a client's own ids first."""
    made = ["crm-0001", "1795413713.2", "1795413713.11", "pbx-hq-1795413713.12", "a.b-1795413714.0"]
    shuffled = [made[3], made[1], made[4], made[2], made[0]]
    assert sorted(shuffled, key=creation_order) == made
    assert creation_order("1795413713.5;2")[:2] == (0, 0)


@pytest.mark.parametrize(
    ("text", "number"), [("16", 16), ("", 7), ("-1", 7), ("1.5", 7), ("²", 7), ("9" * 5000, 7), ("0", 0)]
)
def test_whole_numbers(text: str, number: int) -> None:
    """What is no number, or longer than any that Asterisk writes, is the default."""
    assert whole(text, 7) == number


def test_unknown_numbers() -> None:
    """Asterisk's words for no number are no number."""
    assert [known(text) for text in ("<unknown>", "unknown", "s", "", "anonymous", "101")] == [
        "", "", "", "", "anonymous", "101",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "context", ["from-trunk", "from-pstn", "from-did-direct", "INCOMING", "from-trunk-sip-provider"]
)
def test_outside_contexts(context: str) -> None:
    """Contexts that take calls from lines are known by their names."""
    assert is_outside_context(context)
    assert not is_outside_context("from-internal")


def extension_of(finder: PartyFinder, name: str, number: str, context: str = "from-internal", state: int = 0) -> str:
    return finder.extension_of(parse_channel_name(name), number, context, state)


def test_a_device_whose_name_is_no_extension_is_known_by_its_number() -> None:
    """A device called desk-grisha shows the number of its user."""
    finder = PartyFinder(RULES)
    assert extension_of(finder, "PJSIP/desk-grisha-00000002", "104") == "104"
    assert extension_of(finder, "DAHDI/4-1", "104") == "104"


def test_a_stranger_who_shows_a_short_number_is_no_employee() -> None:
    """Who calls in from a line's context is outside, whatever number he sends."""
    finder = PartyFinder(RULES)
    assert extension_of(finder, "PJSIP/provider-00000002", "102", "from-trunk", ChannelState.RING) == ""
    assert extension_of(finder, "PJSIP/desk-00000002", "102", "from-internal", ChannelState.RING) == "102"


def test_a_line_is_learned() -> None:
    """An endpoint that ever showed an outside number is a line when it shows a short one, too."""
    finder = PartyFinder(RULES)
    name = parse_channel_name("PJSIP/gate-00000001")
    assert extension_of(finder, "PJSIP/gate-00000001", "+79161234567") == ""
    assert finder.is_line(name)
    assert extension_of(finder, "PJSIP/gate-00000002", "102") == ""


def test_a_line_is_not_learned_from_a_number_that_may_be_anybodys() -> None:
    """A channel met in mid-call, or without a number, teaches nothing."""
    finder = PartyFinder(RULES)
    name = parse_channel_name("PJSIP/desk-00000001")
    assert finder.extension_of(name, "+79161234567", "from-internal", 6, is_new=False) == ""
    assert extension_of(finder, "PJSIP/desk-00000001", "") == ""
    assert not finder.is_line(name)


def test_a_declared_trunk_is_a_line() -> None:
    """What the configuration calls a trunk never is an employee."""
    assert extension_of(PartyFinder(RULES), "PJSIP/gate-7-00000001", "102") == ""


def test_learned_lines_are_bounded() -> None:
    """Guests that invent endpoint names do not fill the memory."""
    finder = PartyFinder(RULES)
    for guest in range(MAX_LINES + 10):
        extension_of(finder, f"SIP/guest{guest}-1", "+79161234567")
    assert not finder.is_line(parse_channel_name(f"SIP/guest{MAX_LINES + 1}-1"))
