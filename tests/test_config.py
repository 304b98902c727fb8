from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from uac_trio.ami_client import AMIServer
from uac_trio.calls.rules import TrackerRules
from uac_trio.config import Config, ConfigError, load_config, load_rules
from uac_trio.config.reader import find_lines
from uac_trio.config.tables import SERVER, TABLES
from uac_trio.config.words import describe
from uac_trio.logs import LogSettings
from uac_trio.outbox import OutboxSettings
from uac_trio.recordings import HostSettings, RecordingsSettings
from uac_trio.sender import SenderSettings
from uac_trio.vtiger.account import Flavour
from uac_trio.vtiger.click2call import Click2CallRules
from uac_trio.vtiger.responsible import ResponsibleRules
from uac_trio.web import WebSettings

EXAMPLE = Path(__file__).parent.parent / "deploy" / "uac-trio.example.toml"

PBX = """[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "ami-s3cret"
"""
VTIGER = """
[vtiger]
url = "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"
secret = "crm-s3cret"
"""
FULL = PBX + VTIGER


def loaded(tmp_path: Path, content: str, **environ: str) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(content)
    return load_config(path, environ)


def problems(tmp_path: Path, content: str, **environ: str) -> list[str]:
    """What is wrong with the content, each without the directory of the file."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, content, **environ)
    assert "s3cret" not in str(caught.value)
    return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_least_configuration(tmp_path: Path) -> None:
    """One PBX and the CRM are enough; all else has the defaults of its room."""
    config = loaded(tmp_path, PBX + VTIGER)
    assert [server.name for server in config.pbx] == ["main"]
    assert config.pbx[0].secret == "ami-s3cret"
    assert config.vtiger.secret == "crm-s3cret"
    assert config.vtiger.flavour is Flavour.SALESPLATFORM
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
    assert (config.vtiger.flavour, config.vtiger.timezone) == (Flavour.STOCK, "UTC")
    assert (config.http.bind, config.http.public_url) == ("0.0.0.0:5000", "http://172.16.1.1:5000")
    assert config.store.url == f"sqlite:///{tmp_path}/other.db"


def test_how_a_pbx_calls(tmp_path: Path) -> None:
    """Each PBX has its own employees, caller and variables for clicks; by default all, himself and none."""
    content = (
        PBX
        + """
originate_extensions = '^1\\d\\d$'
originate_caller_id = "Office <4951234567>"
originate_variables = { "PJSIP_HEADER(add,Alert-Info)" = "<http://x>;info=answer", __WHO = "{extension}" }
"""
    )
    city, village = loaded(tmp_path, content + PBX.replace("main", "village") + VTIGER).routes
    assert (city.has("101"), city.has("201"), city.has("1011")) == (True, False, False)
    assert city.caller_id == "Office <4951234567>"
    assert city.variables == {"PJSIP_HEADER(add,Alert-Info)": "<http://x>;info=answer", "__WHO": "{extension}"}
    assert (village.has("201"), village.caller_id, village.variables) == (True, "{extension}", {})


FAR = PBX + 'recordings_url = "http://pbx-host:5001/"\n' + 'recordings_secret = "far-s3cret"\n' + VTIGER


def test_recordings_of_another_machine(tmp_path: Path) -> None:
    """A PBX's recordings may be asked for at another machine, with a secret of their own, from a file too."""
    host = HostSettings(pbx="main", url="http://pbx-host:5001", secret="far-s3cret")
    config = loaded(tmp_path, FAR)
    assert config.hosts == (host,)
    assert "s3cret" not in repr(config.hosts)
    assert any("asked for at http://pbx-host:5001" in line for line in describe(config, 0))
    (tmp_path / "word").write_text("far-s3cret\n")
    assert loaded(tmp_path, FAR.replace('secret = "far-s3cret"', 'secret_file = "word"')).hosts == (host,)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FAR.replace("http://pbx", "pbx"), "[pbx] recordings_url: expected an address such as http://pbx-host:5001"),
        (FAR.replace("http://", "http://u:hunter3@"),
         "[pbx] recordings_url: expected no user name and password in it: the secret belongs into recordings_secret"),
        (FAR.replace('recordings_secret = "far-s3cret"\n', ""),
         "[pbx] recordings_secret: expected either recordings_secret or recordings_secret_file"),
        (FAR.replace('recordings_url = "http://pbx-host:5001/"\n', ""),
         "[pbx] recordings_secret: belongs to a recordings_url, which is not there"),
        (FAR.replace('secret = "far-s3cret"', 'secret_file = "none"'), "none: No such file or directory"),
        (FAR.replace("[vtiger]", 'recordings_ca = "/none.pem"\n[vtiger]'),
         "[pbx] recordings_ca: /none.pem: No such file or directory"),
        (FULL.replace("[vtiger]", 'tls_ca = "/none.pem"\n[vtiger]'), "[pbx] tls_ca: /none.pem: No such file"),
        (FULL + '[sender]\nca_file = "/none.pem"', "[sender] ca_file: /none.pem: No such file or directory"),
        (FULL + '[sender]\nca_file = "/dev/null"', "[sender] ca_file: /dev/null: holds no certificate"),
        (FULL + '[store]\nurl = "sqlite://data/c.db"', "a file has three slashes before its path"),
        (FULL.replace('secret = "ami-s3cret"', r'secret_file = "a\u0000b"'), "[pbx] secret_file: expected text on"),
        (FAR.replace("[vtiger]", 'recordings_ca = "/dev/null"\n[vtiger]'),
         "[pbx] recordings_ca: /dev/null: holds no certificate"),
    ],
)  # fmt: skip
def test_mistakes_about_another_machine(tmp_path: Path, content: str, said: str) -> None:
    """What is wrong with it is told by its key, and nothing more."""
    told = problems(tmp_path, content)
    assert len(told) == 1
    assert said in told[0]
    assert "hunter3" not in told[0]


