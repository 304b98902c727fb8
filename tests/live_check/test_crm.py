from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest
import trio

from tests.fake_vtiger import FAILURE, Answer, Behaviour, FakeVtiger, ResetRead, Silence, fake_vtiger
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.live_check.crm import check_crm
from uac_trio.live_check.finding import Findings, Level
from uac_trio.sender.breaker import SenderSettings

NOW = 1795413713.0
SECRET = "right-secret"
SPAGI = Answer(
    content_type="text/json; charset=utf-8",
    body='{"success":false,"error":{"code":400,"message":"Invalid request params","title":null}}',
)
NOT_FOUND = Answer(status=404, body="<html>404 Not Found</html>")


def vtiger(owner: Answer = SPAGI, secret: str = SECRET, unsigned: Answer = FAILURE) -> Any:
    """How PBXManager.php and SPAgi.php answer; the second question with a stranger's secret is for SPAgi.php."""
    strangers: list[str] = []

    def script(form: Mapping[str, str]) -> Behaviour:
        signature = form.get("vtigersignature")
        if signature is None:
            return unsigned
        if signature == secret:
            return Answer()
        if signature != SECRET:
            strangers.append(signature)
        return owner if len(strangers) == 2 else FAILURE

    return script


async def looked(
    crm: FakeVtiger, *, flavour: Flavour = Flavour.SALESPLATFORM, url: str = "", patience: float = 5.0
) -> list[tuple[Level, str]]:
    findings = Findings("CRM")
    vtiger = VtigerSettings(url=url or crm.url, secret=SECRET, flavour=flavour).crm(Surroundings())
    await check_crm(vtiger, SenderSettings(connect_timeout=5.0, reply_timeout=patience), lambda: NOW, findings)
    return [(finding.level, finding.words) for finding in findings.found]


def said(found: list[tuple[Level, str]], level: Level) -> str:
    return "\n".join(words for each, words in found if each is level)


@pytest.mark.parametrize("knows", [True, False])
async def test_password_in_the_address_is_not_shown(knows: bool) -> None:
    """What is found names the CRM without the user name and password in its address."""
    async with fake_vtiger(vtiger() if knows else lambda _: Answer()) as crm:
        found = await looked(crm, url=crm.url.replace("http://", "http://u:hunter3@"))
        gone = await looked(crm, url="http://u:hunter3@127.0.0.1:1/PBXManager.php")
    for findings in (found, gone):
        assert any("http://127.0.0.1:" in words for _, words in findings)
        assert "hunter3" not in str(findings)


async def test_all_is_well() -> None:
    """A CRM that knows our secret gets three requests, none of which can be a call's."""
    async with fake_vtiger(vtiger()) as crm:
        found = await looked(crm)
    assert {level for level, _ in found} == {Level.OK}
    assert "answers as vTiger's callback does" in said(found, Level.OK)
    assert "accepts our secret" in said(found, Level.OK)
    assert "flavour is salesplatform" in said(found, Level.OK)
    assert [seen.form for seen in crm.seen] == [
        {"vtigersignature": "uac-trio-is-anybody-there"},
        {"vtigersignature": SECRET, "callstatus": "uac-trio-check"},
        {"vtigersignature": "uac-trio-is-anybody-there"},
    ]
    assert [seen.target.rpartition("/")[2] for seen in crm.seen] == ["PBXManager.php", "PBXManager.php", "SPAgi.php"]


