"""What people with bad intentions send: nothing is dialled that should not be, nothing is disclosed, nothing breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import structlog.testing
import trio
import trio.testing
from quart_trio import QuartTrio

from tests.recordings.sounds import AT, TOKEN, row, wav
from tests.web.clicking import CLICK, SECRET, FakePBX, app_with, ask
from uac_trio.crm.click import Click2CallRules
from uac_trio.recordings.archive import open_archive
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.store.recordings import RecordingRow
from uac_trio.web.recordings import Playback, add_recordings
from uac_trio.web.wrong_secrets import WrongSecrets

PARAMETERS = {
    "event": "OutgoingCall",
    "secret": SECRET,
    "from": "101",
    "to": "+79161234567",
    "context": "from-internal",
}
CONTROLS = ["\r", "\n", "\r\nVariable: X=1", "\0", "\t", "\x1b[2J", "\x7f", "\u0085", "\u2028"]


def click(**changed: str) -> str:
    return "/makecall?" + urlencode({**PARAMETERS, **changed}, errors="surrogatepass")


@pytest.mark.parametrize("control", CONTROLS, ids=lambda text: text.encode("unicode_escape").decode())
@pytest.mark.parametrize("place", ["{0}", "{0}{1}", "{1}{0}"])
@pytest.mark.parametrize("name", PARAMETERS)
async def test_control_characters(name: str, place: str, control: str) -> None:
    """A line break or another control character anywhere in any parameter: no order at all."""
    pbx = FakePBX()
    status, body = await ask(app_with(pbx), click(**{name: place.format(control, PARAMETERS[name])}))
    assert (status, body in ("Error", "Authentication Failure")) == (200, True)
    assert pbx.orders == []


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("length", [257, 5_000, 60_000])
async def test_oversized_parameters(name: str, length: int) -> None:
    """However long a parameter is, in the query or in a form: a failure that vTiger understands, no order."""
    pbx = FakePBX()
    app = app_with(pbx)
    long = PARAMETERS[name] + "1" * length
    in_query = await ask(app, click(**{name: long}))
    in_form = await ask(app, "/makecall", form={**PARAMETERS, name: long})
    for status, body in (in_query, in_form):
        assert status < 500
        assert body in ("Error", "Authentication Failure")
    assert pbx.orders == []


@pytest.mark.parametrize("name", PARAMETERS)
async def test_parameter_pollution(name: str) -> None:
    """A parameter that is given twice, in the query, or there and in the form, is not chosen from but refused."""
    pbx = FakePBX()
    app = app_with(pbx)
    for other in (PARAMETERS[name], "102", ""):
        assert (await ask(app, f"{click()}&{quote(name)}={quote(other)}"))[1] == "Error"
        assert (await ask(app, f"/makecall?{quote(name)}={quote(other)}&{click().partition('?')[2]}"))[1] == "Error"
        assert (await ask(app, click(), form={name: other}))[1] == "Error"
    assert pbx.orders == []


@pytest.mark.parametrize(
    "url",
    [
        click(**{"from[]": "102", "to[]": "666", "From": "102", "from ": "102", "from\0": "102", ";from": "102"}),
        click() + ";from=102;to=666",
        click(Variable="X=1", variables="X=1", Channel="PJSIP/666", channel="PJSIP/666", CallerID="666", exten="666"),
        click(context="from-pstn"),
    ],
)
async def test_what_is_not_asked_for_is_not_heard(url: str) -> None:
    """Parameters that are none of ours, and contexts that were not allowed, change nothing of the order."""
    pbx = FakePBX()
    assert await ask(app_with(pbx), url) == (200, "Success")
    (dial,) = pbx.orders
    assert (dial.channel, dial.exten, dial.context) == ("PJSIP/101", "+79161234567", "from-internal")
    assert (dial.caller_id, dial.variables) == ("101", ())


@pytest.mark.parametrize(
    "name",
    [
        "101&PJSIP/102",
        "101,30,m",
        "101/666@trunk",
        "Local/101",
        "101@from-pstn",
        "101|",
        "../101",
        "101;1",
        "1{0}1",
        "%s",
    ],
)
async def test_what_is_no_extension(name: str) -> None:
    """Operators of Dial(), templates and paths in place of an extension or of a number dial nothing."""
    pbx = FakePBX()
    app = app_with(pbx)
    assert (await ask(app, click(**{"from": name})))[1] == "Error"
    assert (await ask(app, click(to=name)))[1] == "Error"
    assert pbx.orders == []


async def test_a_hundred_wrong_secrets(autojump_clock: trio.testing.MockClock) -> None:
    """A client that tries secrets is soon refused unread, even with the right one, for a minute; others are not."""
    pbx = FakePBX()
    app = app_with(pbx, wrong_secrets=WrongSecrets(20))
    with structlog.testing.capture_logs() as logs:
        for number in range(100):
            assert await ask(app, click(secret=f"guess-{number}"), client="10.0.0.66") == (
                200,
                "Authentication Failure",
            )
        assert await ask(app, CLICK, client="10.0.0.66") == (200, "Authentication Failure")
    assert pbx.orders == []
    assert await ask(app, CLICK, client="10.0.0.5") == (200, "Success")
    assert [line["event"] for line in logs].count("click2call.refused") == 20
    assert [line["event"] for line in logs].count("web.client_blocked") == 1
    assert "guess-" not in str(logs)
    assert SECRET not in str(logs)
    with structlog.testing.capture_logs() as logs:
        await trio.sleep(60)
        assert await ask(app, CLICK.replace("101", "102"), client="10.0.0.66") == (200, "Success")
    assert (logs[0]["event"], logs[0]["refused"]) == ("web.client_unblocked", 81)


async def test_a_stranger_at_the_crm_s_address() -> None:
    """Behind one proxy the CRM's clicks are taken whatever a stranger tries, and the stranger is refused and logged."""
    pbx = FakePBX()
    app = app_with(pbx, wrong_secrets=WrongSecrets(5))
    assert (await ask(app, CLICK))[1] == "Success"
    with structlog.testing.capture_logs() as logs:
        for number in range(50):
            assert (await ask(app, click(secret=f"guess-{number}")))[1] == "Authentication Failure"
    assert [line["event"] for line in logs].count("click2call.refused") == 5
    assert (await ask(app, CLICK.replace("101", "102")))[1] == "Success"
    assert len(pbx.orders) == 2


