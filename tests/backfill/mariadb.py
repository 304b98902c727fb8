"""A MariaDB of our own for the tests: Debian's binaries, a temporary directory, a socket of its own.

UAC_TEST_MARIADB=1 python -m pytest tests/backfill
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

SWITCH = "UAC_TEST_MARIADB"
STARTS_WITHIN = 60.0
"""Seconds."""


def wanted() -> bool:
    """Off by default: Debian's package mariadb-server has to be there."""
    return os.environ.get(SWITCH, "") not in ("", "0")


@contextmanager
def temporary_mariadb() -> Iterator[str]:
    """Yields the address of a database ``asteriskcdrdb``, of its administrator, and a user ``uac`` who may only read.

    The server ends and its data goes with the block. Root runs it as ``mysql``.
    """
    if shutil.which("mariadb-install-db") is None:
        raise RuntimeError(f"{SWITCH} is set, but there is no mariadb-install-db; run: apt-get install mariadb-server")
    directory = Path(tempfile.mkdtemp(prefix="uac-db-"))
    try:
        user = _user()
        if user:
            shutil.chown(directory, user, user)
        data = directory / "data"
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
        ]
        subprocess.run([*install, *_as_user()], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with _running(directory, data) as address:
            _prepare(address)
            yield address
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def as_reader(address: str) -> str:
    """The same for the user who may only read."""
    return address.replace("//root@", "//uac:read@")


@contextmanager
def _running(directory: Path, data: Path) -> Iterator[str]:
    socket = directory / "s"
    options = [f"--datadir={data}", f"--socket={socket}", "--skip-networking", f"--pid-file={directory / 'pid'}"]
    quick = ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--default-time-zone=+03:00"]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(["mariadbd", "--no-defaults", *options, *quick, *_as_user()], stdout=log, stderr=log)
        try:
            address = f"mysql+pymysql://root@/mysql?unix_socket={socket}"
            _wait_for(socket, server, directory / "log")
            yield address.replace("/mysql?", "/asteriskcdrdb?")
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(socket: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server listens. A refused attempt would leave PyMySQL 1.2 with an open socket."""
    until = time.monotonic() + STARTS_WITHIN
    while not socket.exists():
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(log.read_text(errors="replace")[-2000:])
        time.sleep(0.05)


def _prepare(address: str) -> None:
    engine = sa.create_engine(address.replace("/asteriskcdrdb?", "/mysql?"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE DATABASE asteriskcdrdb CHARACTER SET utf8mb4"))
        connection.execute(sa.text("CREATE USER uac@localhost IDENTIFIED BY 'read'"))
        connection.execute(sa.text("GRANT SELECT ON asteriskcdrdb.* TO uac@localhost"))


def _user() -> str:
    return "mysql" if os.geteuid() == 0 else ""


def _as_user() -> list[str]:
    return [f"--user={_user()}"] if _user() else []
