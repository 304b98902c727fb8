"""How well CDR (and CEL) rows show the calls that AMI showed: the rows of the stand-in CRM, compared by kind.

    python -m tests.cdr.evaluation [DIRECTORY]

prints the table for a directory of recordings, ``fixtures/cdr`` by default: NAME.jsonl (AMI), NAME.cdr.csv or
NAME.cdr_full.csv, NAME.cel.csv, NAME.expect.json (the ``[calls]`` rules it needs).
"""

from __future__ import annotations

import csv
import enum
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import attrs

from uac_trio.ami import Banner, MessageParser
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.rules import TrackerRules
from uac_trio.cdr.cel import COLUMNS as CEL_COLUMNS
from uac_trio.cdr.cel import CelRow, cel_row
from uac_trio.cdr.facts import Reader
from uac_trio.cdr.grouping import cel_by_call, groups
from uac_trio.cdr.layout import columns_of
from uac_trio.cdr.missing import Known, deliveries_of, missing
from uac_trio.cdr.people import Devices
from uac_trio.cdr.row import CdrRow, cdr_row
from uac_trio.cdr.zone import offsets
from uac_trio.crm.delivery import Delivery, DeliveryMaker, closing
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.recording import recording_token
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.demo.crm import CallRow, CRMUser, StandInCRM
from uac_trio.pipeline import Begun, Pipeline
from uac_trio.replay import PBX
from uac_trio.transcript import Transcript, read_transcript

ROOT = Path(__file__).resolve().parents[2] / "fixtures" / "cdr"

STAFF = tuple(map(str, (*range(101, 105), *range(201, 208), *range(2001, 2007))))

FULL = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer", "end",
    "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield", "sequence", "start_epoch",
    "answer_epoch", "end_epoch", "duration_exact", "billsec_exact", "peeraccount", "linkedid", "did", "recordingpath",
    "cnum", "outbound_cnum", "written",
)  # fmt: skip
"""Columns of NAME.cdr_full.csv."""

TALK = 2.0
"""Seconds by which a talk time may be off."""


class Cut(enum.Enum):
    """What of the AMI recording the connector saw."""

    WHOLE = "nothing"
    UP_TO_THE_MIDDLE = "up to the middle"
    FROM_THE_MIDDLE = "from the middle"


@cache
def names(root: Path = ROOT) -> list[str]:
    """All recordings below ``root``."""
    found = sorted(str(path.relative_to(root)).removesuffix(".expect.json") for path in root.rglob("*.expect.json"))
    return [name for name in found if (root / f"{name}.jsonl").exists()]


def rules_of(name: str, root: Path = ROOT) -> TrackerRules:
    given = json.loads((root / f"{name}.expect.json").read_text(encoding="utf-8")).get("rules") or {}
    is_office = name.rpartition("/")[2].startswith("office")
    return TrackerRules(**{"outside_prefix": "9" if is_office else "", **given})


def crm_of(rules: TrackerRules, flavour: Flavour) -> CRM:
    settings = VtigerSettings(
        url="http://crm.invalid/callback.php", secret="s", flavour=flavour, timezone="Europe/Moscow"
    )
    return settings.crm(Surroundings(public_url="http://connector.invalid:5000", is_extension=rules.is_extension))


def _lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        return [line for line in csv.reader(file) if line]


@cache
def cdr_of(name: str, root: Path = ROOT) -> Sequence[CdrRow]:
    full, plain = root / f"{name}.cdr_full.csv", root / f"{name}.cdr.csv"
    lines = _lines(plain) if plain.exists() else []
    columns: Sequence[str] | None = columns_of(lines[0]) if lines else FULL
    if columns is None:
        columns, lines = lines[0], lines[1:]
    elif "linkedid" not in columns or not plain.exists():  # Master.csv as Debian has it
        columns, lines = FULL, _lines(full)
    return [cdr_row(dict(zip(columns, line, strict=True))) for line in lines]


def cel_of(name: str, root: Path = ROOT) -> Sequence[CelRow]:
    path = root / f"{name}.cel.csv"
    lines = _lines(path) if path.exists() else []
    columns: Sequence[str] = CEL_COLUMNS
    if lines and "uniqueid" in lines[0]:
        columns, lines = lines[0], lines[1:]
    return [cel_row(dict(zip(columns, line, strict=True)), order) for order, line in enumerate(lines)]


