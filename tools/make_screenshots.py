"""Writes docs/images/: the pages of the connector and of the demo's CRM, as Chromium shows them.

    python -m tools.make_screenshots [FOLDER]

Runs the demo for half a minute. Needs Debian's package ``chromium``. No test compares the images: each run has other
times.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from uac_trio.calls.call import Direction
from uac_trio.calls.participation import Role
from uac_trio.clock import now
from uac_trio.config.loading import Config
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.demo.run import SCHEDULE, open_demo
from uac_trio.logs import LogSettings, configure_logging
from uac_trio.store.outbox import Exchange, open_outbox
from uac_trio.store.rows import LeaseRequest, Parked

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"
QUIETLY = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip
PLAYED = 13.5
"""Seconds of the demo's schedule after which calls ring, are talked on and are over."""
WAIT = 20.0
COUNTED_WITHIN = 12.0
"""Seconds after which the daemon has counted what is new in its store."""


@attrs.frozen(kw_only=True)
class Shot:
    name: str
    page: str
    """``live`` or ``crm``."""
    width: int
    height: int
    dark: bool = False
    language: str = "en"
    opened: bool = False
    """With the latest call that ended open."""


SHOTS = (
    Shot(name="live-en", page="live", width=1400, height=900, opened=True),
    Shot(name="live-ru", page="live", width=1400, height=900, language="ru", opened=True),
    Shot(name="live-phone-en", page="live", width=390, height=900),
    Shot(name="live-phone-ru-dark", page="live", width=390, height=900, language="ru", dark=True),
    Shot(name="demo-dark", page="crm", width=1400, height=900, dark=True),
)
AFTER_A_DEAD_LETTER = (
    Shot(name="dead-letter-en", page="live", width=1400, height=560, dark=True),
    Shot(name="dead-letter-ru", page="live", width=1400, height=560, language="ru"),
)


@attrs.define
class Browser:
    """Chromium by its DevTools protocol over two pipes: JSON, each message ended by a NUL."""

    to: trio.lowlevel.FdStream
    from_: trio.lowlevel.FdStream
    _number: int = 0
    _rest: bytes = b""

    async def ask(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        await self.to.send_all(json.dumps(message).encode() + b"\0")
        with trio.fail_after(WAIT):
            while True:
                answer = await self._message()
                if answer.get("id") == self._number:
                    if "error" in answer:
                        raise RuntimeError(f"{method}: {answer['error']}")
                    result: dict[str, Any] = answer["result"]
                    return result

    async def _message(self) -> Mapping[str, Any]:
        while b"\0" not in self._rest:
            self._rest += await self.from_.receive_some()
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    async def shoot(self, url: str, shot: Shot, path: Path) -> None:
        target = await self.ask("Target.createTarget", url="about:blank")
        session = (await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        await self.ask(
            "Emulation.setDeviceMetricsOverride", session, width=shot.width, height=shot.height, deviceScaleFactor=1,
            mobile=shot.width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if shot.dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", session, features=[scheme])
        await self.ask("Network.enable", session)
        await self.ask("Network.setExtraHTTPHeaders", session, headers={"Accept-Language": shot.language})
        await self.ask("Page.enable", session)
        await self.ask("Page.navigate", session, url=url)
        await trio.sleep(1.5)
        if shot.opened:
            script = (
                "[...document.querySelectorAll('details')].find((one) => one.querySelector('.pill.good')).open = true"
            )
            await self.ask("Runtime.evaluate", session, expression=script)
        image = await self.ask("Page.captureScreenshot", session, format="png")
        await trio.Path(path).write_bytes(base64.b64decode(image["data"]))
        await self.ask("Target.closeTarget", targetId=target["targetId"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("chromium is not installed: apt install chromium")
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()

    def as_three_and_four() -> None:
        # The browser reads from 3 and writes to 4.
        spare_in, spare_out = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(spare_in, 3)
        os.dup2(spare_out, 4)

    with tempfile.TemporaryDirectory(prefix="screenshots-") as home:
        process = subprocess.Popen(  # noqa: ASYNC220 - it is there at once; the program is the machine's own
            [program, *QUIETLY, f"--user-data-dir={home}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": home},
            pass_fds=(3, 4, theirs_in, theirs_out),
            preexec_fn=as_three_and_four,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        browser = Browser(trio.lowlevel.FdStream(ours_out), trio.lowlevel.FdStream(ours_in))
        try:
            yield browser
        finally:
            process.kill()
            await trio.to_thread.run_sync(process.wait)
            await browser.to.aclose()
            await browser.from_.aclose()


async def park_one(config: Config) -> None:
    """What the CRM would refuse for good: put, leased and settled before the daemon's sender sees it."""
    at = now()
    begin = Delivery(
        kind=Kind.BEGIN, pbx="demo", call_id="demo-1795413750.28", subject="104", occurrence="1", extension="104",
        role=Role.CALLEE, direction=Direction.INBOUND, customer="+79161234567", at=at, began_at=at,
    )  # fmt: skip
    async with open_outbox(config.store) as outbox:
        take = LeaseRequest(owner="screenshots", limit=1, seconds=60)
        (row,) = (await outbox.exchange(Exchange(put=[begin], lease=take), at)).leased
        await outbox.settle(row, Parked(reason="vTiger answers: no user has the extension 104"), at)


def smaller(path: Path) -> None:
    """A palette of 64 colours is a third of the size. Debian's package ``pngquant``."""
    if shutil.which("pngquant") is not None:
        command = ["pngquant", "--force", "--skip-if-larger", "--ext", ".png", "64", str(path)]
        subprocess.run(command, check=False)


async def make(folder: Path) -> None:
    await trio.Path(folder).mkdir(parents=True, exist_ok=True)
    configure_logging(LogSettings(level="warning"))
    async with open_demo() as demo, trio.open_nursery() as nursery:
        nursery.start_soon(demo.run_pass, SCHEDULE)
        await trio.sleep(PLAYED)
        async with chromium() as browser:

            async def shoot(shot: Shot) -> None:
                path = folder / f"{shot.name}.png"
                url = f"{demo.connector}/live" if shot.page == "live" else f"{demo.address}/"
                await browser.shoot(url, shot, path)
                await trio.to_thread.run_sync(smaller, path)
                print(path)

            for shot in SHOTS:
                await shoot(shot)
            await park_one(demo.config)
            await trio.sleep(COUNTED_WITHIN)
            for shot in AFTER_A_DEAD_LETTER:
                await shoot(shot)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(make, Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
