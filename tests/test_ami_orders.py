"""Actions through the client: their answers, and what becomes of those that get none."""

from __future__ import annotations

import trio
import trio.testing

from tests.ami_scene import ORDER, Scene, scene, server, start
from tests.fake_asterisk import (
    FakeSession,
    Headers,
    answer,
    error,
    event,
    hang_up,
    silence,
)
from uac_trio.ami_client.order import OriginateOutcome, Outcome
from uac_trio.ami_client.session import MAX_WAITING

# ---- actions


async def test_originate(autojump_clock: trio.testing.MockClock) -> None:
    """An order that the PBX takes is queued, one that it refuses is refused in its words."""
    async with scene() as stage:
        assert await stage.client.originate(ORDER) == OriginateOutcome(
            outcome=Outcome.REFUSED, reason="not connected to PBX main"
        )
        await start(stage)
        assert await stage.client.originate(ORDER) == OriginateOutcome(outcome=Outcome.QUEUED)
        assert stage.session().actions[-1]["ChannelId"] == "crm-1"
        assert stage.session().actions[-1]["Async"] == "true"

        stage.pbx.reactions["Originate"] = lambda _, action: error(action, "Extension does not exist.")
        assert await stage.client.originate(ORDER) == OriginateOutcome(
            outcome=Outcome.REFUSED, reason="Extension does not exist."
        )


async def test_has_context(autojump_clock: trio.testing.MockClock) -> None:
    """The error shows whether the dialplan has a context; a PBX that refuses, is silent or away gives None."""
    async with scene() as stage:
        assert await stage.client.has_context("one", 1.0) is None
        await start(stage)
        for reply, there in (
            ("Did not find extension uac-trio-check@one", True),
            ("Did not find context one", False),
            ("Permission denied", None),
        ):
            stage.pbx.reactions["ShowDialPlan"] = lambda _, action, text=reply: error(action, text)  # type: ignore[misc]
            assert await stage.client.has_context("one", 1.0) is there
        stage.pbx.reactions["ShowDialPlan"] = lambda _, action: answer(action, "ListItems: 0")
        assert await stage.client.has_context("one", 1.0) is True
        assert stage.session().actions[-1]["Context"] == "one"
        stage.pbx.reactions["ShowDialPlan"] = silence
        began = trio.current_time()
        assert await stage.client.has_context("one", 1.0) is None
        assert trio.current_time() - began == 1.0


async def test_originate_while_logging_in(autojump_clock: trio.testing.MockClock) -> None:
    """Before the login is accepted nothing is sent."""
    async with scene() as stage:
        stage.pbx.reactions["Login"] = silence
        await start(stage)

        assert (await stage.client.originate(ORDER)).outcome is Outcome.REFUSED
        assert "Originate" not in stage.session().names()


async def test_originate_lost_with_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    """Sent and never answered is unknown, and is not sent again by the next session."""
    async with scene() as stage:
        await start(stage)
        stage.pbx.reactions["Originate"] = hang_up
        outcome = await stage.client.originate(ORDER)
        assert outcome == OriginateOutcome(outcome=Outcome.UNKNOWN, reason="the PBX closed the connection")

        stage.pbx.reactions["Originate"] = silence
        await trio.sleep(5)
        assert [session.names().count("Originate") for session in stage.pbx.sessions] == [1, 0]


async def test_originate_without_an_answer(autojump_clock: trio.testing.MockClock) -> None:
    """No answer in time is unknown; an answer that comes too late changes nothing, and the session goes on."""
    held: list[Headers] = []

    def hold(_: FakeSession, action: Headers) -> None:
        held.append(action)

    async with scene() as stage:
        stage.pbx.reactions["Originate"] = hold
        await start(stage)
        outcome = await stage.client.originate(ORDER)
        assert outcome == OriginateOutcome(outcome=Outcome.UNKNOWN, reason="no answer within 10 s")

        await stage.session().say(answer(held[0]))
        await trio.testing.wait_all_tasks_blocked()
        assert stage.heard.reasons == []


def hold_writes(stage: Scene) -> None:
    """From now on the connection takes bytes and never says that it did."""
    session = stage.client._session
    assert session is not None
    assert isinstance(session.stream, trio.StapledStream)
    session.stream.send_stream.send_all_hook = trio.sleep_forever


