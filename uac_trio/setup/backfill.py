"""Back-fill: where the PBX keeps its CDR, and on plain Asterisk the mapping that makes a file of our own."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from uac_trio.asterisk_conf import appended, read
from uac_trio.cdr.layout import OWN_MAPPING
from uac_trio.setup.answers import Answers, Machine, Platform
from uac_trio.setup.change import Change, What, not_read
from uac_trio.setup.configuration import CDR_ADDRESS

RELOADS = ('asterisk -rx "module load cdr_custom.so"', 'asterisk -rx "module reload cdr_custom.so"')
"""Asterisk 22 has not loaded it where it had no mapping before; where it is, the first fails and does no harm."""
MODULE = "cdr_custom.so"
NAME, MAPPING = (part.strip() for part in OWN_MAPPING.split("=>", 1))
DATABASE_USER = "uac-trio"
AS_OURS = f'"{NAME}" in docs/backfill.md'


def cdr_lines(answers: Answers, machine: Machine) -> dict[str, str]:
    """What ``[[pbx]]`` has of CDR; one that is in the configuration already stays."""
    if not answers.fills_in:
        return {}
    if answers.cdr or answers.cdr_file:
        return {key: value for key, value in (("cdr", answers.cdr), ("cdr_file", answers.cdr_file)) if value}
    if answers.platform is Platform.FREEPBX:
        return {"cdr_file": CDR_ADDRESS}
    return {"cdr": _own_address(answers, machine)}


def _own_address(answers: Answers, machine: Machine) -> str:
    """Of the file that our mapping makes, in ``astlogdir`` of asterisk.conf."""
    directories = read(f"{answers.asterisk_dir}/asterisk.conf", machine.texts).section("directories")
    found = directories.get("astlogdir") if directories else None
    directory = found.value.rstrip("/") if found and found.value.startswith("/") else "/var/log/asterisk"
    return f"csv://{directory}/cdr-custom/{NAME}"


def has_database(answers: Answers, machine: Machine) -> bool:
    """Whether the address of the CDR's database is in a file beside the configuration."""
    return cdr_lines(answers, machine).get("cdr_file") == CDR_ADDRESS


def plan_backfill(answers: Answers, machine: Machine, password: str) -> tuple[Change, ...]:
    """The mapping, or the database's address with a new ``password``. Raises NotReadError."""
    path = f"{posixpath.dirname(answers.config)}/{CDR_ADDRESS}"
    if has_database(answers, machine):
        if machine.text(path):
            return ()
        address = f"mysql+pymysql://{DATABASE_USER}:{password}@127.0.0.1/asteriskcdrdb\n"
        return (
            Change(
                path=path,
                text=address,
                why="the address of FreePBX's CDR with a password, for root alone: systemd passes it on",
                what=What.REPLACES,
                mode=0o600,
                is_secret=True,
            ),
        )
    return _mapping(answers, machine) if _is_own(answers, machine) else ()


def _is_own(answers: Answers, machine: Machine) -> bool:
    return cdr_lines(answers, machine).get("cdr") == _own_address(answers, machine)


def _mapping(answers: Answers, machine: Machine) -> tuple[Change, ...]:
    """Nothing where ``[mappings]`` names our file already."""
    path = f"{answers.asterisk_dir}/cdr_custom.conf"
    texts = machine.texts
    mappings = read(path, texts).section("mappings")
    if mappings is not None and mappings.get(NAME) is not None:
        return ()
    header = "[mappings](+)" if mappings is not None else "[mappings]"
    text = appended(texts.get(path, ""), f"{header}\n{OWN_MAPPING}\n")
    configuration = read(path, {**texts, path: text})
    section = configuration.section("mappings")
    if configuration.refused or section is None or section.get(NAME) is None:
        raise not_read(path, configuration.refused)
    return (
        Change(
            path=path,
            text=text,
            why="CDR in a file of our own, from which calls are filled in that no connector watched",
            what=What.ADDS,
            mode=0o640,
            like=f"{answers.asterisk_dir}/manager.conf",
        ),
    )


def backfill_notes(answers: Answers, machine: Machine) -> Iterator[str]:
    """What is to be done by hand."""
    path = f"{posixpath.dirname(answers.config)}/{CDR_ADDRESS}"
    if has_database(answers, machine) and not machine.text(path):
        yield (
            f"back-fill reads FreePBX's database. Make its user there, with the password that is in {path}:\n\n"
            f"CREATE USER '{DATABASE_USER}'@'localhost' IDENTIFIED BY '<the password>';\n"
            f"GRANT SELECT ON asteriskcdrdb.* TO '{DATABASE_USER}'@'localhost';\n\n"
            "and install uac-trio with its driver: constraints/mysql.txt in place of run.txt"
        )
    if not _is_own(answers, machine):
        return
    mappings = read(f"{answers.asterisk_dir}/cdr_custom.conf", machine.texts).section("mappings")
    there = mappings.get(NAME) if mappings is not None else None
    if there is not None and there.value != MAPPING:
        yield f"cdr_custom.conf has another line for {NAME} than uac-trio reads: compare it with {AS_OURS}"
    if _is_kept_out(answers, machine):
        yield f"modules.conf does not load {MODULE}, which writes {NAME}: let it be loaded, and restart Asterisk"


def _is_kept_out(answers: Answers, machine: Machine) -> bool:
    modules = read(f"{answers.asterisk_dir}/modules.conf", machine.texts).section("modules")
    if modules is None:
        return False
    named = {(each.key.lower(), each.value.removesuffix(".so")) for each in modules.values}
    module = MODULE.removesuffix(".so")
    is_loaded = {("load", module), ("preload", module), ("require", module)} & named
    return ("noload", module) in named or not (is_loaded or modules.is_true("autoload"))