async def test_parallel_double_clicks() -> None:
    """Twenty clicks at the same moment are one order, and all get its outcome."""
    pbx = FakePBX(delay=0.02)
    app = app_with(pbx, Click2CallRules(per_minute=100))
    answers: list[tuple[int, str]] = []

    async def one() -> None:
        answers.append(await ask(app, CLICK))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one)
    assert answers == [(200, "Success")] * 20
    assert len(pbx.orders) == 1


async def test_clicks_of_all_extensions_at_once() -> None:
    """A burst from all extensions is cut at the limits, of each and of all."""
    pbx = FakePBX(delay=0.01)
    app = app_with(pbx, Click2CallRules(per_minute=2, total_per_minute=7))

    async def one(extension: int, number: int) -> None:
        await ask(app, click(**{"from": str(extension), "to": f"+791612345{number:02}"}))

    async with trio.open_nursery() as nursery:
        for extension in range(101, 111):
            for number in range(5):
                nursery.start_soon(one, extension, number)
    assert len(pbx.orders) == 7
    assert max(sum(dial.extension == one.extension for dial in pbx.orders) for one in pbx.orders) <= 2


TRAVERSALS = [
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/etc/passwd",
    "....//....//etc/passwd",
    "..\\..\\etc\\passwd",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "%c0%ae%c0%ae/etc/passwd",
    "..;/etc/passwd",
    f"{TOKEN}/../../etc/passwd",
    f"{TOKEN}%00.wav",
    f"{TOKEN}%0d%0aX: 1",
    "~root/.ssh/id_rsa",
    "$(id)",
    "|id",
    "A" * 5_000,
    "../secret.wav",
    "%2e%2e%2fsecret.wav",
    "{beside}",
]


