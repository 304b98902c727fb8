from __future__ import annotations

import attrs
import pytest
import trio

from tests.daemon.world import World, running, world
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.live_check.finding import Findings, Level
from uac_trio.live_check.looking import look
from uac_trio.store.settings import OutboxSettings

__all__ = ["world"]

NOW = 1795413713.0


def said(findings: Findings, level: Level) -> str:
    return "\n".join(finding.words for finding in findings.found if finding.level is level)


async def test_everything(world: World) -> None:
    """All parts are looked at, in the order of the configuration, those that fail among them."""
    config = world.config(pbx_port="1")
    found = await look(config, now=lambda: NOW)
    about = ["PBX main", "CRM", "store", "recordings", "CDR", "HTTP", "secrets", "user"]
    assert [part.subject for part in found] == about
    routed = attrs.evolve(config, responsible=ResponsibleRules(bind="127.0.0.1:0"))
    found = await look(routed, now=lambda: NOW)
    assert [part.subject for part in found][-4:] == ["HTTP", "FastAGI", "secrets", "user"]
    assert all(part.found for part in found)
    assert "refuses the connection" in said(found[0], Level.PROBLEM)
    assert "takes any secret" in said(found[1], Level.PROBLEM)


async def test_part_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that hangs is cut off, keeps what it found, and does not hold up the others."""

    async def hang(_: object, __: object, findings: Findings) -> None:
        findings.ok("x.y", "so far")
        await trio.sleep_forever()

    monkeypatch.setattr("uac_trio.live_check.looking.check_recordings", hang)
    found = await look(world.config(pbx_port="1"), now=lambda: NOW, within=0.3)
    hung = next(part for part in found if part.subject == "recordings")
    assert [finding.level for finding in hung.found] == [Level.OK, Level.PROBLEM]
    assert "the check timed out after 0.3 s" in said(hung, Level.PROBLEM)


async def test_daemon_with_another_store(world: World) -> None:
    """A daemon runs at our address, and the store of this configuration was never made: it is another's."""
    async with running(world.config()) as address:
        await world.session()
        bind = address.removeprefix("http://")
        ours = world.config(bind=bind, pbx_port="1")
        found = await look(ours, now=lambda: NOW)
        assert "store.other" not in {finding.id for part in found for finding in part.found}
        other = attrs.evolve(ours, store=OutboxSettings(url=f"sqlite:///{world.tmp_path}/other.db"))
        found = await look(other, now=lambda: NOW)
    store = next(part for part in found if part.subject == "store")
    assert "other.db does not exist: it works with another configuration" in said(store, Level.PROBLEM)
    assert "store.new" not in {finding.id for finding in store.found}
