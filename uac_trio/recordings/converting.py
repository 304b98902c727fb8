"""Conversion by ffmpeg or sox: a child without a shell, with a file as its input and a name of ours as its output.

A file is converted once however many ask for it; as many go side by side as configured, the rest wait. Whoever asks
may go away: the conversion goes on, within its time, and is kept. No child outlives the nursery.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import structlog
import trio

from uac_trio.recordings.cache import Cache
from uac_trio.recordings.directories import Directories, NearFile
from uac_trio.recordings.place import RecordingFile, RecordingsBusyError
from uac_trio.recordings.settings import RecordingsSettings
from uac_trio.recordings.sound import SOUNDS, TARGETS, Sound, Target, command

log = structlog.get_logger()

TOOLS = ("ffmpeg", "sox")
PIECE = 256 * 1024
"""Bytes fetched at once from another machine."""
MAX_SAID = 2000
"""Bytes of a converter's complaints that are kept."""


def find_tool(configured: str) -> str:
    """The converter's path; "" = there is none, or none is wanted."""
    if configured != "auto":
        return shutil.which(configured) or "" if configured else ""
    return next((path for tool in TOOLS if (path := shutil.which(tool))), "")


@attrs.define(eq=False)
class _Job:
    ended: trio.Event = attrs.field(factory=trio.Event)
    was_made: bool = False


@attrs.define(eq=False)
class Converter:
    settings: RecordingsSettings
    cache: Cache
    tool: str
    nursery: trio.Nursery
    """Owns the conversions: cancelling it ends their children."""
    _jobs: dict[str, _Job] = attrs.field(factory=dict, init=False)
    _slots: trio.CapacityLimiter = attrs.field(init=False)
    _directory: Directories = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = trio.CapacityLimiter(self.settings.conversions)
        self._directory = Directories("cache", (str(self.cache.directory),))

    def target(self, sound: Sound) -> Target | None:
        """What a listener gets instead of ``sound``; None: the file as it is."""
        target = TARGETS[self.settings.format]
        is_fine = sound.plays and (self.settings.format == "wav" or sound.content_type != "audio/wav")
        if is_fine or not self.tool or command(self.tool, sound, target, "") is None:
            return None
        return target

    async def convert(self, source: RecordingFile, sound: Sound, target: Target) -> RecordingFile | None:
        """The converted file; None: it could not be made, and the log says why. ``source`` stays open."""
        name = self.cache.name_of(source, target.suffix)
        found = await trio.to_thread.run_sync(self.cache.open, name)
        if found is None:
            job = self._jobs.get(name)
            if job is None:
                job = self._jobs[name] = _Job()
                self.nursery.start_soon(self._run, job, source.again(), name, sound, target)
            await job.ended.wait()
            found = await trio.to_thread.run_sync(self.cache.open, name) if job.was_made else None
        if found is None:
            return None
        shown = source.name.rpartition(".")[0] + target.suffix
        made = attrs.evolve(found, name=shown, mtime_ns=source.mtime_ns, inode=source.inode)
        return NearFile(made, self._directory)

    async def _run(self, job: _Job, source: RecordingFile, name: str, sound: Sound, target: Target) -> None:
        try:
            async with self._slots:
                job.was_made = await self._make(source, name, sound, target)
        finally:
            source.close()
            del self._jobs[name]
            job.ended.set()

    async def _make(self, source: RecordingFile, name: str, sound: Sound, target: Target) -> bool:
        part = self.cache.part(name)
        arguments = command(self.tool, sound, target, str(part))
        began = trio.current_time()
        said = bytearray()
        code: int | None = None
        try:
            with trio.move_on_after(self.settings.convert_seconds):
                async with self._on_disk(source) as fd:
                    code = await _run_child(arguments or [], fd, said)
            if code == 0:
                await trio.to_thread.run_sync(self.cache.keep, name)
                seconds = trio.current_time() - began
                log.debug("recordings.converted", file=source.name, to=target.suffix, seconds=seconds)
                return True
        except (OSError, RecordingsBusyError) as why:
            said += str(why).encode(errors="replace")
        finally:
            part.unlink(missing_ok=True)
        reason = _why_not_converted(code, said, self.settings.convert_seconds)
        log.error("recordings.not_converted", file=source.name, by=self.tool, code=code, reason=reason)
        return False

    @asynccontextmanager
    async def _on_disk(self, source: RecordingFile) -> AsyncIterator[int]:
        """A descriptor at the beginning of the file; one of another machine is fetched, for as long as the block runs.

        Raises OSError, RecordingsBusyError.
        """
        if isinstance(source, NearFile):
            yield source.opened.fd
            return
        if source.size > self.cache.limit:
            raise OSError(f"has {source.size} bytes, and cache_mb lets no more be fetched than {self.cache.limit}")
        # Without a name, so nothing is left of it whatever happens to us.
        with await trio.to_thread.run_sync(lambda: tempfile.TemporaryFile(dir=self.cache.directory)) as file:
            at = 0
            while at < source.size:
                piece = await source.read(at, min(PIECE, source.size - at))
                if not piece:
                    raise OSError("became shorter while it was fetched")
                await trio.to_thread.run_sync(_write_all, file.fileno(), piece)
                at += len(piece)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            yield file.fileno()


