"""When a recorded connection began, by what it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.transcript.chunks import EPOCH, NEWCHANNEL, SECURITY, STAMPED, block, received, recv
from uac_trio.transcript import Chunk, epoch_note, infer_epoch, read_transcript

FIXTURES = Path(__file__).parents[2] / "fixtures" / "ami_transcripts"


@pytest.mark.parametrize(
    ("chunks", "epoch"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([recv("Asterisk\r\n" + block("Event: FullyBooted", "Uptime: 12"))], None, id="no time at all"),
        pytest.param([recv(SECURITY, 0.0), recv(NEWCHANNEL, 5.0), recv(STAMPED, 6.0)], EPOCH, id="Timestamp"),
        pytest.param(
            [recv(block("Response: Success", "Ping: Pong", "Timestamp: 1795413714.250000"), 1.0), recv(STAMPED, 9.0)],
            EPOCH,
            id="the answer to a ping, the first of two",
        ),
        pytest.param([recv(NEWCHANNEL, 5.0), recv(SECURITY, 0.0)], EPOCH, id="EventTV"),
        pytest.param(
            [recv(block("Event: ChallengeSent", "EventTV: 2026-99-23T06:01:53.250+0000")), recv(NEWCHANNEL, 5.0)],
            1_795_413_713.0,
            id="an EventTV that is none",
        ),
        pytest.param(
            [recv(NEWCHANNEL, 5.9), recv(NEWCHANNEL, 5.1), recv(NEWCHANNEL, 7.0)], 1_795_413_712.9, id="Newchannel"
        ),
        pytest.param(
            [recv(block("Event: Hangup", "Uniqueid: pbx-1795413000.7;2"), 1.0), recv(NEWCHANNEL, 5.0)],
            1_795_413_713.0,
            id="Newchannel before others",
        ),
        pytest.param([recv(block("Event: Cdr", "UniqueID: 1795413714.0"), 1.0)], 1_795_413_713.0, id="any Uniqueid"),
        pytest.param(
            [recv(block("Event: CoreShowChannel", "UniqueID: 1795413700.0", "Duration: 00:00:15"), 2.0)],
            1_795_413_713.0,
            id="a listed channel's age",
        ),
        pytest.param([recv(block("Event: Newchannel", "Uniqueid: crm-0001"), 1.0)], None, id="a ChannelId"),
        pytest.param([epoch_note(EPOCH), recv(STAMPED, 50.0)], EPOCH, id="the recorder's note"),
        pytest.param(
            [Chunk(t=0.0, direction="note", data=b"epoch of steam"), recv(STAMPED, 6.0)], EPOCH, id="another note"
        ),
        pytest.param([Chunk(t=0.0, direction="send", data=STAMPED.encode())], None, id="what we said"),
        pytest.param([recv(STAMPED[:30], 1.0), recv(STAMPED[30:], 6.0)], EPOCH, id="cut by a read"),
        pytest.param([recv(STAMPED[:-1], 6.0)], None, id="not ended"),
    ],
)
def test_epoch(chunks: list[Chunk], epoch: float | None) -> None:
    """The best clock in a transcript gives the time when it began."""
    found = infer_epoch(chunks)

    assert found == (None if epoch is None else pytest.approx(epoch, abs=1e-5))


@pytest.mark.parametrize("server", ["asterisk16", "asterisk22"])
@pytest.mark.parametrize("scenario", ["inbound_answered", "click2call_answered"])
def test_epoch_of_real_transcripts(server: str, scenario: str) -> None:
    """What is inferred is what the recorder's clock showed, and the raw form gives the same to a second."""
    path = FIXTURES / server / scenario
    began = json.loads(path.with_suffix(".expect.json").read_bytes())["started_at"]
    timed = read_transcript("x.jsonl", path.with_suffix(".jsonl").read_bytes())
    raw = read_transcript("x.ami", received(timed.chunks))

    assert timed.epoch == pytest.approx(began, abs=0.05)
    assert received(raw.chunks) == received(timed.chunks)
    assert raw.epoch == pytest.approx(began, abs=1)
    assert raw.at(list(raw.chunks)[-1]) == pytest.approx(timed.at(list(timed.chunks)[-1]), abs=2)
