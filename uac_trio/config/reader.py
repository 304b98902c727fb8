"""Reads one TOML file and collects all mistakes in it, each with file, line, table and key."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from uac_trio.config.keys import Key, Keys, names_of
from uac_trio.settings.values import Read, WrongValueError, filled

CREDENTIALS = "$CREDENTIALS_DIRECTORY/"
PLACEHOLDER = "is still the placeholder of the example: write the value itself in place of <...>"

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*["']?([\w.-]+)["']?\s*=""")


class ConfigError(Exception):
    """The configuration is invalid. The text has one line per problem, for the administrator."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@attrs.frozen
class Place:
    """Where a setting stands."""

    table: str
    index: int
    """Which of several tables of this name."""
    key: str

    def shown(self, several: bool) -> str:
        """``[log] level``; with ``several`` of such a table ``[[pbx]] number 2 secret``."""
        is_one_of_several = several and self.table == "pbx"
        return f"[[pbx]] number {self.index + 1} {self.key}" if is_one_of_several else f"[{self.table}] {self.key}"


@attrs.define
class Reader:
    """Reads tables of one file and collects the problems."""

    path: Path
    environ: Mapping[str, str]
    stand_in: str = ""
    """Given for every secret, which is then not looked for."""
    data: dict[str, Any] = attrs.field(factory=dict, init=False)
    problems: list[str] = attrs.field(factory=list, init=False)
    secret_files: list[Path] = attrs.field(factory=list, init=False)
    """Files that secrets were read from; of those that are written in the configuration nothing."""
    given: dict[Place, object] = attrs.field(factory=dict, init=False)
    """The value of each setting that the file has; of secrets a hash, to be compared."""
    _lines: dict[tuple[str, int, str], int] = attrs.field(factory=dict, init=False)

    def load(self) -> None:
        """Read and parse the file. Raises ConfigError if it is not TOML, since nothing more can be checked then."""
        try:
            content = self.path.read_text(encoding="utf-8-sig")
        except OSError as why:
            raise ConfigError([f"{self.path}: cannot be read: {why.strerror or why}"]) from why
        except UnicodeDecodeError as why:
            raise ConfigError([f"{self.path}: is not UTF-8 text (byte {why.start})"]) from why
        try:
            self.data = tomllib.loads(content)
        except tomllib.TOMLDecodeError as why:
            raise ConfigError([f"{self.path}: {_why_no_toml(content, why)}"]) from why
        self._lines = find_lines(content)

    def know_only(self, tables: Collection[str]) -> None:
        """Report tables, and keys outside of tables, with other names."""
        for name in self.data:
            if name not in tables:
                self._add(name, 0, "", f"is not known{_meant(name, tables)}; known are {_listed(tables)}")

    def table(self, name: str, keys: Keys) -> dict[str, Any]:
        """The values of a table by key. A missing table counts as empty."""
        given = self.data.get(name, {})
        if not isinstance(given, dict):
            self._add(name, 0, "", f"expected one table [{name}]")
            return {}
        return self.values(name, given, keys)

    def items(self, name: str) -> list[dict[str, Any]]:
        """What stands in each ``[[name]]``, in the order of the file."""
        given = self.data.get(name, [])
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            self._add(name, 0, "", f"expected [[{name}]], with two brackets, since there may be several")
            return []
        return given

    def values(self, table: str, given: Mapping[str, Any], keys: Keys, index: int = 0) -> dict[str, Any]:
        """The values by key, of secrets those of their files. What is missing or wrong is a problem and left out.

        ``index``: which of several tables of this name it is.
        """
        known = names_of(keys)
        for name in given:
            if name not in known:
                self._add(table, index, name, f"is not known{_meant(name, known)}; known are {_listed(known)}")
        values: dict[str, Any] = {}
        for name, key in keys.items():
            find = self._secret if key.secret else self._plain
            value = find(table, index, given, key)
            if value is not None:
                values[name] = value
                hashed = hashlib.sha256(str(value).encode()).hexdigest() if key.secret else value
                self.given[Place(table, index, name)] = hashed
        return values

    def wrong(self, table: str, key: str, what: str, index: int = 0) -> None:
        """Add a problem that the caller found."""
        self._add(table, index, key, what)

    def _plain(self, table: str, index: int, given: Mapping[str, Any], key: Key) -> object:
        if key.name in given:
            return self._converted(table, index, key.name, key.read, given[key.name])
        if key.required:
            self._add(table, index, key.name, "is missing and has no default")
        return None

    def _secret(self, table: str, index: int, given: Mapping[str, Any], key: Key) -> object:
        """Written in the table, or the content of the file that the table names.

        A file without a directory is searched in systemd's credentials, then beside the configuration.
        """
        if self.stand_in:
            return self.stand_in
        written = [name for name in key.names if name in given]
        if len(written) == 2 or (key.required and not written):
            self._add(table, index, key.name, f"expected either {key.name} or {key.file}")
            return None
        if written == [key.name]:
            return self._converted(table, index, key.name, key.read, given[key.name], secret=True)
        return self._in_file(table, index, key, given[key.file]) if written else None

    def _in_file(self, table: str, index: int, key: Key, given_path: object) -> object:
        path = self._converted(table, index, key.file, filled, given_path)
        content = self._from_file(table, index, key.file, path) if isinstance(path, str) else None
        if content == "":
            self._add(table, index, key.file, f"{path}: is empty")
        return self._converted(table, index, key.file, key.read, content, secret=True) if content else None

    def _converted(
        self, table: str, index: int, key: str, read: Read, value: object, *, secret: bool = False
    ) -> object:
        """The value as its setting takes it; None after a problem."""
        if is_placeholder(value):
            self._add(table, index, key, PLACEHOLDER)
            return None
        try:
            return read(value)
        except WrongValueError as why:
            found = "" if secret else f", found {_shown(value)}"
            self._add(table, index, key, f"expected {why.expected}{found}")
            return None

    def _from_file(self, table: str, index: int, key: str, given_path: str) -> str | None:
        directory = self.environ.get("CREDENTIALS_DIRECTORY", "")
        if given_path.startswith(CREDENTIALS) and not directory:
            self._add(
                table, index, key, f"{given_path}: systemd sets this variable for units with LoadCredential= only"
            )
            return None
        path = self._secret_path(given_path, directory)
        try:
            # Editors and echo add one line end, which is not part of the secret.
            content = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as why:
            self._add(table, index, key, f"{path}: {_why_unread(why, path)}")
            return None
        self.secret_files.append(path)
        return content

    def _secret_path(self, given_path: str, directory: str) -> Path:
        if given_path.startswith(CREDENTIALS):
            return Path(directory, given_path.removeprefix(CREDENTIALS))
        if directory and os.sep not in given_path and _may_be_there(Path(directory, given_path)):
            return Path(directory, given_path)
        return self.path.parent / given_path

    def _add(self, table: str, index: int, key: str, what: str) -> None:
        places = ((table, index, key), (f"{table}.{key}", 0, ""), (table, index, ""))  # the second: [calls.mobiles]
        line = next((self._lines[place] for place in places if place in self._lines), 0)
        place = f"{self.path}:{line}" if line else str(self.path)
        several = isinstance(self.data.get(table), list) and len(self.data[table]) > 1
        named = f"[{table}]" if not several else f"[[{table}]] number {index + 1}"
        self.problems.append(f"{place}: {named}{' ' + key if key else ''}: {what}")


def _why_unread(why: OSError | UnicodeDecodeError, path: Path) -> str:
    """Why a file of a secret cannot be read, and what to do."""
    if isinstance(why, FileNotFoundError):
        return f"{why.strerror}; make it (install -m 600 /dev/null {path}) and put the secret in"
    if isinstance(why, PermissionError):
        return f"{why.strerror}; it is for root alone, so run the command as root (sudo)"
    return why.strerror or str(why) if isinstance(why, OSError) else "is not UTF-8 text"


def is_placeholder(value: object) -> bool:
    """``<the secret of manager.conf>`` or ``http://<address of the CRM>/x.php``, as the example has them."""
    return isinstance(value, str) and re.fullmatch(r"\s*(?:https?://)?<[^<>]*[A-Za-z][^<>]*>\S*\s*", value) is not None