def test_password_in_the_address_of_the_crm(tmp_path: Path) -> None:
    """Neither words, nor a repr, nor a complaint show the password in an address, and the address is used with it."""
    secret = VTIGER.replace("http://", "http://u:hunter3@")
    config = loaded(tmp_path, PBX + secret + '[route]\nbind = "127.0.0.1:4574"\n')
    told = "\n".join(describe(config, 0))
    assert "http://u:hunter3@" in config.vtiger.url
    assert "http://vtiger/" in told
    assert "SPAgi.php" in told
    assert "hunter3" not in told + repr(config)
    (wrong,) = problems(tmp_path, PBX + secret.replace("PBXManager.php", "PBXManager.php?a=1#b"))
    assert "expected an address" in wrong
    assert "hunter3" not in wrong


@pytest.mark.parametrize("cache", ["/rec/main", "/rec/main/", "//rec/x/../main/cache", "/rec", "/"])
def test_cache_among_recordings(tmp_path: Path, cache: str) -> None:
    """The cache removes files, so it is never where recordings are, nor above."""
    content = PBX + 'recordings = ["/other", "/rec/main"]\n' + VTIGER + '[recordings]\ncache = "{}"\n'
    (told,) = problems(tmp_path, content.format(cache))
    assert "[recordings] cache: expected a directory of its own" in told
    assert loaded(tmp_path, content.format("/rec/main2")).playback.cache == "/rec/main2"


def test_public_url_that_is_too_long(tmp_path: Path) -> None:
    """vTiger cuts links to 200 characters, so an address that makes longer ones is refused."""
    address = "http://c/" + "x" * 145
    assert loaded(tmp_path, FULL + f'[http]\npublic_url = "{address}"').http.public_url == address
    (told,) = problems(tmp_path, FULL + f'[http]\npublic_url = "{address}x"')
    assert (
        told
        == "c.toml:11: [http] public_url: expected 154 characters at most: vTiger keeps 200 of a link to a recording"
    )


def test_mobiles(tmp_path: Path) -> None:
    """An employee's own number outside is theirs in every spelling; a long list may be a table of its own."""
    content = FULL + '[calls]\nregion = "RU"\nmobiles = { "+7 926 123-45-67" = "101", "89160000001" = "101" }'
    config = loaded(tmp_path, content)
    spelt = ("+79261234567", "89261234567", "9261234567", "0079261234567", "989160000001", "89261234568")
    assert [config.calls.owner_of_mobile(number) for number in spelt] == ["101"] * 5 + [""]
    assert any("own number outside is theirs: 2 such numbers, of 101" in line for line in describe(config, 0))
    apart = loaded(tmp_path, FULL + '[calls.mobiles]\n"+79261234567" = "101"')
    assert apart.calls.owner_of_mobile("89261234567") == "101"


