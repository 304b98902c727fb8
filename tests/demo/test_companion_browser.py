"""The companion module's script in a real browser: popups, clicks, and what happens when a part is away."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.browser import needs_chromium
from tests.daemon.world import World, world
from tests.demo.office import POPUPS, STREAM, call, open_office
from tests.fake_asterisk import error

__all__ = ["world"]

pytestmark = needs_chromium

ERROR = "document.querySelector('.bad')"


async def test_popup_comes_and_goes(world: World, tmp_path: Path) -> None:
    """By one request an event, not by polling: also in SalesPlatform's edition as shipped, which does not poll."""
    async with open_office(world, tmp_path) as office, office.daemon() as pbx:
        page = await office.connected()
        rings, is_answered, ends = call(1)
        await pbx.say(rings)
        await page.until(f"{POPUPS} === 1")
        assert "Пётр Иванов" in await page.run("document.querySelector('.pbxcall').innerText")
        await pbx.say(is_answered)
        await pbx.say(ends)
        await page.until(f"{POPUPS} === 0")
        assert office.polls == 0
        assert office.looks <= 6


async def test_two_calls(world: World, tmp_path: Path) -> None:
    """The first ends: its popup goes, the other's stays. (The CRM's own script may remove the wrong one.)"""
    async with open_office(world, tmp_path) as office, office.daemon() as pbx:
        page = await office.connected()
        first, second = call(1), call(2)
        await pbx.say(first[0])
        await page.until(f"{POPUPS} === 1")
        id_of_first = await page.run("document.querySelector('.pbxcall').id")
        await pbx.say(second[0])
        await page.until(f"{POPUPS} === 2")
        await pbx.say(first[1] + first[2])
        await page.until(f"{POPUPS} === 1")
        assert await page.run("document.querySelector('.pbxcall').id") != id_of_first


async def test_stock_shows_a_call_where_it_rings(world: World, tmp_path: Path) -> None:
    """Its own page shows a call that no user has answered to every user."""
    async with open_office(world, tmp_path, flavour="stock") as office, office.daemon() as pbx:
        rings_here, silent = await office.connected("102"), await office.connected("101")
        await pbx.say(call(1, "102")[0])
        await rings_here.until(f"{POPUPS} === 1")
        looks = office.looks
        await silent.run("app.request.get({url: 'index.php?module=UacCompanion&action=Look'})")
        await silent.run("document.dispatchEvent(new Event('visibilitychange'))")  # it looks, and is shown the call
        await office.world.until(lambda: office.looks >= looks + 2, 30)
        assert len(office.desks.calls(office.crm.users[0])) == 1
        assert await silent.run(POPUPS) == 0


async def test_pages_of_a_user_share_a_stream(world: World, tmp_path: Path) -> None:
    """Browsers open six connections to a server at most. Each page shows the popup."""
    async with open_office(world, tmp_path) as office, office.daemon() as pbx:
        pages = [await office.connected() for _ in range(4)]
        assert office.desks.received["UacCompanion Token"] == 1
        await pbx.say(call(1)[0])
        for page in pages:
            await page.until(f"{POPUPS} === 1")
        assert office.desks.received["UacCompanion Token"] == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [("en_us", "The PBX did not take the call"), ("ru_ru", "АТС не приняла вызов: подключён ли ваш телефон?")],
)
async def test_click_that_is_refused(world: World, tmp_path: Path, language: str, words: str) -> None:
    """The page says so once, and why, in the user's language; the CRM's own says "Success"."""
    world.pbx.reactions["Originate"] = lambda _, action: error(action, "Extension does not exist.")
    async with open_office(world, tmp_path, language=language) as office, office.daemon():
        page = await office.connected()
        await page.run("document.querySelector('button.number').click()")
        await page.until(f"{ERROR} !== null")
        assert words in await page.run(f"{ERROR}.innerText")
        await trio.sleep(0.6)  # the time for which a failed click waits for its reason
        assert await page.run("document.querySelectorAll('.bad, .good').length") == 1


