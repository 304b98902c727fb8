"""Checks who can read the files with secrets, and which user runs the check."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import trio

from uac_trio.live_check.finding import Findings
from uac_trio.users import user_name


async def check_credentials(files: Iterable[Path], findings: Findings) -> None:
    """``files``: those that hold a secret, the configuration itself among them if it has one."""
    await trio.to_thread.run_sync(_check, tuple(dict.fromkeys(files)), findings)


def _check(files: Iterable[Path], findings: Findings) -> None:
    for file in files:
        try:
            status = file.stat()
        except OSError as why:
            findings.warn("secrets.unseen", f"{file}: {why.strerror or why}")
            continue
        owner = user_name(status.st_uid)
        if status.st_mode & stat.S_IROTH:
            findings.problem(
                "secrets.readable",
                f"{file} has a secret, and every user of this machine can read it",
                _remedy(file),
            )
        elif status.st_uid not in (0, os.geteuid()):
            findings.warn(
                "secrets.owner",
                f"{file} has a secret and belongs to {owner}, who can read and change it",
                f"unless the daemon runs as {owner}: chown root: {file}",
            )
        else:
            readers = f"{owner} and its group" if status.st_mode & stat.S_IRGRP else f"{owner} alone"
            findings.ok("secrets.readable", f"{file} is readable for {readers}")


def _remedy(file: Path) -> str:
    # The unit's user of the moment reads the configuration itself: chmod 600 would keep the daemon from starting.
    if file.suffix == ".toml":
        return (
            "put the secret into a file of its own, as its only line, that root alone can read (chmod 600), and name "
            "it: secret_file in place of secret; chmod 644 for the configuration, which the daemon's user reads"
        )
    return f"chown root: {file}; chmod 600 {file}; systemd gives it to the daemon (LoadCredential= in the unit)"


async def check_user(findings: Findings) -> None:
    """Report which user ran the checks."""
    name = await trio.to_thread.run_sync(partial(user_name, os.geteuid()))
    if os.geteuid() == 0:
        findings.unknown(
            "user.root",
            "this check ran as root, who may read and write everything: what the daemon's own user may not do is not "
            "seen",
            "the daemon's log has it: journalctl -u uac-trio -p warning",
        )
    else:
        findings.ok("user.root", f"this check ran as {name}; the daemon's user may differ")
