"""The shipped recordings through the pipeline into the stand-in CRM, without a network or a clock."""

from __future__ import annotations

import pytest

from uac_trio.calls.rules import TrackerRules
from uac_trio.demo.crm import CRMContact, CRMUser, StandInCRM
from uac_trio.demo.recording import Recording, Retelling, shipped_recordings
from uac_trio.demo.truth import differences, expected_rows
from uac_trio.pipeline import Pipeline
from uac_trio.vtiger.account import VtigerAccount

STARTED = 1_800_000_000
RECORDINGS = shipped_recordings()


def told(recording: Recording, serial: int = 1) -> tuple[StandInCRM, Retelling]:
    crm = StandInCRM(
        users=tuple(CRMUser(id=n, name=str(n), extension=str(n)) for n in (101, 102, 103)),
        contacts=(CRMContact(id=20, name="Known", phones=("+79161234567",)),),
        secret="s",
    )
    account = VtigerAccount(url="http://crm.example/x.php", secret="s")
    pipeline = Pipeline(
        rules=TrackerRules(), account=account, link=lambda path: f"http://c.example/recording?id={len(str(path))}"
    )
    retelling = Retelling(epoch=recording.epoch, shift=STARTED - recording.epoch, serial=serial)
    requests = pipeline.connected("demo", STARTED)
    for timed in recording.events:
        requests += pipeline.received("demo", [retelling.event(timed.event)], STARTED + timed.at)
    requests += pipeline.finish(STARTED + recording.events[-1].at + 60)
    for request in requests:
        assert crm.callback({"vtigersignature": "s", **request.form}, request.at).body == ""
    return crm, retelling


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_rows_agree_with_the_truth(name: str) -> None:
    """Every shipped recording leads to the rows that its truth asks for; none is doubled, stuck or harmful."""
    crm, retelling = told(RECORDINGS[name])
    for call in RECORDINGS[name].calls:
        rows = crm.tables.call(f"demo-{retelling.text(call['linkedid'])}")
        assert differences(crm, rows, expected_rows(call)) == []
        assert len(rows) == len(crm.rows)
    assert (crm.stuck(), crm.doubles(), crm.hazards, crm.unmatched) == ([], [], [], {})
