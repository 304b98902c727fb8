"""Findings as lines for a terminal and as JSON, and what follows from all of them together."""

from __future__ import annotations

import enum
import json
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from uac_trio import __version__
from uac_trio.live_check.call_seen import SeenCall
from uac_trio.live_check.finding import ORDER, Finding, Findings, Level
from uac_trio.logs import mask_text

WIDTH = 110
INDENT = 11
_SHORT = 100
"""Characters of a finding in the verdict."""

NO_DAEMON = "http.free"
"""The id of the finding that no daemon runs on this machine."""
_NO_CALL = "call.none"
"""The id of the finding that the watch saw no call."""
_LIVE = "uac-trio check --live looks at PBX, CRM and the rest"
NEXT = "uac-trio check --live --call 60 watches a real one"


class Loss(enum.Enum):
    """What is lost while a problem lasts."""

    CALLS = "calls"
    CLICKS = "clicks"
    RECORDINGS = "recordings"
    ROUTING = "the way of callers to their employee"
    SAFETY = "nothing"


_LOSSES = {
    "click": Loss.CLICKS,
    "recording": Loss.RECORDINGS,
    "recordings": Loss.RECORDINGS,
    "fastagi": Loss.ROUTING,
    "http": Loss.CLICKS,
    "secrets": Loss.SAFETY,
    "user": Loss.SAFETY,
}
"""By a part of a finding's id; what has none of them is about calls."""


def loss(id_: str) -> Loss:
    """What is lost while the problem with this id lasts."""
    return next((_LOSSES[part] for part in id_.split(".") if part in _LOSSES), Loss.CALLS)


@attrs.frozen
class Verdict:
    """The one line at the end."""

    calls: str
    """``shown``, ``not shown`` or ``unknown``."""
    text: str


def in_order(all_found: Iterable[Findings]) -> list[tuple[str, Finding]]:
    """(subject, finding), the worst last: the end of a terminal's output is what is seen first."""
    found = [(findings.subject, finding) for findings in all_found for finding in findings.found]
    return sorted(found, key=lambda each: ORDER[each[1].level])


def verdict(all_found: Sequence[Findings], *, has_call: bool = False) -> Verdict:
    """Whether calls will be shown in the CRM, and what to do next. ``has_call``: a call was watched."""
    found = in_order(all_found)
    problems = [(subject, finding) for subject, finding in found if finding.level is Level.PROBLEM]
    problems.sort(key=lambda each: each[1].id.startswith("call."))  # what a call showed follows from the rest
    losses = {loss(finding.id): _first_step(subject, finding) for subject, finding in reversed(problems)}
    if _NO_CALL in problem_ids(all_found) and Loss.CALLS not in map(loss, problem_ids(all_found) - {_NO_CALL}):
        return Verdict("unknown", "No call was seen, so whether calls will be shown is not known yet.")
    if Loss.CALLS in losses:
        step = losses[Loss.CALLS]
        return Verdict("not shown", f"Calls will not be shown in the CRM as they should; begin with {step}")
    if all(finding.id.startswith("config.") for _, finding in found):
        return Verdict("unknown", f"Only the configuration was read; {_LIVE}.")
    if any(finding.id == NO_DAEMON for _, finding in found):
        state, text = "not shown", "Calls will be shown once the daemon runs: systemctl enable --now uac-trio"
    elif any(finding.level is Level.UNKNOWN and loss(finding.id) is Loss.CALLS for _, finding in found):
        state, text = "unknown", "No reason is seen why calls would not be shown in the CRM"
    else:
        state, text = "shown", "Calls will be shown in the CRM"
    if rest := [f"{what.value} will be missing: begin with {step}" for what, step in losses.items() if _is_loss(what)]:
        return Verdict(state, f"{text}, but {rest[0]}")
    if losses:
        return Verdict(state, f"{text}, but see {losses[Loss.SAFETY]}")
    return Verdict(state, f"{text}." if has_call else f"{text}; {NEXT}.")


def _is_loss(what: Loss) -> bool:
    return what is not Loss.SAFETY


def _first_step(subject: str, finding: Finding) -> str:
    return f"{subject}: {textwrap.shorten(finding.text, _SHORT, placeholder=' ...')}"


def finding_lines(all_found: Iterable[Findings]) -> Iterator[str]:
    """For a terminal: ``problem  PBX main: ...``, each remedy on a line of its own."""
    for subject, finding in in_order(all_found):
        yield _wrapped(f"{finding.level.value:<8} {subject}: {finding.text}", " " * INDENT)
        if finding.remedy:
            yield _wrapped(f"{' ' * (INDENT - 2)}> {finding.remedy}", " " * INDENT)


def closing_lines(all_found: Sequence[Findings], *, has_call: bool = False) -> Iterator[str]:
    """How many findings there are of each level, and the verdict."""
    counts = Counter(finding.level for _, finding in in_order(all_found))
    unseen = f", {counts[Level.UNKNOWN]} not seen" if counts[Level.UNKNOWN] else ""
    yield f"{_several(counts[Level.PROBLEM], 'problem')}, {_several(counts[Level.WARNING], 'warning')}{unseen}."
    yield _wrapped(verdict(all_found, has_call=has_call).text, "")


def problem_ids(all_found: Iterable[Findings]) -> set[str]:
    return {finding.id for _, finding in in_order(all_found) if finding.level is Level.PROBLEM}


def _wrapped(text: str, indent: str) -> str:
    """Lines with commands in them are broken at blanks only."""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _several(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def as_json(config: str, all_found: Sequence[Findings], *, calls: Sequence[SeenCall] = (), mask: bool = True) -> str:
    """One JSON object; docs/check.md has its shape.

    ``config``: path of the configuration. ``mask``: telephone numbers are shown in part.
    """
    end = verdict(all_found, has_call=bool(calls))
    about = {
        "uac_trio": __version__,
        "config": config,
        "calls": end.calls,
        "verdict": end.text,
        "findings": [
            {
                "id": finding.id,
                "severity": finding.level.value,
                "subject": subject,
                "text": finding.text,
                "remedy": finding.remedy,
            }
            for subject, finding in in_order(all_found)
        ],
        "watched": [_call_as_json(call, mask_text if mask else str) for call in calls],
    }
    return json.dumps(about, ensure_ascii=False, indent=2)


def _call_as_json(call: SeenCall, shown: Callable[[str], str]) -> dict[str, object]:
    return {
        "id": call.id,
        "direction": call.direction.value if call.direction is not None else None,
        "customer": shown(call.customer),
        "rang": [{"extension": extension, "rule": rule} for extension, rule in call.rang.items()],
        "answered_by": call.answered_by,
        "not_employees": call.not_employees,
        "recordings": [{"extension": each, "path": shown(path)} for each, path in call.recordings.items()],
        "status": call.status.value if call.status is not None else None,
        "requests": [
            {"name": request.name, "form": {key: shown(value) for key, value in request.about.items()}}
            for request in call.requests
        ],
    }
