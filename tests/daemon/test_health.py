"""What /healthz says, and what it never shows."""

from __future__ import annotations

import json

import structlog.testing

from tests.daemon.world import (
    CALL_ID,
    World,
    asked,
    part_of_call,
    running,
    until_pbx,
)


async def test_wrong_secret_of_the_pbx(world: World) -> None:
    """A refused login does not end the daemon; the reason is in the log and in /healthz, the secret in neither."""
    with structlog.testing.capture_logs() as logs:
        async with running(world.config(secret="not-the-one")) as address:
            await world.until(lambda: len(world.pbx.sessions) >= 2)
            health = await until_pbx(address, lambda pbx: "login refused" in pbx["last_error"])
    assert any(line["event"] == "ami.login_refused" for line in logs)
    assert "not-the-one" not in str(logs) + str(health)


async def test_health_shows_no_secret_and_no_number(world: World) -> None:
    """/healthz, which any client may read, holds no secret and no telephone number."""
    async with running(world.config()) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        _, health = await asked(address, "/healthz")
    body = json.dumps(health)
    assert not any(word in body for word in ("s3cret", "crm-secret", "79161234567"))
    assert health["outbox"] is not None
