"""The configuration that setup writes, and the unit."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from tests.config.files import vtiger
from tests.setup.machines import ANSWERS, UNIT
from uac_trio.config.loading import Config, load_config
from uac_trio.setup.answers import Answers, Platform
from uac_trio.setup.configuration import configuration_text, drop_in_text, given_in, unit_text

CLICK = ("PJSIP/{extension}", "from-internal")


def loaded(folder: Path, answers: Answers) -> Config:
    for name in ("ami-secret", "vtiger-secret"):
        (folder / name).write_text(f"the {name}\n")
    path = folder / "uac-trio.toml"
    path.write_text(configuration_text(answers, *CLICK, {}))
    return load_config(path, {})


def test_is_valid(tmp_path: Path) -> None:
    """It passes check without a warning, and says what was answered."""
    config = loaded(tmp_path, ANSWERS)
    assert config.warnings == ()
    (server,) = config.pbx
    assert (server.name, server.host, server.port, server.username) == ("main", "127.0.0.1", 5038, "uac-trio")
    assert (server.secret, vtiger(config).secret) == ("the ami-secret", "the vtiger-secret")
    assert config.recordings == {"main": ("/var/spool/asterisk/monitor",)}
    assert (config.routes[0].channel, config.routes[0].context) == CLICK


def test_other_answers(tmp_path: Path) -> None:
    """A port, a stock CRM, no recordings, MikoPBX's variable, characters that TOML escapes."""
    answers = attrs.evolve(
        ANSWERS,
        platform=Platform.MIKOPBX,
        ami_host="10.0.0.9",
        ami_port=5039,
        ami_user='a"b',
        flavour="stock",
        timezone="UTC",
        extensions="^[1-9]'?",
        recordings="",
    )
    config = loaded(tmp_path, answers)
    assert (config.pbx[0].port, config.pbx[0].username, config.recordings["main"]) == (5039, 'a"b', ())
    assert config.routes[0].variables == {"pt1c_cid": "{number}"}
    assert vtiger(config).flavour.value == "stock"


def test_answers_in_it() -> None:
    """A configuration that is there answers what is not asked again, also that there are no recordings."""
    assert given_in(configuration_text(attrs.evolve(ANSWERS, recordings=""), *CLICK, {})) == {
        "name": "main",
        "ami_user": "uac-trio",
        "recordings": "",
        "extensions": r"^\d{2,5}$",
        "crm_url": ANSWERS.crm_url,
        "flavour": "salesplatform",
        "timezone": "Europe/Moscow",
        "bind": "0.0.0.0:5000",
        "public_url": "http://10.0.0.5:5000",
    }


@pytest.mark.parametrize("text", ["", "no toml", "pbx = 1\nvtiger = 2\n", "[[pbx]]\nname = 1\nrecordings = []\n"])
def test_no_answers(text: str) -> None:
    """What is no configuration answers nothing."""
    assert set(given_in(text)) <= {"recordings"}


def test_unit() -> None:
    """It has the paths of this machine, and the group that may read recordings."""
    text = unit_text(UNIT, "/srv/uac/bin/uac-trio", "/srv/uac/c.toml", "asterisk", "")
    assert text == (
        "[Service]\nExecStart=/srv/uac/bin/uac-trio run --config /srv/uac/c.toml\n"
        "LoadCredential=ami-secret:/srv/uac/ami-secret\nSupplementaryGroups=asterisk\n"
    )
    assert "# SupplementaryGroups=asterisk" in unit_text(UNIT, "/x", "/etc/uac-trio/uac-trio.toml", "", "")
    assert drop_in_text("asterisk", "", "/srv/c.toml").endswith("[Service]\nSupplementaryGroups=asterisk\n")


def test_cdr() -> None:
    """It is in the first PBX, and is an answer the next time."""
    text = configuration_text(ANSWERS, *CLICK, {"cdr_file": "cdr-address"})
    assert '\ncdr_file = "cdr-address"\n' in text.partition("[calls]")[0]
    assert given_in(text)["cdr_file"] == "cdr-address"


def test_unit_with_one_more_secret() -> None:
    """systemd passes it on, in the unit or in what is added to a package's."""
    text = unit_text(UNIT, "/srv/uac/bin/uac-trio", "/srv/uac/c.toml", "", "cdr-address")
    assert "LoadCredential=ami-secret:/srv/uac/ami-secret\nLoadCredential=cdr-address:/srv/uac/cdr-address\n" in text
    added = drop_in_text("asterisk", "cdr-address", "/srv/uac/c.toml")
    assert added.endswith("\nSupplementaryGroups=asterisk\nLoadCredential=cdr-address:/srv/uac/cdr-address\n")


def test_shipped_unit() -> None:
    """deploy/uac-trio.service has the lines that are changed."""
    shipped = (Path(__file__).parents[2] / "deploy" / "uac-trio.service").read_text(encoding="utf-8")
    text = unit_text(shipped, "/srv/bin/uac-trio", "/srv/c.toml", "asterisk", "")
    assert "\nExecStart=/srv/bin/uac-trio run --config /srv/c.toml\n" in text
    assert "\nLoadCredential=vtiger-secret:/srv/vtiger-secret\n" in text
    assert "\nSupplementaryGroups=asterisk\n" in text
