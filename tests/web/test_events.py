"""``/crm/events`` over real sockets."""

from __future__ import annotations

import json

import pytest
import structlog.testing

from tests.web.clicking import CLICK, FakePBX, app_with, ask
from tests.web.streaming import NOW, fresh, serving
from uac_trio.crm.click import Click2CallRules, Originated
from uac_trio.web import events, streams

FIRST = {"ring": [], "look": 1}


async def test_stream_begins_with_the_state() -> None:
    """Headers that keep caches and proxies from holding events back, then what rings now, then what follows."""
    async with serving() as server:
        client = await server.stream()
        assert client.status == 200
        for header in ("text/event-stream", "x-accel-buffering: no", "cache-control: no-store"):
            assert header in client.head.lower()
        assert "access-control" not in client.head.lower()
        assert await client.next() == FIRST
        server.streams.put_nowait("101", json.dumps({"look": 1}))
        server.streams.put_nowait("102", json.dumps({"look": 2}))
        server.streams.put_nowait("101", json.dumps({"look": 3}))
        assert [await client.next(), await client.next()] == [{"look": 1}, {"look": 3}]


async def test_token_is_good_once() -> None:
    """A replay is refused and counted, and the log has neither token nor query."""
    token = fresh()
    with structlog.testing.capture_logs() as logs:
        async with serving() as server:
            assert (await server.stream(token)).status == 200
            assert (await server.stream(token)).status == 403
            assert (await server.stream(fresh(e=NOW - 100))).status == 403
            assert (await server.stream(fresh(secret="guessed"))).status == 403
            assert server.streams.status().refused == {"replayed": 1, "expired": 1, "signature": 1}
    assert [line["event"] for line in logs] == ["companion.token_refused"]  # then at most one in 10 s
    assert token not in str(logs)


async def test_guessing_blocks() -> None:
    """Wrong signatures count as wrong secrets; a right token is not even read then."""
    async with serving() as server:
        for _ in range(5):
            await server.stream(fresh(secret="guessed"))
        token = fresh()
        assert (await server.stream(token)).status == 403
        assert server.streams.status().refused["signature"] == 5


async def test_guessing_beside_browsers() -> None:
    """Behind a proxy all have one address: forged tokens do not keep out browsers of which one was there before."""
    async with serving() as server:
        assert (await server.stream()).status == 200
        for _ in range(8):
            assert (await server.stream(fresh(secret="guessed"))).status == 403
        assert (await server.stream()).status == 200


async def test_replay_is_no_guess() -> None:
    """A browser that comes back with an old token must not block all clients of its address."""
    token = fresh()
    async with serving() as server:
        for _ in range(8):
            await server.stream(token)
        assert (await server.stream()).status == 200


@pytest.mark.parametrize(
    ("origin", "status"), [("https://crm.example", 200), ("https://evil.example", 403), ("null", 403), ("", 200)]
)
async def test_origin(origin: str, status: int) -> None:
    """A page elsewhere is refused before its token is read, so that the token is still good."""
    async with serving(origins=frozenset({"https://crm.example"})) as server:
        client = await server.stream(origin=origin)
        assert client.status == status
        allowed = f"access-control-allow-origin: {origin}" in client.head.lower()
        assert allowed == (status == 200 and bool(origin))
        assert "vary: origin" in client.head.lower()
        assert not server.streams.status().refused


async def test_head_opens_nothing() -> None:
    async with serving() as server:
        assert (await server.stream(method="HEAD")).status == 200
        assert server.streams.status().opened == 0


async def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """One user's browsers leave room for others; when all room is taken a stream is refused until another ends."""
    monkeypatch.setattr(streams, "MOST", 3)
    monkeypatch.setattr(streams, "MOST_PER_USER", 2)
    async with serving() as server:
        opened = [await server.stream(fresh(u=user)) for user in (1, 1, 2)]
        assert [client.status for client in opened] == [200, 200, 200]
        assert (await server.stream(fresh(u=1))).status == 503
        assert (await server.stream(fresh(u=3))).status == 503
        await opened[0].socket.aclose()
        await server.until_open(2)
        assert (await server.stream(fresh(u=3))).status == 200


