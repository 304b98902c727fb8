"""Writes the diagrams and tables of docs/architecture.md from the tables of the program.

    python -m tools.make_architecture

tests/test_docs.py holds the committed page to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from uac_trio.calls import call_outcome, outcome
from uac_trio.calls.participation import TRANSITIONS, Observation

PAGE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"


def states() -> Iterator[str]:
    """The state diagram in Mermaid's language."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    for state, row in TRANSITIONS.items():
        by_target: dict[str, list[Observation]] = {}
        for observation, target in row.items():
            by_target.setdefault(target.value, []).append(observation)
        for target_name, observations in by_target.items():
            words = " / ".join(observation.value for observation in observations)
            source = "[*]" if state.value == "idle" else state.value
            goal = "[*]" if target_name == "done" else target_name
            yield f"    {source} --> {goal}: {words}"
    yield "```"


def rules() -> Iterator[str]:
    """The outcome rules of a leg."""
    yield "| # | when | outcome | known from |"
    yield "|---|---|---|---|"
    for number, rule in enumerate(outcome.RULES, 1):
        yield f"| {number} | {rule.when} | {rule.outcome.value} | {rule.source} |"


def status() -> Iterator[str]:
    """The outcome rules of a call."""
    yield "| # | when | status | known from |"
    yield "|---|---|---|---|"
    for number, rule in enumerate(call_outcome.STATUS_RULES, 1):
        yield f"| {number} | {rule.when} | {rule.outcome.value} | {rule.source} |"


def page(text: str) -> str:
    """The page with its generated parts as the program is now. Raises ValueError for a page that lacks one."""
    for name, lines in (("states", states()), ("rules", rules()), ("status", status())):
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not begin or not end:
            raise ValueError(f"{PAGE} has no part <!-- {name} --> ... <!-- end -->")
        text = "".join((before, begin, *(f"{line}\n" for line in lines), end, after))
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
