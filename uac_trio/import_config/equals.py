"""The equal of each old key, and a note for each that has none or needs a look."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import attrs

from uac_trio.import_config.old_file import Kind, OldFile
from uac_trio.toml_text import Value, comment_lines, table_text

CALLBACK = "/modules/PBXManager/callbacks/PBXManager.php"
STORE_DIRECTORY = "/var/lib/uac-trio"
TECHNOLOGIES = ("SIP", "PJSIP")
HEADERS = {"pbx": "[[pbx]]", "vtiger": "[vtiger]", "http": "[http]", "store": "[store]"}
AMI_PORT = "5038"
HTTP_PORT = "5000"


@attrs.define
class Imported:
    """The new tables with their keys."""

    tables: dict[str, dict[str, Value]] = attrs.field(factory=lambda: {name: {} for name in HEADERS})
    notes: list[str] = attrs.field(factory=list)
    """Of old keys without an equal, and of what the administrator should look at."""
    problems: list[str] = attrs.field(factory=list)
    """Keys that uac-trio cannot do without and that are missing or wrong."""


def imported(old: OldFile) -> Imported:
    """The old configuration as one of uac-trio."""
    result = Imported()
    given = _Given(old, result)
    if old.kind is Kind.PYTHON:
        _from_python(given)
    else:
        _from_properties(given)
    _common_notes(result)
    return result


def configuration_text(result: Imported, source: str) -> str:
    """The TOML, with the notes as comments at its head. ``source``: the name of the old file."""
    head = [f"Imported from {source}.", *(f"NOTE: {note}" for note in result.notes)]
    tables = [table_text(HEADERS[name], values) for name, values in result.tables.items() if values]
    return "\n".join(comment_lines(head)) + "\n\n" + "\n".join(tables)


@attrs.define
class _Given:
    """The old values, of which those that are asked for count as known."""

    old: OldFile
    result: Imported
    known: set[str] = attrs.field(factory=set)

    def text(self, key: str, default: str = "") -> str:
        self.known.add(key)
        value = self.old.values.get(key)
        if value is not None and value.text is None:
            self.note(key, "is computed by the old program; put its value in by hand")
        return (value.text or default) if value is not None else default

    def required(self, key: str) -> str:
        found = self.text(key)
        if not found:
            where = f"line {self.old.values[key].line}: " if key in self.old.values else ""
            self.result.problems.append(f"{where}{key}: expected a value, since uac-trio cannot do without")
        return found

    def note(self, key: str, what: str) -> None:
        self.result.notes.append(f"{key}: {what}")

    def rest(self) -> None:
        """A note for each key that nothing asked for."""
        for key in self.old.values:
            if key not in self.known:
                self.note(key, "has no equal in uac-trio and was left out")


def _from_python(given: _Given) -> None:
    tables = given.result.tables
    _pbx(
        given,
        host=given.text("ami_params['host']", "127.0.0.1"),
        port=given.text("ami_params['port']", AMI_PORT),
        username=given.required("ami_params['username']"),
        secret=given.required("ami_params['secret']"),
        technology="",
    )
    tables["vtiger"] = {
        "url": _callback(given, "vtiger_url", given.required("vtiger_url")),
        "secret": given.required("vtiger_token"),
    }
    port = _port(given, "click2call_port", given.text("click2call_port", HTTP_PORT), HTTP_PORT)
    domain = given.text("record_domain")
    _http(given, given.text("click2call_bind_addr", "0.0.0.0"), port, "record_domain", domain)
    _store(given, "db_path", given.text("db_path"))
    given.rest()


def _from_properties(given: _Given) -> None:
    tables = given.result.tables
    technology = given.text("DefaultOriginateChannelProtocol").upper()
    _pbx(
        given,
        host=given.text("AsteriskServerIP", "127.0.0.1"),
        port=given.text("AsteriskServerPort", AMI_PORT),
        username=given.required("AsteriskUsername"),
        secret=given.required("AsteriskPassword"),
        technology=technology,
    )
    url_key = "CrmURL" if "CrmURL" in given.old.values else "VtigerURL"
    secret_key = "CrmSecretKey" if "CrmSecretKey" in given.old.values else "VtigerSecretKey"
    tables["vtiger"] = {
        "url": _callback(given, url_key, given.required(url_key) + given.text("CrmURLPrefix")),
        "secret": given.required(secret_key),
    }
    bind = given.text("ServerIP", "0.0.0.0")
    port = _port(given, "ServerPort", given.text("ServerPort", HTTP_PORT), HTTP_PORT)
    _http(given, bind, port, "ServerIP", "" if bind in ("0.0.0.0", "127.0.0.1", "localhost") else bind)
    _store(given, "AsteriskAppDBPath", given.text("AsteriskAppDBPath"))
    if given.text("CheckKeyOnListenRequest"):
        given.note("CheckKeyOnListenRequest", "has no equal: the secret of a click is always checked")
    if given.text("LookUpVariablesNames"):
        given.note(
            "LookUpVariablesNames",
            "has no equal: the customer is the number that AMI shows, with trunks and extensions by [calls]",
        )
    given.rest()


def _pbx(given: _Given, *, host: str, port: str, username: str, secret: str, technology: str) -> None:
    pbx: dict[str, Value] = {"name": "main", "host": "127.0.0.1" if host == "localhost" else host}
    number = _port(given, "the port of AMI", port, AMI_PORT)
    if number != int(AMI_PORT):
        pbx["port"] = number
    pbx |= {"username": username, "secret": secret}
    if technology and technology not in TECHNOLOGIES:
        given.note("DefaultOriginateChannelProtocol", f"{technology} is neither SIP nor PJSIP: check originate_channel")
    pbx["originate_channel"] = f"{technology or 'SIP'}/{{extension}}"
    pbx["originate_context"] = "vtiger"
    given.result.tables["pbx"] = pbx


def _callback(given: _Given, key: str, url: str) -> str:
    """The full address of the callback."""
    if not url:
        return ""
    if not re.match(r"https?://", url):
        given.note(key, f"has no scheme; http:// was put before {_without_login(url)}")
        url = f"http://{url}"
    url = url.partition("?")[0].rstrip("/").removesuffix("/index.php")
    if not url.endswith(".php"):
        given.note(key, f"{CALLBACK} was put behind the address of the CRM")
        url += CALLBACK
    return url


def _http(given: _Given, bind: str, port: int, key: str, domain: str) -> None:
    http: dict[str, Value] = {"bind": f"[{bind}]:{port}" if ":" in bind else f"{bind}:{port}"}
    if domain:
        http["public_url"] = _public_url(given, key, domain, port)
    else:
        given.note(key, "names no address of this machine: set [http] public_url, or the CRM gets no recordings")
    given.result.tables["http"] = http


def _public_url(given: _Given, key: str, domain: str, port: int) -> str:
    """``record_domain`` with scheme and port, which the old connector put there itself."""
    url = domain.rstrip("/") if "://" in domain else f"http://{domain.rstrip('/')}"
    if "://" not in domain and urlsplit(url).port is None:
        url += f":{port}"
    if url != domain:
        given.note(key, f"became [http] public_url = {url}; it is the address for the CRM's settings page too")
    return url


def _store(given: _Given, key: str, path: str) -> None:
    """A new database: the old one has other tables. Its name stays, in the directory that systemd gives the daemon."""
    name = path.rstrip("/").rpartition("/")[2] if path else ""
    if not name.endswith(".db"):
        name = "connector.db"
    given.result.tables["store"] = {"url": f"sqlite:///{STORE_DIRECTORY}/{name}"}
    if path:
        given.note(key, f"the old database is not read; deliveries wait in a new one, {STORE_DIRECTORY}/{name}")


def _port(given: _Given, key: str, text: str, default: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 65535:
        given.result.problems.append(f"{key}: expected a port, found {text!r}")
        return int(default)
    return int(text)


def _without_login(url: str) -> str:
    return re.sub(r"^[^/?#]*@", "", url)


def _common_notes(result: Imported) -> None:
    """What the old connector left to the dialplan and to vTiger's settings, and we have as keys."""
    result.notes += [
        'originate_context: clicks go through the context "vtiger", as the old dialplan has it; name the one in which '
        "employees dial if yours has no such context",
        "originate_channel: SIP/{extension} is for chan_sip; PJSIP/{extension} for PJSIP, which is all that Asterisk "
        "21 and later have",
        "[calls] extensions: numbers of 2 to 5 digits are employees'; change it if yours are others",
        "[vtiger] timezone: Europe/Moscow, SalesPlatform's default; it has to be $default_timezone of config.inc.php",
        "secret: both stand in this file, which the daemon's user reads: put them into files of their own, which root "
        "alone can read (chmod 600), and name these in secret_file",
    ]
