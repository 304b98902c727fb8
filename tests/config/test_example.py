"""The example file shows every key, each with its real default."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.config.files import PBX, loaded, vtiger
from tools.make_configuration import CRMS
from uac_trio.config.keys import keys_of, names_of
from uac_trio.config.loading import load_config
from uac_trio.config.reader import PLACEHOLDER, ConfigError
from uac_trio.config.tables import SERVE_TABLES, TABLES
from uac_trio.crm.webhook import Webhook
from uac_trio.settings import Setting

EXAMPLE = Path(__file__).parents[2] / "deploy" / "uac-trio.example.toml"

WITHOUT_DEFAULT = (
    "secret_file", "url_file", "ca_file", "tls_ca", "tls_name", "originate_extensions", "recordings_", "only_endpoints",
    "only_contexts", "cdr",
)  # fmt: skip


def filled_in() -> str:
    """The example with what lies between < > filled in, and the secrets in the file itself."""
    text = re.sub(r"^secret_file = .*\n# secret =", "secret =", EXAMPLE.read_text(), flags=re.MULTILINE)
    return with_addresses(re.sub(r'"<[^<>"]+>"', '"sixteen characters"', text))


def with_addresses(text: str) -> str:
    return text.replace("<address of the CRM>", "vtiger").replace("<address of this machine>", "172.16.1.1")


def without_comments() -> str:
    """The example, filled in, with every default switched on."""
    return "\n".join(re.sub(r"^# (\w+ = )", r"\1", line) for line in filled_in().splitlines())


def test_example_loads(tmp_path: Path) -> None:
    """The example file is a valid configuration once its addresses are filled in and its secrets are beside it."""
    for name in ("ami-secret", "vtiger-secret"):
        (tmp_path / name).write_text("sixteen characters\n")
        (tmp_path / name).chmod(0o600)
    config = loaded(tmp_path, with_addresses(EXAMPLE.read_text()))
    assert config.http.public_url == "http://172.16.1.1:5000"
    assert config.warnings == ()


def test_untouched_example() -> None:
    """Each value that has to be filled in is named."""
    with pytest.raises(ConfigError) as refused:
        load_config(EXAMPLE, {})
    problems = [problem.partition(": ")[2] for problem in refused.value.problems]
    missing = "No such file or directory"
    assert sorted(re.sub(r"/\S+: |; make it.*", "", problem) for problem in problems) == [
        f"[http] public_url: {PLACEHOLDER}", f"[pbx] secret_file: {missing}",
        f"[vtiger] secret_file: {missing}", f"[vtiger] url: {PLACEHOLDER}",
    ]  # fmt: skip


def test_placeholders_of_secrets(tmp_path: Path) -> None:
    """A secret that is still what the example has between < > is named as such, in the file and in one of its own."""
    (tmp_path / "ami-secret").write_text("<the secret of manager.conf>\n")
    text = with_addresses(EXAMPLE.read_text()).replace('secret_file = "vtiger-secret"', 'secret = "<that secret key>"')
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, text)
    assert [problem.partition(": ")[2] for problem in refused.value.problems] == [
        f"[pbx] secret_file: {PLACEHOLDER}", f"[vtiger] secret: {PLACEHOLDER}",
    ]  # fmt: skip


def test_example_has_every_key() -> None:
    """Every key that is known is in the example, and the example has no other."""
    shown = re.sub(r"^secret_file = .*$", "", without_comments(), flags=re.MULTILINE)
    example = tomllib.loads(shown)
    tables = {name: table[0] if isinstance(table, list) else table for name, table in example.items()}
    classes = {**TABLES, "vtiger": (CRMS["vtiger"],)}
    known = {
        table: {name for settings in described for name in names_of(keys_of(settings))} - {"secret_file"}
        for table, described in classes.items()
    }
    assert {name: set(table) for name, table in tables.items()} == known
    assert len(re.findall("^(?:# )?secret_file = ", EXAMPLE.read_text(), re.MULTILINE)) == 3


def test_example_shows_the_real_defaults(tmp_path: Path) -> None:
    """What the example shows as a default is the default."""
    lines = [line for line in without_comments().splitlines() if not line.startswith(WITHOUT_DEFAULT)]
    shown = loaded(tmp_path, "\n".join(lines))
    plain = loaded(tmp_path, filled_in())
    assert vtiger(shown) == vtiger(plain)
    # The CRM holds methods of the rest of the configuration, which are never equal.
    assert attrs.evolve(shown, warnings=(), secret_files=plain.secret_files, crm=plain.crm) == attrs.evolve(
        plain, warnings=()
    )


def test_example_shows_the_webhook(tmp_path: Path) -> None:
    """Its table stands there as a comment, with every key, and is a CRM as it stands."""
    (_, _, rest) = filled_in().partition("#     [webhook]\n")
    table = "".join(line.removeprefix("#     ") for line in rest.partition("\n\n")[0].splitlines(keepends=True))
    assert tomllib.loads(table).keys() == set(keys_of(CRMS["webhook"]))
    assert isinstance(loaded(tmp_path, f"{PBX}[webhook]\n{table}").crm, Webhook)


@pytest.mark.parametrize("settings", [*chain.from_iterable({**TABLES, **SERVE_TABLES}.values()), *CRMS.values()])
def test_every_attribute_is_a_key(settings: type[Any]) -> None:
    """An attribute of a settings class is described as a setting, or it is the name of its PBX."""
    undescribed = {field.name for field in attrs.fields(settings) if field.init and Setting not in field.metadata}
    assert undescribed <= {"pbx"}


def test_no_key_twice() -> None:
    """The classes of one table have no key in common."""
    for table, classes in {**TABLES, **SERVE_TABLES}.items():
        names = [name for settings in classes for name in names_of(keys_of(settings))]
        assert len(names) == len(set(names)), table