def _why_no_toml(content: str, error: tomllib.TOMLDecodeError) -> str:
    from uac_trio.import_config.old_file import is_old  # only a file that is no TOML may need it

    if is_old(content.encode()):
        return (
            "is the configuration of an earlier connector; uac-trio import-config prints it as one of uac-trio, "
            "for a file of its own"
        )
    return f"is not TOML: {error}"


def _may_be_there(path: Path) -> bool:
    """Also True if the directory may not be searched: reading the file then reports why."""
    try:
        path.stat()  # exists() hides what may not be seen from Python 3.14 on
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def find_lines(content: str) -> dict[tuple[str, int, str], int]:
    """The line of each (table, index among those of its name, key), and of each header under the key "".

    Scans line by line and serves messages only, so a key-like line within a multi-line text does no harm.
    """
    lines: dict[tuple[str, int, str], int] = {}
    seen: dict[str, int] = {}
    table, index = "", 0
    for number, line in enumerate(content.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = header[1].strip("\"' ")
            index = seen.get(table, 0)
            seen[table] = index + 1
            lines.setdefault((table, index, ""), number)
        elif key := _KEY.match(line):
            if table:
                lines.setdefault((table, index, key[1]), number)
            else:
                lines.setdefault((key[1], 0, ""), number)
    return lines


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _shown(value: object) -> str:
    shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    shown = re.sub(r"//.*@", "//***@", shown)  # a URL whose password may contain a /
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