def test_pbx_of_several_companies(tmp_path: Path) -> None:
    """Endpoints, contexts, numbers called and tenants may limit what is ours; by default nothing does."""
    assert not loaded(tmp_path, FULL).calls.is_shared()
    limits = "only_endpoints = '^t1_'\nonly_contexts = '^t1-'\nonly_dids = [\"4951000101\"]\nonly_tenants = [\"acme\"]"
    config = loaded(tmp_path, FULL + f"[calls]\n{limits}")
    rules = config.calls
    assert rules.is_our_device("t1_101", "t1-internal", "acme")
    assert not rules.is_our_device("t2_101", "t1-internal", "acme")
    assert not rules.is_our_device("t1_101", "t2-internal", "acme")
    assert not rules.is_our_device("t1_101", "t1-internal", "other")
    assert rules.only_dids == {"4951000101"}
    (line,) = [line for line in describe(config, 0) if "shared" in line]
    assert line.endswith(
        "ours are endpoints that match ^t1_ and contexts that match ^t1- and the numbers called 4951000101 and the "
        "tenants acme."
    )


def test_mobiles_of_rules_alone(tmp_path: Path) -> None:
    """``replay --rules`` reads them too, with the same checks."""
    path = tmp_path / "c.toml"
    path.write_text('[calls]\nonly_endpoints = "^t1_"\nmobiles = { "+79261234567" = "101" }')
    assert load_rules(path) == TrackerRules(mobiles={"+79261234567": "101"}, only_endpoints="^t1_")
    path.write_text('[calls]\nmobiles = { "12" = "101" }')
    with pytest.raises(
        ConfigError, match=r"c\.toml:2: \[calls\] mobiles: expected numbers as names: '12' is too short"
    ):
        load_rules(path)


