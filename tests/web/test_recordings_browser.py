"""Recordings in a real browser: with a stock vTiger's link it plays and seeks, by parts of the file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import trio
from quart import Response, request
from quart_trio import QuartTrio

from tests.browser import chromium, needs_chromium
from tests.recordings.sounds import AT, TOKEN, row, wav
from uac_trio.recordings.archive import open_archive
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.web.recordings import Playback, add_recordings
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

MINUTES = 20
SEEK_TO = 1000
PAGE = f"""<!doctype html><title>x</title>
<audio id="player" preload="metadata" src="/recording?id={TOKEN}"></audio>
<script>
const player = document.getElementById("player");
const report = (what) => fetch("/report", {{ method: "POST", body: JSON.stringify({{
  what, at: player.currentTime, duration: player.duration,
  seekable: player.seekable.length ? player.seekable.end(0) : 0, error: player.error && player.error.message }}) }});
player.onerror = () => report("error");
player.onloadedmetadata = () => {{ player.play(); }};
let sought = false;
player.ontimeupdate = () => {{
  if (!sought && player.currentTime > 0) {{ sought = true; report("plays"); player.currentTime = {SEEK_TO}; }}
  else if (sought && player.currentTime > {SEEK_TO}) {{ player.ontimeupdate = null; report("plays on"); }}
}};
</script>"""


@needs_chromium
async def test_browser_plays_and_seeks(tmp_path: Path) -> None:
    """The audio element plays a long recording from its beginning, then from where the listener jumps to."""
    root = tmp_path / "monitor"
    root.mkdir()
    second = wav(1)[44:]
    (root / "a.wav").write_bytes(wav(0, size=len(second) * 60 * MINUTES) + second * 60 * MINUTES)

    async def find(token: str) -> RecordingRow | None:
        await trio.lowlevel.checkpoint()
        return row("a.wav") if token == TOKEN else None

    reports: dict[str, Any] = {}
    ranges: list[str] = []
    played_on = trio.Event()
    shutdown = trio.Event()
    app = QuartTrio(__name__, static_folder=None)

    async def page() -> Response:
        return Response(PAGE, content_type="text/html")

    async def hear() -> str:
        said = await request.get_json(force=True)
        reports[said["what"]] = said
        if said["what"] in ("plays on", "error"):
            played_on.set()
        return ""

    @app.before_request
    async def note() -> None:
        ranges.append(request.headers.get("Range", ""))

    app.add_url_rule("/", "page", page)
    app.add_url_rule("/report", "hear", hear, methods=["POST"])
    with trio.fail_after(40):
        async with (
            open_archive(
                RecordingsSettings(), roots={"main": (str(root),)}, cache=tmp_path, find=find, now=lambda: AT
            ) as archive,
            trio.open_nursery() as nursery,
        ):
            add_recordings(app, Playback(archive=archive, secret="s", needs_secret=False))
            settings = WebSettings(bind="127.0.0.1:0", grace_seconds=0.5)
            (address,) = await nursery.start(partial(serve_web, app, settings, shutdown=shutdown))
            async with chromium(tmp_path, address):
                await played_on.wait()
            shutdown.set()
    assert "error" not in reports
    assert reports["plays"]["duration"] == reports["plays"]["seekable"] == 60 * MINUTES
    assert SEEK_TO < reports["plays on"]["at"] < SEEK_TO + 20
    starts = [int(one.removeprefix("bytes=").partition("-")[0]) for one in ranges if one]
    assert max(starts) > len(second) * SEEK_TO * 0.9
