"""The example file shows every key, each with its real default."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import attrs

from tests.config.files import PBX, loaded, vtiger
from uac_trio.ami_client.server import AMIServer
from uac_trio.calls.rules import TrackerRules
from uac_trio.config.crms import keys_of
from uac_trio.config.loading import load_config
from uac_trio.config.tables import SERVER, TABLES
from uac_trio.crm.click import Click2CallRules
from uac_trio.crm.responsible import ResponsibleRules
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.crm.webhook import Webhook, WebhookSettings
from uac_trio.logs import LogSettings
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.store.settings import OutboxSettings
from uac_trio.web.settings import WebSettings

EXAMPLE = Path(__file__).parents[2] / "deploy" / "uac-trio.example.toml"

WITHOUT_DEFAULT = (
    "secret_file", "url_file", "ca_file", "tls_ca", "tls_name", "originate_extensions", "recordings_", "only_endpoints",
    "only_contexts",
)  # fmt: skip


def without_comments() -> str:
    """The example with every default switched on."""
    return "\n".join(re.sub(r"^# (\w+ = )", r"\1", line) for line in EXAMPLE.read_text().splitlines())


def test_example_loads(tmp_path: Path) -> None:
    """The example file is a valid configuration as it stands."""
    config = load_config(EXAMPLE, {})
    assert config.http.public_url == "http://172.16.1.1:5000"


def test_example_has_every_key() -> None:
    """Every key that is known is in the example, and the example has no other."""
    shown = re.sub(r"^secret_file = .*$", "", without_comments(), flags=re.MULTILINE)
    example = tomllib.loads(shown)
    tables = {name: table[0] if isinstance(table, list) else table for name, table in example.items()}
    known = {name: set(keys) - {"secret_file"} for name, keys in TABLES.items()}
    known["vtiger"] = {*keys_of(VtigerSettings), "secret"}
    assert {name: set(table) for name, table in tables.items()} == known
    assert EXAMPLE.read_text().count("# secret_file = ") == 3


def test_example_shows_the_real_defaults(tmp_path: Path) -> None:
    """What the example shows as a default is the default."""
    lines = [line for line in without_comments().splitlines() if not line.startswith(WITHOUT_DEFAULT)]
    shown = loaded(tmp_path, "\n".join(lines))
    plain = load_config(EXAMPLE, {})
    assert vtiger(shown) == vtiger(plain)
    # The CRM holds methods of the rest of the configuration, which are never equal.
    assert attrs.evolve(shown, path=EXAMPLE, warnings=(), crm=plain.crm) == attrs.evolve(plain, warnings=())


def test_example_shows_the_webhook(tmp_path: Path) -> None:
    """Its table stands there as a comment, with every key, and is a CRM as it stands."""
    (_, _, rest) = EXAMPLE.read_text().partition("#     [webhook]\n")
    table = "".join(line.removeprefix("#     ") for line in rest.partition("\n\n")[0].splitlines(keepends=True))
    assert tomllib.loads(table).keys() == {*keys_of(WebhookSettings), "secret"}
    assert isinstance(loaded(tmp_path, f"{PBX}[webhook]\n{table}").crm, Webhook)


def test_every_setting_is_described() -> None:
    """Every key becomes an attribute of a settings class: none is read and thrown away."""
    pbx = {key.attribute or name for name, key in SERVER.items()}
    assert pbx == set(attrs.fields_dict(AMIServer)) - {"secret"}
    classes: dict[str, Any] = {
        "calls": TrackerRules,
        "click2call": Click2CallRules,
        "route": ResponsibleRules,
        "http": WebSettings,
        "recordings": RecordingsSettings,
        "store": OutboxSettings,
        "sender": SenderSettings,
        "log": LogSettings,
    }
    for table, settings in classes.items():
        attributes = {key.attribute or name for name, key in TABLES[table].items()} - {"secret_file", "url_file"}
        assert attributes == {field.name for field in attrs.fields(settings) if field.init}, table