def test_extensions_as_a_list(tmp_path: Path) -> None:
    """Instead of a pattern the extensions may be listed."""
    config = loaded(tmp_path, PBX + VTIGER + '[calls]\nextensions = ["101", "205"]')
    assert config.calls.is_extension("205")
    assert not config.calls.is_extension("102")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FULL + "[htp]\n", "c.toml:10: [htp]: is not known (did you mean http?); known are calls, click2call,"),
        (FULL + '[http]\nbnid = "x"', "c.toml:11: [http] bnid: is not known (did you mean bind?); known are"),
        ("debug = true\n" + PBX + VTIGER, "c.toml:1: [debug]: is not known"),
        (FULL + "[http]\nbind = 5000", 'c.toml:11: [http] bind: expected text in quotes, "...", found 5000'),
        (FULL + '[http]\nbind = "5000"', "[http] bind: expected an address and a port, such as 0.0.0.0:5000, found"),
        (FULL + '[http]\npublic_url = "172.16.1.1:5000"', "expected an address such as http://172.16.1.1:5000"),
        (
            FULL + "[http]\nmax_connections = true",
            "expected a whole number from 1 to 10000, without quotes, found true",
        ),
        (FULL + '[http]\nstall_seconds = "3"', "expected seconds, a number from 1 to 3600, without quotes, found '3'"),
        (FULL + "[calls]\nextensions = '^(\\d'", "[calls] extensions: expected a regular expression, but this one has"),
        (FULL + "[calls]\nextensions = 101", "expected a pattern such as '^\\d{2,5}$', or a list of numbers"),
        (FULL + "[calls]\nextensions = []", "expected at least one number in the list"),
        (FULL + '[calls]\ninternal = "yes"', """expected "ignore" or "report", found 'yes'"""),
        (FULL + '[calls]\nregion = "Russia"', """expected a country as two capital letters, such as "RU", found"""),
        (FULL + '[calls]\ndevices = ["x"]', 'expected a table, { "..." = "..." }, found'),
        (FULL + '[calls]\ntrunks = "x"', "expected a list of texts"),
        (
            FULL + "[calls]\nonly_endpoints = '(t1_'",
            "c.toml:11: [calls] only_endpoints: expected a regular expression, but this one has a fault: missing )",
        ),
        (FULL + '[calls]\nonly_contexts = ""', "c.toml:11: [calls] only_contexts: expected text that is not empty"),
        (FULL + '[calls]\nonly_dids = "4951000101"', "c.toml:11: [calls] only_dids: expected a list of texts"),
        (FULL + "[calls]\nonly_tenants = [1]", "c.toml:11: [calls] only_tenants: expected text in quotes"),
        (FULL + '[calls]\nmobiles = ["101"]', 'c.toml:11: [calls] mobiles: expected a table, { "..." = "..." }'),
        (
            FULL + '[calls]\nregion = "RU"\nmobiles = { "anna" = "101" }',
            "c.toml:12: [calls] mobiles: expected numbers as names: 'anna' is no telephone number: write it as +7926",
        ),
        (
            FULL + '[calls]\nmobiles = { "102" = "101" }',
            "c.toml:11: [calls] mobiles: expected numbers as names: '102' is too short for an outside number",
        ),
        (
            FULL + '[calls]\nextensions = \'^2\\d\\d$\'\nmobiles = { "+79261234567" = "101" }',
            "c.toml:12: [calls] mobiles: expected an extension by [calls] extensions for +79261234567, found '101'",
        ),
        (
            FULL + '[calls]\n[calls.mobiles]\n"+79261234567" = "101"\n"89261234567" = "102"',
            "c.toml:11: [calls] mobiles: expected one employee for a number, but 89261234567 is that of 101 and of 102",
        ),
        (FULL + 'timezone = "Moscow"', "c.toml:10: [vtiger] timezone: expected the value of $default_timezone"),
        (FULL + 'flavour = "sp"', """expected "salesplatform" or "stock", found 'sp'"""),
        (
            PBX + '[vtiger]\nurl = "vtiger"\nsecret = "x"',
            "c.toml:7: [vtiger] url: expected an address such as http://crm.example",
        ),
        (PBX + '[vtiger]\nurl = "http://a:b/"\nsecret = "x"', "[vtiger] url: expected an address such as"),
        (PBX, "[vtiger] url: is missing and has no default"),
        (PBX + "[[vtiger]]\n", "[vtiger]: expected one table [vtiger]"),
        (VTIGER, "[pbx]: expected at least one [[pbx]]"),
        ("[pbx]\nname='a'\n" + VTIGER, "c.toml:1: [pbx]: expected [[pbx]], with two brackets"),
        (PBX.replace('"main"', '"my pbx"') + VTIGER, "[pbx] name: expected a short name of letters, digits, - and _"),
        (
            PBX + "port = 0\n" + VTIGER,
            "c.toml:6: [pbx] port: expected a whole number from 1 to 65535, without quotes, found 0",
        ),
        (
            PBX.replace("127.0.0.1", "pbx:5038") + VTIGER,
            "[pbx] host: expected a host name or an address, without a port",
        ),
        (PBX + 'tls = "yes"\n' + VTIGER, "[pbx] tls: expected true or false, without quotes, found 'yes'"),
        (PBX + 'originate_channel = "PJSIP/101"\n' + VTIGER, "expected a text with {extension} in it"),
        (PBX + 'originate_channel = "PJSIP/{ext}"\n' + VTIGER, "expected a text with {extension} in it"),
        (
            PBX + 'originate_channel = "SIP/{extension}&SIP/1"\n' + VTIGER,
            "[pbx] originate_channel: channel must be like PJSIP/101",
        ),
        (
            PBX + 'originate_context = "a b"\n' + VTIGER,
            "[pbx] originate_context: context must be the name of a context",
        ),
        (
            PBX + 'originate_contexts = ["a,b"]\n' + VTIGER,
            "[pbx] originate_contexts: context must be the name of a context",
        ),
        (PBX + "originate_extensions = 1\n" + VTIGER, "[pbx] originate_extensions: expected a pattern such as"),
        (PBX + "originate_extensions = '('\n" + VTIGER, "[pbx] originate_extensions: expected a regular expression"),
        (
            PBX + 'originate_caller_id = "{number}"\n' + VTIGER,
            "[pbx] originate_caller_id: expected a text with {extension} in it",
        ),
        (PBX + 'originate_variables = "A=1"\n' + VTIGER, "[pbx] originate_variables: expected a table"),
        (
            PBX + 'originate_variables = { A = "{number}" }\n' + VTIGER,
            "[pbx] originate_variables: expected a text with {extension} in it",
        ),
        (
            PBX + 'originate_variables = { "SHELL(reboot)" = "1" }\n' + VTIGER,
            "found SHELL(reboot) = '1'",
        ),
        (
            PBX + 'originate_variables = { A = "' + "x" * 2000 + '" }\n' + VTIGER,
            "[pbx] originate_variables: Variable makes a line of",
        ),
        (
            FULL + '[click2call]\ncaller_id = "{number.__class__}"',
            "expected a text with {number} and {extension} in it",
        ),
        (FULL + '[click2call]\nnetworks = ["10.0.0.1/8"]', "[click2call] networks: expected a list of networks"),
        (FULL + '[click2call]\nnetworks = "10.0.0.1"', "[click2call] networks: expected a list of networks"),
        (FULL + '[click2call]\ndeny = ["["]', "[click2call] deny: expected a regular expression"),
        (FULL + '[click2call]\ndial_prefix = "9,"', 'expected what is dialled before a number, such as "9"'),
        (FULL + '[route]\nbind = "4573"', "c.toml:11: [route] bind: expected an address and a port, such as"),
        (
            FULL + '[route]\nbind = "127.0.0.1:4573"',
            "c.toml:11: [route] bind: expected another port than 4573 on this machine's own address, such as "
            "127.0.0.1:4574: FreePBX's FastAGI server listens on 127.0.0.1:4573, and whichever starts second of "
            "the two does not work",
        ),
        (FULL + '[route]\nvariable = "A B"', "[route] variable: expected the name of a channel variable: letters,"),
        (FULL + "[route]\ndeadline_seconds = 60", "[route] deadline_seconds: expected seconds, a number from 0.1 to 5"),
        (FULL + '[route]\nurl = "SPAgi.php"', "[route] url: expected an address such as http://crm.example/modules/"),
        (FULL + "[[route]]\n", "[route]: expected one table [route]"),
        (FULL + '[store]\nurl = "mysql://u:s3cret@h/db"', "[store] url: mysql://u:***@h/db: mysql is not supported"),
        (FULL + '[store]\nurl = ""', "c.toml:11: [store] url: expected text that is not empty"),
        (FULL + "[sender]\nin_flight = 0", "[sender] in_flight: expected a whole number from 1 to 16"),
        (FULL + '[log]\nlevel = "all"', '[log] level: expected "debug" or "info" or "warning" or "error"'),
    ],
)
def test_mistake(tmp_path: Path, content: str, said: str) -> None:
    """Each mistake is told with file, line, table and key, what was expected and what was found."""
    (problem,) = [one for one in problems(tmp_path, content) if "secret or secret_file" not in one]
    assert said in problem


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "expected either secret or secret_file"),
        ('secret = "s3cret-a"\nsecret_file = "b"', "expected either secret or secret_file"),
        ('secret = ""', "[pbx] secret: expected text that is not empty"),
        ("secret = 5", '[pbx] secret: expected text in quotes, "..."'),
        ('secret_file = "nowhere"', "nowhere: No such file or directory"),
        ('secret_file = "/nowhere/at/all"', "/nowhere/at/all: No such file or directory"),
        (
            'secret_file = "$CREDENTIALS_DIRECTORY/ami"',
            "systemd sets this variable for units with LoadCredential= only",
        ),
        ('secret_file = "empty"', "[pbx] secret_file: empty: is empty"),
        ('secret_file = "latin1"', "latin1: is no UTF-8 text"),
        ("secret_file = []", "[pbx] secret_file: expected text in quotes"),
    ],
)
def test_secret_that_cannot_be_had(tmp_path: Path, secret: str, said: str) -> None:
    """A missing, doubled or unreadable secret is a problem, and its value is in no message."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin1").write_bytes(b"\xff")
    (problem,) = problems(tmp_path, f'[[pbx]]\nname = "a"\nhost = "pbx"\nusername = "b"\n{secret}\n' + VTIGER)
    assert said in problem


@pytest.mark.parametrize("told", ["ami", "$CREDENTIALS_DIRECTORY/ami"])
def test_secret_from_systemd(tmp_path: Path, told: str) -> None:
    """A secret_file is found among systemd's credentials, by its bare name too."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "ami").write_text("from-systemd\n")
    (tmp_path / "ami").write_text("beside the configuration")
    content = PBX.replace('secret = "ami-s3cret"', f'secret_file = "{told}"') + VTIGER
    assert loaded(tmp_path, content, CREDENTIALS_DIRECTORY=str(credentials)).pbx[0].secret == "from-systemd"


