"""The stand-in CRM's page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from quart import Response, request
from quart_trio import QuartTrio

from tests.browser import chromium, needs_chromium
from uac_trio.demo import crm_app, run

# A page around the CRM's page: it clicks where a listener would, and posts what the player does.
LISTENER = """<!doctype html><title>x</title><iframe id="crm" src="/"></iframe><script>
const crm = document.getElementById("crm");
const report = (what, player) => fetch("/reports", { method: "POST", body: JSON.stringify({
  what, at: player.currentTime, duration: player.duration, src: player.src,
  error: player.error && player.error.message, shown: player.offsetHeight > 0 }) });
setInterval(() => {
  const page = crm.contentDocument;
  const button = page && page.querySelector("button.recorded");
  const player = page && page.getElementById("player");
  if (!button || player.ontimeupdate) return;
  player.onerror = () => report("error", player);
  player.ontimeupdate = () => { if (player.currentTime > 0.2) report("plays", player); };
  button.click();
}, 100);
</script>"""


@needs_chromium
async def test_recording_plays_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A click on a row's recording plays it, through ListenRecord as in SalesPlatform."""
    monkeypatch.setattr(run, "STAYS_SETTLED", 0.1)
    monkeypatch.setattr("uac_trio.recordings.awaiting.SETTLE", 0.1)
    reports: dict[str, Any] = {}
    heard = trio.Event()
    create = crm_app.create_crm_app

    async def listener() -> Response:
        return Response(LISTENER, content_type="text/html")

    async def receive() -> str:
        report = await request.get_json(force=True)
        reports[report["what"]] = report
        heard.set()
        return ""

    def with_listener(*args: Any, **more: Any) -> QuartTrio:
        app = create(*args, **more)
        app.add_url_rule("/listener", "listener", listener)
        app.add_url_rule("/reports", "receive", receive, methods=["POST"])
        return app

    policy = crm_app._HEADERS["Content-Security-Policy"]
    ours = policy.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'; frame-src 'self'")
    monkeypatch.setitem(crm_app._HEADERS, "Content-Security-Policy", ours)
    monkeypatch.setattr(crm_app, "create_crm_app", with_listener)
    with trio.fail_after(40):
        async with run.open_demo(pace=20) as demo:
            await demo.run_pass([("inbound_answered", 0.0)])
            async with chromium(tmp_path, f"{demo.address}/listener"):
                await heard.wait()
    assert "error" not in reports
    assert reports["plays"]["duration"] == 3
    assert reports["plays"]["shown"]
    assert "action=ListenRecord" in reports["plays"]["src"]