async def test_click_while_the_connector_is_away(world: World, tmp_path: Path) -> None:
    async with open_office(world, tmp_path) as office:
        page = await office.page()
        await page.run("document.querySelector('button.number').click()")
        await page.until(f"{ERROR} !== null")
        assert await page.run(f"{ERROR}.innerText") == "The call was not placed"


async def test_connector_that_restarts(world: World, tmp_path: Path) -> None:
    """Without a stream the page polls, so the popup comes all the same; then it has a stream again."""
    async with open_office(world, tmp_path) as office:
        async with office.daemon() as pbx:
            page = await office.connected()
        await page.until(f"{STREAM} === 'closed'")
        office.crm.callback(_begin(office.crm.clock(office.desks.now())), office.desks.now())
        await page.until(f"{POPUPS} === 1")
        async with office.daemon() as pbx:
            await page.until(f"{STREAM} === 'open'")
            await pbx.say(call(2)[0])
            await page.until(f"{POPUPS} === 2")


def _begin(clock: str) -> dict[str, str]:
    return {
        "vtigersignature": "crm-secret", "callstatus": "DialBegin", "callUUID": "other", "StartTime": clock,
        "callerIdNumber": "+79161234567", "dialString": "101",
    }  # fmt: skip


async def test_stream_that_is_refused(world: World, tmp_path: Path) -> None:
    """A page that [companion] origins lacks: it polls."""
    async with open_office(world, tmp_path) as office:
        async with office.daemon(origin="http://crm.example") as pbx:
            page = await office.page()
            await pbx.say(call(1)[0])
            await page.until(f"{POPUPS} === 1")
            assert await page.run("UacCompanion.state().polls")


async def test_logged_out(world: World, tmp_path: Path) -> None:
    """The page is silent: no popup, no request, until it is looked at again."""
    async with open_office(world, tmp_path) as office, office.daemon() as pbx:
        page = await office.connected()
        await pbx.say(call(1)[0])
        await page.until(f"{POPUPS} === 1")
        office.desks.sessions.clear()
        await pbx.say(call(2)[0])
        await page.until("UacCompanion.state().off === 'logged-out'")
        assert await page.run(POPUPS) == 0
        requests = office.desks.received.total()
        await pbx.say(call(3)[0])
        await world.until(lambda: len(office.crm.rows) == 3)
        await trio.sleep(1.5)  # longer than its timer's interval
        assert office.desks.received.total() == requests


async def test_another_user_logs_in(world: World, tmp_path: Path) -> None:
    """In another tab: the page of the first one shows nothing of theirs."""
    async with open_office(world, tmp_path) as office, office.daemon() as pbx:
        page = await office.connected()
        for session in office.desks.sessions:
            office.desks.sessions[session] = 6
        await pbx.say(call(1, "102")[0])
        await world.until(lambda: len(office.crm.rows) == 1)
        await pbx.say(call(2)[0])
        await page.until("UacCompanion.state().off === 'other-user'")
        assert await page.run(POPUPS) == 0


async def test_module_is_switched_off(world: World, tmp_path: Path) -> None:
    """An open page hears of it with the next event, and gives the CRM its own functions back."""
    async with open_office(world, tmp_path, polling="always") as office, office.daemon() as pbx:
        page = await office.connected()
        await trio.sleep(4.2)  # the CRM's own timer has come, and was passed over
        assert office.polls == 0
        office.desks.is_module_on = False
        await pbx.say(call(1)[0])
        await page.until("UacCompanion.state().off === 'switched-off'")
        await world.until(lambda: office.polls, 30)
        await page.until(f"{POPUPS} === 1")


async def test_without_the_module(world: World, tmp_path: Path) -> None:
    """Everything is as before: as shipped, SalesPlatform's edition shows nothing."""
    async with open_office(world, tmp_path, has_module=False) as office, office.daemon() as pbx:
        page = await office.page()
        await pbx.say(call(1)[0])
        await world.until(lambda: office.crm.rows)
        assert await page.run("window.UacCompanion === undefined")
        assert await page.run(POPUPS) == 0
        assert office.looks == 0
