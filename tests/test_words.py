"""The glossary of the source: one word for one thing, the field's word where there is one.

Comments, docstrings, string literals and identifiers are searched for words that have a better one. ``QUOTED`` lists
the files that quote one. CONTRIBUTING.md has the glossary for people.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "uac_trio"
BESIDE = ("tests", "benchmarks", "tools", "lab")

EVERYWHERE: Mapping[str, str] = {
    "told|tell|tells|telling": "emit, return, deliver, send, report or show",
    "somebody|nobody|whoever": "the role: caller, client, administrator, attacker; or 'no ...'",
    "everybody|everybodys|anybody": "every user, all clients, any client",
    "he|him|his|she|hers": "they, them, their",
    "shut out|shuts out": "block",
    "what became of|became of|what came of": "outcome or result",
    "without a word": "silently",
    "heard again": "replayed",
    "moot|had moved on|has moved on": "superseded",
    "deed|deeds": "fact or action",
    "elder|elders": "the other connector, or 'gone'",
    "hull": "shutdown scope",
    "goes and looks|go and look": "check",
}
"""What is searched for, as words separated by |, and what to write instead."""

BY_ROOM: Mapping[str, Mapping[str, str]] = {
    "sender/": {"gate|gates": "circuit breaker", "pace|paces": "concurrency limit or backoff"},
    "event_log.py": {"journal|journals": "event log"},
    "daemon/": {"journal|journals": "event log", "figures": "metrics"},
    "web/": {"question|questions": "request", "figures": "metrics"},
    "recordings/": {"question|questions": "request"},
}
"""The same for files whose path under uac_trio/ begins so: elsewhere these words have another, correct meaning."""

QUOTED: Mapping[str, int] = {
    "calls/outcome.py": 1,
    "lab/scenarios/clicks.py": 1,
    "lab/scenarios/everyday.py": 1,
    "lab/scenarios/office_rarely.py": 1,
    "lab/scenarios/office_ringing.py": 2,
    "lab/scenarios/office_tangled.py": 1,
    "lab/scenarios/routing.py": 1,
    "crm/vtiger/judging.py": 2,
    "demo/run.py": 1,
    "tests/calls/test_click.py": 1,
    "tests/cdr/test_facts.py": 1,
    "tests/calls/test_masks.py": 2,
    "tests/demo/test_run.py": 1,
    "tests/live_check/test_crm.py": 3,
    "tests/sender/test_sender_doubt.py": 2,
    "tests/soak/calls.py": 1,
    "tools/make_calls_doc.py": 1,
    "tools/make_demo_recordings.py": 1,
}
"""Hits that a file has: names of recordings, a value on the wire, what the lab prints."""


@attrs.frozen
class Hit:
    path: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.word!r}; write instead: {self.instead}"


def hits_in(source: str, path: str) -> list[Hit]:
    """Every forbidden word of a file. ``path``: under uac_trio/."""
    words = dict(EVERYWHERE)
    for room, more in BY_ROOM.items():
        if path.startswith(room):
            words |= more
    patterns = [(_pattern(listed), instead) for listed, instead in words.items()]
    return [
        Hit(path, line + text.count("\n", 0, found.start()), " ".join(found[0].split()), instead)
        for line, text in _texts(source)
        for pattern, instead in patterns
        for found in pattern.finditer(text)
    ]


def _pattern(listed: str) -> re.Pattern[str]:
    """A letter before or after makes another word; a line break in a phrase, a digit or _ does not."""
    phrases = "|".join(r"[\s#_]+".join(phrase.split(" ")) for phrase in listed.split("|"))
    return re.compile(rf"(?<![A-Za-z])(?:{phrases})(?![A-Za-z])", re.IGNORECASE)


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """The first line and the text of each comment, string and identifier."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], re.sub(r"(?<=[a-z])(?=[A-Z])", "_", token.string)
        elif token.type == tokenize.COMMENT or "STRING" in tokenize.tok_name[token.type]:
            yield token.start[0], token.string


def _all_hits() -> dict[str, list[Hit]]:
    hits: dict[str, list[Hit]] = {}
    for root in (PACKAGE, *(ROOT / name for name in BESIDE)):
        for file in sorted(root.rglob("*.py")):
            path = file.relative_to(PACKAGE if root is PACKAGE else ROOT).as_posix()
            if file == Path(__file__):
                continue
            if found := hits_in(file.read_text(encoding="utf-8"), path):
                hits[path] = found
    return hits


def test_words_of_the_code() -> None:
    """No file has more forbidden words than ``QUOTED`` allows, which is none for most."""
    too_many = [found for path, found in _all_hits().items() if len(found) > QUOTED.get(path, 0)]
    if too_many:
        lines = [str(hit) for found in too_many for hit in found]
        pytest.fail("\n".join(["words that have a better one:", *lines]), pytrace=False)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("told = 1\n", [(1, "told")]),
        ("def _is_told(): ...\n", [(1, "told")]),
        ("class ToldCall: ...\n", [(1, "Told")]),
        ("x = 1\ny = 2  # nobody knows\n", [(2, "nobody")]),
        ("x = 'store_not_told'\n", [(1, "told")]),
        ("x = f'{y} is his'\n", [(1, "his")]),
        ('"""First.\n\nThe caller and his\nphone, and whoever\n"""\n', [(3, "his"), (4, "whoever")]),
        ('"""What became\nof it."""\n', [(1, "What became of")]),
        ("this = threshold = 'the history of a shelf'  # Theta, hello\n", []),
    ],
)
def test_words_are_found(source: str, expected: list[tuple[int, str]]) -> None:
    """In names, comments, strings and docstrings, with the line of the word itself; not within other words."""
    found = sorted(hits_in(source, "x.py"), key=lambda hit: hit.line)
    assert [(hit.line, hit.word) for hit in found] == expected


def test_hit_names_file_line_word_and_replacement() -> None:
    (hit,) = hits_in("\ngate = 1\n", "sender/x.py")
    assert str(hit) == "sender/x.py:2: 'gate'; write instead: circuit breaker"
    assert hits_in("\ngate = 1\n", "calls/x.py") == []
