"""Which CRM a file names, where others than vTiger are installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import attrs
import pytest

from tests.config.files import FULL, PBX, VTIGER, loaded, problems
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import VtigerSettings


def _is_short(_: object, __: object, name: str) -> None:
    if len(name) > 5:
        raise ValueError(f"{name!r} is longer than 5 letters")


@attrs.frozen(kw_only=True)
class OtherSettings:
    """``[other]``: a CRM of another package, with keys of all types that there are."""

    secret: str = attrs.field(repr=False)
    tenant: str = attrs.field(validator=_is_short)
    verbose: bool = False
    patience: float = 1.0
    words: Mapping[str, str] = attrs.field(factory=dict)

    longest_public_url = 1000

    def crm(self, surroundings: Surroundings) -> CRM:
        """vTiger's, which is as good as any here."""
        return VtigerSettings(url=f"http://{self.tenant}/", secret=self.secret).crm(surroundings)


@attrs.frozen(kw_only=True)
class StrangeSettings:
    """Of a package that was made for another version."""

    secret: str
    moment: complex = 0j


OTHER = '\n[other]\nsecret = "other-s3cret"\ntenant = "acme"\n'


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """vTiger, another one, and one whose package is broken."""
    found = {
        "vtiger": "uac_trio.crm.vtiger:VtigerSettings",
        "other": f"{__name__}:OtherSettings",
        "strange": f"{__name__}:StrangeSettings",
        "broken": "no_such_package.at_all:Settings",
    }
    group = "uac_trio.crm"
    entries = EntryPoints(EntryPoint(name=name, value=value, group=group) for name, value in found.items())
    monkeypatch.setattr("uac_trio.config.crms.entry_points", entries.select)


def test_the_table_that_is_there(tmp_path: Path) -> None:
    """Its name chooses the CRM; its keys are the attributes of the settings class, the secret may be in a file."""
    assert loaded(tmp_path, FULL).crm.host == "vtiger"
    more = OTHER + 'verbose = true\npatience = 2\nwords = { "a" = "b" }\n'
    crm = loaded(tmp_path, PBX + more).crm
    assert (crm.host, crm.secret) == ("acme", "other-s3cret")
    (tmp_path / "word").write_text("from-a-file\n")
    crm = loaded(tmp_path, PBX + OTHER.replace('secret = "other-s3cret"', 'secret_file = "word"')).crm
    assert crm.secret == "from-a-file"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            PBX,
            "c.toml: [broken]: expected one table [broken] or [other] or [strange] or [vtiger], the CRM to deliver to",
        ),
        (
            FULL + OTHER,
            "c.toml:7: [vtiger]: expected one CRM to deliver to, but there is also [other]; remove one",
        ),
        (PBX + "[broken]\n", "c.toml:6: [broken]: no_such_package.at_all:Settings cannot be loaded: No module named"),
        (
            PBX + '[strange]\nsecret = "s"\n',
            "c.toml:6: [strange]: its package does not fit this version: StrangeSettings.moment: a configuration has",
        ),
        (PBX + OTHER + "speed = 1", "c.toml:10: [other] speed: is not known; known are patience, secret, secret_file,"),
        (PBX + OTHER + 'verbose = "yes"', "c.toml:10: [other] verbose: expected true or false, without quotes, found"),
        (PBX + OTHER + "patience = true", "c.toml:10: [other] patience: expected a number, found true"),
        (PBX + OTHER + "words = { a = 1 }", "c.toml:10: [other] words: expected a table of texts, found"),
        (PBX + OTHER.replace("acme", "acme-and-sons"), "c.toml:9: [other] tenant: 'acme-and-sons' is longer than 5"),
        (PBX + OTHER.replace('secret = "other-s3cret"\n', ""), "[other] secret: expected either secret or secret_file"),
    ],
)
def test_mistake(tmp_path: Path, content: str, said: str) -> None:
    """Each mistake is reported with file, line, table and key, as those of the other tables are."""
    (problem,) = problems(tmp_path, content)
    assert said in problem


def test_misspelt(tmp_path: Path) -> None:
    """The name that was meant is shown beside the table that is missing."""
    found = problems(tmp_path, PBX + VTIGER.replace("[vtiger]", "[vtigre]"))
    assert len(found) == 2
    assert "[vtigre]: is not known (did you mean vtiger?)" in found[0]
    assert "expected one table" in found[1]


def test_all_mistakes_of_the_crm_at_once(tmp_path: Path) -> None:
    """What its settings class refuses is reported with everything else, not one after another."""
    wrong = '[vtiger]\nurl = "vtiger"\ntimezone = "Moscow"\nsecret = "s"\n'
    found = "\n".join(problems(tmp_path, PBX + wrong))
    assert "[vtiger] url: 'vtiger' is not the address" in found
    assert "[vtiger] timezone: there is no time zone 'Moscow'" in found
