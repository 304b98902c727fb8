"""What calls and answers show of an installation that is not set up rightly: each rule with what makes it, and what
does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs
import pytest

from tests.recorded import NAMES, replayed
from uac_trio.calls.channel_events import Lack
from uac_trio.calls.endpoint import Evidence
from uac_trio.calls.fact import CallEnded, LooksLikeBoth, NotAnEmployee, NotShown, Oddity
from uac_trio.calls.outcome import Outcome
from uac_trio.crm.reply import Ruling
from uac_trio.daemon.conditions import Condition, Finding
from uac_trio.daemon.detectors import DAY, HOUR, UNNAMED_CALLS, Detectors
from uac_trio.working_hours import WorkingHours

MONDAY = datetime.fromisoformat("2026-11-23 09:00").astimezone().timestamp()
NEVER = WorkingHours(no_call_hours=0)
(A_CALL,) = [fact for fact in replayed("asterisk22/inbound_answered").facts if isinstance(fact, CallEnded)]


@attrs.define
class Scene:
    """A PBX that is connected since ``MONDAY``, and the rules; without those about silence."""

    hours: WorkingHours = NEVER
    has_recordings: bool = True
    connected: bool = True
    detectors: Detectors = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.detectors = Detectors(hours=self.hours, pbxes={"main": self.has_recordings, "main2": False})

    def found(self, at: float = MONDAY + 1) -> list[Finding]:
        return list(self.detectors.findings({"main": MONDAY} if self.connected else {}, at))

    def conditions(self, at: float = MONDAY + 1) -> list[Condition]:
        return [one.condition for one in self.found(at)]


def call(
    number: int = 1, *, pbx: str = "main", recording: str = "", talk: float = 20.0, status: Outcome = Outcome.COMPLETED
) -> CallEnded:
    summary = attrs.evolve(A_CALL.summary, recording=recording, talk_secs=talk, status=status)
    return attrs.evolve(A_CALL, call_id=f"{pbx}-{number}.0", summary=summary)


def unannounced(number: int = 1) -> NotShown:
    return NotShown(call_id=f"main-{number}.0", at=MONDAY, because="x", pbx="main", lack=Lack.CALLS)


def stranger(endpoint: str = "PJSIP/anna", evidence: Evidence = Evidence.NONE) -> NotAnEmployee:
    return NotAnEmployee(
        call_id="main-1.0", at=MONDAY, because="x", channel=f"{endpoint}-1", endpoint=endpoint, evidence=evidence
    )


def test_all_is_well() -> None:
    """A call that is announced, answered and recorded is no finding."""
    scene = Scene()
    scene.detectors.observe(call(recording="/r.wav"), MONDAY)
    scene.detectors.sent(Ruling.DELIVERED, "", MONDAY)
    assert scene.found() == []


# -- calls that end and were never announced ---------------------------------------------------------------------------


def test_calls_that_were_never_announced() -> None:
    """Cdrs of calls without any event: read=call is missing."""
    scene = Scene()
    scene.detectors.observe(unannounced(), MONDAY)
    (finding,) = scene.found()
    assert (finding.condition, finding.pbx) == (Condition.CALLS_NOT_ANNOUNCED, "main")
    assert "sent 1 call records (Cdr) of calls that no event announced" in finding.words
    assert "lacks call in read=" in finding.remedy


def test_one_stray_cdr_among_many_calls_is_no_finding() -> None:
    """Only where most calls come unannounced something hides them."""
    scene = Scene()
    for number in range(3):
        scene.detectors.observe(call(number, recording="r"), MONDAY)
    scene.detectors.observe(unannounced(9), MONDAY)
    assert scene.conditions() == []
    for number in range(10, 13):
        scene.detectors.observe(unannounced(number), MONDAY)
    assert scene.conditions() == [Condition.CALLS_NOT_ANNOUNCED]


def test_a_login_may_have_mended_it() -> None:
    """Rights count from the login, so what was seen before the last one proves nothing."""
    scene = Scene()
    scene.detectors.observe(unannounced(), MONDAY)
    scene.detectors.connected("main")
    scene.detectors.connected("not one of ours")
    assert scene.conditions() == []


def test_while_the_connection_is_lost_that_is_the_finding() -> None:
    """Not what the PBX did not show before."""
    scene = Scene(connected=False)
    scene.detectors.observe(unannounced(), MONDAY)
    assert scene.conditions() == []


# -- no call for hours -------------------------------------------------------------------------------------------------


def test_no_call_for_hours() -> None:
    """Four hours of work without a call, counted from the login."""
    scene = Scene(hours=WorkingHours())
    assert scene.conditions(MONDAY + 3.9 * HOUR) == []
    (finding,) = scene.found(MONDAY + 4 * HOUR)
    assert finding.condition is Condition.NO_CALLS
    assert "showed no call for 4.0 hours of work (mon, tue, wed, thu, fri 09:00-18:00)" in finding.words


@pytest.mark.parametrize(
    ("fact", "ends"),
    [(call(), True), (stranger(), True), (unannounced(), False), (Oddity(call_id="", at=0, because="x"), False)],
    ids=["call", "phone", "Cdr alone", "oddity"],
)
def test_a_call_ends_the_silence(fact: CallEnded, ends: bool) -> None:
    """Of another PBX it does not, nor does a Cdr without a call."""
    scene = Scene(hours=WorkingHours(), has_recordings=False)
    scene.detectors.observe(call(pbx="main2"), MONDAY + 4 * HOUR)
    assert Condition.NO_CALLS in scene.conditions(MONDAY + 4 * HOUR)
    scene.detectors.observe(fact, MONDAY + 4 * HOUR)
    assert (Condition.NO_CALLS not in scene.conditions(MONDAY + 5 * HOUR)) is ends


def test_silence_that_is_turned_off() -> None:
    scene = Scene(hours=NEVER)
    assert scene.conditions(MONDAY + 40 * DAY) == []


# -- phones and lines --------------------------------------------------------------------------------------------------


def test_phones_that_are_no_employees() -> None:
    """They are named with the reason, for a day after the last ring."""
    scene = Scene()
    scene.detectors.observe(stranger("PJSIP/anna"), MONDAY)
    scene.detectors.observe(stranger("PJSIP/boris", Evidence.LINE_BEFORE), MONDAY + HOUR)
    (finding,) = scene.found(MONDAY + HOUR)
    assert finding.condition is Condition.NOT_AN_EMPLOYEE
    assert finding.words.endswith(
        "PJSIP/boris (the endpoint was a line before), "
        "PJSIP/anna (neither its CallerID nor its name matches [calls] extensions)."
    )
    assert "[calls] trunks" in finding.remedy
    assert "anna" not in scene.found(MONDAY + DAY)[0].words
    assert scene.conditions(MONDAY + DAY + HOUR) == []


@pytest.mark.parametrize("evidence", [Evidence.NOT_OURS, Evidence.TRUNKS, Evidence.DIALLED, Evidence.HELPER])
def test_phones_that_are_no_employees_on_purpose(evidence: Evidence) -> None:
    """Another company's, and what the administrator or the call itself says to be a line."""
    scene = Scene()
    scene.detectors.observe(stranger(evidence=evidence), MONDAY)
    assert scene.conditions() == []


