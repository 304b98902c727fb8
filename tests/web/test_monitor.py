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
from quart import Response, request
from quart_trio import QuartTrio

from tests.browser import chromium, needs_chromium
from tests.daemon.test_watching import NOW, Scene, around, ended, phone_rings
from uac_trio.calls.click import ClickResult
from uac_trio.calls.fact import Oddity
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.live_page import live_state
from uac_trio.networks import PRIVATE_NETWORKS
from uac_trio.web import monitor as room
from uac_trio.web.live_texts import Language
from uac_trio.web.live_view import clock, render, span
from uac_trio.web.monitor import Monitor, RetryError, add_monitor
from uac_trio.web.own_hosts import own_hosts
from uac_trio.web.server import serve_web
from uac_trio.web.settings import WebSettings

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


@attrs.define
class FakeDaemon:
    state: Mapping[str, Any]
    looks: int = 0
    retried: list[int] = attrs.field(factory=list)
    dead: set[int] = attrs.field(factory=lambda: {7})
    trouble: str = ""

    async def retry(self, row_id: int) -> int:
        await trio.lowlevel.checkpoint()
        if self.trouble:
            raise RetryError(self.trouble)
        self.retried.append(row_id)
        if row_id not in self.dead:
            return 0
        self.dead.remove(row_id)
        self.state = {**self.state, "parked": []}
        return 2

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
            retry=daemon.retry,
            networks=networks,
            hosts=own_hosts("uac.lan", "https://uac.example.org/x", "pbx1", ["Calls.Example.org."]),
        ),
    )
    return app


