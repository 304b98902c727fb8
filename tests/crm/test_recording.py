"""The link at which a recording can be heard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crm.facts import recorded
from uac_trio.calls.fact import RecordingKnown
from uac_trio.crm.recording import ADDED, TOKEN, recording_link, recording_token


def token(secret: str = "s3cret", **changes: Any) -> str:
    fact = recorded(**changes)
    assert isinstance(fact, RecordingKnown)
    return recording_token(secret, fact)


def test_the_same_file_has_the_same_link() -> None:
    """In every process. Another file, employee, call or secret has another one."""
    assert token() == token(at=99.0, customer="x")
    others = [token("other"), token(path="/b.wav"), token(extension="102"), token(call_id="main-2")]
    assert len({token(), *others}) == 5
    assert all(TOKEN.fullmatch(each) for each in others)


def test_a_path_that_is_no_text() -> None:
    """A file name that is not UTF-8 has a link too."""
    assert TOKEN.fullmatch(token(path="/a\udcff.wav"))


@pytest.mark.parametrize("public_url", ["", "http://c.example:5000"])
def test_the_link(public_url: str) -> None:
    """Its length beyond the public address is known, since a CRM may cut longer ones."""
    link = recording_link(public_url, token())
    assert link == f"{public_url}/recording?id={token()}"
    assert len(link) == len(public_url) + ADDED
