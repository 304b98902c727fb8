"""A mistake is reported with file, line, table and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import FAR, FULL, PBX, VTIGER, loaded, problems
from uac_trio.config.reader import find_lines


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FULL + "[htp]\n", "c.toml:10: [htp]: is not known (did you mean http?); known are alerts, calls, click2call,"),
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
        (
            FULL + "[calls]\nextensions = '^(\\d'",
            "[calls] extensions: expected a regular expression, but this one is invalid",
        ),
        (FULL + "[calls]\nextensions = 101", "expected a pattern such as '^\\d{2,5}$', or a list of numbers"),
        (FULL + "[calls]\nextensions = []", "expected at least one number in the list"),
        (FULL + '[calls]\ninternal = "yes"', """expected "ignore" or "report", found 'yes'"""),
        (FULL + '[calls]\nregion = "Russia"', """expected a country as two capital letters, such as "RU", found"""),
        (FULL + '[calls]\ndevices = ["x"]', 'expected a table, { "..." = "..." }, found'),
        (FULL + '[calls]\ntrunks = "x"', "expected a list of texts"),
        (
            FULL + "[calls]\nonly_endpoints = '(t1_'",
            "c.toml:11: [calls] only_endpoints: expected a regular expression, but this one is invalid: missing )",
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
            "c.toml:11: [calls] mobiles: expected one employee per number, but 89261234567 belongs to 101 and to 102",
        ),
        (
            FULL + 'timezone = "Moscow"',
            "c.toml:10: [vtiger] timezone: there is no time zone 'Moscow'; expected the value of $default_timezone",
        ),
        (FULL + 'flavour = "sp"', """expected "salesplatform" or "stock", found 'sp'"""),
        (
            PBX + '[vtiger]\nurl = "vtiger"\nsecret = "x"',
            "c.toml:7: [vtiger] url: 'vtiger' is not the address of vTiger's callback; expected something like http://crm.",
        ),
        (PBX + '[vtiger]\nurl = "http://a:b/"\nsecret = "x"', "[vtiger] url: 'http://a:b/' is not the address"),
        (PBX, "c.toml: [vtiger]: expected one table [vtiger] or [webhook], the CRM to deliver to"),
        (PBX + '[vtiger]\nsecret = "x"', "c.toml:6: [vtiger] url: is missing and has no default"),
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
            PBX + 'originate_variables = { A = "{customer}" }\n' + VTIGER,
            "[pbx] originate_variables: expected a text with {extension} and {number} in it",
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
        (FULL + '[click2call]\ndial_prefix = "9,"', 'expected a prefix to dial before a number, such as "9"'),
        (FULL + '[route]\nbind = "4573"', "c.toml:11: [route] bind: expected an address and a port, such as"),
        (
            FULL + '[route]\nbind = "127.0.0.1:4573"',
            "c.toml:11: [route] bind: expected another port than 4573 on this machine's own address, such as "
            "127.0.0.1:4574: FreePBX's FastAGI server listens on 127.0.0.1:4573, and the second of the two to "
            "start would fail",
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
    """Each mistake is reported with file, line, table and key, what was expected and what was found."""
    (problem,) = [one for one in problems(tmp_path, content) if "secret or secret_file" not in one]
    assert said in problem


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FAR.replace("http://pbx", "pbx"), "[pbx] recordings_url: expected an address such as http://pbx-host:5001"),
        (FAR.replace("http://", "http://u:hunter3@"),
         "[pbx] recordings_url: expected an address without user name and password: put the secret into"),
        (FAR.replace('recordings_secret = "far-s3cret"\n', ""),
         "[pbx] recordings_secret: expected either recordings_secret or recordings_secret_file"),
        (FAR.replace('recordings_url = "http://pbx-host:5001/"\n', ""),
         "[pbx] recordings_secret: needs a recordings_url, which is missing"),
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
    """A mistake about another machine is reported once, by its key, without the password."""
    found = problems(tmp_path, content)
    assert len(found) == 1
    assert said in found[0]
    assert "hunter3" not in found[0]


@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ("sender", "in_flight", "17", "a whole number from 1 to 16"),
        ("sender", "reply_timeout", "0", "seconds, a number from 0.1 to 300"),
        ("sender", "shutdown_grace", "-1", "seconds, a number from 0 to 10"),
        ("store", "busy_timeout", "0", "seconds, a number from 0.1 to 60"),
        ("store", "keep_delivered", "10", "seconds, a number from 3600 to 315360000"),
        ("store", "pool_size", "0", "a whole number from 1 to 100"),
        ("pbx", "ping_interval", "0.0", "seconds, a number from 1 to 3600"),
        ("pbx", "login_timeout", "nan", "seconds, a number from 0.1 to 120"),
        ("pbx", "backoff_max", "inf", "seconds, a number from 0.1 to 3600"),
    ],
)
def test_bounds(tmp_path: Path, table: str, key: str, value: str, expected: str) -> None:
    """A number beyond its bounds is refused with the bounds and the unit."""
    line = f"{key} = {value}\n"
    content = PBX + line + VTIGER if table == "pbx" else FULL + f"[{table}]\n{line}"
    (problem,) = problems(tmp_path, content)
    assert f"[{table}] {key}: expected {expected}, without quotes, found {value}" in problem


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """All mistakes of a file, in every table, are reported at once."""
    content = PBX + 'port = "x"\n' + VTIGER + 'flavour = "x"\n[http]\nbind = 1\ngrace_seconds = -1\n[lgo]\n'
    assert [problem.split(":")[1] for problem in problems(tmp_path, content)] == ["15", "6", "11", "13", "14"]


def test_public_url_that_is_too_long(tmp_path: Path) -> None:
    """A CRM may cut links, as vTiger does to 200 characters, so an address that makes longer ones is refused."""
    address = "http://c/" + "x" * 145
    assert loaded(tmp_path, FULL + f'[http]\npublic_url = "{address}"').http.public_url == address
    (problem,) = problems(tmp_path, FULL + f'[http]\npublic_url = "{address}x"')
    assert problem.startswith(
        "c.toml:11: [http] public_url: expected 154 characters at most: the CRM cuts longer links"
    )


def test_lines_are_found() -> None:
    """Keys are found in their table, headers by their number, quoted keys too."""
    lines = find_lines('a = 1\n[[pbx]]\nname = 1\n[[pbx]] # two\n"name" = 2\n [calls.devices]\nx = 1')
    assert lines["a", 0, ""] == 1
    assert (lines["pbx", 0, "name"], lines["pbx", 1, ""], lines["pbx", 1, "name"]) == (3, 4, 5)
    assert lines["calls.devices", 0, "x"] == 7
