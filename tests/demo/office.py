"""Browsers at a stand-in CRM with the companion module, the real daemon, and a PBX whose phones the test lets ring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.daemon.world import World, answered, part_of_call, ringing, running
from tests.devtools import Browser, Page, open_browser
from tests.fake_asterisk import FakeSession
from uac_trio.clock import now
from uac_trio.demo.crm import CRMContact, CRMUser, StandInCRM
from uac_trio.demo.crm_app import CALLBACK_PATH, serve_crm_app
from uac_trio.demo.desk import Desks

USERS = (CRMUser(id=5, name="Anna", extension="101"), CRMUser(id=6, name="Борис", extension="102"))
CONTACTS = (CRMContact(id=20, name="Пётр Иванов", owner=5, phones=("+7 (916) 123-45-67",)),)

POPUPS = "document.querySelectorAll('.pbxcall').length"
STREAM = "window.UacCompanion && UacCompanion.state().stream"


def call(number: int, extension: str = "101") -> tuple[bytes, bytes, bytes]:
    """The events of an incoming call until the phone rings, is picked up, and hangs up."""
    parts = (part_of_call(None, ringing), part_of_call(ringing, answered), part_of_call(answered, None))
    ours = [part.replace(b"1795413713.", b"17954%05d." % number) for part in parts]
    if extension != "101":
        ours = [part.replace(b"PJSIP/101-", f"PJSIP/{extension}-".encode()) for part in ours]
        ours = [part.replace(b": 101\r\n", f": {extension}\r\n".encode()) for part in ours]
    return ours[0], ours[1], ours[2]


@attrs.define(kw_only=True)
class Office:
    world: World
    crm: StandInCRM
    desks: Desks
    address: str
    browser: Browser
    port: int
    sessions: int = 0

    @asynccontextmanager
    async def daemon(self, origin: str = "") -> AsyncIterator[FakeSession]:
        """The connector, always at the same address; gives the PBX's side of its connection."""
        config = self.world.config(
            f'[companion]\nenabled = true\norigins = ["{origin or self.address}"]\n',
            crm=self.address + CALLBACK_PATH,
            flavour=self.crm.flavour.value,
            bind=f"127.0.0.1:{self.port}",
        )
        async with running(config):
            self.sessions += 1
            yield await self.world.session(self.sessions)

    async def page(self, extension: str = "101") -> Page:
        """A page of this user."""
        return await self.browser.open(f"{self.address}/desk/{extension}/")

    async def connected(self, extension: str = "101") -> Page:
        """The same, once it has its stream."""
        page = await self.page(extension)
        await page.until(f"{STREAM} === 'open'")
        return page

    @property
    def looks(self) -> int:
        return self.desks.received["UacCompanion Look"]

    @property
    def polls(self) -> int:
        """The CRM's own."""
        return self.desks.received["PBXManager IncomingCallPoll searchIncomingCalls"]


@asynccontextmanager
async def open_office(world: World, tmp_path: Path, *, within: float = 120.0, **more: Any) -> AsyncIterator[Office]:
    """Ends ``within`` so many seconds. ``more``: attributes of the CRM or of its desks."""
    of_desks = {name: value for name, value in more.items() if name in ("polling", "language", "has_module")}
    of_crm = {name: value for name, value in more.items() if name not in of_desks}
    crm = StandInCRM(users=USERS, contacts=CONTACTS, secret="crm-secret", **of_crm)
    desks = Desks(crm=crm, now=now, **of_desks)
    with trio.socket.socket() as probe:
        await probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    desks.connector = f"http://127.0.0.1:{port}"
    with trio.fail_after(within):
        async with trio.open_nursery() as nursery:
            (address,) = await nursery.start(partial(serve_crm_app, crm, now=now, desks=desks))
            async with open_browser(tmp_path) as browser:
                yield Office(world=world, crm=crm, desks=desks, address=address, browser=browser, port=port)
            nursery.cancel_scope.cancel()
