"""What one file gives: the defaults, every table, several PBXes, warnings, and a file that is none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.config.files import FULL, PBX, VTIGER, loaded, problems, vtiger
from uac_trio.calls.rules import TrackerRules
from uac_trio.config.loading import load_config
from uac_trio.config.reader import ConfigError
from uac_trio.crm.click import Click2CallRules
from uac_trio.crm.vtiger.account import Flavour
from uac_trio.logs import LogSettings
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.store.settings import OutboxSettings
from uac_trio.web.settings import CompanionSettings, WebSettings


def test_least_configuration(tmp_path: Path) -> None:
    """One PBX and the CRM are enough; all else has the defaults of its room."""
    config = loaded(tmp_path, PBX + VTIGER)
    assert [server.name for server in config.pbx] == ["main"]
    assert config.pbx[0].secret == "ami-s3cret"
    assert config.crm.secret == "crm-s3cret"
    assert vtiger(config).flavour is Flavour.SALESPLATFORM
    assert config.calls == TrackerRules()
    assert config.click2call == Click2CallRules()
    assert config.http == WebSettings()
    assert config.playback == RecordingsSettings()
    assert config.store == OutboxSettings()
    assert config.sender == SenderSettings()
    assert config.log == LogSettings()
    assert config.routes[0].channel == "PJSIP/{extension}"
    assert config.recordings == {"main": ()}


def test_design_s_example(tmp_path: Path) -> None:
    """Every key that the public interface fixes is understood."""
    config = loaded(
        tmp_path,
        r"""
[[pbx]]
name = "main"
host = "127.0.0.1"
port = 5038
tls = false
username = "crm"
secret = "..."
originate_channel = "SIP/{extension}"
originate_context = "from-crm"
recordings = ["/var/spool/asterisk/monitor"]

[calls]
extensions = '^\d{3}$'
internal = "report"
unreached = "100"
region = "DE"

[vtiger]
url = "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"
secret = "..."
flavour = "stock"
timezone = "UTC"

[http]
bind = "0.0.0.0:5000"
public_url = "http://172.16.1.1:5000/"

[store]
url = "sqlite:///other.db"
""",
    )
    assert (config.pbx[0].host, config.pbx[0].port) == ("127.0.0.1", 5038)
    assert (config.routes[0].channel, config.routes[0].context) == ("SIP/{extension}", "from-crm")
    assert config.recordings["main"] == ("/var/spool/asterisk/monitor",)
    assert config.calls.is_extension("101")
    assert not config.calls.is_extension("1001")
    assert (config.calls.internal, config.calls.unreached, config.calls.region) == ("report", "100", "DE")
    assert (vtiger(config).flavour, vtiger(config).timezone) == (Flavour.STOCK, "UTC")
    assert (config.http.bind, config.http.public_url) == ("0.0.0.0:5000", "http://172.16.1.1:5000")
    assert config.store.url == f"sqlite:///{tmp_path}/other.db"


def test_how_a_pbx_calls(tmp_path: Path) -> None:
    """Each PBX has its own employees, caller and variables for clicks; by default all, their own number, none."""
    content = (
        PBX
        + """
