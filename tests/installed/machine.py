"""A Debian in namespaces of its own: its processes, network, host name and file system end with it.

The Debian is made by debootstrap once, in the lab's cache, and lies below an overlay in memory, so it stays as it was.
Needs root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import attrs

from lab.chroot import default_cache, mirror_of_this_machine

PACKAGES = "adduser,ca-certificates,ffmpeg,procps,python3,systemd,systemd-sysv"
BUILD_LIMIT = 900.0  # seconds for debootstrap on a slow link; it took 40 on a fast one
COMMAND_LIMIT = 120.0
CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))

ENTER = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/scratch" "$1/root"
mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/scratch" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do cp -a "/dev/$device" dev/; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
hostname trial
mkdir run/outside
pivot_root . run/outside
umount -l /run/outside
# As systemd expects of who starts it in a container: its credentials are mounts that spread.
mount --make-rshared /
shift
exec env -i container=trial PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"
"""

PROBE = """
mount --make-rprivate /
mount -t tmpfs tmpfs "$0"
mkdir "$0/lower" "$0/upper" "$0/scratch" "$0/root"
mount -t overlay overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/scratch" "$0/root"
mount -t proc proc /proc
mount -t cgroup2 cgroup2 "$0/lower"
"""

# SIOCSIFFLAGS with IFF_UP | IFF_LOOPBACK | IFF_RUNNING, netdevice(7): a minimal Debian has no ip.
LOOPBACK_UP = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x8 | 0x40))
"""


class UnavailableError(Exception):
    """The trial cannot run on this machine; the text says why. No fault of the project."""


def cgroup_root() -> Path:
    """Where control groups of version 2 can be made."""
    for path in CGROUPS:
        if (path / "cgroup.procs").exists() and os.access(path, os.W_OK):
            return path
    raise UnavailableError("there is no cgroup2 hierarchy that may be written")


def check_machine() -> None:
    """Raises UnavailableError where namespaces, mounts or cgroups may not be made."""
    if os.geteuid() != 0:
        raise UnavailableError("it makes namespaces and needs to run as root")
    for program in ("unshare", "nsenter", "pivot_root", "dpkg-deb"):
        if shutil.which(program) is None:
            raise UnavailableError(f"there is no {program} on this machine")
    group = cgroup_root() / f"uac-trio-probe-{os.getpid()}"
    try:
        group.mkdir()
        group.rmdir()
    except OSError as why:
        raise UnavailableError(f"control groups may not be made here: {why}") from why
    spaces = ("--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net", "--fork", "--kill-child")
    with tempfile.TemporaryDirectory() as place:
        tried = subprocess.run(
            ["unshare", *spaces, "sh", "-ec", PROBE, place], capture_output=True, text=True, check=False
        )
    if tried.returncode:
        raise UnavailableError(f"namespaces and mounts are not allowed here: {tried.stderr.strip()}")


def debian_root(codename: str) -> Path:
    """A Debian with systemd, Python and ffmpeg: from the cache, or made now by debootstrap. Raises UnavailableError."""
    root = default_cache() / f"installed-{codename}"
    if root.exists():
        return root
    if shutil.which("debootstrap") is None:
        raise UnavailableError("there is no debootstrap (Debian's package of that name)")
    part = root.with_name(f"{root.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    mirror = mirror_of_this_machine()
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", codename, str(part)]
    try:
        done = subprocess.run(
            [*command, *([mirror] if mirror else [])], capture_output=True, text=True, check=False, timeout=BUILD_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"debootstrap did not end within {BUILD_LIMIT:.0f} s") from None
    if done.returncode:
        raise UnavailableError(f"debootstrap failed: {done.stdout.strip()[-300:]}")
    part.rename(root)
    return root


@attrs.define(eq=False)
class Machine:
    """What runs in the namespaces."""

    outer: subprocess.Popen[bytes]
    """unshare: it holds the namespaces."""

    @property
    def pid(self) -> int:
        """The first process inside, as seen from outside; 0 while there is none."""
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children")
        numbers = children.read_text().split() if children.exists() else []
        return int(numbers[0]) if numbers else 0

    def try_run(self, *command: str, timeout: float = COMMAND_LIMIT) -> subprocess.CompletedProcess[str]:
        """Run a command inside; both outputs together."""
        inside = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
        return subprocess.run(
            ["nsenter", "--all", f"--target={self.pid}", *inside, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=timeout,
        )  # fmt: skip

    def run(self, *command: str, timeout: float = COMMAND_LIMIT) -> str:
        """Run a command inside that has to succeed; its output. Raises AssertionError with the output."""
        done = self.try_run(*command, timeout=timeout)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}: {done.stdout.strip()[-2000:]}"
        return done.stdout.strip()

    def put(self, path: str, content: bytes | str, mode: str = "644") -> None:
        """Write a file inside."""
        data = content.encode() if isinstance(content, str) else content
        write = ["nsenter", "--all", f"--target={self.pid}", "install", "-D", f"--mode={mode}", "/dev/stdin", path]
        subprocess.run(write, input=data, check=True, capture_output=True)

    def until(self, holds: Callable[[Self], bool], what: str, timeout: float = 30.0) -> None:
        """Wait for what another process does. Raises AssertionError if it does not within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not holds(self):
            assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
            time.sleep(0.1)


@contextmanager
def machine(root: Path, init: Sequence[str]) -> Iterator[Machine]:
    """Start a Debian whose first process is ``init``; end all its processes."""
    group = cgroup_root() / f"uac-trio-trial-{os.getpid()}"
    group.mkdir()
    with tempfile.TemporaryDirectory(prefix="uac-trio-trial-") as place:
        join = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
        spaces = ("--mount", "--pid", "--cgroup", "--uts", "--ipc", "--net", "--fork", "--kill-child")
        command = ["sh", "-c", join, "sh", "unshare", *spaces, "sh", "-c", ENTER, str(root), place, *init]
        outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            inside = Machine(outer)
            inside.until(lambda it: it.pid > 0 or outer.poll() is not None, "the first process")
            inside.until(
                lambda it: it.pid > 0 and it.try_run("test", "-d", "/run/outside").returncode == 0, "the mounts"
            )
            inside.run("python3", "-c", LOOPBACK_UP)
            yield inside
        finally:
            with suppress(ProcessLookupError):
                os.kill(inside.pid or outer.pid, signal.SIGKILL)  # with the first process all others end
            outer.wait(10)
            _remove(group)


def _remove(group: Path) -> None:
    """Its groups, deepest first. The kernel needs a moment for those whose processes were killed just now."""
    for _ in range(50):
        with suppress(OSError):
            for path, _, _ in os.walk(group, topdown=False):
                os.rmdir(path)
            return
        time.sleep(0.1)
