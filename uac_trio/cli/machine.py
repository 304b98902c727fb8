"""The files of a machine: read for ``uac-trio setup``, and written with a backup of what was there."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

from uac_trio.asterisk_conf import decode, encode, read
from uac_trio.setup.answers import FREEPBX_SIGNS, MIKOPBX_SIGNS, PACKAGED_UNITS, FoundFile, Machine
from uac_trio.setup.change import Change

READ_BY_ASTERISK = (".conf", ".ael", ".lua")
ROOTS = ("manager.conf", "cdr_manager.conf", "cdr.conf", "extensions.conf", "pjsip.conf", "sip.conf")
UNIT = "uac-trio.service"


class MachineError(Exception):
    """A file cannot be read or written; the text says which, why, and what to do."""


def read_machine(root: Path, asterisk_dir: str, others: Iterable[str]) -> Machine:
    """The machine beneath ``root``. ``others``: paths to read besides Asterisk's. Raises MachineError."""
    found: dict[str, FoundFile] = {}
    for path in (*_of_asterisk(root, asterisk_dir), *others):
        _read_into(found, root, path)
    # That these exist is all that matters, and some hold passwords.
    for sign in (*FREEPBX_SIGNS, *MIKOPBX_SIGNS, *PACKAGED_UNITS):
        if _beneath(root, sign).exists():
            found[sign] = FoundFile("")
    texts = {path: each.text for path, each in found.items()}
    for name in ROOTS:
        for path in read(f"{asterisk_dir}/{name}", texts).included:
            if "*" not in path and path not in found:
                _read_into(found, root, path)
    return Machine(files=found, groups=_groups(root), program=_program(), unit=shipped_unit())


def write_changes(root: Path, changes: Iterable[Change], stamp: str) -> Iterator[str]:
    """Write each file at once or not at all; yields a line about each. ``stamp`` is in the names of backups.

    Raises MachineError, before the first is written if a directory may not be written to.
    """
    changes = list(changes)
    for change in changes:
        _require_writable(_beneath(root, change.path))
    for change in changes:
        path = _beneath(root, change.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path = path.resolve() if path.is_symlink() else path
            backup = _backup(path, stamp, is_secret=change.is_secret)
            _write(path, change, _beneath(root, change.like) if change.like else None)
        except OSError as why:
            raise MachineError(f"{why.filename or change.path}: {why.strerror or why}") from why
        yield f"{change.path}: written" + (f"; what was there is in {backup.name}" if backup else "")


def address_of_this_machine() -> str:
    """The address that other machines see; its name if it has no route. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
            return str(asking.getsockname()[0])
        except OSError:
            return socket.gethostname()


def shipped_unit() -> str:
    """The text of deploy/uac-trio.service, which a wheel has beside the modules of ``uac_trio.setup``."""
    packaged = files("uac_trio.setup").joinpath(UNIT)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "deploy" / UNIT).read_text(encoding="utf-8")


def _of_asterisk(root: Path, asterisk_dir: str) -> Iterator[str]:
    """The files of Asterisk's directory, and of directories in it."""
    top = _beneath(root, asterisk_dir)
    try:
        paths = [*top.iterdir(), *(each for below in top.iterdir() if below.is_dir() for each in below.iterdir())]
    except FileNotFoundError:
        return
    except OSError as why:
        raise MachineError(f"{asterisk_dir}: cannot be read: {why.strerror}; {as_root()}") from why
    for path in sorted(paths):
        if path.suffix in READ_BY_ASTERISK and path.is_file():
            yield f"{asterisk_dir}/{path.relative_to(top)}"


def _read_into(found: dict[str, FoundFile], root: Path, path: str) -> None:
    place = _beneath(root, path)
    try:
        content = place.read_bytes()
        mode = stat.S_IMODE(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as why:
        raise MachineError(f"{path}: cannot be read: {why.strerror}; {as_root()}") from why
    found[path] = FoundFile(decode(content), mode)


def as_root() -> str:
    return "run it as root: sudo uac-trio setup" if os.geteuid() else "root may not either; is it mounted read-only?"


def _beneath(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _groups(root: Path) -> frozenset[str]:
    try:
        lines = _beneath(root, "/etc/group").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.partition(":")[0] for line in lines)


def _program() -> str:
    """The path of the command that runs now, for the unit."""
    beside = Path(sys.executable).parent / "uac-trio"
    return str(beside) if beside.exists() else shutil.which("uac-trio") or "/opt/uac-trio/bin/uac-trio"


def _require_writable(path: Path) -> None:
    there = path if path.exists() else next(parent for parent in path.parents if parent.exists())
    directory = there if there.is_dir() else there.parent
    if there is not path and not there.is_dir():
        raise MachineError(f"{there}: is no directory; {path} cannot be written")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise MachineError(f"{directory}: no right to write there; {as_root()}")


def _backup(path: Path, stamp: str, *, is_secret: bool) -> Path | None:
    """A copy beside ``path``; its name ends in .bak, which no include of Asterisk matches."""
    if not path.exists():
        return None
    backup = path.with_name(f"{path.name}.{stamp}.bak")
    model = path.stat()
    _make(backup, path.read_bytes(), model, 0o600 if is_secret else stat.S_IMODE(model.st_mode))
    return backup


def _write(path: Path, change: Change, like: Path | None) -> None:
    """Put the new file in the place of the old one, with its owner and permissions, or those of ``like``."""
    model = path if path.exists() else like if like is not None and like.exists() else None
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    if model is not None and not change.is_secret:
        status = model.stat()
        _make(new, encode(change.text), status, stat.S_IMODE(status.st_mode))
    else:
        _make(new, encode(change.text), None, change.mode)
    new.replace(path)


def _make(path: Path, content: bytes, owner: os.stat_result | None, mode: int) -> None:
    """Make a file that was not there. By its descriptor alone, and private until it has its owner: this is root, and
    Asterisk's user, who has the directory, may put a link in the place of a name. Raises OSError, as FileExistsError.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        if owner is not None:
            _own(file.fileno(), owner)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _own(descriptor: int, like: os.stat_result) -> None:
    try:
        os.fchown(descriptor, like.st_uid, like.st_gid)
    except PermissionError:
        status = os.fstat(descriptor)
        if status.st_gid != like.st_gid or status.st_uid != like.st_uid:
            raise
