"""Who gets an answer of ``uac-trio serve-recordings``, and what for: by a real httpx client."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import structlog.testing
import trio

from tests.recordings.far import NOW, Far, serving
from tests.recordings.sounds import wav
from uac_trio.recordings import wire

SOUND = wav(0.1)
PATHS = (wire.LOOK, wire.OPEN, wire.READ, wire.DELETE)
ASKED = {"path": "a.wav", "at": NOW, "start": 0, "length": 10, "identity": [1, 2, 3], "recordings": []}


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    with trio.fail_after(8):
        yield


async def post(far: Far, path: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.post(
            far.address + path, content=body, headers=far.signed(path, body) if headers is None else headers
        )


@pytest.mark.parametrize("path", PATHS)
async def test_who_does_not_know_the_secret(tmp_path: Path, path: str) -> None:
    """Without a right signature there is 403 and not a word, and no file is looked for."""
    body = json.dumps(ASKED).encode()
    async with serving(tmp_path, delete_files=True) as far:
        (far.root / "a.wav").write_bytes(SOUND)
        right = far.signed(path, body)["Authorization"]
        other_path = next(one for one in PATHS if one != path)
        for header in (
            None, "", "Basic eDp5", right[:-1], right + "0", right.upper(), right.replace("HMAC", "XMAC"),
            far.signed(other_path, body)["Authorization"], far.signed(path, body + b" ")["Authorization"],
            far.signed(path, body, at=NOW + 1)["Authorization"].replace(str(int(NOW + 1)), str(int(NOW))),
            far.signed(path, body, secret="guess")["Authorization"], "UAC-HMAC-SHA256 -1:" + "0" * 64, "x" * 5000,
        ):  # fmt: skip
            headers = {} if header is None else {"Authorization": header}
            reply = await post(far, path, body, headers)
            assert (reply.status_code, reply.content) == (403, b"")
        assert (far.root / "a.wav").exists()


@pytest.mark.parametrize("path", PATHS)
async def test_who_asks_from_elsewhere(tmp_path: Path, path: str) -> None:
    """An address that is not in [serve] networks gets 403, whatever it knows."""
    async with serving(tmp_path, networks=["10.0.0.0/8", "::1/128"]) as far:
        with structlog.testing.capture_logs() as logs:
            reply = await post(far, path, json.dumps(ASKED).encode())
    assert (reply.status_code, reply.content) == (403, b"")
    assert (logs[0]["client"], logs[0]["reason"]) == ("127.0.0.1", "its address is not within [serve] networks")


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301, 0, 10**11])
async def test_old_question(tmp_path: Path, at: float) -> None:
    """A signed request that an attacker has overheard is good for five minutes."""
    body = b'{"recordings": []}'
    async with serving(tmp_path) as far:
        reply = await post(far, wire.LOOK, body, far.signed(wire.LOOK, body, at=at))
        assert reply.status_code == 403
        assert (await post(far, wire.LOOK, body)).json() == {"looks": []}


NASTY = [
    b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"path": 1, "at": 1}', b'{"path": "a", "at": "1"}',
    b'{"path": "a", "at": NaN}', b'{"path": "a", "at": 1e400}', b'{"path": "a", "at": -1}', b'{"recordings": {}}',
    b'{"recordings": [1]}', json.dumps({"recordings": [{"path": "a", "at": 1}] * 51}).encode(),
    json.dumps({"path": "x" * 4097, "at": 1}).encode(), json.dumps({**ASKED, "start": -1}).encode(),
    json.dumps({**ASKED, "length": 0}).encode(), json.dumps({**ASKED, "length": wire.MOST_READ + 1}).encode(),
    json.dumps({**ASKED, "start": 1 << 70}).encode(), json.dumps({**ASKED, "start": None}).encode(),
    json.dumps({**ASKED, "path": "../../etc/passwd"}).encode(), json.dumps({**ASKED, "path": "\0"}).encode(),
    json.dumps({**ASKED, "path": "\ud800"}).encode(), b'{"path": "a", "at": 99999999999}',
    b'{"at": ' + b"9" * 5000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("body", NASTY)
async def test_nasty_questions(tmp_path: Path, body: bytes) -> None:
    """Whatever a connector that knows the secret asks, it is no fault of ours and opens nothing outside."""
    async with serving(tmp_path, delete_files=True) as far:
        for path in PATHS:
            reply = await post(far, path, body)
            assert reply.status_code in (200, 400, 409)
            if reply.status_code == 200:
                assert reply.json().get("looks", []) == []
                assert "name" not in reply.json()


async def test_other_requests(tmp_path: Path) -> None:
    """There is nothing else to ask for, and a question has an end."""
    async with serving(tmp_path) as far, httpx.AsyncClient() as client:
        assert (await client.get(far.address + wire.READ)).status_code == 405
        assert (await client.post(far.address + "/recording")).status_code == 404
        assert (await client.get(far.address + "/")).status_code == 404
        too_long = f"POST {wire.LOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: {wire.MOST_REQUESTED + 1}\r\n\r\n"
        stream = await trio.open_tcp_stream("127.0.0.1", int(far.address.rpartition(":")[2]))
        async with stream:
            await stream.send_all(too_long.encode())
            assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 413")


def files_open_in(root: Path) -> int:
    found = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{number}").startswith(f"{root}/")
        except FileNotFoundError:
            continue
    return found


async def test_nothing_stays_open(tmp_path: Path) -> None:
    """After any number of questions no file is open."""
    async with serving(tmp_path) as far:
        (far.root / "a.wav").write_bytes(SOUND)
        opened = (await post(far, wire.OPEN, json.dumps(ASKED).encode())).json()
        identity = [opened["inode"], opened["size"], opened["mtime_ns"]]
        read = json.dumps({**ASKED, "identity": identity, "start": 40, "length": 100}).encode()
        assert (await post(far, wire.READ, read)).content == SOUND[40:140]
        assert (await post(far, wire.READ, json.dumps({**ASKED, "identity": "x"}).encode())).status_code == 409
        assert files_open_in(far.root) == 0


async def test_directory_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a directory over there does not answer, the connector gets 503."""
    monkeypatch.setattr("uac_trio.recordings.directories.OPEN_WITHIN", 0.05)
    answers = threading.Event()
    monkeypatch.setattr("uac_trio.recordings.directories.find_recording", lambda *_: answers.wait(10))
    try:
        async with serving(tmp_path) as far:
            assert (await post(far, wire.OPEN, json.dumps(ASKED).encode())).status_code == 503
    finally:
        answers.set()