def test_secret_beside_the_configuration(tmp_path: Path) -> None:
    """A relative secret_file is looked for beside the configuration, wherever we were started."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "crm").write_text("from-a-file\r\n")
    content = PBX + VTIGER.replace('secret = "crm-s3cret"', 'secret_file = "secrets/crm"')
    assert loaded(tmp_path, content).vtiger.secret == "from-a-file"


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """All that is wrong with a file is told in one go, in every table."""
    content = PBX + 'port = "x"\n' + VTIGER + 'flavour = "x"\n[http]\nbind = 1\ngrace_seconds = -1\n[lgo]\n'
    assert [problem.split(":")[1] for problem in problems(tmp_path, content)] == ["15", "6", "11", "13", "14"]


def test_several_pbxes(tmp_path: Path) -> None:
    """Problems of several PBXes say which one is meant; a name may not be used twice."""
    other = PBX.replace("main", "branch")
    assert [server.name for server in loaded(tmp_path, PBX + other + VTIGER).pbx] == ["main", "branch"]
    (twice,) = problems(tmp_path, PBX + PBX + VTIGER)
    assert twice.startswith("c.toml:7: [[pbx]] number 2 name: 'main' is the name of another [[pbx]]")
    (alike,) = problems(tmp_path, PBX + PBX.replace("main", "main-2") + VTIGER)
    assert "'main-2' and 'main' cannot be told apart" in alike
    (port,) = problems(tmp_path, PBX + other + "port = -1\n" + VTIGER)
    assert port.startswith("c.toml:11: [[pbx]] number 2 port: expected")


def test_file_that_is_no_configuration(tmp_path: Path) -> None:
    """A missing file, one that is no TOML and one that is no text are told by their path, TOML with line and column."""
    with pytest.raises(ConfigError, match=r"c\.toml: cannot be read: No such file or directory"):
        load_config(tmp_path / "c.toml", {})
    assert "(at line 2, column 5)" in problems(tmp_path, "[a]\nb = \n")[0]
    (tmp_path / "c.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"is no UTF-8 text \(byte 5\)"):
        load_config(tmp_path / "c.toml", {})


def test_file_of_a_windows_editor(tmp_path: Path) -> None:
    """A byte order mark and CR LF do no harm."""
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (PBX + VTIGER).replace("\n", "\r\n").encode())
    assert load_config(path, {}).pbx[0].name == "main"


def test_rules_alone(tmp_path: Path) -> None:
    """``replay --rules`` reads [calls] of any file and does not ask for the rest; its mistakes are told."""
    path = tmp_path / "rules.toml"
    path.write_text("[calls]\nextensions = ['7']\n[whatever]\nx = 1\n")
    assert load_rules(path).is_extension("7")
    path.write_text("[calls]\nextension = ['7']\n")
    with pytest.raises(ConfigError, match=r"rules.toml:2: \[calls\] extension: is not known"):
        load_rules(path)


def test_credential_that_may_not_be_seen(tmp_path: Path) -> None:
    """What is wrong with systemd's directory is said of the file there. (A long name stands for a closed directory.)"""
    content = FULL.replace('secret = "ami-s3cret"', f'secret_file = "{"x" * 300}"')
    (one,) = problems(tmp_path, content, CREDENTIALS_DIRECTORY=str(tmp_path.parent))
    assert f"[pbx] secret_file: {tmp_path.parent}/xxx" in one
    assert one.endswith(": File name too long")