FAULTS: dict[str, tuple[Any, Level, str]] = {
    "wrong secret": (
        vtiger(secret="other"),
        Level.PROBLEM,
        "it refuses our secret: it has another, or none",
    ),
    "its database is away": (vtiger(secret="other", unsigned=Answer()), Level.PROBLEM, "its database is away, or no"),
    "any secret": (lambda _: Answer(), Level.PROBLEM, "silently takes any secret"),
    "a login page": (lambda _: Answer(body="<!DOCTYPE html>"), Level.PROBLEM, "a web page or JSON is answered"),
    "not there": (lambda _: NOT_FOUND, Level.PROBLEM, "does not let the request through"),
    "redirect": (lambda _: Answer(status=301, location="https://x/"), Level.PROBLEM, "the address redirects"),
    "maintenance": (lambda _: Answer(status=503), Level.PROBLEM, "in maintenance"),
    "index.php": (
        lambda _: Answer(body="Invalid request"),
        Level.PROBLEM,
        "vTiger itself answers, not its callback: check that [vtiger] url ends in /modules/PBXManager/callbacks/",
    ),
    "the database of a stock vTiger is away": (
        lambda _: Answer(status=500),
        Level.PROBLEM,
        "vTiger fails: its database is away or cannot be written, or PHP is broken there",
    ),
    "unknown text": (lambda _: Answer(body="Error: no database"), Level.PROBLEM, "an unknown text"),
    "silence": (lambda _: Silence(), Level.PROBLEM, "gave no complete reply in time"),
    "reset": (lambda _: ResetRead(), Level.PROBLEM, "broke the connection"),
    "stock": (vtiger(NOT_FOUND), Level.PROBLEM, 'set [vtiger] flavour = "stock"'),
    "unknown flavour": (vtiger(Answer(status=403)), Level.WARNING, "its flavour cannot be seen from outside"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_said(fault: str) -> None:
    """Each fault of a CRM is named in words that say what to change, and never the secret."""
    script, level, words = FAULTS[fault]
    async with fake_vtiger(script) as crm:
        found = await looked(crm, patience=0.2 if fault == "silence" else 5.0)
    assert words in said(found, level)
    assert SECRET not in str(found)


async def test_remedy_for_another_address() -> None:
    """What has to change is the address, not what answers there."""
    async with fake_vtiger(lambda _: Answer(body="Invalid request")) as crm:
        crm_url = crm.url.replace("/modules/PBXManager/callbacks/PBXManager.php", "/index.php")
        found = await looked(crm, url=crm_url)
    assert "let [vtiger] url end in /modules/PBXManager/callbacks/PBXManager.php" in said(found, Level.PROBLEM)


@pytest.mark.parametrize(("unsigned", "is_away"), [(FAILURE, False), (Answer(), True), (Answer(status=500), False)])
async def test_secret_or_database(unsigned: Answer, is_away: bool) -> None:
    """Either the secret or the database is blamed, not both, and the flavour is still reported."""
    async with fake_vtiger(vtiger(secret="other", unsigned=unsigned)) as crm:
        found = await looked(crm)
    problem = said(found, Level.PROBLEM)
    assert ("its database is away" in problem, "it refuses our secret" in problem) == (is_away, not is_away)
    assert "flavour is salesplatform" in said(found, Level.OK)
    assert crm.seen[2].form == {"callstatus": "uac-trio-is-anybody-there"}


async def test_php_that_fails() -> None:
    """A failure of PHP at our secret leaves open whether it is right."""

    def script(form: Mapping[str, str]) -> Behaviour:
        return Answer(status=500) if form.get("vtigersignature") == SECRET else FAILURE

    async with fake_vtiger(script) as crm:
        found = await looked(crm)
    assert "whether our secret is right is not clear" in said(found, Level.WARNING)


POPUPS = {
    "every few seconds": ("registerPBXCall(); Visibility.every(4000, function () { registerPBXCall(); });", Level.OK),
    "once": ("registerPBXCall();\n//setInterval('registerPBXCall()', 3000);", Level.WARNING),
    "never": (
        "registerPBXCall : function() {},\n//  registerPBXCall();\n//  setInterval('registerPBXCall()')",
        Level.PROBLEM,
    ),
    "another file": ("<html>not found</html>", Level.UNKNOWN),
}


@pytest.mark.parametrize("case", POPUPS)
async def test_popups(case: str) -> None:
    """The static script of the CRM's pages shows whether they look for calls; what is commented out does not run."""
    script, level = POPUPS[case]
    async with fake_vtiger(vtiger()) as crm:
        crm.page_script = Answer(body=script)
        found = await looked(crm)
    assert "its pages" in said(found, level)
    if level is Level.PROBLEM:
        assert "take away the // before the lines between the two" in said(found, level)


async def test_popups_of_another_address() -> None:
    """A CRM whose server does not give the script away leaves it open."""
    async with fake_vtiger(vtiger()) as crm:
        crm.page_script = Answer(status=403)
        assert "cannot be seen" in said(await looked(crm), Level.UNKNOWN)
        assert "its pages" not in str(await looked(crm, url=crm.url.replace("PBXManager.php", "Other.php")))


async def test_zone() -> None:
    """The time that a call of now would get is shown in the CRM's zone, since the zone itself cannot be seen."""
    async with fake_vtiger(vtiger()) as crm:
        assert "2026-11-23 09:01:53, the time in Europe/Moscow" in said(await looked(crm), Level.OK)


@pytest.mark.parametrize(("owner", "level"), [(NOT_FOUND, Level.OK), (SPAGI, Level.PROBLEM)])
async def test_stock(owner: Answer, level: Level) -> None:
    """Where a stock vTiger is configured, one without SPAgi.php is right and SalesPlatform's is not."""
    async with fake_vtiger(vtiger(owner)) as crm:
        assert "flavour" in said(await looked(crm, flavour=Flavour.STOCK), level)


async def test_refused_connection() -> None:
    """A refused connection is reported with host and port."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/PBXManager.php"
    found = await looked(FakeVtiger(), url=url)
    assert "the CRM cannot be reached: 127.0.0.1:" in said(found, Level.PROBLEM)


@pytest.mark.parametrize(
    ("off", "level", "words"), [(2, Level.OK, "agrees"), (90, Level.WARNING, "90 s ahead of ours")]
)
async def test_clock(off: float, level: Level, words: str) -> None:
    """The CRM's clock is that of its Date header."""
    date = formatdate(NOW + off, usegmt=True)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _serve_dated(date), [listener])
        url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/callback.php"
        found = await looked(FakeVtiger(), url=url)
        nursery.cancel_scope.cancel()
    assert words in said(found, level)


def _serve_dated(date: str) -> Any:
    async def serve(stream: trio.SocketStream) -> None:
        heard = b""
        while b"vtigersignature=" not in heard:
            heard += await stream.receive_some(65536)
        body = b"" if SECRET.encode() in heard else FAILURE.body.encode()
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await stream.send_all(head.encode() + body)
        await stream.aclose()

    return serve