def test_many_phones_are_counted() -> None:
    """The latest five by name; hundreds of names are not kept."""
    scene = Scene()
    for number in range(300):
        scene.detectors.observe(stranger(f"SIP/a{number}"), MONDAY)
    (finding,) = scene.found()
    assert finding.words.count("SIP/a") == 5
    assert finding.words.endswith("and 195 more.")


def test_a_line_that_looks_like_an_extension() -> None:
    scene = Scene()
    both = LooksLikeBoth(call_id="main-1.0", at=MONDAY, because="x", endpoint="SIP/33915", evidence=Evidence.DIALLED)
    scene.detectors.observe(both, MONDAY)
    (finding,) = scene.found()
    assert (finding.condition, finding.pbx) == (Condition.LINE_LIKE_EXTENSION, "main")
    assert "SIP/33915 (an outside number was dialled there)" in finding.words


def test_queues_of_ami_1_without_agent_called() -> None:
    scene = Scene()
    scene.detectors.observe(NotShown(call_id="", at=MONDAY, because="x", pbx="main", lack=Lack.QUEUE_MEMBERS), MONDAY)
    (finding,) = scene.found()
    assert finding.condition is Condition.QUEUE_CALLS_NOT_SHOWN
    assert "eventwhencalled = yes" in finding.remedy
    assert scene.conditions(MONDAY + DAY) == []


