"""Table [route]."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import FULL, loaded, problems


def test_route_is_off_until_one_line_is_there(tmp_path: Path) -> None:
    """[route] needs no secret; bind alone turns FastAGI on, a secret (or a file with it) HTTP."""
    assert not loaded(tmp_path, FULL).responsible.is_on
    assert not loaded(tmp_path, FULL + '[route]\nsecret = ""').responsible.is_on
    on = loaded(tmp_path, FULL + '[route]\nbind = "0.0.0.0:4574"').responsible
    assert (on.bind, on.secret, on.is_on) == ("0.0.0.0:4574", "", True)
    (tmp_path / "route-secret").write_text("hush\n")
    assert loaded(tmp_path, FULL + '[route]\nsecret_file = "route-secret"').responsible.secret == "hush"
    (both,) = problems(tmp_path, FULL + '[route]\nsecret = "s3cret-a"\nsecret_file = "b"')
    assert both.endswith("[route] secret: expected either secret or secret_file")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "127.255.0.9", "localhost", "LocalHost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0",
     "[::]", "[::ffff:0.0.0.0]", "ip6-localhost", "localhost.localdomain"],
)  # fmt: skip
def test_the_port_of_freepbx_is_left_to_it(tmp_path: Path, host: str) -> None:
    """Its FastAGI server listens on loopback: ours would take its port there, by whatever name."""
    (problem,) = problems(tmp_path, FULL + f'[route]\nbind = "{host}:4573"')
    assert "expected another port than 4573" in problem
    assert loaded(tmp_path, FULL + f'[route]\nbind = "{host}:4574"').responsible.is_on


@pytest.mark.parametrize("host", ["192.168.1.5", "pbx.example", "[fd00::5]"])
def test_the_port_of_freepbx_elsewhere(tmp_path: Path, host: str) -> None:
    """Another address does not collide with it."""
    assert loaded(tmp_path, FULL + f'[route]\nbind = "{host}:4573"').responsible.bind == f"{host}:4573"


def test_route_warnings(tmp_path: Path) -> None:
    """A vTiger without the script, and its own secret in the dialplan, are worth a warning."""
    stock = loaded(tmp_path, FULL + 'flavour = "stock"\n[route]\nbind = "127.0.0.1:4574"')
    assert any("a stock vTiger has no SPAgi.php" in one for one in stock.warnings)
    patched = loaded(tmp_path, FULL + 'flavour = "stock"\n[route]\nbind = "127.0.0.1:4574"\nurl = "http://crm/agi.php"')
    assert not any("SPAgi" in one for one in patched.warnings)
    same = loaded(tmp_path, FULL + '[route]\nsecret = "crm-s3cret"')
    assert any("should be another one" in one for one in same.warnings)
    assert "s3cret" not in str(same.warnings)
