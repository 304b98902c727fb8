"""The CRM or the PBX is away."""

from __future__ import annotations

import trio
import trio.testing

from tests.daemon.world import (
    CALL_ID,
    CLICK,
    STORED_CALL,
    World,
    asked,
    part_of_call,
    running,
    stored,
    until_health,
    until_pbx,
    unused_port,
)
from tests.fake_vtiger import fake_vtiger


async def test_crm_away(world: World) -> None:
    """While the CRM is away the PBX is listened to and the web answers; when it is back it gets every request."""
    crm_port = unused_port()
    async with running(world.config(crm=f"http://127.0.0.1:{crm_port}/x.php")) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: stored(world) == STORED_CALL)
        await until_health(address, lambda health: health["crm"]["reason"])
        assert (await asked(address, "/healthz"))[0] == 200
        status, health = await asked(address, "/readyz")
        assert status == 503
        assert [health[part]["ok"] for part in ("crm", "store")] == [False, True]
        assert "refused" in health["crm"]["reason"]
        assert health["pbx"]["main"]["ok"]
        async with fake_vtiger(port=crm_port) as back:
            await back.until(lambda: "EndCall" in back.steps(CALL_ID))
            assert (await asked(address, "/readyz"))[0] == 200
            # The call was over before any request could be sent: no popup now, the history is right.
            assert back.steps(CALL_ID)[0] == "DialBegin"
            assert back.steps(CALL_ID)[-2:] == ["Hangup", "EndCall"]


async def test_pbx_away(world: World) -> None:
    """Without its PBX the daemon is alive but not ready, refuses clicks, and finds the PBX when it comes."""
    port = unused_port()
    async with running(world.config(pbx_port=str(port))) as address:
        # Requests are accepted before the first attempt to connect has begun, let alone failed.
        await until_pbx(address, lambda pbx: "cannot connect" in pbx["reason"])
        assert (await asked(address, "/healthz"))[0] == 200
        status, health = await asked(address, "/readyz")
        assert (status, health["ok"]) == (503, False)
        assert await asked(address, CLICK) == (200, "Error")
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, world.pbx.serve, [listener])
            await world.session()
            await until_pbx(address, lambda pbx: pbx["state"] == "connected")
            assert (await asked(address, "/readyz"))[0] == 200
            nursery.cancel_scope.cancel()
