from __future__ import annotations

import subprocess
import sys
from typing import Any

import trio
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.test_watching import DIAL, NOTHING_WAITS, NOW, Scene, ended
from uac_trio.ami_client.status import AMIStatus
from uac_trio.calls.click import ClickResult
from uac_trio.calls.fact import Oddity
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.click import Originated
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.metrics import VERDICTS, Metrics
from uac_trio.daemon.standing import Standing
from uac_trio.sender.delivery import SenderStatus
from uac_trio.store.rows import OutboxStatistics
from uac_trio.web.streams import StreamsStatus


def standing(**changed: Any) -> Standing:
    given: dict[str, Any] = {
        "now": NOW,
        "configured": ["main", "far"],
        "pbxes": {
            "main": AMIStatus(state="connected", sessions=3, messages=70, dropped=5, last_message_at=NOW),
            "far": AMIStatus(state="waiting", protocol_errors=1),
        },
        "live_calls": 2,
        "starts_over": 1,
        "in_memory": 4,
        "store_trouble": "",
        "outbox": NOTHING_WAITS,
        "sender": SenderStatus(in_flight=1, trouble="", trouble_since=None, at_once=2.5),
        "version": "1.2.3",
        "log_lines_dropped": 8,
        **changed,
    }
    return Standing(**given)


def read(figures: Metrics, **changed: Any) -> dict[str, float]:
    """``name{label=value}`` to value, as Prometheus reads the page."""
    page = figures.page(standing(**changed), 1, {"ready": 6}).decode()
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_streams() -> None:
    """Of [companion]; where that is off they have no metrics."""
    assert not [name for name in read(Metrics()) if "companion" in name]
    status = StreamsStatus(open=3, opened=7, events=40, dropped=1, refused={"replayed": 2}, last_seen_at=NOW)
    assert (
        read(Metrics(), streams=status).items()
        >= {
            "uac_companion_streams": 3,
            "uac_companion_streams_opened_total": 7,
            "uac_companion_events_total": 40,
            "uac_companion_streams_dropped_total": 1,
            "uac_companion_tokens_refused_total{reason=replayed}": 2,
        }.items()
    )


def test_how_things_stand() -> None:
    """What is read off at a scrape: PBXes, calls, outbox, CRM, recordings."""
    waits = OutboxStatistics(waiting=3, sending=1, parked=2, delivered=9, superseded=1, oldest_waiting_at=NOW - 40)
    found = read(Metrics(), outbox=waits)
    assert {name: value for name, value in found.items() if not name.startswith("uac_outbox_rows")}.items() >= {
        "uac_build_info{version=1.2.3}": 1,
        "uac_pbx_connected{pbx=main}": 1,
        "uac_pbx_connected{pbx=far}": 0,
        "uac_pbx_messages_total{pbx=main}": 70,
        "uac_pbx_events_dropped_total{pbx=main}": 5,
        "uac_pbx_sessions_total{pbx=main}": 3,
        "uac_pbx_protocol_errors_total{pbx=far}": 1,
        "uac_pbx_last_message_timestamp_seconds{pbx=main}": NOW,
        "uac_live_calls": 2,
        "uac_digest_failures_total": 1,
        "uac_log_lines_dropped_total": 8,
        "uac_store_up": 1,
        "uac_deliveries_in_memory": 4,
        "uac_outbox_oldest_waiting_seconds": 40,
        "uac_crm_up": 1,
        "uac_crm_requests_in_flight": 1,
        "uac_crm_requests_at_once": 2.5,
        "uac_recording_downloads": 1,
        "uac_recordings{state=ready}": 6,
    }.items()
    assert "uac_pbx_last_message_timestamp_seconds{pbx=far}" not in found
    rows = {name: value for name, value in found.items() if name.startswith("uac_outbox_rows")}
    assert rows == {
        "uac_outbox_rows{state=waiting}": 3,
        "uac_outbox_rows{state=sending}": 1,
        "uac_outbox_rows{state=parked}": 2,
        "uac_outbox_rows{state=delivered}": 9,
        "uac_outbox_rows{state=superseded}": 1,
    }