async def asked(
    app: QuartTrio, path: str, client: str = "127.0.0.1", host: str = "localhost", **headers: str
) -> tuple[int, str, Any]:
    given = {"Host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    reply = await app.test_client().get(path, headers=given, scope_base={"client": (client, 40000)})
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


PARKED = {
    "id": 7,
    "call_id": "main-1",
    "extension": "101",
    "kind": "begin",
    "parked_at": NOW,
    "tries": 2,
    "reason": "no",
}


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
    for words in (
        "Calls in progress",
        "inbound from",
        "+7916***4567",
        "102 completed",
        "refused by the CRM, a dead letter",
    ):
        assert words in " ".join(seen.text.split())
    assert {"content": "5", "http-equiv": "refresh"} in [found for tag, found in seen.tags if tag == "meta"]


async def test_a_nonce_for_each_page() -> None:
    """Each page has a nonce of its own."""
    app = app_with(FakeDaemon(busy_state()))
    pages = [(await asked(app, "/live"))[2]["Content-Security-Policy"] for _ in range(3)]
    assert len(set(pages)) == 3


CODES = {"direction", "kind", "state", "status", "outcome", "does", "why_nothing", "condition", "severity", "type"}
"""What has a text in the catalogue: never from a stranger."""


def evil(value: Any) -> Any:
    """The same state, and in each text of it what a stranger would like to have there."""
    match value:
        case dict():
            return {key: each if key in CODES else evil(each) for key, each in value.items()}
        case list():
            return [evil(each) for each in value]
        case str():
            return value + EVIL
        case _:
            return value


@pytest.mark.parametrize("language", Language)
def test_everything_is_escaped(language: Language) -> None:
    """No text of any origin makes a tag or an attribute."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered")
    scene.watching.observe(phone_rings(5), [])
    scene.watching.observe(ended(6, ClickResult("completed", "w")), [])
    scene.watching.observe(Oddity(call_id="main-1", at=NOW, because="odd"), [])
    state = live_state(scene.watching, around(NOW))
    state["findings"] = [{"words": "w", "remedy": "r", "since": NOW, "condition": "c", "severity": "s", "pbx": "p"}]
    state["parked"] = [PARKED]
    state["clicks"] = [{"at": NOW, "pbx": "p", "extension": "e", "number": "n", "words": "w"}]
    state["crm"]["trouble"] = state["outbox"]["trouble"] = state["pbx"][0]["last_error"] = "t"
    page = render(evil(state), language=language, nonce="n", token="t")
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


@pytest.mark.parametrize(
    ("accepted", "language", "words"),
    [
        ("", "en", "Calls in progress"),
        ("en-GB,en;q=0.9", "en", "Calls in progress"),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", "ru", "Идут сейчас"),
        ("de,ru;q=0.5,en;q=0.4", "ru", "Идут сейчас"),
        ("en,ru;q=0.5", "en", "Calls in progress"),
        ("de", "en", "Calls in progress"),
    ],
)
async def test_language(accepted: str, language: str, words: str) -> None:
    """The page is in the language that the browser wants more, in English where it wants neither."""
    _, page, headers = await asked(app_with(FakeDaemon(busy_state())), "/live", Accept_Language=accepted)
    assert words in page
    assert f'<html lang="{language}">' in page
    assert (headers["Content-Language"], headers["Vary"]) == (language, "Accept-Language")


async def test_refusal_in_russian() -> None:
    """Who may not see the page reads why in their language too."""
    _, words, _ = await asked(app_with(FakeDaemon({})), "/live", "203.0.113.9", Accept_Language="ru")
    assert words == "Отказано: вашего адреса нет в monitor_networks раздела [http] настроек.\n"


async def test_home() -> None:
    """/ leads to the page; other networks do not learn that there is one."""
    app = app_with(FakeDaemon({}))
    status, _, headers = await asked(app, "/")
    assert (status, headers["Location"]) == (303, "/live")
    assert (await asked(app, "/", "203.0.113.9"))[:2] == (404, "Error")


def dead_letter() -> dict[str, Any]:
    return {**busy_state(), "parked": [PARKED]}


async def token_of(app: QuartTrio) -> str:
    seen = Seen((await asked(app, "/live"))[1])
    (token,) = [found["value"] for tag, found in seen.tags if tag == "input" and found.get("name") == "token"]
    assert token
    return token


async def posted(
    app: QuartTrio, token: str, number: str = "7", client: str = "127.0.0.1", **headers: str
) -> tuple[int, str, Any]:
    given = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    reply = await app.test_client().post(
        "/live/retry", form={"token": token, "number": number}, headers=given, scope_base={"client": (client, 40000)}
    )
    return reply.status_code, await reply.get_data(as_text=True), reply.headers


OURS = {"Origin": "http://localhost", "Sec_Fetch_Site": "same-origin"}


async def test_retry() -> None:
    """The button sends a dead letter again, leads back to the page, and the page is a new one at once."""
    app = app_with(daemon := FakeDaemon(dead_letter()))
    token = await token_of(app)
    status, _, headers = await posted(app, token, **OURS)
    assert (status, headers["Location"], daemon.retried) == (303, "/live#dead", [7])
    assert "Send again" not in (await asked(app, "/live"))[1]


async def test_retry_by_a_script() -> None:
    """A client without a browser's headers needs the token of the page alone."""
    app = app_with(daemon := FakeDaemon(dead_letter()))
    assert (await posted(app, await token_of(app)))[0] == 303
    assert daemon.retried == [7]


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"token": ""}, 403, "this did not come from the page itself"),
        ({"token": "guessed"}, 403, "this did not come from the page itself"),
        ({"token": "й"}, 403, "this did not come from the page itself"),
        ({"Origin": "http://evil.example"}, 403, "this did not come from the page itself"),
        ({"Origin": "null"}, 403, "this did not come from the page itself"),
        ({"Sec_Fetch_Site": "cross-site"}, 403, "this did not come from the page itself"),
        ({"Sec_Fetch_Site": "same-site"}, 403, "this did not come from the page itself"),
        ({"client": "203.0.113.9"}, 403, "monitor_networks of [http]"),
        ({"Host": "evil.example"}, 403, "monitor_hosts of [http]"),
        ({"number": "x"}, 400, "this did not come from the page itself"),
        ({"number": "-1"}, 400, "this did not come from the page itself"),
        ({"number": "9" * 30}, 400, "this did not come from the page itself"),
    ],
    ids=str,
)
async def test_no_retry(changed: dict[str, str], status: int, words: str) -> None:
    """What does not come from our own page, seen by who may see it, changes nothing."""
    app = app_with(daemon := FakeDaemon(dead_letter()))
    given = {"token": await token_of(app), **OURS, **changed}
    with structlog.testing.capture_logs():
        answer = await posted(app, **given)
    assert (answer[0], daemon.retried) == (status, [])
    assert words in answer[1]


async def test_retry_of_what_is_gone() -> None:
    """A second click, or a dead letter that was dropped meanwhile, is answered in words."""
    app = app_with(FakeDaemon(dead_letter()))
    status, words, _ = await posted(app, await token_of(app), "8", **OURS)
    assert (status, words[:36]) == (409, "This is no dead letter any more: it ")


async def test_retry_while_the_store_is_away() -> None:
    """The reason is on the page that the click leads to."""
    app = app_with(FakeDaemon(dead_letter(), trouble="database is locked"))
    status, words, _ = await posted(app, await token_of(app), **OURS)
    assert (status, words) == (503, "It was not sent again: database is locked\n")


