"""The answers for ``uac-trio setup``: from options, from the configuration that is there, or asked on the terminal."""

from __future__ import annotations

import os
import posixpath
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import click

from uac_trio.cli.machine import address_of_this_machine
from uac_trio.setup.answers import Answers, Machine, Platform, callback_url, platform_of
from uac_trio.setup.configuration import given_in
from uac_trio.setup.dialplan import spool_of
from uac_trio.setup.manager_user import address_of, manager_of
from uac_trio.setup.plan import Secrets, is_known_secret

AUTO = "auto"
FLAVOURS = ("salesplatform", "stock")
LOCAL = ("127.0.0.1", "localhost", "::1")

Proc = Callable[[str], str]
"""Makes a value of an answer. Raises click.UsageError."""


@attrs.frozen(kw_only=True)
class Given:
    """The options of the command; None for what is asked."""

    platform: str
    asterisk_dir: str
    ami_host: str | None
    ami_port: int | None
    ami_user: str | None
    name: str | None
    crm_url: str | None
    crm_secret_file: Path | None
    flavour: str | None
    timezone: str | None
    extensions: str | None
    public_url: str | None
    bind: str | None
    recordings: str | None
    recording_dialplan: bool
    backfill: bool | None
    config: str
    unit: str
    replace: bool
    yes: bool
    dry_run: bool
    root: Path

    @property
    def is_here(self) -> bool:
        """Whether the PBX is this machine."""
        return self.ami_host in (None, *LOCAL)


def absolute(given: Given) -> Given:
    """The same with absolute paths: what is relative is so to this directory, or to ``--root``."""

    def of(path: str) -> str:
        return posixpath.normpath(posixpath.join("/" if given.root != Path("/") else os.getcwd(), path)) if path else ""

    return attrs.evolve(given, asterisk_dir=of(given.asterisk_dir), config=of(given.config), unit=of(given.unit))


def chosen_platform(given: Given, machine: Machine) -> Platform:
    """The platform that was named, or the one of the machine's files. Raises click.UsageError without either."""
    if given.platform != AUTO:
        return Platform(given.platform)
    found = platform_of(machine, given.asterisk_dir)
    if found is not None:
        click.echo(f"Found {found.value} in {given.asterisk_dir}.")
        return found
    if not given.is_here:
        return Platform.ASTERISK
    raise click.UsageError(
        f"no Asterisk was found: {given.asterisk_dir} has no manager.conf and no asterisk.conf. --asterisk-dir names "
        "another directory; for a PBX on another machine give --ami-host and --platform"
    )


Ask = Callable[[str, str, str | None, Proc], str]
"""Of the option, what it is, its default, and what makes a value of the answer."""


def prompted(option: str, what: str, default: str | None, proc: Proc) -> str:
    return str(click.prompt(what, default=default, value_proc=proc))


def defaults(option: str, what: str, default: str | None, proc: Proc) -> str:
    if default is None:
        raise click.UsageError(f"{option} is needed: {what}")
    return default


