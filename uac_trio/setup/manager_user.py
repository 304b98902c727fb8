"""The user of Asterisk's manager interface (AMI): the least rights, in the file that is the administrator's."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Mapping

import attrs

from uac_trio.asterisk_conf import Configuration, Section, appended, read, with_lines_after, with_value
from uac_trio.setup.answers import Answers, Machine, Platform
from uac_trio.setup.change import Change, What, not_read

READ = ("call", "agent", "cdr", "system")
WRITE = ("originate", "reporting")
ANY = ("0.0.0.0", "::", "[::]", "")
ALL = "all"
TOO_MUCH = ("all", "command", "config", "system")
"""In ``write``: who learns the secret may run programs on the machine."""


@attrs.frozen
class ManagerUser:
    """What manager.conf says of the user, and what is to be changed."""

    secret: str
    """Its secret, the one of manager.conf if there is one already."""
    changes: tuple[Change, ...]
    notes: tuple[str, ...]


def manager_of(machine: Machine, asterisk_dir: str) -> Configuration:
    """manager.conf with its includes."""
    return read(f"{asterisk_dir}/manager.conf", machine.texts)


def address_of(manager: Configuration) -> tuple[str, int]:
    """Where AMI of this machine is reached: host and port."""
    general = manager.section("general")
    bind = general.get("bindaddr") if general else None
    host = bind.value if bind and bind.value not in ANY else "127.0.0.1"
    port = general.get("port") if general else None
    return host, int(port.value) if port and port.value.isdigit() else 5038


def secret_of(manager: Configuration, user: str) -> str:
    """The secret that manager.conf has for ``user``; "" without one."""
    section = manager.section(user)
    found = section.get("secret") if section else None
    return found.value if found else ""


def plan_manager_user(answers: Answers, machine: Machine, secret: str) -> ManagerUser:
    """The changes that give ``[ami_user]`` with ``secret``, or with the secret it has already.

    Raises NotReadError.
    """
    manager = manager_of(machine, answers.asterisk_dir)
    path = _file_for_users(manager, answers)
    texts = machine.texts
    before = dict(texts)
    known = secret_of(manager, answers.ami_user)
    section = manager.section(answers.ami_user)
    if section is not None:
        for key, needed in (("read", READ), ("write", WRITE)):
            _widen(texts, answers, key, needed)
    blocks = [] if section is not None else [user_block(answers.ami_user, secret, _from(answers.ami_host))]
    if missing := _missing_general(manager):
        header = "[general](+)" if manager.section("general") else "[general]"
        if manager.section("general") is None:
            missing = (*missing, "bindaddr = 127.0.0.1")
        blocks.insert(0, "\n".join((header, *missing)) + "\n")
    if blocks:
        _append_where_it_works(texts, path, "\n".join(blocks), answers)
    changes = tuple(
        Change(
            path=each,
            text=text,
            why="the user of Asterisk's manager interface (AMI), and exact times of events",
            what=What.ADDS,
            mode=0o640,
            like=f"{answers.asterisk_dir}/manager.conf",
        )
        for each, text in texts.items()
        if before.get(each) != text
    )
    return ManagerUser(known or secret, changes, tuple(_notes(manager, section, answers)))


def user_block(user: str, secret: str, host: str) -> str:
    """The section of the user, for a connector that comes from ``host``."""
    return f"""; uac-trio, the connector to the CRM. No blanks after commas: Asterisk passes over a class behind one.
[{user}]
secret = {secret}
deny = 0.0.0.0/0.0.0.0
permit = {host}/{"128" if ":" in host else "255.255.255.255"}
read = {",".join(READ)}
write = {",".join(WRITE)}
writetimeout = 5000
"""


def _from(host: str) -> str:
    """The address that a connection of this machine to its own address ``host`` comes from."""
    return "127.0.0.1" if host.startswith("127.") or host == "localhost" else host


def _file_for_users(manager: Configuration, answers: Answers) -> str:
    """FreePBX: manager_custom.conf. Else a file of our own where a directory of them is included, or manager.conf."""
    if answers.platform is Platform.FREEPBX:
        return f"{answers.asterisk_dir}/manager_custom.conf"
    for pattern in manager.included:
        directory, name = posixpath.split(pattern)
        if "*" in name and "*" not in directory and fnmatch.fnmatchcase("uac-trio.conf", name):
            return f"{directory}/uac-trio.conf"
    return f"{answers.asterisk_dir}/manager.conf"


def _missing_general(manager: Configuration) -> tuple[str, ...]:
    general = manager.section("general")
    return tuple(f"{key} = yes" for key in ("enabled", "timestampevents") if not (general and general.is_true(key)))


def _append_where_it_works(texts: dict[str, str], path: str, block: str, answers: Answers) -> None:
    """Append the block to ``path``, or to manager.conf if Asterisk would not read it there. Raises NotReadError."""
    root = f"{answers.asterisk_dir}/manager.conf"
    for place in (path, root):
        tried = {**texts, place: appended(texts.get(place, ""), block)}
        if _is_read(tried, root, answers.ami_user):
            texts[place] = tried[place]
            return
    raise not_read(root, read(root, texts).refused)


def _is_read(texts: Mapping[str, str], root: str, user: str) -> bool:
    manager = read(root, texts)
    return not manager.refused and manager.section(user) is not None and not _missing_general(manager)


def _widen(texts: dict[str, str], answers: Answers, key: str, needed: tuple[str, ...]) -> None:
    """Give a user that is there the classes that it lacks in ``key``."""
    section = read(f"{answers.asterisk_dir}/manager.conf", texts).section(answers.ami_user)
    assert section is not None  # noqa: S101 - the caller has found it
    found = section.get(key)
    given = _classes(found.value) if found else []
    missing = [each for each in needed if each not in given]
    if not missing or ALL in given:
        return
    value = ",".join((*given, *missing))
    text = texts[section.file]
    if found is not None and found.file == section.file and found.line > section.line:
        texts[section.file] = with_value(text, found.line, value)
    else:  # from a template, whose other users it must not change
        texts[section.file] = with_lines_after(text, section.line, [f"{key} = {value}"])


def _classes(value: str) -> list[str]:
    """The classes that Asterisk takes from a list: one behind a blank is passed over (get_perm of manager.c)."""
    return [each for each in value.split(",") if each and each == each.strip()]


def _notes(manager: Configuration, section: Section | None, answers: Answers) -> Iterator[str]:
    if section is not None:
        found = section.get("write")
        wide = [each for each in _classes(found.value) if each in TOO_MUCH] if found else []
        if found and wide:
            yield (
                f"{found.file}:{found.line}: [{section.name}] write has {', '.join(wide)}, which let anyone who learns "
                f"the secret take over the machine; write = {','.join(WRITE)} is enough for uac-trio"
            )
    general = manager.section("general")
    bind = general.get("bindaddr") if general else None
    if bind and bind.value in ANY:
        yield (
            f"{bind.file}:{bind.line}: AMI listens on every address; bindaddr = 127.0.0.1 is enough for uac-trio on "
            "this machine, unless other programs come from elsewhere"
        )