async def test_retry_by_a_link() -> None:
    """A GET changes nothing."""
    app = app_with(daemon := FakeDaemon(dead_letter()))
    status, _, _ = await asked(app, f"/live/retry?token={await token_of(app)}&number=7")
    assert (status, daemon.retried) == (405, [])


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


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.032, "0.03 с"), (59.4, "59 с"), (185, "3:05 мин"), (7500, "2 ч 05 мин"), (400_000, "4 дн.")],
)
def test_spans_in_russian(seconds: float, words: str) -> None:
    """With the same units in Russian."""
    assert span(seconds, Language.RUSSIAN) == words


def test_clock() -> None:
    """A moment of today is a time of day, another has its date."""
    assert re.fullmatch(r"\d\d:\d\d:\d\d", clock(NOW, NOW + 1))
    assert re.fullmatch(r"\d\d \w{3} \d\d:\d\d:\d\d", clock(NOW, NOW + 200_000))
    assert re.fullmatch(r"\d\d\.\d\d\. \d\d:\d\d:\d\d", clock(NOW, NOW + 200_000, Language.RUSSIAN))
    assert clock(None, NOW) == "–"


CLICKER = """<!doctype html><title>x</title><iframe id="live" src="/live"></iframe><script>
const page = () => document.getElementById("live").contentDocument;
const clicking = setInterval(() => {
  const button = page() && page().querySelector("form button");
  if (button) { clearInterval(clicking); button.click(); }
}, 50);
</script>"""


@needs_chromium
async def test_a_browser_sends_a_dead_letter_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a real browser the button works: its headers and the page's policy let the form through."""
    monkeypatch.setattr(room, "_POLICY", room._POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'"))
    app = app_with(daemon := FakeDaemon(dead_letter()))

    async def clicker() -> Response:
        return Response(CLICKER, content_type="text/html")

    app.add_url_rule("/clicker", "clicker", clicker)
    async with trio.open_nursery() as nursery:
        serve = partial(serve_web, app, WebSettings(bind="127.0.0.1:0"), shutdown=trio.Event())
        (address,) = await nursery.start(serve)
        with trio.fail_after(30):
            async with chromium(tmp_path, f"{address}/clicker"):
                while not daemon.retried:  # noqa: ASYNC110  the browser's affair
                    await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert daemon.retried == [7]


MEASURER = """<!doctype html><title>x</title>
<iframe id="live" src="/live" style="width: WIDTHpx; height: 900px"></iframe>
<script>
document.getElementById("live").onload = (event) => {
  const page = event.target.contentDocument;
  for (const one of page.querySelectorAll("details")) one.open = true;
  const words = [...page.querySelectorAll("h2")].map((one) => one.textContent);
  fetch("/measured", { method: "POST", body: JSON.stringify({
    lang: page.documentElement.lang, scrolls: page.documentElement.scrollWidth, width: page.documentElement.clientWidth,
    words, ground: getComputedStyle(page.body).backgroundColor }) });
};
</script>"""


@needs_chromium
@pytest.mark.parametrize(
    ("width", "flags", "lang", "ground"),
    [
        (390, ("--accept-lang=ru",), "ru", "rgb(244, 246, 248)"),
        (390, ("--accept-lang=en", "--blink-settings=preferredColorScheme=0"), "en", "rgb(21, 28, 34)"),
        (1400, ("--accept-lang=ru,en", "--blink-settings=preferredColorScheme=0"), "ru", "rgb(21, 28, 34)"),
    ],
)
async def test_a_browser_s_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, flags: tuple[str, ...], lang: str, ground: str
) -> None:
    """In a real browser the page has its language and its colours, and scrolls down alone, on a phone too."""
    monkeypatch.setattr(room, "_POLICY", room._POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'"))
    app = app_with(FakeDaemon(dead_letter()))
    measured: dict[str, Any] = {}
    done = trio.Event()

    async def measurer() -> Response:
        return Response(MEASURER.replace("WIDTH", str(width)), content_type="text/html")

    async def take() -> str:
        measured.update(await request.get_json(force=True))
        done.set()
        return ""

    app.add_url_rule("/measurer", "measurer", measurer)
    app.add_url_rule("/measured", "measured", take, methods=["POST"])
    async with trio.open_nursery() as nursery:
        serve = partial(serve_web, app, WebSettings(bind="127.0.0.1:0"), shutdown=trio.Event())
        (address,) = await nursery.start(serve)
        with trio.fail_after(30):
            async with chromium(tmp_path, f"{address}/measurer", *flags):
                await done.wait()
        nursery.cancel_scope.cancel()
    assert (measured["lang"], measured["ground"]) == (lang, ground)
    assert measured["scrolls"] <= measured["width"] <= width
    assert any("Отклонённые" in words or "Dead letters" in words for words in measured["words"])


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
