"""The shipped recordings through the pipeline into the stand-in CRM, without a network or a clock."""

from __future__ import annotations

from functools import partial

import pytest

from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.demo.crm import CRMContact, CRMUser, StandInCRM
from uac_trio.demo.recording import Recording, Rewriter, shipped_recordings
from uac_trio.demo.truth import differences, expected_rows
from uac_trio.pipeline import Pipeline

STARTED = 1_800_000_000
RECORDINGS = shipped_recordings()


def played(recording: Recording, serial: int = 1) -> tuple[StandInCRM, Rewriter]:
    crm = StandInCRM(
        users=tuple(CRMUser(id=n, name=str(n), extension=str(n)) for n in (101, 102, 103)),
        contacts=(CRMContact(id=20, name="Known", phones=("+79161234567",)),),
        secret="s",
    )
    settings = VtigerSettings(url="http://crm.example/x.php", secret="s")
    seam = settings.crm(Surroundings(public_url="http://c.example"))
    pipeline = Pipeline(TrackerRules(), seam, partial(recording_token, "s"))
    rewriter = Rewriter(epoch=recording.epoch, shift=STARTED - recording.epoch, serial=serial)
    deliveries = pipeline.connected("demo", STARTED)
    for timed in recording.events:
        deliveries += pipeline.received("demo", [rewriter.event(timed.event)], STARTED + timed.at)
    deliveries += pipeline.finish(STARTED + recording.events[-1].at + 60)
    for delivery in deliveries:
        for request in seam.requests(delivery):
            assert crm.callback({"vtigersignature": "s", **request.about}, delivery.at).body == ""
    return crm, rewriter


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_rows_agree_with_the_truth(name: str) -> None:
    """Every shipped recording leads to the rows that its truth asks for; none is doubled, stuck or harmful."""
    crm, rewriter = played(RECORDINGS[name])
    for call in RECORDINGS[name].calls:
        rows = crm.tables.call(f"demo-{rewriter.text(call['linkedid'])}")
        assert differences(crm, rows, expected_rows(call)) == []
        assert len(rows) == len(crm.rows)
    assert (crm.stuck(), crm.doubles(), crm.hazards, crm.unmatched) == ([], [], [], {})
