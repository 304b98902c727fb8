"""A Debian chroot with Asterisk in it, made by debootstrap and kept in a cache directory.

Nothing is mounted in the machine's own namespace: whatever needs /proc and /dev in the chroot runs in a mount
namespace of its own (unshare), which ends with its process. So nothing stays mounted, however the lab ends.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import trio

PACKAGES = ("asterisk", "asterisk-modules", "asterisk-config", "asterisk-core-sounds-en-gsm")
BUILD_LIMIT = 900.0  # seconds for one debootstrap or one apt-get on a slow link; both took under 40 s on a fast one
_MOUNT = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec '


class LabUnavailableError(Exception):
    """The lab cannot run on this machine, or not in full; the text says why, for people. No fault of the project."""


@attrs.frozen(kw_only=True)
class Release:
    """One Asterisk as Debian ships it. `version` also makes the loopback addresses: 127.0.VERSION.x."""

    version: int
    suite: str
    extra: tuple[str, ...] = ()


RELEASES = (
    Release(version=16, suite="bullseye", extra=("asterisk-voicemail",)),  # a package of its own up to Debian 11
    Release(version=22, suite="sid"),
)


def default_cache() -> Path:
    """$UAC_LAB_CACHE, else uac-trio-lab in the user's cache directory."""
    if named := os.environ.get("UAC_LAB_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uac-trio-lab"


def mirror_of_this_machine(etc_apt: Path = Path("/etc/apt")) -> str | None:
    """The Debian mirror this machine's apt reads, or None: then debootstrap's own default is used."""
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        for line in file.read_text(errors="replace").splitlines():
            found = re.match(r"(?:deb\s+(?:\[[^]]*\]\s*)?|URIs:\s*)(https?://\S+/debian)/?(?:\s|$)", line.strip())
            if found:
                return found.group(1)
    return None


async def run_command(command: Sequence[str], timeout: float, env: dict[str, str] | None = None) -> str:
    """Run a program to its end; its output. LabUnavailableError with its last words when it fails or takes too long."""
    try:
        with trio.fail_after(timeout):
            done = await trio.run_process(
                command,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
                env={**os.environ, **(env or {}), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            )
    except trio.TooSlowError:
        raise LabUnavailableError(f"{command[0]} did not end within {timeout:.0f} s") from None
    except OSError as error:
        raise LabUnavailableError(f"{command[0]} could not be run: {error}") from error
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        last = " / ".join(line for line in text.splitlines()[-3:] if line.strip())
        raise LabUnavailableError(f"{' '.join(command[:4])} ... failed with code {done.returncode}: {last}")
    return text


def inside(root: Path, *command: str) -> list[str]:
    """The command line that runs `command` in the chroot, with /proc and /dev, in a mount namespace of its own."""
    return [
        *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
        _MOUNT + 'chroot "$0" "$@"',
        str(root),
        *command,
    ]


async def check_machine() -> None:
    """Raise LabUnavailableError unless chroots can be used here."""
    if os.geteuid() != 0:
        raise LabUnavailableError("it makes chroots and needs to run as root")
    for program in ("unshare", "chroot", "mount"):
        if shutil.which(program) is None:
            raise LabUnavailableError(f"there is no {program} on this machine")
    try:
        await run_command(
            ["unshare", "--mount", "--propagation", "private", "mount", "-t", "proc", "proc", "/proc"], 20
        )
    except LabUnavailableError as error:
        raise LabUnavailableError(f"this machine does not let it mount anything ({error})") from error


async def install_debootstrap() -> None:
    """Have debootstrap, by apt if need be."""
    if shutil.which("debootstrap") is not None:
        return
    if shutil.which("apt-get") is None:
        raise LabUnavailableError("there is neither debootstrap nor an apt-get to install it")
    await run_command(["apt-get", "update"], BUILD_LIMIT)
    await run_command(["apt-get", "install", "-y", "--no-install-recommends", "debootstrap"], BUILD_LIMIT)


async def make_chroots(
    cache: Path, versions: Sequence[int], skipped: Callable[[int, LabUnavailableError], None]
) -> dict[int, Path]:
    """The chroots of these versions, from the cache or newly built side by side; a minute, and 400 MB each.

    `skipped` is called for each version that cannot be had. Raises LabUnavailableError where none can be used at all.
    """
    await check_machine()
    releases = [release for release in RELEASES if release.version in versions]
    roots = {release.version: cache / f"asterisk{release.version}" for release in releases}
    missing = [release for release in releases if not is_complete(roots[release.version])]

    async def build(release: Release) -> None:
        try:
            await _build(roots[release.version], release)
        except LabUnavailableError as error:
            del roots[release.version]
            skipped(release.version, error)

    if missing:
        await install_debootstrap()
        async with trio.open_nursery() as nursery:
            for release in missing:
                nursery.start_soon(build, release)
    return roots


def is_complete(root: Path) -> bool:
    """Whether this is a chroot with an Asterisk in it."""
    return (root / "usr/sbin/asterisk").exists()


def _emptied(part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)


async def _build(root: Path, release: Release) -> None:
    """Build one chroot. What is cut short is never taken for a whole one: it gets its name only when complete."""
    part = root.with_name(f"{root.name}.part")
    await trio.to_thread.run_sync(_emptied, part)
    mirror = mirror_of_this_machine()
    await run_command(
        ["debootstrap", "--variant=minbase", release.suite, str(part), *([mirror] if mirror else [])], BUILD_LIMIT
    )
    policy = part / "usr/sbin/policy-rc.d"  # no service of the package may start by itself
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    await run_command(
        inside(part, "apt-get", "install", "-y", "--no-install-recommends", *PACKAGES, *release.extra), BUILD_LIMIT
    )
    await run_command(inside(part, "apt-get", "clean"), 60)
    part.rename(root)