async def test_streams_do_not_count_as_connections() -> None:
    """Behind the CRM's web server all of them come from one address, from which clicks come too."""
    async with serving(max_connections=4) as server:
        clients = []
        for user in range(10):
            clients.append(await server.stream(fresh(u=user)))
            await clients[-1].next()
        assert [client.status for client in clients] == [200] * 10


async def test_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing happens, something is sent all the same."""
    monkeypatch.setattr(events, "COMMENT_EVERY", 0.02)
    async with serving() as server:
        client = await server.stream()
        assert [await client.next() for _ in range(3)] == [FIRST, ":", ":"]


async def test_stream_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a user who is logged out, or no longer permitted, needs a token that they do not get."""
    monkeypatch.setattr(events, "STREAM_LASTS", 0.05)
    async with serving() as server:
        client = await server.stream()
        assert await client.rest() in ([FIRST], [FIRST, ":"])
        assert server.streams.open == 0


async def test_client_that_leaves() -> None:
    """Its place is free at once, not at the next comment."""
    async with serving() as server:
        client = await server.stream()
        await client.next()
        await client.socket.aclose()
        await server.until_open(0)


async def test_slow_reader_is_dropped() -> None:
    """Its queue is bounded; others go on, and the server ends all the same."""
    async with serving(stall_seconds=0.2) as server:
        slow, quick = await server.stream(), await server.stream(fresh(x="102"))
        assert await quick.next() == FIRST
        await server.until_open(2)
        sent = 0
        while not server.streams.status().dropped:
            server.streams.put_nowait("101", json.dumps({"x": "y" * 400_000}))
            sent += 1
        assert streams.QUEUE < sent < streams.QUEUE + 3
        server.streams.put_nowait("102", json.dumps({"look": 1}))
        assert await quick.next() == {"look": 1}
        await server.until_open(1)
        assert len(await slow.rest()) < sent


async def test_shutdown_ends_streams_at_once() -> None:
    """They do not use up the grace of other replies."""
    async with serving(grace_seconds=5.0, within=3.0) as server:
        client = await server.stream()
        assert await client.next() == FIRST
        server.streams.end_nowait()
        assert await client.rest() == []
        assert (await server.stream()).status == 503


async def test_five_hundred_streams() -> None:
    """All get an event; each is one connection, and none takes another's place."""
    async with serving(within=60.0) as server:
        clients = [await server.stream(fresh(u=number, x=str(1000 + number % 100))) for number in range(streams.MOST)]
        for client in clients:
            assert await client.next() == FIRST
        assert (await server.stream(fresh(u=9999))).status == 503
        for extension in range(100):
            server.streams.put_nowait(str(1000 + extension), json.dumps({"look": extension}))
        for number, client in enumerate(clients):
            assert await client.next() == {"look": number % 100}
        assert server.streams.status().events == streams.MOST


# -- clicks that lead to no call ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(Originated.REFUSED, ["refused"]), (Originated.UNKNOWN, ["unknown"]), (Originated.QUEUED, [])],
)
async def test_answer_of_the_pbx(answer: Originated, outcome: list[str]) -> None:
    """Who clicked learns that the PBX did not take it."""
    failed: list[tuple[str, str]] = []
    await ask(app_with(FakePBX(answer=answer), failed=lambda *what: failed.append(what)), CLICK)
    assert failed == [("101", each) for each in outcome]


async def test_click_that_is_not_allowed() -> None:
    failed: list[tuple[str, str]] = []
    app = app_with(FakePBX(), Click2CallRules(enabled=False), failed=lambda *what: failed.append(what))
    await ask(app, CLICK)
    await ask(app, CLICK.replace("labsecret123", "guessed"))
    assert failed == [("101", "not-allowed")]


async def test_too_many_clicks() -> None:
    failed: list[tuple[str, str]] = []
    app = app_with(FakePBX(), Click2CallRules(per_minute=1), failed=lambda *what: failed.append(what))
    await ask(app, CLICK)
    await ask(app, CLICK.replace("123-45-67", "123-45-68"))
    assert failed == [("101", "too-many")]
