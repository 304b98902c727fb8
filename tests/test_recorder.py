from __future__ import annotations

import gc
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.fake_asterisk import FakeAsterisk
from uac_trio import recorder
from uac_trio.ami_client.listener import WireEvent
from uac_trio.ami_client.server import AMIServer
from uac_trio.clock import now
from uac_trio.recorder import Recorded, RecordError, record
from uac_trio.transcript import read_transcript


@pytest.fixture
async def pbx() -> AsyncIterator[FakeAsterisk]:
    async with trio.open_nursery() as nursery:
        yield FakeAsterisk(nursery)
        nursery.cancel_scope.cancel()


async def listening(pbx: FakeAsterisk) -> AMIServer:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    pbx.nursery.start_soon(trio.serve_listeners, pbx.serve, [listener])
    port = listener.socket.getsockname()[1]
    return AMIServer(
        name="main", host="127.0.0.1", port=port, username="crm", secret="s3cret", backoff_min=0.05, backoff_max=0.05
    )


async def recorded(servers: list[AMIServer], out: Path, said: bytes, pbx: FakeAsterisk, **more: bool) -> Recorded:
    """Record until ``said`` was said by the PBX on its first connection, in two reads."""
    stop = trio.Event()
    results: list[Recorded] = []
    heard, another = bytearray(), [trio.Event()]
    takes = recorder._TranscriptWriter.on_wire

    def on_wire(self: recorder._TranscriptWriter, event: WireEvent, data: bytes, at: float) -> None:
        takes(self, event, data, at)
        if event == "recv":
            heard.extend(data)
            another[0].set()
            another[0] = trio.Event()

    async def run() -> None:
        anonymise = more.get("anonymise", False)
        results.append(await record(servers, out, seconds=10, anonymise=anonymise, now=now, stop=stop))

    with trio.fail_after(5), pytest.MonkeyPatch.context() as patched:
        patched.setattr(recorder._TranscriptWriter, "on_wire", on_wire)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            while not pbx.sessions or "CoreShowChannels" not in pbx.sessions[0].names():  # noqa: ASYNC110
                await trio.sleep(0.01)
            await trio.testing.wait_all_tasks_blocked(0.01)
            for part in (said[:7], said[7:]):
                await pbx.sessions[0].say(part)
                while not heard.endswith(part):
                    await another[0].wait()
            stop.set()
    return results[0]


EVENT = "Event: NewCallerid\r\nCallerIDNum: +79161234567\r\nCallerIDName: Анна\r\n\r\n".encode()


async def test_transcript_of_a_connection(pbx: FakeAsterisk, tmp_path: Path) -> None:
    """All that was said both ways is in the file, which replay reads, our secret excepted; only we may read it."""
    out = tmp_path / "call.jsonl"
    result = await recorded([await listening(pbx)], out, EVENT, pbx)
    assert result == Recorded(paths=(out,), never_connected=(), lost_reads=0)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    transcript = read_transcript(out.name, out.read_bytes())
    received = b"".join(chunk.data for chunk in transcript.chunks if chunk.direction == "recv")
    sent = b"".join(chunk.data for chunk in transcript.chunks if chunk.direction == "send")
    assert received.startswith(b"Asterisk Call Manager/11.0.0\r\n")
    assert received.endswith(EVENT)
    assert b"Key: (not recorded)\r\n" in sent
    assert transcript.epoch is not None
    assert abs(transcript.epoch - now()) < 60


async def test_anonymised(pbx: FakeAsterisk, tmp_path: Path) -> None:
    """With --anonymise neither number nor name is in the file, though a read ended in the middle of a line."""
    out = tmp_path / "call.jsonl"
    await recorded([await listening(pbx)], out, EVENT, pbx, anonymise=True)
    assert "79161234567" not in out.read_text()
    assert "Анна" not in out.read_text()
    assert "CallerIDNum: +79" in out.read_text()


async def test_second_connection_has_its_own_file(pbx: FakeAsterisk, tmp_path: Path) -> None:
    """After a lost connection the next one goes to a numbered file: a transcript is one connection."""
    server = await listening(pbx)
    stop = trio.Event()
    out = tmp_path / "call.jsonl"

    async def break_once() -> None:
        while not pbx.sessions or "CoreShowChannels" not in pbx.sessions[0].names():  # noqa: ASYNC110
            await trio.sleep(0.01)
        await pbx.sessions[0].stream.aclose()
        while len(pbx.sessions) < 2 or "CoreShowChannels" not in pbx.sessions[1].names():  # noqa: ASYNC110
            await trio.sleep(0.01)
        stop.set()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(break_once)
            result = await record([server], out, seconds=10, anonymise=False, now=now, stop=stop)
    assert result.paths == (out, tmp_path / "call_2.jsonl")
    for path in result.paths:
        chunks = list(read_transcript(path.name, path.read_bytes()).chunks)
        assert chunks[1].data.startswith(b"Asterisk Call Manager/")


async def test_pbx_that_cannot_be_reached(pbx: FakeAsterisk, tmp_path: Path) -> None:
    """A PBX of which nothing was recorded is reported with the reason; the files of several PBXes differ by name."""
    there = await listening(pbx)
    away = AMIServer(name="away", host="127.0.0.1", port=1, username="crm", secret="x")
    result = await recorded([there, away], tmp_path / "call.jsonl", EVENT, pbx)
    assert result.paths == (tmp_path / "call.main.jsonl",)
    ((name, why),) = result.never_connected
    assert name == "away"
    assert "cannot connect to 127.0.0.1:1" in why


async def test_disk_that_is_full(pbx: FakeAsterisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails ends the recording with the file's name and the reason; the file is closed."""
    opened = os.open

    def on_a_full_disk(path: Path, flags: int, mode: int = 0o777) -> int:
        return opened("/dev/full", os.O_WRONLY) if path == tmp_path / "call.jsonl" else opened(path, flags, mode)

    monkeypatch.setattr(os, "open", on_a_full_disk)
    with pytest.RaisesGroup(
        pytest.RaisesExc(RecordError, match=f"{tmp_path}/call.jsonl: No space left on device"), flatten_subgroups=True
    ):
        await recorded([await listening(pbx)], tmp_path / "call.jsonl", EVENT, pbx)
    gc.collect()  # a file left open would be flushed now, and fail once more


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that is there is not overwritten, and a directory that is not there is an error at once."""
    server = AMIServer(name="main", host="127.0.0.1", port=1, username="crm", secret="x")
    (tmp_path / "call.jsonl").touch()
    for out, why in (
        (tmp_path / "call.jsonl", "exists already"),
        (tmp_path / "no" / "call.jsonl", "is not a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(RecordError, match=why):
            await record([server], out, seconds=1, anonymise=False, now=now, stop=trio.Event())
