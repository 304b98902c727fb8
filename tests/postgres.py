"""A PostgreSQL of our own for the tests: Debian's binaries, a temporary directory, a socket of its own.

UAC_TEST_POSTGRESQL=1 python -m pytest tests/store
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SWITCH = "UAC_TEST_POSTGRESQL"


def wanted() -> bool:
    """Off by default: Debian's package postgresql has to be there."""
    return os.environ.get(SWITCH, "") not in ("", "0")


def binaries() -> Path:
    """Where initdb and pg_ctl are: on PATH, or in Debian's directory of the newest version."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if not versions:
        raise RuntimeError(f"{SWITCH} is set, but there is no initdb; run: apt-get install postgresql")
    return versions[-1].parent


@contextmanager
def temporary_postgresql() -> Iterator[str]:
    """Yields the socket's directory; the server ends and its data goes with the block. Root runs it as ``postgres``."""
    directory = Path(tempfile.mkdtemp(prefix="uac-pg-"))
    try:
        if _as_user():
            shutil.chown(directory, **_as_user())
        _run(directory, "initdb", "--auth=trust", "--username=uac", "--encoding=UTF8", "--no-sync", "--locale=C")
        _start(directory)
        try:
            yield str(directory)
        finally:
            _run(directory, "pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def restart_postgresql(directory: str) -> None:
    """As after a crash: it closes its connections at once, and recovers from its write-ahead log when it starts."""
    _run(Path(directory), "pg_ctl", "-m", "immediate", "stop")
    _start(Path(directory))


def _start(directory: Path) -> None:
    options = f"-k {directory} -c listen_addresses='' -c fsync=off -c max_connections=50"
    _run(directory, "pg_ctl", "-w", "-l", str(directory / "log"), "-o", options, "start")


def _as_user() -> dict[str, str]:
    return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


def _run(directory: Path, name: str, *arguments: str) -> None:
    as_user = _as_user()
    subprocess.run(
        [binaries() / name, "-D", directory / "data", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=directory,
        extra_groups=[] if as_user else None,
        **as_user,  # type: ignore[call-overload]
    )
