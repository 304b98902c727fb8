from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls.crm_office import crm_of
from uac_trio.anonymise import Anonymiser, without_secret
from uac_trio.calls.rules import TrackerRules
from uac_trio.replay import replay
from uac_trio.transcript import Chunk, Transcript, read_transcript

FIXTURES = Path(__file__).parent.parent / "fixtures" / "ami_transcripts"


def anonymised(*lines: str) -> list[str]:
    anonymiser = Anonymiser(b"salt")
    return [anonymiser.line(f"{line}\r\n".encode()).decode().removesuffix("\r\n") for line in lines]


def test_numbers_are_replaced_alike() -> None:
    """One number becomes one other of the same length wherever it stands; prefix and first digit stay."""
    first, second, third, dial = anonymised(
        "CallerIDNum: +79161234567", "Exten: 89161234567", "ConnectedLineNum: 4951234", "DialString: +79161234567@trunk"
    )
    number = first.removeprefix("CallerIDNum: ")
    assert re.fullmatch(r"\+79\d{9}", number)
    assert number != "+79161234567"
    assert second == f"Exten: 8{number[2:]}"
    assert re.fullmatch(r"ConnectedLineNum: 4\d{6}", third)
    assert third != "ConnectedLineNum: 4951234"
    assert dial == f"DialString: {number}@trunk"


@pytest.mark.parametrize(
    "line",
    [
        "CallerIDNum: 101",
        "CallerIDNum: <unknown>",
        "CallerIDName: <unknown>",
        "Uniqueid: 1795413713.0",
        "DestLinkedid: 1795413713245",
        "Timestamp: 1795413713.245000",
        "StartTime: 2026-11-23 06:01:53",
        "BridgeUniqueid: 7b5ba1a5-1234567-4d0c-8d26-0f5e0d1b9b11",
        "Channel: PJSIP/101-00000001",
        "Channel: PJSIP/trunk-0000001f",
        "Channel: Local/101@from-queue-00000003;2",
        "ChannelStateDesc: Ringing",
        "Event: Newstate",
        "ActionID: uac-12345678",
        "",
        "Asterisk Call Manager/11.0.0",
    ],
)
def test_what_a_tracker_needs_stays(line: str) -> None:
    """Extensions, ids, times, states and device names are not touched."""
    assert anonymised(line) == [line]


def test_names_are_replaced_alike() -> None:
    """A name becomes another of its shape, and is found again in arguments of applications."""
    first, second, data, other = anonymised(
        "CallerIDName: Anna Petrova",
        "ConnectedLineName: Anna Petrova",
        "AppData: CALLERID(name)=Anna Petrova",
        "CallerIDName: Анна П.",
    )
    name = first.removeprefix("CallerIDName: ")
    assert re.fullmatch(r"[A-Z][a-z]{3} [A-Z][a-z]{6}", name)
    assert name != "Anna Petrova"
    assert second == f"ConnectedLineName: {name}"
    assert data == f"AppData: CALLERID(name)={name}"
    assert re.fullmatch(r"CallerIDName: [А-Я][а-я]{3} [А-Я]\.", other)


def test_other_salt_other_numbers() -> None:
    """Two recordings of one number do not give the same other number."""
    line = b"CallerIDNum: +79161234567\r\n"
    assert Anonymiser(b"a").line(line) != Anonymiser(b"b").line(line)


def test_name_with_few_others() -> None:
    """A name of one letter, of which there are not enough others, is no endless search."""
    letters = [f"CallerIDName: {letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert len(anonymised(*letters)) == 26
    assert anonymised("CallerIDName: ß", "CallerIDName: ñ") == ["CallerIDName: x", "CallerIDName: x"]


def test_secrets_are_not_recorded() -> None:
    """Neither a secret nor the key that proves it gets into a transcript; other lines stay."""
    assert without_secret(b"Secret: abc\r\n") == b"Secret: (not recorded)\r\n"
    assert without_secret(b"Key: 0123abcd\r\n") == b"Key: (not recorded)\r\n"
    assert without_secret(b"Username: crm\r\n") == b"Username: crm\r\n"
    assert without_secret(b"\r\n") == b"\r\n"


@given(st.binary())
def test_any_line(line: bytes) -> None:
    """Any bytes are a line, and its length in characters of ASCII digits stays."""
    Anonymiser(b"salt").line(line)


@pytest.mark.parametrize(
    "name", ["inbound_answered", "outbound_answered", "inbound_ringgroup_answered", "click2call_answered"]
)
def test_anonymised_recording_has_the_same_calls(name: str) -> None:
    """An anonymised transcript leads to the same requests, other numbers and names apart; the old ones are gone."""
    path = FIXTURES / "asterisk22" / f"{name}.jsonl"
    original = read_transcript(path.name, path.read_bytes())
    anonymiser = Anonymiser(b"salt")
    chunks = tuple(
        Chunk(
            t=chunk.t,
            direction=chunk.direction,
            data=b"".join(map(anonymiser.line, chunk.data.splitlines(keepends=True))),
        )
        for chunk in whole_lines(original)
    )
    changed = Transcript(name=original.name, chunks=chunks, epoch=original.epoch)
    before, after = steps(original), steps(changed)
    assert before
    assert before == after
    received = b"".join(chunk.data for chunk in chunks if chunk.direction == "recv")
    truth = json.loads((FIXTURES / "asterisk22" / f"{name}.expect.json").read_text())
    for call in truth["calls"]:
        assert call["customer"].encode() not in received


def whole_lines(transcript: Transcript) -> list[Chunk]:
    """The same transcript as the recorder keeps it: no chunk ends within a line."""
    chunks, rest = [], b""
    for chunk in transcript.chunks:
        if chunk.direction == "recv":
            whole, end, rest = (rest + chunk.data).rpartition(b"\n")
            chunks.append(Chunk(t=chunk.t, direction="recv", data=whole + end))
    return chunks


def steps(transcript: Transcript) -> list[tuple[str, str, str, float]]:
    result = replay([transcript], TrackerRules(), crm_of())
    return [(one.request.name, one.call_id, one.delivery.extension, one.at) for one in result.requests]
