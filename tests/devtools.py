"""A headless Chromium that a test drives: pages, scripts in them, cookies. By the DevTools protocol over a pipe."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.browser import CHROMIUM, QUIETLY

POLL = 0.005
"""Seconds between two looks at a condition in a page."""


class ScriptError(Exception):
    """What a script in a page raised."""


@attrs.define(eq=False)
class Browser:
    """One profile: its pages share cookies and shared workers."""

    _to: trio.abc.SendStream
    _ids: itertools.count[int] = attrs.field(factory=itertools.count, init=False)
    _sending: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _answers: dict[int, trio.MemorySendChannel[Any]] = attrs.field(factory=dict, init=False)

    async def call(self, method: str, session: str = "", **parameters: Any) -> Any:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        send, receive = trio.open_memory_channel[Any](1)
        self._answers[number] = send
        async with self._sending:
            await self._to.send_all(json.dumps(message).encode() + b"\0")
        answer = await receive.receive()
        if "error" in answer:
            raise ScriptError(answer["error"]["message"])
        return answer["result"]

    async def open(self, url: str) -> Page:
        """A new page in a window of its own, so that it is visible, with everything loaded."""
        target = (await self.call("Target.createTarget", url="about:blank", newWindow=True))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = Page(self, target, session)
        await page.go(url)
        return page

    async def read(self, stream: trio.abc.ReceiveStream) -> None:
        waiting = b""
        async for data in stream:
            *messages, waiting = (waiting + data).split(b"\0")
            for message in map(json.loads, messages):
                if (send := self._answers.pop(message.get("id", -1), None)) is not None:
                    send.send_nowait(message)


@attrs.frozen(eq=False)
class Page:
    browser: Browser
    target: str
    session: str

    async def go(self, url: str) -> None:
        await self.browser.call("Page.navigate", self.session, url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise. Raises ScriptError."""
        found = await self.browser.call(
            "Runtime.evaluate", self.session, expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise ScriptError(found["exceptionDetails"].get("exception", {}).get("description", "an error"))
        return found["result"].get("value")

    async def until(self, script: str, seconds: float = 30.0) -> float:
        """Until the expression is true; returns trio's clock then. Raises TooSlowError."""
        with trio.fail_after(seconds):
            while True:
                try:
                    if await self.run(script):
                        return trio.current_time()
                except ScriptError:
                    pass  # the page is being left
                await trio.sleep(POLL)

    async def close(self) -> None:
        await self.browser.call("Target.closeTarget", targetId=self.target)


@asynccontextmanager
async def open_browser(tmp_path: Path, *more: str) -> AsyncIterator[Browser]:
    """Ends with the block. ``more``: further arguments of Chromium."""
    home = tmp_path / "chromium"
    home.mkdir(exist_ok=True)
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    command = [str(CHROMIUM), *QUIETLY, *more, f"--user-data-dir={home}", "--remote-debugging-pipe", "about:blank"]
    process = await trio.lowlevel.open_process(
        ["bash", "-c", f"exec {shlex.join(command)} 3<&{their_in} 4>&{their_out}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        pass_fds=(their_in, their_out),
        start_new_session=True,
    )
    os.close(their_in)
    os.close(their_out)
    try:
        async with trio.lowlevel.FdStream(our_out) as to, trio.lowlevel.FdStream(our_in) as back:
            async with trio.open_nursery() as nursery:
                browser = Browser(to)
                nursery.start_soon(browser.read, back)
                yield browser
                nursery.cancel_scope.cancel()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
