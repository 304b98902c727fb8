from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog.testing
import trio
from quart_trio import QuartTrio

from tests.browser import chromium, needs_chromium
from tests.daemon.test_watching import NOW, Scene, around, ended, phone_rings
from uac_trio.calls.click import ClickResult
from uac_trio.calls.fact import Oddity
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.live_page import live_state
from uac_trio.networks import PRIVATE_NETWORKS
from uac_trio.web import monitor as room
from uac_trio.web.monitor import Monitor, add_monitor, clock, page_template, span
from uac_trio.web.own_hosts import own_hosts
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


@attrs.define
class FakeDaemon:
    state: Mapping[str, Any]
    looks: int = 0

    async def live(self) -> Mapping[str, Any]:
        await trio.lowlevel.checkpoint()
        self.looks += 1
        return self.state

    async def metrics(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"uac_live_calls 0.0\n"


def app_with(daemon: FakeDaemon) -> QuartTrio:
    app = QuartTrio("test", static_folder=None)
    networks = PRIVATE_NETWORKS
    add_monitor(
        app,
        Monitor(
            live=daemon.live,
            metrics=daemon.metrics,
            metrics_type="text/plain; version=0.0.4",
            networks=networks,
            hosts=own_hosts("uac.lan", "https://uac.example.org/x", "pbx1", ["Calls.Example.org."]),
        ),
    )
    return app


async def asked(app: QuartTrio, path: str, client: str = "127.0.0.1", host: str = "localhost") -> tuple[int, str, Any]:
    reply = await app.test_client().get(path, headers={"Host": host}, scope_base={"client": (client, 40000)})
    return reply.status_code, await reply.get_data(as_text=True), reply.headers


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def busy_state() -> dict[str, Any]:
    scene = Scene()
    scene.play("asterisk22/inbound_ringgroup_answered")
    scene.answer(scene.deliveries[0], Ruling.PARKED, "refused")
    scene.play("asterisk22/outbound_answered", until=2.0)
    return scene.state()


async def test_page() -> None:
    """/live is one page without anything from elsewhere, whose policy lets run what carries its nonce."""
    status, page, headers = await asked(app_with(FakeDaemon(busy_state())), "/live")
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    seen = Seen(page)
    assert [found["nonce"] for tag, found in seen.tags if tag in ("script", "style")] == [nonce, nonce]
    addresses = [value for _, found in seen.tags for name, value in found.items() if name in ("src", "href")]
    assert addresses == ["data:,"]
    assert not [name for _, found in seen.tags for name in found if name.startswith("on") or name == "style"]
    for words in ("Calls in progress", "inbound from", "+7916***4567", "102 completed", "refused by the CRM, parked"):
        assert words in " ".join(seen.text.split())
    assert {"content": "5", "http-equiv": "refresh"} in [found for tag, found in seen.tags if tag == "meta"]


async def test_a_nonce_for_each_page() -> None:
    """Each page has a nonce of its own."""
    app = app_with(FakeDaemon(busy_state()))
    pages = [(await asked(app, "/live"))[2]["Content-Security-Policy"] for _ in range(3)]
    assert len(set(pages)) == 3


def evil(value: Any) -> Any:
    """The same state, and in each text of it what a stranger would like to have there."""
    match value:
        case dict():
            return {key: evil(each) for key, each in value.items()}
        case list():
            return [evil(each) for each in value]
        case str():
            return value + EVIL
        case _:
            return value


def test_everything_is_escaped() -> None:
    """No text of any origin makes a tag or an attribute."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered")
    scene.watching.observe(phone_rings(5), [])
    scene.watching.observe(ended(6, ClickResult("completed", "w")), [])
    scene.watching.observe(Oddity(call_id="main-1", at=NOW, because="odd"), [])
    state = live_state(scene.watching, around(NOW))
    state["findings"] = [{"words": "w", "remedy": "r", "since": NOW, "condition": "c", "severity": "s", "pbx": "p"}]
    state["parked"] = [
        {"id": 1, "call_id": "c", "extension": "e", "kind": "k", "parked_at": NOW, "tries": 1, "reason": "r"}
    ]
    state["clicks"] = [{"at": NOW, "pbx": "p", "extension": "e", "number": "n", "words": "w"}]
    state["crm"]["trouble"] = state["outbox"]["trouble"] = state["pbx"][0]["last_error"] = "t"
    page = page_template().render(state=evil(state), nonce="n")
    seen = Seen(page)
    assert [tag for tag, _ in seen.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in seen.tags]
    assert not [name for _, found in seen.tags for name in found if name.startswith("on")]
    assert seen.text.count("alert(1)") > 40


async def test_json() -> None:
    """/live.json has what the page shows."""
    app = app_with(FakeDaemon(busy_state()))
    reply = await app.test_client().get("/live.json", scope_base={"client": ("::1", 1)})
    state = await reply.get_json()
    assert state["ended"][0]["status"] == "completed"
    assert state["calls"][0]["direction"] == "outbound"


async def test_metrics() -> None:
    """/metrics is the figures, in the type that they say."""
    _, page, headers = await asked(app_with(FakeDaemon({})), "/metrics")
    assert (page, headers["Content-Type"]) == ("uac_live_calls 0.0\n", "text/plain; version=0.0.4")


@pytest.mark.parametrize("path", ["/live", "/live.json", "/metrics"])
async def test_strangers(path: str) -> None:
    """Who is in no allowed network gets nothing but the name of the setting, and a line in the log."""
    daemon = FakeDaemon({"secret": "calls"})
    app = app_with(daemon)
    with structlog.testing.capture_logs() as log:
        status, page, _ = await asked(app, path, "203.0.113.9")
    assert (status, daemon.looks) == (403, 0)
    assert "monitor_networks of [http]" in page
    assert (log[0]["event"], log[0]["client"]) == ("monitor.refused", "203.0.113.9")


@pytest.mark.parametrize("path", ["/live", "/live.json", "/metrics"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example.:80", "x",
     "uac.example.org.evil.example", "localhost, evil.example", "localhost@evil.example"],
)  # fmt: skip
async def test_stranger_s_name(path: str, host: str) -> None:
    """A page of another name, whose address has become ours, gets nothing but the name of the setting."""
    daemon = FakeDaemon({"secret": "calls"})
    with structlog.testing.capture_logs() as log:
        status, page, _ = await asked(app_with(daemon), path, host=host)
    assert (status, daemon.looks) == (403, 0)
    assert "monitor_hosts of [http]" in page
    assert (log[0]["event"], log[0]["host"]) == ("monitor.refused", host)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:5000", "127.0.0.1:5000", "192.168.1.5", "[::1]:5000", "[fd00::5]", "uac.lan:5000", "pbx1",
     "uac.example.org", "UAC.example.org.:443", "calls.example.org:8443", ""],
)  # fmt: skip
async def test_own_names(host: str) -> None:
    """The server's own names and every address are answered, with and without a port."""
    status, _, _ = await asked(app_with(FakeDaemon(busy_state())), "/live.json", host=host)
    assert status == 200


async def test_many_who_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a second all are served by one look, so that open pages cost the AMI reader nothing."""
    daemon = FakeDaemon(busy_state())
    app = app_with(daemon)
    for _ in range(5):
        await asked(app, "/live")
    assert daemon.looks == 1
    monkeypatch.setattr(room, "FRESH", 0.0)
    app = app_with(daemon)
    for _ in range(2):
        await asked(app, "/live.json")
    assert daemon.looks == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (-3, "0.0 s"), (0, "0.0 s"), (0.032, "0.03 s"), (1.04, "1.0 s"), (9.96, "10 s"), (59.4, "59 s"),
     (185, "3:05 min"), (7500, "2 h 05 min"), (400_000, "4 days")],
)  # fmt: skip
def test_spans(seconds: float | None, words: str) -> None:
    """Spans of time are shown in the units that people use."""
    assert span(seconds) == words


def test_clock() -> None:
    """A moment of today is a time of day, another has its date."""
    assert re.fullmatch(r"\d\d:\d\d:\d\d", clock(NOW, NOW + 1))
    assert re.fullmatch(r"\d\d \w{3} \d\d:\d\d:\d\d", clock(NOW, NOW + 200_000))
    assert clock(None, NOW) == "–"


@needs_chromium
async def test_a_browser_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a real browser the page's own script runs under its policy and asks again and again."""
    monkeypatch.setattr(room, "FRESH", 0.0)
    daemon = FakeDaemon(busy_state())
    async with trio.open_nursery() as nursery:
        shutdown = trio.Event()
        serve = partial(serve_web, app_with(daemon), WebSettings(bind="127.0.0.1:0"), shutdown=shutdown)
        (address,) = await nursery.start(serve)
        with trio.fail_after(30):
            async with chromium(tmp_path, f"{address}/live"):
                while daemon.looks < 3:  # noqa: ASYNC110  the browser's affair
                    await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