def test_every_command_has_the_same_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever directory a command is started in, a relative [store] url and the configuration's name are the same."""
    expected = f"sqlite:///{tmp_path}/data/c.db"
    assert loaded(tmp_path, FULL + '[store]\nurl = "sqlite:///data/c.db"').store.url == expected
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("c.toml"), {}).store.url == expected
    assert loaded(tmp_path, FULL).store.url == "sqlite:////var/lib/uac-trio/connector.db"


def test_warnings(tmp_path: Path) -> None:
    """A secret that every user may read, and links that are never told, are worth a warning."""
    path = tmp_path / "c.toml"
    path.write_text(PBX + VTIGER)
    path.chmod(0o644)
    warned = load_config(path, {}).warnings
    assert "chmod" not in warned[0]  # the unit's user is in no group that could be named
    assert "let secret_file name them" in warned[0]
    assert ["holds a secret" in warned[0], "public_url is not set" in warned[1]] == [True, True]
    path.write_text(FULL + '[http]\npublic_url = "http://x:5000"')
    path.chmod(stat.S_IRUSR)
    assert load_config(path, {}).warnings == ()


DATABASE = "postgresql+psycopg://uac:hunter3@db.example/uac"


@pytest.mark.parametrize("given", [DATABASE, f"{DATABASE}\n", f"  {DATABASE} \n\n"])
def test_address_of_the_store_in_a_file(tmp_path: Path, given: str) -> None:
    """[store] url_file: a path, a file beside the configuration, or a credential of systemd, as secret_file is."""
    (tmp_path / "store-url").write_text(given)
    config = loaded(tmp_path, FULL + '[store]\nurl_file = "store-url"\npool_size = 2')
    assert (config.store.url, config.store.pool_size) == (DATABASE, 2)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "store-url").write_text("sqlite:////x.db")
    path = tmp_path / "c.toml"
    assert load_config(path, {"CREDENTIALS_DIRECTORY": str(credentials)}).store.url == "sqlite:////x.db"


