"""Where recordings are: another machine, and a cache apart from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import FAR, PBX, VTIGER, loaded, problems
from uac_trio.config.words import describe
from uac_trio.recordings.settings import HostSettings


def test_recordings_of_another_machine(tmp_path: Path) -> None:
    """A PBX's recordings may be asked for at another machine, with a secret of their own, from a file too."""
    host = HostSettings(pbx="main", url="http://pbx-host:5001", secret="far-s3cret")
    config = loaded(tmp_path, FAR)
    assert config.hosts == (host,)
    assert "s3cret" not in repr(config.hosts)
    assert any("fetched from http://pbx-host:5001" in line for line in describe(config, 0))
    (tmp_path / "word").write_text("far-s3cret\n")
    assert loaded(tmp_path, FAR.replace('secret = "far-s3cret"', 'secret_file = "word"')).hosts == (host,)


@pytest.mark.parametrize("cache", ["/rec/main", "/rec/main/", "//rec/x/../main/cache", "/rec", "/"])
def test_cache_among_recordings(tmp_path: Path, cache: str) -> None:
    """The cache removes files, so it is never where recordings are, nor above."""
    content = PBX + 'recordings = ["/other", "/rec/main"]\n' + VTIGER + '[recordings]\ncache = "{}"\n'
    (problem,) = problems(tmp_path, content.format(cache))
    assert "[recordings] cache: expected a separate directory" in problem
    assert loaded(tmp_path, content.format("/rec/main2")).playback.cache == "/rec/main2"
