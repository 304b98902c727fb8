"""One Asterisk of the lab: its configuration written, its process started and ended."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import attrs
import trio

from lab.chroot import LabUnavailableError, inside
from uac_trio.cdr.layout import OWN_MAPPING

AMI_PORT = 5038
BOOT_LIMIT = 60.0
STOP_LIMIT = 15.0
CONF = Path(__file__).parent / "conf"
# files that modules insist on, as the package has them
_FROM_PACKAGE = """
acl ccss cli cli_aliases cli_permissions dsp enum extconfig followme indications manager_additional pjproject
pjsip_wizard say sorcery stasis udptl users amd codecs
"""


class AsteriskError(Exception):
    """Asterisk did not come up; the text has its last words."""


@attrs.frozen(kw_only=True)
class Server:
    """Where an Asterisk of the lab lives. `profile` is a directory of conf/ laid over conf/common.

    Addresses: NET.1 is Asterisk (SIP 5060, AMI 5038), the phones and providers have others of NET.
    """

    root: Path
    version: int
    profile: str
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def net(self) -> str:
        """The first three numbers of the addresses; profiles of one version can run side by side."""
        return f"127.{('plain', 'office', 'carrier').index(self.profile)}.{self.version}"

    @property
    def host(self) -> str:
        return f"{self.net}.1"

    @property
    def sites(self) -> tuple[Server, ...]:
        """What runs for this profile: the office has a carrier's Asterisk at the other end of its IAX2 trunk."""
        return (self, attrs.evolve(self, profile="carrier")) if self.profile == "office" else (self,)

    def path(self, kind: str) -> str:
        """A directory of this Asterisk as it sees it itself; kind is etc, spool, run or log."""
        name = f"asterisk-{self.profile}"
        return {
            "etc": f"/etc/{name}",
            "spool": f"/var/spool/{name}",
            "run": f"/run/{name}",
            "log": f"/var/log/{name}",
        }[kind]

    def on_disk(self, path: str) -> Path:
        """The same path as this machine sees it."""
        return Path(f"{self.root}{path}")


def write_configuration(server: Server) -> None:
    """Write conf/common and conf/PROFILE into the chroot, the names between @ filled in."""
    modules = next(iter(sorted((server.root / "usr/lib").glob("**/app_dial.so"))), None)
    if modules is None:
        raise AsteriskError(f"{server.root} holds no Asterisk modules; remove it to have it built anew")
    etc = server.on_disk(server.path("etc"))
    shutil.rmtree(etc, ignore_errors=True)
    etc.mkdir(parents=True)
    for kind in ("run", "log"):
        server.on_disk(server.path(kind)).mkdir(parents=True, exist_ok=True)
    spool = server.on_disk(server.path("spool"))
    shutil.rmtree(spool, ignore_errors=True)
    for name in ("monitor", "voicemail", "tmp", "outgoing"):
        (spool / name).mkdir(parents=True)
    names = {
        "IP": server.host,
        "NET": server.net,
        "OFFICE": attrs.evolve(server, profile="office").host,
        "CARRIER": attrs.evolve(server, profile="carrier").host,
        "AMI_PORT": str(AMI_PORT),
        "ETC": server.path("etc"),
        "SPOOL": server.path("spool"),
        "RUN": server.path("run"),
        "LOG": server.path("log"),
        "MODDIR": f"/{modules.parent.relative_to(server.root)}",
        "CDR": "yes",
        "CDR_FILES": "noload",
        "CDR_MAPPING": OWN_MAPPING,
        "CEL": "no",
        "UNANSWERED": "no",
        "TIMESTAMPS": "no",
        "SYSTEMNAME": "",
        **dict(server.variables),
    }
    for file in [*sorted((CONF / "common").glob("*.conf")), *sorted((CONF / server.profile).glob("*.conf"))]:
        text = re.sub(r"@([A-Z_]+)@", lambda found: names[found.group(1)], file.read_text())
        (etc / file.name).write_text(text)
    for name in _FROM_PACKAGE.split():
        packaged = server.root / f"etc/asterisk/{name}.conf"
        if packaged.exists() and not (etc / packaged.name).exists():
            shutil.copy(packaged, etc)


async def _fully_booted(server: Server, process: trio.Process) -> None:
    """Wait until AMI answers and says FullyBooted; AsteriskError where Asterisk ends first."""
    while True:
        if process.poll() is not None:
            log = server.on_disk(f"{server.path('log')}/stdout")
            last = " / ".join(log.read_text(errors="replace").splitlines()[-3:])
            raise AsteriskError(f"Asterisk {server.version} ended while it was starting: {last}")
        try:
            async with await trio.open_tcp_stream(server.host, AMI_PORT) as stream:
                await stream.send_all(b"Action: Login\r\nUsername: crm\r\nSecret: crmsecret\r\n\r\n")
                seen = b""
                while b"FullyBooted" not in seen:
                    more = await stream.receive_some()
                    if not more:
                        break
                    seen += more
                else:
                    return
        except (OSError, trio.BrokenResourceError):
            pass  # not listening yet
        await trio.sleep(0.1)


@asynccontextmanager
async def open_asterisk(server: Server) -> AsyncIterator[int]:
    """Asterisk with this configuration, booted, for the length of the block; yields its pid.

    Raises AsteriskError when it does not come up, LabUnavailableError when something else has its address. It is
    ended by its pid: SIGTERM, then SIGKILL.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, AMI_PORT))
        except OSError as error:
            raise LabUnavailableError(
                f"{server.host}:{AMI_PORT} cannot be had ({error.strerror}); does another lab run on this machine?"
            ) from error
    write_configuration(server)
    command = inside(server.root, "/usr/sbin/asterisk", "-f", "-C", f"{server.path('etc')}/asterisk.conf")
    process = await start_process(command, server.on_disk(f"{server.path('log')}/stdout"))
    try:
        with trio.move_on_after(BOOT_LIMIT) as waiting:
            await _fully_booted(server, process)
        if waiting.cancelled_caught:
            raise AsteriskError(f"Asterisk {server.version} did not boot within {BOOT_LIMIT:.0f} s")
        yield process.pid
    finally:
        await end_process(process, STOP_LIMIT)


@asynccontextmanager
async def open_sites(server: Server) -> AsyncIterator[None]:
    """This Asterisk and what it is connected to, booted, for the length of the block; see open_asterisk()."""
    async with AsyncExitStack() as stack:
        for site in server.sites:
            await stack.enter_async_context(open_asterisk(site))
        yield


async def start_process(command: Sequence[str], log: Path) -> trio.Process:
    """Start a child that writes what it says to `log`; see end_process()."""
    with _opened(log) as out:
        return await trio.lowlevel.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(),
        )


def _opened(log: Path) -> BinaryIO:
    return open(log, "wb")


async def end_process(process: trio.Process, limit: float) -> int | None:
    """SIGTERM, `limit` seconds of grace, SIGKILL; the exit code. Shielded from cancellation: the wait is bounded."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            process.terminate()
            with trio.move_on_after(limit):
                return await process.wait()
            process.kill()
            with trio.move_on_after(5):
                return await process.wait()
    return process.returncode


def environment() -> dict[str, str]:
    """The environment for children: this one, without what is only for this Python."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
