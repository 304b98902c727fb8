"""The equals of old keys: the result is a valid configuration, and no key is dropped silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import vtiger
from tests.import_config.old import PROPERTIES, PYTHON
from uac_trio.config.loading import Config, load_config
from uac_trio.import_config.equals import Imported, configuration_text, imported
from uac_trio.import_config.old_file import PROPERTIES_KEYS, PYTHON_KEYS, parse

MORE = b"    poll_interval = 5\n"


def result_of(content: bytes) -> Imported:
    result = imported(parse(content))
    assert result.problems == []
    return result


def config_of(folder: Path, content: bytes) -> Config:
    path = folder / "uac-trio.toml"
    path.write_text(configuration_text(result_of(content), "old"))
    path.chmod(0o600)
    return load_config(path, {})


def test_class_config(tmp_path: Path) -> None:
    """Each key of the example is where the table of docs/moving.md has it."""
    config = config_of(tmp_path, PYTHON)
    (server,), (route,) = config.pbx, config.routes
    assert (server.host, server.port, server.username, server.secret) == ("127.0.0.1", 5038, "test", "test")
    assert (route.channel, route.context) == ("SIP/{extension}", "vtiger")
    assert vtiger(config).url == "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"
    assert vtiger(config).secret == "abracadabra"
    assert (config.http.bind, config.http.public_url) == ("0.0.0.0:5000", "http://172.16.1.1:5000")
    assert config.store.url == "sqlite:////var/lib/uac-trio/connector.db"
    assert config.warnings == ()


def test_properties(tmp_path: Path) -> None:
    """Those of the Java connector as well."""
    config = config_of(tmp_path, PROPERTIES)
    (server,), (route,) = config.pbx, config.routes
    assert (server.host, server.port, server.username, server.secret) == ("10.0.0.9", 5039, "admin", "amp1:11")
    assert route.channel == "PJSIP/{extension}"
    assert vtiger(config).url == "http://crm/vtiger/modules/PBXManager/callbacks/PBXManager.php"
    assert (config.http.bind, config.http.public_url) == ("172.16.1.1:5000", "http://172.16.1.1:5000")


@pytest.mark.parametrize(
    ("content", "begin"),
    [
        (PYTHON + MORE, "poll_interval: has no equal"),
        (PYTHON, "db_path: the old database is not read"),
        (PYTHON, "record_domain: became [http] public_url = http://172.16.1.1:5000;"),
        (PYTHON, "originate_context: clicks go through"),
        (PYTHON, "originate_channel: SIP/{extension} is for chan_sip"),
        (PROPERTIES, "CheckKeyOnListenRequest: has no equal"),
        (PROPERTIES, "LookUpVariablesNames: has no equal"),
        (PROPERTIES, "Colour: has no equal"),
        (PROPERTIES.replace(b"pjsip", b"IAX2"), "DefaultOriginateChannelProtocol: IAX2 is neither"),
        (PROPERTIES.replace(b"172.16.1.1", b"0.0.0.0"), "ServerIP: names no address of this machine"),
        (PYTHON.replace(b"'0.0.0.0'", b"get_address()"), "click2call_bind_addr: is computed by the old program"),
    ],
)
def test_notes(content: bytes, begin: str) -> None:
    """Each key without an equal, and each trap, has a note; it is in the file too."""
    result = result_of(content)
    (note,) = (each for each in result.notes if each.startswith(begin))
    assert f"# NOTE: {note}\n" in configuration_text(result, "old")


@pytest.mark.parametrize(
    ("domain", "url"),
    [
        ("172.16.1.1", "http://172.16.1.1:5000"),
        ("172.16.1.1:8080", "http://172.16.1.1:8080"),
        ("http://pbx.local", "http://pbx.local"),
        ("https://pbx.local/", "https://pbx.local"),
        ("pbx.local/", "http://pbx.local:5000"),
    ],
)
def test_record_domain(tmp_path: Path, domain: str, url: str) -> None:
    """It gets the scheme and the port that it lacks."""
    assert config_of(tmp_path, PYTHON.replace(b"172.16.1.1", domain.encode())).http.public_url == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("vtiger", "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"),
        ("http://vtiger/index.php", "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"),
        ("http://vtiger/x.php?a=b", "http://vtiger/x.php"),
    ],
)
def test_vtiger_url(tmp_path: Path, url: str, expected: str) -> None:
    """It becomes the whole address of the callback."""
    content = PYTHON.replace(b"http://vtiger/modules/PBXManager/callbacks/PBXManager.php", url.encode())
    assert vtiger(config_of(tmp_path, content)).url == expected


def test_bind_of_ipv6(tmp_path: Path) -> None:
    """It gets its brackets."""
    assert config_of(tmp_path, PYTHON.replace(b"0.0.0.0", b"::")).http.bind == "[::]:5000"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"'secret': 'test'", b"'secret': ''", "line 6: ami_params['secret']: expected a value"),
        (b"    vtiger_token = 'abracadabra'\n", b"", "vtiger_token: expected a value"),
        (b"'5000'", b"'x'", "click2call_port: expected a port, found 'x'"),
    ],
)
def test_problems(old: bytes, new: bytes, problem: str) -> None:
    """Without these there is no configuration."""
    (found,) = imported(parse(PYTHON.replace(old, new))).problems
    assert found.startswith(problem)


@pytest.mark.parametrize("page", ["docs/moving.md", "docs/ru/moving.md"])
def test_page_names_all_keys(page: str) -> None:
    """No old key is left out of the tables for people."""
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    assert {key for key in PYTHON_KEYS | PROPERTIES_KEYS if f"`{key}" not in text} == set()