@pytest.mark.parametrize(
    ("store", "content", "said"),
    [
        ('url_file = "nowhere"', "", "[store] url_file: {}/nowhere: No such file or directory"),
        ('url_file = "store-url"', "", "[store] url_file: store-url: is empty"),
        (
            'url_file = "store-url"',
            "mysql://uac:hunter3@db/uac",
            "[store] url_file: mysql://uac:***@db/uac: mysql is not",
        ),
        (
            'url_file = "store-url"',
            "uac:hunter3@db",
            "[store] url_file: is no database address; expected sqlite:///FILE",
        ),
        (f'url_file = "store-url"\nurl = "{DATABASE}"', DATABASE, "[store] url: expected either url or url_file"),
        ("url_file = 5", "", '[store] url_file: expected text in quotes, "..."'),
    ],
)
def test_mistakes_about_the_address_of_the_store(tmp_path: Path, store: str, content: str, said: str) -> None:
    """Each is named with its key, and no password is repeated."""
    (tmp_path / "store-url").write_text(content)
    (problem,) = problems(tmp_path, FULL + f"[store]\n{store}")
    assert said.format(tmp_path) in problem
    assert "hunter3" not in problem


def test_password_of_the_store_in_a_readable_file(tmp_path: Path) -> None:
    """It is worth a warning, as a secret is; in url_file it is not."""
    (tmp_path / "store-url").write_text(DATABASE)
    secrets = FULL + f'[store]\nurl = "{DATABASE}"\n'
    path = tmp_path / "c.toml"
    path.write_text(secrets)
    path.chmod(0o644)
    assert any("let url_file name it" in warning for warning in load_config(path, {}).warnings)
    assert "hunter3" not in str(load_config(path, {}).warnings)
    path.chmod(0o600)
    assert not any("url_file" in warning for warning in load_config(path, {}).warnings)
    path.write_text(FULL + '[store]\nurl_file = "store-url"\n')
    path.chmod(0o644)
    assert not any("url_file" in warning for warning in load_config(path, {}).warnings)


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


def test_lines_are_found() -> None:
    """Keys are found in their table, headers by their number, quoted keys too."""
    lines = find_lines('a = 1\n[[pbx]]\nname = 1\n[[pbx]] # two\n"name" = 2\n [calls.devices]\nx = 1')
    assert lines["a", 0, ""] == 1
    assert (lines["pbx", 0, "name"], lines["pbx", 1, ""], lines["pbx", 1, "name"]) == (3, 4, 5)
    assert lines["calls.devices", 0, "x"] == 7


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
    assert {name: set(table) for name, table in tables.items()} == known
    assert EXAMPLE.read_text().count("# secret_file = ") == 3


def test_example_shows_the_real_defaults(tmp_path: Path) -> None:
    """What the example shows as a default is the default."""
    lines = [line for line in without_comments().splitlines() if not line.startswith(WITHOUT_DEFAULT)]
    shown = loaded(tmp_path, "\n".join(lines))
    plain = load_config(EXAMPLE, {})
    assert attrs.evolve(shown, path=EXAMPLE, warnings=()) == attrs.evolve(plain, path=EXAMPLE, warnings=())


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