def _why_not_converted(code: int | None, said: bytearray, within: float) -> str:
    """``code``: the child's exit code, negative for a signal; None: it was not run, or not to its end."""
    words = said.decode(errors="replace").strip()
    if code is None:
        return words or f"took longer than {within:g} s"
    if code < 0:
        words = f": {words}" if words else ""
        return f"was killed by {_signal_name(-code)}{_SUSPECTS.get(-code, '')}{words}"
    return words or f"ended with code {code} and without a word"


_SUSPECTS: dict[int, str] = {
    signal.SIGSYS: ", for a system call that is forbidden here (SystemCallFilter= of the systemd unit)",
    signal.SIGKILL: ", perhaps for want of memory (MemoryMax= of the systemd unit)",
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


async def try_tool(tool: str, form: str, within: float) -> str:
    """Convert a second of silence to ``form`` of ``[recordings] format``. Returns why that fails, "" if it does not."""
    sound, target = SOUNDS["ulaw"], TARGETS[form]
    said = bytearray()
    code: int | None = None
    with tempfile.TemporaryDirectory(prefix="uac-trio-") as folder, tempfile.TemporaryFile() as silence:
        silence.write(b"\xff" * 8000)
        silence.seek(0)
        out = os.path.join(folder, f"silence{target.suffix}")
        arguments = command(tool, sound, target, out)
        if arguments is None:
            return f"{os.path.basename(tool)} cannot make {form}"
        try:
            with trio.move_on_after(within):
                code = await _run_child(arguments, silence.fileno(), said)
        except OSError as why:
            said += str(why.strerror or why).encode()
        if code == 0:
            return "" if os.listdir(folder) else "ended well and wrote nothing"
    return _why_not_converted(code, said, within)


def _write_all(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


async def _run_child(arguments: list[str], fd: int, said: bytearray) -> int:
    """Run to the end; its exit code. Cancelled, it kills the child and what that has started."""
    process = await trio.lowlevel.open_process(
        arguments,
        stdin=fd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        start_new_session=True,
    )
    try:
        if process.stderr is not None:  # it is: we asked for a pipe
            async with process.stderr as complaints:
                async for some in complaints:
                    said += some[: max(0, MAX_SAID - len(said))]
        return await process.wait()
    finally:
        if process.returncode is None:
            _kill(process)
            with trio.CancelScope(shield=True):
                await process.wait()


def _kill(process: trio.Process) -> None:
    # Not reaped yet, so the number is still the child's, and its group's.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
