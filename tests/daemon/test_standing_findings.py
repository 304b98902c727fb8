from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.daemon.test_watching import NOTHING_WAITS, NOW, around
from uac_trio.ami_client.status import AMIStatus
from uac_trio.daemon.conditions import Condition
from uac_trio.daemon.standing import Standing
from uac_trio.daemon.standing_findings import standing_findings
from uac_trio.sender.delivery import SenderStatus


def standing(**changed: Any) -> Standing:
    return attrs.evolve(around(NOW).standing, **changed)


@pytest.mark.parametrize(
    ("changed", "condition", "words"),
    [
        ({"pbxes": {}}, Condition.PBX_AWAY, "PBX main: not begun with yet"),
        (
            {"pbxes": {"main": AMIStatus(state="waiting", last_error="login refused: Authentication failed")}},
            Condition.PBX_AWAY,
            "PBX main is not connected: login refused: Authentication failed. Its calls are not seen.",
        ),
        (
            {"store_trouble": "the disk is full", "in_memory": 7},
            Condition.STORE_FAILS,
            "The store takes nothing: the disk is full. 7 deliveries",
        ),
        (
            {"sender": SenderStatus(in_flight=0, trouble="the secret is wrong", trouble_since=NOW)},
            Condition.CRM_AWAY,
            "The CRM gets nothing: the secret is wrong",
        ),
        ({"outbox": attrs.evolve(NOTHING_WAITS, parked=3)}, Condition.DEAD_LETTERS, "Refused by the CRM for good: 3"),
        ({"starts_over": 2}, Condition.STARTED_OVER, "Times that everything began anew: 2"),
        (
            {"pbxes": {"main": AMIStatus(state="connected", banner="Asterisk Call Manager Proxy/1.21")}},
            Condition.PBX_UNKNOWN,
            "PBX main greets with 'Asterisk Call Manager Proxy/1.21', which is no Asterisk",
        ),
        (
            {"recordings_troubles": {"main": "no answer"}},
            Condition.RECORDINGS_AWAY,
            "Recordings of PBX main: no answer",
        ),
        (
            {"flight_recorder_trouble": "/state/flight-recorder: No space left on device"},
            Condition.FLIGHT_RECORDER_FAILS,
            "The flight recorder writes nothing: /state/flight-recorder: No space left on device.",
        ),
        ({"route_trouble": "away"}, Condition.ROUTE_AWAY, "Callers are not routed to who is responsible: away"),
    ],
)
def test_findings(changed: dict[str, Any], condition: Condition, words: str) -> None:
    """What is wrong with a party, in words; where nothing is, there is no finding."""
    assert list(standing_findings(standing())) == []
    (finding,) = standing_findings(standing(**changed))
    assert finding.condition is condition
    assert finding.words.startswith(words)
    assert bool(finding.pbx) is condition.is_of_pbx