def devices_of(folder: str, rules: TrackerRules, root: Path = ROOT) -> Devices:
    """What all rows of this PBX show of its devices, as its table of CDR would."""
    devices = Devices(rules)
    devices.learn([row for name in names(root) if str(Path(name).parent) == folder for row in cdr_of(name, root)])
    return devices


def transcripts_of(name: str, root: Path = ROOT) -> list[Transcript]:
    paths = [root / f"{name}.jsonl", root / f"{name}_2.jsonl"]
    return [read_transcript(path.name, path.read_bytes()) for path in paths if path.exists()]


def watched(name: str, flavour: Flavour, cut: Cut | None, root: Path = ROOT) -> list[Delivery]:
    """What the connector delivers of what it sees; all, without a cut. One that was killed in the middle starts again
    when all is over, and ends what it had begun."""
    if cut is Cut.WHOLE:
        return []
    rules = rules_of(name, root)
    crm = crm_of(rules, flavour)
    pipeline = Pipeline(rules, crm, partial(recording_token, crm.secret))
    found: list[Delivery] = []
    transcripts = transcripts_of(name, root)
    times = [transcript.at(chunk) for transcript in transcripts for chunk in transcript.chunks]
    middle = (min(times) + max(times)) / 2
    at = times[0]
    for transcript in transcripts:
        parser = MessageParser(wanted=is_wanted)
        banner: str | None = None
        for chunk in transcript.chunks:
            at = max(at, transcript.at(chunk))
            if chunk.direction != "recv":
                continue
            parser.receive_data(chunk.data)
            messages = []
            while (message := parser.next_message()) is not None:
                messages.append(message)
            if banner is None:
                banner = next((each.text for each in messages if isinstance(each, Banner)), "")
                found += pipeline.connected(PBX, at, banner)
            is_seen = cut is None or (at <= middle) == (cut is Cut.UP_TO_THE_MIDDLE)
            if is_seen:
                found += pipeline.tick(at)
                found += pipeline.received(PBX, [each for each in messages if not isinstance(each, Banner)], at)
        found += pipeline.lost(PBX, at)
    if cut is not Cut.UP_TO_THE_MIDDLE:
        for later in (1.0, 3.0, 8.0):
            found += pipeline.tick(at + later)
        return [*found, *pipeline.finish(at + 8.0)]
    return [*found, *_closed(found, at + 60.0)]


def _closed(found: Sequence[Delivery], at: float) -> Iterator[Delivery]:
    """What a connector does that starts anew, and finds no channels."""
    ended = {(each.call_id, each.subject) for each in found if each.kind.value == "end"}
    begun = {(each.call_id, each.subject): each for each in reversed(found) if each.kind.value == "begin"}
    for who, begin in begun.items():
        if who not in ended:
            answers = [each.at for each in found if (each.call_id, each.subject) == who and each.kind.value == "answer"]
            yield closing(Begun(begin, max(answers, default=None)).begin, max(answers, default=None), at)


def found_in_cdr(
    name: str, flavour: Flavour, *, with_cel: bool, root: Path = ROOT, rows: Sequence[CdrRow] = ()
) -> list[Delivery]:
    """All that the rows show. ``rows``: others than the recording's."""
    rules = rules_of(name, root)
    crm = crm_of(rules, flavour)
    rows = rows or cdr_of(name, root)
    reader = Reader(PBX, devices_of(str(Path(name).parent), rules, root))
    maker = DeliveryMaker(PBX, crm.scope, crm.wants, partial(recording_token, crm.secret))
    cel = cel_of(name, root) if with_cel else ()
    found: list[Delivery] = []
    calls = groups(rows, next(iter(offsets(rows)), 0))
    for group, of_group in zip(calls, cel_by_call(calls, cel), strict=True):
        found += deliveries_of(reader.facts(group, of_group), maker, rules)
    return found


