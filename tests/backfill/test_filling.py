"""Passes over a table with FreePBX's columns, into a real outbox."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Collection
from functools import partial
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa
import trio

from tests.backfill.tables import create, insert, recorded
from tests.cdr.evaluation import crm_of, rules_of
from uac_trio.backfill import filling as filling_module
from uac_trio.backfill.filling import SETTLED, SETTLED_UNSEEN, Filling, PBXCdr, Span
from uac_trio.backfill.table import CdrTable
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import Flavour
from uac_trio.recordings.archive import split_recordings
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.rows import LeaseRequest
from uac_trio.store.settings import OutboxSettings

NAMES = ("freepbx15/in_chan_sip", "freepbx15/rg_v2_mobile_confirms", "freepbx15/out_busy")
SPAN = Span(1795835000.0, 1795836200.0)
NOW = SPAN.until + 3600.0
RULES = rules_of(NAMES[0])


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/asteriskcdrdb"
    engine = create(url)
    for name in NAMES:
        insert(engine, "cdr", recorded(name, "cdr"))
        insert(engine, "cel", recorded(name, "cel"))
    return url


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with open_outbox(OutboxSettings(url=f"sqlite:///{tmp_path}/connector.db")) as outbox:
        yield outbox


def filling(
    url: str, now: float = NOW, live: Collection[str] | None = frozenset(), zone: str = "", pbx: str = "main"
) -> Filling:
    crm = crm_of(RULES, Flavour.SALESPLATFORM)
    cdr = PBXCdr(
        pbx=pbx,
        source=CdrTable(sa.make_url(url)),
        rules=RULES,
        crm=crm,
        token=partial(recording_token, crm.secret),
        zone=zone,
    )
    return Filling(cdr=cdr, now=lambda: now, live=lambda: live, roots={"main": ()})


def calls_of(deliveries: Collection[Delivery]) -> set[str]:
    return {each.call_id for each in deliveries}


async def test_what_is_missing_is_put_once(url: str, outbox: Outbox) -> None:
    first = await filling(url).fill(SPAN, outbox)
    second = await filling(url).fill(SPAN, outbox)

    assert (first.calls, first.filled) == (3, 3)
    assert (second.calls, second.filled, second.deliveries) == (3, 0, [])
    assert (await outbox.statistics()).waiting == len(first.deliveries)


async def test_two_connectors_at_once_put_the_same_rows(url: str, outbox: Outbox) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(filling(url).fill, SPAN, outbox)

    alone = await filling(url).fill(SPAN, None)
    assert (await outbox.statistics()).waiting == len(alone.deliveries)


async def test_a_dry_run_puts_nothing(url: str, outbox: Outbox) -> None:
    filled = await filling(url).fill(SPAN, outbox, dry=True)

    assert filled.deliveries
    assert (await outbox.statistics()).waiting == 0


@pytest.mark.parametrize("restarted", [False, True])
async def test_talk_before_a_restart(url: str, outbox: Outbox, restarted: bool) -> None:
    """A call that went on at the end of the span, and whose last second was watched."""
    of_cdr = (await filling(url).fill(SPAN, None)).deliveries
    end = max((each for each in of_cdr if each.kind is Kind.END), key=lambda each: each.talk_secs)
    watched = [each for each in of_cdr if each.call_id == end.call_id and each is not end]
    new, recordings = split_recordings([*watched, attrs.evolve(end, talk_secs=1.0)], {"main": ()})
    await outbox.back_fill(new, end.at, recordings)
    filled = await filling(url).fill(Span(SPAN.since, end.at - 1), outbox, restarted=restarted)

    corrected = [each for each in filled.deliveries if each.call_id == end.call_id]
    assert [each.talk_secs for each in corrected] == ([end.talk_secs] if restarted else [])


async def test_calls_of_the_span_alone(url: str, outbox: Outbox) -> None:
    filled = await filling(url).fill(Span(1795835360.0, 1795835361.0), outbox)  # in the middle of one

    assert calls_of(filled.deliveries) == {"main-1795835350.788"}


async def test_slices_lead_to_the_same(url: str, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await filling(url).fill(SPAN, None)
    monkeypatch.setattr(filling_module, "SLICE", 7.0)
    sliced = await filling(url).fill(SPAN, outbox)

    assert (sliced.calls, sliced.filled) == (whole.calls, whole.filled)
    assert {each.key for each in sliced.deliveries} == {each.key for each in whole.deliveries}


@pytest.mark.parametrize("name", ["1795835350.788", "PJSIP/multifon-out-000001a7", "PJSIP/multifon-out-000001a1"])
async def test_a_call_of_which_a_channel_is_there_is_left_alone(url: str, outbox: Outbox, name: str) -> None:
    filled = await filling(url, live={name}).fill(SPAN, outbox)

    assert filled.open == 1
    assert "main-1795835350.788" not in calls_of(filled.deliveries)


@pytest.mark.parametrize(("live", "settled"), [(frozenset(), SETTLED), (None, SETTLED_UNSEEN)])
async def test_a_call_is_over_when_nothing_came_for_a_while(
    url: str, outbox: Outbox, live: Collection[str] | None, settled: float
) -> None:
    ended = 1795835361.0
    span = Span(1795835340.0, 1795835362.0)

    assert (await filling(url, now=ended + settled - 1, live=live).fill(span, outbox)).open == 1
    assert (await filling(url, now=ended + settled + 1, live=live).fill(span, outbox)).open == 0


async def test_it_goes_behind_everything_fresh(url: str, outbox: Outbox) -> None:
    filled = await filling(url).fill(SPAN, outbox)
    begin = next(each for each in filled.deliveries if each.kind is Kind.BEGIN)
    fresh = attrs.evolve(begin, call_id="main-9.9", at=NOW, began_at=NOW)
    await outbox.put([fresh], NOW)

    leased = await outbox.lease(LeaseRequest(owner="me", limit=2, seconds=30), NOW)

    assert leased[0].delivery.call_id == "main-9.9"
    assert [row.is_news for row in leased] == [True, False]


async def test_cel_says_how_long_they_talked_where_cdr_cannot(url: str, tmp_path: Path) -> None:
    without = f"sqlite:///{tmp_path}/plain"
    name = "freepbx15/attended_feature"
    insert(create(without, cel=False), "cdr", recorded(name, "cdr"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    insert(engine, "cdr", recorded(name, "cdr"))
    insert(engine, "cel", recorded(name, "cel"))

    def talk(deliveries: Collection[Delivery]) -> float:
        ends = [each for each in deliveries if each.kind is Kind.END and each.call_id == "main-1795835648.1156"]
        return next(each.talk_secs for each in ends if each.extension == "203")

    assert talk((await filling(without).fill(SPAN, None)).deliveries) == 0.0
    assert talk((await filling(url).fill(SPAN, None)).deliveries) > 0.0


async def test_the_zone_is_found_and_compared(url: str) -> None:
    filled = await filling(url, zone="UTC").fill(SPAN, None)
    assert list(filled.zones) == [0]
    assert filled.zone_differs == ""

    other = await filling(url, zone="Europe/Moscow").fill(SPAN, None)
    assert other.zone_differs.startswith("cdr_zone is Europe/Moscow, UTC+3, but the data are in UTC+0")
    assert {each.key for each in other.deliveries} == {each.key for each in filled.deliveries}


async def test_rows_of_two_pbxes_stay_apart(url: str, outbox: Outbox) -> None:
    """Their uniqueids may be the same."""
    one = await filling(url).fill(SPAN, outbox)
    other = await filling(url, pbx="second").fill(SPAN, outbox)

    assert len(other.deliveries) == len(one.deliveries)
    assert not {each.key for each in one.deliveries} & {each.key for each in other.deliveries}


@pytest.mark.parametrize("method", ["latest", "rows"])
async def test_a_cdr_that_hangs_holds_up_no_shutdown(
    url: str, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A cancelled pass ends at once, whatever its thread waits for; nothing was put."""
    is_asked, may_end = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    ended: list[str] = []

    def hanging(*_: object) -> list[object]:
        token.run_sync_soon(is_asked.set)
        may_end.wait(12)
        ended.append(method)
        return []

    monkeypatch.setattr(CdrTable, method, hanging)
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(filling(url).fill, SPAN, outbox)
                await is_asked.wait()
                nursery.cancel_scope.cancel()
        assert ended == []
    finally:
        may_end.set()
    assert (await outbox.statistics()).waiting == 0