# -- recordings --------------------------------------------------------------------------------------------------------


def test_answered_calls_without_the_name_of_a_recording() -> None:
    """Five in a row, where recordings are configured; the first that has one ends it."""
    scene = Scene()
    for number in range(UNNAMED_CALLS):
        assert scene.conditions() == []
        scene.detectors.observe(call(number), MONDAY)
    (finding,) = scene.found()
    assert finding.condition is Condition.NO_RECORDING_NAMES
    assert "recordingfile => recordingfile and linkedid => linkedid, without a section" in finding.remedy
    scene.detectors.observe(call(9, recording="/r.wav"), MONDAY)
    assert scene.conditions() == []


@pytest.mark.parametrize(
    ("scene", "ended"),
    [
        (lambda: Scene(has_recordings=False), call()),
        (Scene, call(status=Outcome.NO_ANSWER)),
        (Scene, call(talk=1.0)),
        (Scene, call(pbx="main2")),
    ],
    ids=["no recordings configured", "not answered", "too short", "another PBX"],
)
def test_calls_that_need_no_recording(scene: Callable[[], Scene], ended: CallEnded) -> None:
    here = scene()
    for _ in range(3 * UNNAMED_CALLS):
        here.detectors.observe(ended, MONDAY)
    assert here.conditions() == []


# -- the CRM's answers -------------------------------------------------------------------------------------------------


def test_probably_delivered() -> None:
    """An error that is taken for success is shown for an hour, with the CRM's words."""
    scene = Scene()
    scene.detectors.sent(Ruling.PROBABLY, "HTTP 500", MONDAY)
    scene.detectors.sent(Ruling.PROBABLY, "HTTP 500 again", MONDAY + 60)
    (finding,) = scene.found(MONDAY + 60)
    assert (finding.condition, finding.pbx) == (Condition.PROBABLY_DELIVERED, "")
    assert finding.words.startswith("2 requests of the last hour")
    assert finding.words.endswith("HTTP 500 again")
    assert scene.conditions(MONDAY + 60 + HOUR) == []


def test_what_may_be_lost() -> None:
    scene = Scene()
    scene.detectors.may_be_lost(MONDAY)
    assert scene.conditions(MONDAY + HOUR) == [Condition.MAY_BE_LOST]
    assert scene.conditions(MONDAY + DAY) == []


def test_a_call_of_no_pbx_is_nothing() -> None:
    """Facts of a call whose identity begins with no PBX of the configuration."""
    scene = Scene()
    scene.detectors.observe(call(pbx="other"), MONDAY)
    assert scene.conditions() == []


@pytest.mark.parametrize("pbx", ["freepbx15", "asterisk22", "asterisk16", "asterisk13.38"])
def test_a_pbx_that_is_set_up_rightly_has_no_condition(pbx: str) -> None:
    """All recorded calls of one, with its rules."""
    names = [name for name in NAMES if name.startswith(f"{pbx}/")]
    scene = Scene(has_recordings=False)
    for name in names:
        for fact in replayed(name).facts:
            scene.detectors.observe(fact, MONDAY)
    assert names
    assert scene.found() == []