@asynccontextmanager
async def listening(tmp_path: Path, *, needs_secret: bool = True, per_minute: int = 10_000) -> AsyncIterator[QuartTrio]:
    """An application with one recording, and beside its root a file that is none."""
    root = tmp_path / "monitor"
    root.mkdir()
    (root / "a.wav").write_bytes(wav(0.5))
    (tmp_path / "secret.wav").write_bytes(wav(0.5))

    async def find(token: str) -> RecordingRow | None:
        await trio.lowlevel.checkpoint()
        return row(f"{root}/a.wav") if token == TOKEN else None

    async with open_archive(
        RecordingsSettings(converter=""),
        roots={"main": (str(root),)},
        cache=tmp_path / "cache",
        find=find,
        now=lambda: AT + 60,
    ) as archive:
        playback = Playback(
            archive=archive, secret=SECRET, needs_secret=needs_secret, wrong_secrets=WrongSecrets(per_minute)
        )
        app = QuartTrio(__name__, static_folder=None)
        add_recordings(app, playback)
        yield app


async def listen(app: QuartTrio, url: str) -> tuple[int, bytes]:
    reply = await app.test_client().get(url, scope_base={"client": ("10.0.0.66", 40000)})
    return reply.status_code, await reply.get_data(as_text=False)


async def test_the_recording_itself(tmp_path: Path) -> None:
    """What the tests below are refused is there for a client that asks as it should."""
    async with listening(tmp_path) as app:
        assert (await listen(app, f"/recording?id={TOKEN}&secret={SECRET}"))[0] == 200


@pytest.mark.parametrize("needs_secret", [True, False])
@pytest.mark.parametrize("path", TRAVERSALS, ids=range(len(TRAVERSALS)))
async def test_path_traversal(tmp_path: Path, path: str, needs_secret: bool) -> None:
    """No form of a path, in the token, the secret or the address, is a recording; with and without the secret."""
    path = path.format(beside=tmp_path / "secret.wav")
    async with listening(tmp_path, needs_secret=needs_secret) as app:
        for url in (
            f"/recording?id={path}&secret={SECRET}",
            f"/recording?id={path}",
            f"/recording?id={TOKEN}&id={path}&secret={SECRET}",
            f"/recording?id={TOKEN}&secret={SECRET}{path}",
            f"/recording/{path}",
            f"/{path}",
        ):
            status, body = await listen(app, url)
            assert status in (400, 403, 404), url
            assert b"RIFF" not in body


@pytest.mark.parametrize("control", CONTROLS, ids=lambda text: text.encode("unicode_escape").decode())
async def test_control_characters_for_recordings(tmp_path: Path, control: str) -> None:
    """A control character in the token or the secret opens nothing and comes back in no header."""
    async with listening(tmp_path) as app:
        for url in (
            f"/recording?id={TOKEN}{quote(control)}&secret={SECRET}",
            f"/recording?id={quote(control)}{TOKEN}&secret={SECRET}",
            f"/recording?id={TOKEN}&secret={SECRET}{quote(control)}",
        ):
            reply = await app.test_client().get(url)
            assert reply.status_code in (403, 404)
            assert control not in str(reply.headers).replace("\r\n", "")


async def test_wrong_secrets_for_recordings(tmp_path: Path) -> None:
    """A client that tries secrets on recordings is refused unread as well, with the same reply as before."""
    async with listening(tmp_path, per_minute=5) as app:
        with structlog.testing.capture_logs() as logs:
            replies = [await listen(app, f"/recording?id={TOKEN}&secret=guess-{number}") for number in range(12)]
            replies.append(await listen(app, f"/recording?id={TOKEN}&secret={SECRET}"))
    assert set(replies) == {(403, b"")}
    assert [line["event"] for line in logs].count("recordings.refused") == 5
    assert "guess-" not in str(logs)


async def test_a_stranger_at_the_address_of_the_crm_s_player(tmp_path: Path) -> None:
    """Recordings are given to the CRM whatever a stranger tries from its address."""
    async with listening(tmp_path, per_minute=5) as app:
        assert (await listen(app, f"/recording?id={TOKEN}&secret={SECRET}"))[0] == 200
        with structlog.testing.capture_logs() as logs:
            for number in range(20):
                assert (await listen(app, f"/recording?id={TOKEN}&secret=guess-{number}"))[0] == 403
        assert (await listen(app, f"/recording?id={TOKEN}&secret={SECRET}"))[0] == 200
    assert [line["event"] for line in logs].count("recordings.refused") == 5
