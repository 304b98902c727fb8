"""Names, numbers and ids as servers write them."""

from __future__ import annotations

import pytest

from uac_trio.calls.names import creation_order, dialled_number, is_queue_dial, known, parse_channel_name, whole


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
    ("dial_string", "technology", "is_queue"),
    [
        ("PJSIP/101", "PJSIP", True),
        ("Local/101@from-queue/n", "Local", True),
        ("101", "PJSIP", False),
        ("trunk/+79161234567", "SIP", False),
        ("101@x/n", "Local", False),
    ],
)
def test_dial_strings_of_queues(dial_string: str, technology: str, is_queue: bool) -> None:
    """Queue() names the technology of its member; Dial() names what stood behind it."""
    assert is_queue_dial(dial_string, technology) is is_queue
