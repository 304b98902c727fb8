"""Recordings of the demo: the files that its PBX writes, and SalesPlatform's way to listen to them."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from functools import partial
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import trio

from uac_trio.ami.message import Event
from uac_trio.demo import run
from uac_trio.demo.listen import listen
from uac_trio.demo.monitor import FakeMixMonitor


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "STAYS_SETTLED", 0.1)
    monkeypatch.setattr("uac_trio.recordings.awaiting.SETTLE", 0.1)


def seconds_of(content: bytes) -> float:
    with wave.open(BytesIO(content)) as file:
        return float(file.getnframes() / file.getframerate())


@pytest.mark.parametrize(
    ("disposition", "talked", "size"), [("ANSWERED", "2", 44 + 32000), ("NO ANSWER", "0", 44), ("ANSWERED", "x", 44)]
)
def test_file_that_the_pbx_writes(tmp_path: Path, disposition: str, talked: str, size: int) -> None:
    """As long as was talked, named by the Cdr, and only a header without an answer."""
    headers = (("recordingpath", "/var/spool/x/../../a.wav"), ("Disposition", disposition), ("BillableSeconds", talked))
    monitor = FakeMixMonitor(tmp_path)
    monitor.note(Event((("Event", "Cdr"), *headers)))
    monitor.note(Event((("Event", "Hangup"), *headers)))
    monitor.note(Event((("Event", "Cdr"), *headers[:1], ("Disposition", "NO ANSWER"))))
    monitor.note(Event((("Event", "Cdr"),)))
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("a.wav", size)]


async def test_recording_of_the_demo_plays() -> None:
    """From the recorded PBX's file through the real daemon to the player of the CRM's page; the link alone is 403."""
    with trio.fail_after(30):
        async with run.open_demo(pace=20) as demo, httpx.AsyncClient() as client:
            (judgement,) = await demo.run_pass([("inbound_answered", 0.0)])
            assert judgement.differences == ()
            (call,) = (await client.get(f"{demo.address}/state")).json()["calls"]
            heard = await client.get(f"{demo.address}/{call['listen']}")
            direct = await client.get(call["recording"])
            other = await client.get(f"{demo.address}/index.php?module=PBXManager&action=ListenRecord&record=77")
    assert direct.status_code == 403
    assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/wav")
    assert "filename=" in heard.headers["content-disposition"]
    talked = judgement.played.recording.calls[0]["talk_secs"]  # at its own pace
    assert seconds_of(heard.content) == pytest.approx(talked, abs=1)
    assert (other.status_code, other.content, other.headers["content-type"]) == (200, b"", "text/html; charset=UTF-8")


@pytest.fixture
async def bare_server() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers every connection with the first of the list."""
    replies: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            asked = await stream.receive_some()
            replies.append(asked)
            await stream.send_all(replies[0])

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, serve, [listener]))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/recording?id=1", replies
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("reply", "heard"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Other: 1\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 200 OK\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nab", b""),
        (b"HTTP/1.1 404 Not Found\r\n\r\nab", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", b""),
        (b"nonsense", b""),
        (b"", b""),
    ],
)
async def test_what_the_crm_passes_on(bare_server: tuple[str, list[bytes]], reply: bytes, heard: bytes) -> None:
    """200 and nothing else is passed on, with three headers at most; the secret is asked with."""
    url, replies = bare_server
    replies.append(reply)
    found = await listen(url, "a b&c")
    assert found.body == heard
    assert set(found.headers) <= {"content-length"}
    assert replies[1].startswith(b"GET /recording?id=1&secret=a+b%26c HTTP/1.1\r\n")
    assert b"range" not in replies[1].lower()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/recording?id=1", "file:///etc/passwd", "https://x/?", ""])
async def test_no_connector_there(url: str) -> None:
    """A connector that is away, and what is no address of one, is an empty page."""
    assert (await listen(url, "s")).body == b""