def test_trouble() -> None:
    """A CRM that takes nothing and a store that is away are 0; a store never asked reports no rows."""
    trouble = SenderStatus(in_flight=0, trouble="away", trouble_since=NOW)
    found = read(Metrics(), sender=trouble, store_trouble="the disk is full", outbox=None)
    assert (found["uac_crm_up"], found["uac_store_up"]) == (0, 0)
    assert not [name for name in found if name.startswith("uac_outbox")]


def test_a_recorded_call() -> None:
    """A call that was replayed counts by direction and status, its requests by step, with their times."""
    scene = Scene()
    scene.play("asterisk22/inbound_ringgroup_answered")
    for request in scene.deliveries:
        scene.answer(request)
    scene.answer(scene.deliveries[0], Ruling.UNKNOWN)
    found = read(scene.watching.metrics)
    assert found["uac_calls_ended_total{direction=inbound}{status=completed}"] == 1
    assert found["uac_participations_ended_total{direction=inbound}{outcome=completed}"] == 1
    assert found["uac_participations_ended_total{direction=inbound}{outcome=answered-elsewhere}"] == 2
    assert found["uac_requests_sent_total{request=begin}{verdict=delivered}"] == 3
    assert found["uac_requests_sent_total{request=begin}{verdict=unknown}"] == 1
    assert found["uac_event_to_delivered_seconds_count{kind=begin}"] == 3
    assert found["uac_event_to_stored_seconds_count"] == len(scene.deliveries)
    assert found["uac_crm_reply_seconds_count"] == len(scene.deliveries)  # the unknown one had no reply
    assert not [name for name in found if "_created" in name]


def test_metrics_name_no_one() -> None:
    """No metric has a telephone number or an extension in its labels."""
    scene = Scene()
    scene.play("asterisk22/inbound_answered")
    for request in scene.deliveries:
        scene.answer(request)
    scene.watching.observe(Oddity(call_id="main-1", at=NOW, because="79161234567"), [])
    page = scene.watching.metrics.page(standing(), 1, {"ready": 6}).decode()
    labels = {
        value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert not [value for value in labels if any(character.isdigit() for character in value) and value != "1.2.3"]
    assert "7916" not in page
    assert "uac_oddities_total 1.0" in page


async def test_clicks() -> None:
    """Clicks count by the PBX's answer and by how their calls ended."""
    scene = Scene()

    async def originate(_: object) -> Originated:
        await trio.lowlevel.checkpoint()
        return Originated.REFUSED

    await scene.watching.around(originate, DIAL)
    for result in (ClickResult("customer-busy", ""), ClickResult("customer-busy", ""), None):
        scene.watching.observe(ended(1, result), [])
    found = read(scene.watching.metrics)
    assert found["uac_click2call_orders_total{outcome=refused}"] == 1
    assert found["uac_click2call_calls_total{outcome=customer-busy}"] == 2
    assert found["uac_calls_ended_total{direction=inbound}{status=no-answer}"] == 3


def test_phones_of_no_employee() -> None:
    """Each ring of such a phone counts, so that rules that match no phone can raise an alarm."""
    scene = Scene()
    scene.play("asterisk22/inbound_ringgroup_answered", rules=TrackerRules(extensions=["101"]))
    assert read(scene.watching.metrics)["uac_not_an_employee_total"] == 2


def test_every_ruling_has_a_word() -> None:
    """No ruling of the sender is without its label."""
    assert set(VERDICTS) == set(Ruling)


def test_two_daemons_in_one_process() -> None:
    """Metrics are of the daemon they belong to: a second one begins with none."""
    first, second = Scene(), Scene()
    first.watching.observe(ended(1), [])
    assert "uac_calls_ended_total{direction=inbound}{status=no-answer}" in read(first.watching.metrics)
    assert "uac_calls_ended_total{direction=inbound}{status=no-answer}" not in read(second.watching.metrics)


def test_the_library_starts_nothing() -> None:
    """Importing the figures starts no thread and brings no event loop in."""
    code = (
        "import sys, threading, uac_trio.daemon.metrics; "
        "print(threading.active_count(), 'asyncio' in sys.modules, 'twisted' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "1"
    assert done.stdout.split()[2] == "False"