async def test_write_that_does_not_end(autojump_clock: trio.testing.MockClock) -> None:
    """A server that takes no action is left; the order is unknown, the one behind it was never sent."""
    async with scene(server(send_timeout=5.0)) as stage:
        await start(stage)
        hold_writes(stage)
        outcomes = []

        async def order() -> None:
            outcomes.append(await stage.client.originate(ORDER))

        stage.nursery.start_soon(order)
        await trio.testing.wait_all_tasks_blocked()
        stage.nursery.start_soon(order)
        await trio.sleep(6)

        assert {outcome.outcome for outcome in outcomes} == {Outcome.UNKNOWN, Outcome.REFUSED}
        assert stage.heard.reasons == ["the PBX took no action for 5 s"]
        await trio.sleep(2)
        assert stage.client.status.state == "connected"


async def test_write_that_breaks(autojump_clock: trio.testing.MockClock) -> None:
    """A write that fails ends the session at once."""
    async with scene() as stage:
        await start(stage)

        async def fail() -> None:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("reset")

        session = stage.client._session
        assert session is not None
        assert isinstance(session.stream, trio.StapledStream)
        session.stream.send_stream.send_all_hook = fail
        outcome = await stage.client.originate(ORDER)

        assert outcome == OriginateOutcome(outcome=Outcome.UNKNOWN, reason="the connection broke: reset")
        assert stage.heard.reasons == ["the connection broke: reset"]


async def test_read_that_breaks(autojump_clock: trio.testing.MockClock) -> None:
    """A connection reset by the network is a lost session like any other."""
    async with scene() as stage:
        await start(stage)
        session = stage.client._session
        assert session is not None
        assert isinstance(session.stream, trio.StapledStream)

        async def fail() -> None:
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("reset")

        session.stream.receive_stream.receive_some_hook = fail
        await stage.session().say(event("Hangup"))
        await trio.testing.wait_all_tasks_blocked()
        assert stage.heard.reasons == ["the connection broke: reset"]


async def test_cancelled_order(autojump_clock: trio.testing.MockClock) -> None:
    """A web request that goes away takes back what was not written, and cuts nothing that was."""
    async with scene() as stage:
        await start(stage)
        stage.pbx.reactions["Originate"] = silence
        with trio.move_on_after(1):
            await stage.client.originate(ORDER)
        assert stage.session().names().count("Originate") == 1

        with trio.move_on_after(1) as scope:
            scope.cancel()
            await stage.client.originate(ORDER)
        await trio.testing.wait_all_tasks_blocked()
        assert stage.session().names().count("Originate") == 1
        assert stage.heard.reasons == []


async def test_order_for_a_session_that_is_over(autojump_clock: trio.testing.MockClock) -> None:
    """An order that comes in the moment the session ends is not sent."""
    async with scene() as stage:
        await start(stage)
        session = stage.client._session
        assert session is not None
        session.connection.receive_eof()
        outcome = await stage.client.originate(ORDER)

        assert outcome.outcome is Outcome.REFUSED
        assert "does not belong here" in outcome.reason
        assert "Originate" not in stage.session().names()


async def test_order_taken_back(autojump_clock: trio.testing.MockClock) -> None:
    """An order that was given up while another was being written is never written."""
    async with scene() as stage:
        await start(stage)
        written = trio.Event()
        session = stage.client._session
        assert session is not None
        assert isinstance(session.stream, trio.StapledStream)
        pump = session.stream.send_stream.send_all_hook

        async def wait_then_pump() -> None:
            await written.wait()
            await pump()

        session.stream.send_stream.send_all_hook = wait_then_pump
        stage.nursery.start_soon(stage.client.originate, ORDER)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await stage.client.originate(ORDER)
        written.set()
        await trio.testing.wait_all_tasks_blocked()

        assert stage.session().names().count("Originate") == 1


async def test_too_many_orders(autojump_clock: trio.testing.MockClock) -> None:
    """Orders do not pile up without end behind a write that hangs."""
    async with scene() as stage:
        await start(stage)
        hold_writes(stage)
        outcomes = []

        async def order() -> None:
            outcomes.append(await stage.client.originate(ORDER))

        for _ in range(MAX_WAITING + 2):
            stage.nursery.start_soon(order)
        await trio.testing.wait_all_tasks_blocked()

        assert outcomes == [OriginateOutcome(outcome=Outcome.REFUSED, reason="too many actions wait already")]


async def test_stopping_with_orders(autojump_clock: trio.testing.MockClock) -> None:
    """A client that is stopped returns an unknown outcome for each action without a response."""
    async with trio.open_nursery() as nursery:
        async with scene() as stage:
            await start(stage)
            stage.pbx.reactions["Originate"] = silence
            outcomes = []

            async def order() -> None:
                outcomes.append(await stage.client.originate(ORDER))

            nursery.start_soon(order)
            await trio.testing.wait_all_tasks_blocked()

    assert outcomes == [OriginateOutcome(outcome=Outcome.UNKNOWN, reason="this program is stopping")]
