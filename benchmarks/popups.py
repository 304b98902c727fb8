"""From the ring at the phone to the popup in a browser: a PBX, the real daemon, the stand-in CRM, Chromium.

    python benchmarks/popups.py [--calls N]

The events come over AMI, the daemon writes the row, the browser gets an event, asks the CRM once, shows the popup. The
page notes the time of the change itself, so that the browser's driver is not in the figure. Debian's package chromium.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser import CHROMIUM
from tests.daemon.world import open_world
from tests.demo.office import STREAM, Office, call, open_office
from tests.devtools import Page
from tests.fake_asterisk import FakeSession, error
from uac_trio.clock import now
from uac_trio.logs import LogSettings, configure_logging

CALLS = 40
SETTLES = 0.2
"""Seconds between two steps."""
NOTES = """
  window.changes = [];
  new MutationObserver(() => {
    const shown = document.querySelectorAll('.pbxcall').length, failed = document.querySelectorAll('.bad').length;
    window.changes.push({ at: Date.now(), shown, failed });
  }).observe(document.body, { childList: true, subtree: true });
"""


@attrs.frozen
class Figures:
    """Seconds, sorted."""

    shown: Sequence[float]
    gone: Sequence[float]
    refused: Sequence[float]


async def changed(page: Page, since: float, what: str) -> float:
    """Seconds from ``since`` until the page first changed so. A page's clock has milliseconds."""
    found = f"window.changes.find((each) => each.at >= {since * 1000 - 1} && {what})"
    await page.until(f"Boolean({found})")
    return max(0.0, float(await page.run(f"{found}.at")) / 1000 - since)


async def one_call(page: Page, pbx: FakeSession, number: int) -> tuple[float, float]:
    rings, is_answered, ends = call(number)
    began = now()
    await pbx.say(rings)
    shown = await changed(page, began, "each.shown === 1")
    await trio.sleep(SETTLES)
    await pbx.say(is_answered)
    await trio.sleep(SETTLES)
    ended = now()
    await pbx.say(ends)
    gone = await changed(page, ended, "each.shown === 0")
    await trio.sleep(SETTLES)
    return shown, gone


async def one_click(page: Page, number: int) -> float:
    """A click that the PBX refuses. Another number each time: the same within 5 s would be a double."""
    began = now()
    await page.run(f"Vtiger_PBXManager_Js.makeOutboundCall('+791612345{number:02}', 20)")
    took = await changed(page, began, "each.failed > 0")
    await page.run("document.querySelectorAll('.bad').forEach((box) => box.remove())")
    await trio.sleep(SETTLES)
    return took


async def measured(calls: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="uac-bench-") as folder:
        async with open_world(Path(folder)) as world, open_office(world, Path(folder), within=600) as office:
            world.pbx.reactions["Originate"] = lambda _, action: error(action, "Extension does not exist.")
            return await _in(office, calls)


async def _in(office: Office, calls: int) -> Figures:
    async with office.daemon() as pbx:
        page = await office.page()
        await page.until(f"{STREAM} === 'open'")
        await page.run(NOTES)
        await one_call(page, pbx, 9000)
        pairs = [await one_call(page, pbx, number) for number in range(calls)]
        refused = [await one_click(page, number) for number in range(9)]  # ten a minute are allowed
    return Figures(sorted(each[0] for each in pairs), sorted(each[1] for each in pairs), sorted(refused))


def in_words(seconds: Sequence[float]) -> str:
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return f"p50 {statistics.median(seconds):.3f} s, p95 {p95:.3f} s, most {seconds[-1]:.3f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=CALLS)
    arguments = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("chromium is not installed")
    configure_logging(LogSettings(level="error"))
    figures = trio.run(partial(measured, arguments.calls))
    print(f"ring at the phone to popup: {in_words(figures.shown)}")
    print(f"call over to popup gone: {in_words(figures.gone)}")
    print(f"click refused by the PBX to the reason: {in_words(figures.refused)}")


if __name__ == "__main__":
    main()