originate_extensions = '^1\\d\\d$'
originate_caller_id = "Office <4951234567>"
originate_variables = { "PJSIP_HEADER(add,Alert-Info)" = "<http://x>;info=answer", __WHO = "{extension}-{number}" }
"""
    )
    city, village = loaded(tmp_path, content + PBX.replace("main", "village") + VTIGER).routes
    assert (city.has("101"), city.has("201"), city.has("1011")) == (True, False, False)
    assert city.caller_id == "Office <4951234567>"
    assert city.variables == {"PJSIP_HEADER(add,Alert-Info)": "<http://x>;info=answer", "__WHO": "{extension}-{number}"}
    assert (village.has("201"), village.caller_id, village.variables) == (True, "{extension}", {})


def test_several_pbxes(tmp_path: Path) -> None:
    """Problems of several PBXes say which one is meant; a name may not be used twice."""
    other = PBX.replace("main", "branch")
    assert [server.name for server in loaded(tmp_path, PBX + other + VTIGER).pbx] == ["main", "branch"]
    (twice,) = problems(tmp_path, PBX + PBX + VTIGER)
    assert twice.startswith("c.toml:7: [[pbx]] number 2 name: 'main' is also the name of another [[pbx]]")
    (alike,) = problems(tmp_path, PBX + PBX.replace("main", "main-2") + VTIGER)
    assert "'main-2' and 'main' could give two calls one identity" in alike
    (port,) = problems(tmp_path, PBX + other + "port = -1\n" + VTIGER)
    assert port.startswith("c.toml:11: [[pbx]] number 2 port: expected")


def test_one_server_twice(tmp_path: Path) -> None:
    """Two [[pbx]] with one address show each call twice; other ports are other servers."""
    second = PBX.replace("main", "branch")
    (warning,) = [one for one in loaded(tmp_path, PBX + second + VTIGER).warnings if "in the CRM twice" in one]
    assert "[[pbx]] main and branch are both 127.0.0.1:5038" in warning
    assert "in the CRM twice" not in str(loaded(tmp_path, PBX + second + "port = 5039\n" + VTIGER).warnings)


def test_file_that_is_no_configuration(tmp_path: Path) -> None:
    """A missing file, one that is not TOML and one that is no text are named by path, TOML with line and column."""
    with pytest.raises(ConfigError, match=r"c\.toml: cannot be read: No such file or directory"):
        load_config(tmp_path / "c.toml", {})
    assert "(at line 2, column 5)" in problems(tmp_path, "[a]\nb = \n")[0]
    (tmp_path / "c.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 5\)"):
        load_config(tmp_path / "c.toml", {})


def test_file_of_a_windows_editor(tmp_path: Path) -> None:
    """A byte order mark and CR LF do no harm."""
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (PBX + VTIGER).replace("\n", "\r\n").encode())
    assert load_config(path, {}).pbx[0].name == "main"


def test_every_command_has_the_same_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever directory a command is started in, a relative [store] url and the configuration's name are the same."""
    expected = f"sqlite:///{tmp_path}/data/c.db"
    assert loaded(tmp_path, FULL + '[store]\nurl = "sqlite:///data/c.db"').store.url == expected
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("c.toml"), {}).store.url == expected
    assert loaded(tmp_path, FULL).store.url == "sqlite:////var/lib/uac-trio/connector.db"


def test_warnings(tmp_path: Path) -> None:
    """A secret that every user may read, and links that are never sent, are worth a warning."""
    path = tmp_path / "c.toml"
    path.write_text(PBX + VTIGER)
    path.chmod(0o644)
    warned = load_config(path, {}).warnings
    assert "chmod" not in warned[0]  # the unit's user is in no group that could be named
    assert "name these in secret_file" in warned[0]
    assert ["has a secret" in warned[0], "public_url is not set" in warned[1]] == [True, True]
    path.write_text(FULL + '[http]\npublic_url = "http://x:5000"')
    path.chmod(stat.S_IRUSR)
    assert load_config(path, {}).warnings == ()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://crm.example", "https://crm.example"),
        ("HTTPS://CRM.example:443/", "https://crm.example"),
        ("http://10.0.0.5:8080", "http://10.0.0.5:8080"),
        ("http://[2001:DB8::1]:80", "http://[2001:db8::1]"),
    ],
)
def test_origins_are_as_browsers_send_them(tmp_path: Path, given: str, read: str) -> None:
    """However they are written: in lower case, the scheme's own port left out."""
    config = loaded(tmp_path, f'{FULL}[companion]\nenabled = true\norigins = ["{given}"]')
    assert config.companion == CompanionSettings(enabled=True, origins=(read,))


@pytest.mark.parametrize(("length", "is_warned"), [(19, True), (20, False)])
def test_short_key_of_browsers_tokens(tmp_path: Path, length: int, is_warned: bool) -> None:
    """A user who has a token can try keys against it; without the companion nothing is signed with it."""
    content = FULL.replace("crm-s3cret", "k" * length)
    assert content != FULL
    with_companion = loaded(tmp_path, content + "[companion]\nenabled = true").warnings
    assert any("fewer than 20 characters" in one for one in with_companion) is is_warned
    assert not any("fewer than 20" in one for one in loaded(tmp_path, content).warnings)


@pytest.mark.parametrize("given", ["crm.example", "https://crm.example/vtiger", "https://u:p@crm.example", "ftp://x"])
def test_what_is_no_origin(tmp_path: Path, given: str) -> None:
    (problem,) = problems(tmp_path, f'{FULL}[companion]\norigins = ["{given}"]')
    assert "[companion] origins" in problem
