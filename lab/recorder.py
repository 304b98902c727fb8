"""Records one AMI session: what the server sent, byte for byte, and when.

Two files (the format of the project's transcripts):
  OUT.ami    every byte received, in order, and nothing else;
  OUT.jsonl  one JSON object to a line, in order of time: {"t": seconds since the connection,
             "dir": "recv" | "send" | "note" | "eof", "data": text}. "recv" is one read of the socket (its ends are not
             message ends); bytes that are not UTF-8 by themselves come as "b64" in place of "data". "send" is what the
             client sent, "note" what happened on the phones, for checking against.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import trio

_closed = (trio.BrokenResourceError, trio.ClosedResourceError)


class Recorder:
    """An AMI session and its two files. Made by open_recorder()."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.buffer = bytearray()
        self._log: list[str] = []
        self.started = trio.current_time()
        self.started_at = datetime.now(UTC).timestamp()
        self.last = self.started
        self.closed = trio.Event()
        self._more = trio.Event()
        self._actions = 0

    def _write(self, direction: str, data: bytes | str) -> None:
        entry: dict[str, object] = {"t": round(trio.current_time() - self.started, 6), "dir": direction}
        try:
            entry["data"] = data.decode() if isinstance(data, bytes) else data
        except UnicodeDecodeError:
            assert isinstance(data, bytes)
            entry["b64"] = base64.b64encode(data).decode()
        self._log.append(json.dumps(entry, ensure_ascii=False) + "\n")

    @property
    def eof(self) -> bool:
        """Whether the server has closed the connection."""
        return self.closed.is_set()

    def note(self, text: str) -> None:
        """What happened outside AMI."""
        self._write("note", text)

    def save(self, out: Path) -> None:
        """Write OUT.ami and OUT.jsonl."""
        out.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{out}.ami").write_bytes(self.buffer)
        Path(f"{out}.jsonl").write_text("".join(self._log), encoding="utf-8")

    async def read(self) -> None:
        """Read until the server closes the connection."""
        while True:
            try:
                data = bytes(await self.stream.receive_some(65536))
            except _closed:
                data = b""
            if not data:
                break
            self._write("recv", data)
            self.buffer += data
            self.last = trio.current_time()
            self._wake()
        self._write("eof", "")
        self.closed.set()
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = trio.Event()

    async def send(self, data: str) -> None:
        """Send as it is."""
        self._write("send", data)
        await self.stream.send_all(data.encode())

    async def action(self, name: str, **headers: str) -> str:
        """Send an action; its ActionID comes back."""
        self._actions += 1
        action_id = headers.pop("ActionID", f"lab-{self._actions}")
        lines = [f"Action: {name}", f"ActionID: {action_id}", *(f"{key}: {value}" for key, value in headers.items())]
        await self.send("\r\n".join(lines) + "\r\n\r\n")
        return action_id

    async def wait_for(self, text: str, timeout: float = 10, start: int = 0) -> int:
        """Wait until the server has sent `text` at or after offset `start`; the offset behind it. TooSlowError else."""
        with trio.fail_after(timeout):
            while (found := self.buffer.find(text.encode(), start)) < 0:
                if self.eof:
                    raise trio.TooSlowError
                await self._more.wait()
        return found + len(text.encode())

    async def login(self, user: str, secret: str) -> None:
        """Log in; whether it was granted is in the transcript."""
        await self.wait_for("\r\n")
        action_id = await self.action("Login", Username=user, Secret=secret)
        await self.wait_for(f"ActionID: {action_id}")

    async def quiet(self, seconds: float = 0.7, limit: float = 6) -> None:
        """Wait until nothing has come for `seconds`, at most `limit`."""
        begin = trio.current_time()
        while trio.current_time() < begin + limit and not self.eof:
            if trio.current_time() - max(self.last, begin) > seconds:
                return
            await trio.sleep(0.05)

    def messages(self) -> list[dict[str, str]]:
        """What was received so far; good enough for looking things up, not a parser."""
        messages = []
        for block in self.buffer.decode("utf-8", "replace").split("\r\n\r\n"):
            message: dict[str, str] = {}
            for line in block.split("\r\n"):
                key, colon, value = line.partition(":")
                if colon:
                    message.setdefault(key, value.strip())
            if message:
                messages.append(message)
        return messages


@asynccontextmanager
async def open_recorder(out: Path, host: str, port: int) -> AsyncIterator[Recorder]:
    """Connect and record into OUT.ami and OUT.jsonl until the block ends; then log off.

    Raises OSError where the server cannot be reached.
    """
    with trio.fail_after(10):
        stream = await trio.open_tcp_stream(host, port)
    recorder = Recorder(stream)
    try:
        async with stream, trio.open_nursery() as nursery:
            nursery.start_soon(recorder.read)
            yield recorder
            with trio.move_on_after(2):
                if not recorder.eof:
                    await recorder.action("Logoff")
                await recorder.closed.wait()
            nursery.cancel_scope.cancel()
    finally:
        recorder.save(out)