def in_crm(deliveries: Iterable[Delivery], rules: TrackerRules, flavour: Flavour) -> StandInCRM:
    """The CRM after these; an answer that its end follows is never sent (SalesPlatform)."""
    users = [CRMUser(id=int(each), name=each, extension=each) for each in STAFF if rules.is_extension(each)]
    shown = StandInCRM(flavour=flavour, users=users, secret="s", timezone="Europe/Moscow")
    crm = crm_of(rules, flavour)
    keys: set[str] = set()
    for each in deliveries:
        if each.key in keys:
            continue
        keys.add(each.key)
        for request in crm.requests(each):
            reply = shown.callback({**request.about, "vtigersignature": "s"}, each.at)
            assert reply.status == 200
    assert shown.hazards == []
    return shown


def after_backfill(
    name: str, flavour: Flavour, cut: Cut, *, with_cel: bool, root: Path = ROOT
) -> tuple[StandInCRM, StandInCRM]:
    """The CRM had all been watched, and the CRM after a cut and a back-fill."""
    rules = rules_of(name, root)
    whole = in_crm(watched(name, flavour, None, root), rules, flavour)
    before = watched(name, flavour, cut, root)
    known = [Known(each, each.ended_at or each.at) for each in before]
    filled = missing(found_in_cdr(name, flavour, with_cel=with_cel, root=root), known)
    return whole, in_crm([*before, *filled], rules, flavour)


@attrs.define
class Tally:
    """Counts of calls and rows."""

    calls: int = 0
    found: int = 0
    right: int = 0
    """Direction, customer, answered or lost, answered by: of those found."""
    talks: int = 0
    """Rows of who talked."""
    talks_given: int = 0
    talks_right: int = 0
    too_many: int = 0
    """Rows that there should not be."""
    ringing: int = 0

    def add(self, other: Tally) -> None:
        for field in attrs.fields(Tally):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def tally(whole: StandInCRM, filled: StandInCRM) -> Tally:
    result = Tally()
    expected, actual = _by_call(whole), _by_call(filled)
    for call_id, rows in expected.items():
        result.calls += 1
        result.found += call_id in actual
        if call_id in actual:
            result.right += _gist(rows) == _gist(actual[call_id])
    by_user = {(row.sourceuuid, row.user): row for row in filled.rows}
    for row in whole.rows:
        there = by_user.pop((row.sourceuuid, row.user), None)
        if row.billduration and there is not None:
            result.talks += 1
            result.talks_given += bool(there.billduration)
            result.talks_right += abs(there.billduration - row.billduration) <= TALK and bool(there.billduration)
    result.too_many = len(by_user)
    result.ringing = sum(row.callstatus in ("ringing", "in-progress") for row in filled.rows)
    return result


def _by_call(crm: StandInCRM) -> dict[str, list[CallRow]]:
    found: dict[str, list[CallRow]] = {}
    for row in crm.rows:
        found.setdefault(row.sourceuuid, []).append(row)
    return found


def _gist(rows: Sequence[CallRow]) -> tuple[object, ...]:
    answered = {row.user for row in rows if row.callstatus == "completed"}
    return {(row.direction, row.customernumber) for row in rows}, bool(answered), answered


def kind_of(name: str) -> str:
    """Of scenarios alike."""
    base = name.rpartition("/")[2].removeprefix("office_").removeprefix("tangled_").removeprefix("rarely_")
    return base.partition("_")[0]


def show(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(root: Path) -> None:
    for with_cel in (False, True):
        for flavour in Flavour:
            for cut in Cut:
                kinds: dict[str, Tally] = {}
                for name in names(root):
                    if with_cel and not (root / f"{name}.cel.csv").exists():
                        continue
                    whole, filled = after_backfill(name, flavour, cut, with_cel=with_cel, root=root)
                    kinds.setdefault(kind_of(name), Tally()).add(tally(whole, filled))
                total = Tally()
                for each in kinds.values():
                    total.add(each)
                source = "CDR and CEL" if with_cel else "CDR alone"
                show(f"\n{source}, {flavour.value}, AMI seen: {cut.value}")
                show(f"{'kind':<14} calls found right | talks given within 2 s | rows too many, left ringing")
                for kind, each in [*sorted(kinds.items()), ("all", total)]:
                    show(
                        f"{kind:<14} {each.calls:5} {each.found:5} {each.right:5} | {each.talks:5} {each.talks_given:5}"
                        f" {each.talks_right:5}       | {each.too_many:3} {each.ringing:3}"
                    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
