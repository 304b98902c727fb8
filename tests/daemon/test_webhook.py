"""The daemon with ``[webhook]`` in place of ``[vtiger]``: everything real but the far ends."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx

from tests.daemon.world import CALL_ID, World, answered, part_of_call, ringing, running
from tests.fake_asterisk import answer
from tests.fake_vtiger import Answer, Behaviour, Seen
from uac_trio.config.loading import Config, load_config

SECRET = "a-long-s3cret-word"


def configured(world: World, more: str = "") -> Config:
    """The configuration of all these tests, for another CRM."""
    path = world.config(more, public_url="http://pbx.example:5000").path
    table = f'[webhook]\nurl = "http://127.0.0.1:{world.crm.port}/calls"\nsecret = "{SECRET}"\n'
    content, found = re.subn(r"\[vtiger\]\n[^\[]*", table, path.read_text())
    assert found == 1
    path.write_text(content)
    return load_config(path, {})


def fields(seen: Seen) -> dict[str, Any]:
    return dict(seen.form)


def events(world: World) -> list[str]:
    return [fields(seen)["event"] for seen in world.crm.seen]


def is_signed(seen: Seen) -> bool:
    """As docs/crm.md shows it to receivers."""
    stamp, digest = seen.headers["x-uac-signature"].removeprefix("t=").split(",v1=")
    expected = hmac.digest(SECRET.encode(), f"{stamp}.".encode() + seen.body, "sha256").hex()
    return hmac.compare_digest(digest, expected) and abs(time.time() - int(stamp)) < 60  # noqa: TID251


async def test_call_from_the_wire_to_the_receiver(world: World) -> None:
    """Its deliveries arrive as signed JSON, in order, each stored once, though the receiver fails at one of them."""
    failures = ["answer"]

    def script(form: Mapping[str, str]) -> Behaviour:
        if form["event"] in failures:
            failures.remove(form["event"])
            return Answer(status=500)
        return Answer(status=204)

    world.crm.script = script
    async with running(configured(world)):
        session = await world.session()
        await session.say(part_of_call(None, ringing))
        await world.until(lambda: events(world) == ["begin"])
        await session.say(part_of_call(ringing, answered))
        await world.until(lambda: events(world) == ["begin", "answer", "ping", "answer"])
        await session.say(part_of_call(answered, None))
        await world.until(lambda: "recording" in events(world))
    assert events(world)[4:] == ["end", "recording"]
    assert all(is_signed(seen) and seen.headers["content-type"] == "application/json" for seen in world.crm.seen)
    stored = {fields(seen)["id"]: fields(seen) for seen in world.crm.seen if "id" in seen.form}
    assert [each["event"] for each in stored.values()] == ["begin", "answer", "end", "recording"]
    assert {each["call"] for each in stored.values()} == {CALL_ID}
    begin, _, end, recording = stored.values()
    assert (begin["extension"], begin["direction"], begin["role"]) == ("101", "inbound", "callee")
    assert (end["outcome"], end["talk_secs"] > 0) == ("completed", True)
    assert recording["recording"].startswith("http://pbx.example:5000/recording?id=")


async def test_click(world: World) -> None:
    """A form with the secret makes a call; without it, or with no number in it, nothing is dialled."""
    world.pbx.reactions["Originate"] = lambda _, action: answer(action, "Message: Originate successfully queued")
    click = {"secret": SECRET, "extension": "101", "number": "8 (916) 123-45-67"}
    async with running(configured(world)) as address, httpx.AsyncClient() as client:
        session = await world.session()
        reply = await client.post(f"{address}/makecall", data={**click, "secret": "wrong"})
        assert (reply.status_code, reply.text) == (403, "authentication failure")
        reply = await client.post(f"{address}/makecall", data=click)
        assert (reply.status_code, reply.text) == (200, "success")
        reply = await client.post(f"{address}/makecall", data={**click, "number": "anna"})
        assert (reply.status_code, reply.text) == (422, "error")
        assert session.names().count("Originate") == 1


async def test_owner(world: World) -> None:
    """A dialplan's question is passed on, and the receiver's answer given back."""
    world.crm.script = lambda _: Answer(body='{"extension": "101"}')
    async with running(configured(world, '[route]\nsecret = "hush"\n')) as address, httpx.AsyncClient() as client:
        reply = await client.get(f"{address}/route?secret=hush&number=%2B79161234567")
        assert (reply.status_code, reply.text) == (200, "101")
    (seen,) = world.crm.seen
    assert fields(seen) == {"schema": 1, "event": "owner", "number": "+79161234567"}
    assert is_signed(seen)