def answers_of(given: Given, platform: Platform, machine: Machine, ask: Ask) -> Answers:
    """The options, and for what they leave open the configuration that is there, or ``ask``."""
    known = given_in(machine.text(given.config))
    is_here = platform is not Platform.MIKOPBX and given.is_here
    host, port = address_of(manager_of(machine, given.asterisk_dir)) if is_here else (given.ami_host or "", 5038)

    def answer(option: str, what: str, default: str | None, proc: Proc = str) -> str:
        name = option.removeprefix("--").replace("-", "_")
        value: str | None = getattr(given, name)
        return ask(option, what, known.get(name, default), proc) if value is None else _valid(option, value, proc)

    if not host:
        host = answer("--ami-host", "Address of the PBX", None)
    crm_url = answer("--crm-url", "Address of the CRM, as in a browser", None, _url)
    flavour = answer("--flavour", "Kind of vTiger, salesplatform or stock", FLAVOURS[0], _flavour)
    zone = "Europe/Moscow" if flavour == FLAVOURS[0] else "UTC"
    is_local = any(f"//{name}" in crm_url for name in LOCAL)
    bind = "127.0.0.1:5000" if is_local else "0.0.0.0:5000"
    address = f"http://{'127.0.0.1' if is_local else address_of_this_machine()}:5000"
    recordings = f"{spool_of(machine, given.asterisk_dir)}/monitor" if is_here else ""
    return Answers(
        platform=platform,
        crm_url=callback_url(crm_url),
        flavour=flavour,
        timezone=answer("--timezone", "The CRM's time zone ($default_timezone in its config.inc.php)", zone),
        extensions=answer("--extensions", "Employees' numbers, a pattern", r"^\d{2,5}$", _pattern),
        bind=answer("--bind", "Listen for clicks in the CRM on", bind),
        public_url=answer("--public-url", "Address by which the CRM reaches this machine", address, _url),
        ami_host=host,
        ami_port=given.ami_port or port,
        ami_user=_user(given.ami_user or known.get("ami_user", "uac-trio")),
        pbx_name=given.name or known.get("name", "main"),
        recordings=known.get("recordings", recordings) if given.recordings is None else given.recordings,
        asterisk_dir=given.asterisk_dir if is_here else "",
        config=given.config,
        unit=given.unit,
        adds_recording=given.recording_dialplan,
        fills_in=_fills_in(given, known, ask, is_here=is_here),
        cdr=known.get("cdr", ""),
        cdr_file=known.get("cdr_file", ""),
    )


def _fills_in(given: Given, known: Mapping[str, str], ask: Ask, *, is_here: bool) -> bool:
    has_cdr = bool(known.get("cdr") or known.get("cdr_file"))
    if given.backfill and not is_here and not has_cdr:
        raise click.UsageError("--backfill: the CDR of a PBX on another machine is named by hand: docs/backfill.md")
    if given.backfill is not None:
        return given.backfill
    if not is_here:
        return has_cdr
    what = "Fill in calls that no connector watched, from the PBX's CDR, yes or no"
    return ask("--backfill", what, "yes" if has_cdr else "no", _yes_or_no) == "yes"


def _yes_or_no(value: str) -> str:
    found = [word for word in ("yes", "no") if value.strip() and word.startswith(value.strip().lower())]
    if not found:
        raise click.UsageError(f"expected yes or no, found {value!r}")
    return found[0]


def _valid(option: str, value: str, proc: Proc) -> str:
    try:
        return proc(value)
    except click.UsageError as why:
        raise click.UsageError(f"{option}: {why.message}") from why


def _url(value: str) -> str:
    if not re.match(r"https?://[^\s/]+", value.strip()):
        raise click.UsageError(f"expected an address such as http://crm.example, found {value!r}")
    return value.strip().rstrip("/")


def _user(value: str) -> str:
    if not re.fullmatch(r"[\w.-]+", value, re.ASCII):
        raise click.UsageError(f"--ami-user: expected letters, digits, - and _, found {value!r}")
    return value


def _flavour(value: str) -> str:
    if value not in FLAVOURS:
        raise click.UsageError(f"expected {' or '.join(FLAVOURS)}, found {value!r}")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as why:
        raise click.UsageError(f"expected a regular expression: {why}") from why
    return value


def secrets_of(given: Given, answers: Answers, machine: Machine) -> Secrets:
    """New secrets, or the CRM's in the file that the administrator named."""
    vtiger = ""
    if given.crm_secret_file is not None:
        vtiger = given.crm_secret_file.read_text(encoding="utf-8", errors="replace").strip()
        if len(vtiger.splitlines()) != 1:
            raise click.UsageError(f"--crm-secret-file: expected one line with the key in {given.crm_secret_file}")
    elif not is_known_secret(answers, machine):
        if not given.yes:
            what = "Secret key of the CRM's PBX Manager settings (not shown; Enter makes a new one)"
            vtiger = click.prompt(what, default="", hide_input=True, show_default=False)
        vtiger = vtiger or secrets.token_urlsafe(24)
    return Secrets(ami=secrets.token_urlsafe(24), vtiger=vtiger, cdr=secrets.token_urlsafe(24))
