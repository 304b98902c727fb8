"""Conversion by ffmpeg or sox: a child process without a shell, whose input is an open file.

Concurrent requests for a file share one conversion. The number of conversions at once is limited; the rest wait. A
conversion goes on when its client disconnects, until its timeout, and is cached. No child outlives the nursery.
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
"""Bytes per request to another machine."""
MAX_OUTPUT = 2000
"""Bytes of a converter's error output that are kept."""


def find_tool(configured: str) -> str:
    """The converter's path; "" if none is installed or configured."""
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
    """Runs the conversions; cancelling it kills their children."""
    _jobs: dict[str, _Job] = attrs.field(factory=dict, init=False)
    _slots: trio.CapacityLimiter = attrs.field(init=False)
    _directory: Directories = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = trio.CapacityLimiter(self.settings.conversions)
        self._directory = Directories("cache", (str(self.cache.directory),))

    def target(self, sound: Sound) -> Target | None:
        """The format to convert ``sound`` to; None: serve the file as it is."""
        target = TARGETS[self.settings.format]
        is_fine = sound.plays and (self.settings.format == "wav" or sound.content_type != "audio/wav")
        if is_fine or not self.tool or command(self.tool, sound, target, "") is None:
            return None
        return target

    async def convert(self, source: RecordingFile, sound: Sound, target: Target) -> RecordingFile | None:
        """The converted file; None if the conversion failed (logged). ``source`` stays open."""
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
        output = bytearray()
        code: int | None = None
        try:
            with trio.move_on_after(self.settings.convert_seconds):
                async with self._on_disk(source) as fd:
                    code = await _run_child(arguments or [], fd, output)
            if code == 0:
                await trio.to_thread.run_sync(self.cache.keep, name)
                seconds = trio.current_time() - began
                log.debug("recordings.converted", file=source.name, to=target.suffix, seconds=seconds)
                return True
        except (OSError, RecordingsBusyError) as why:
            output += str(why).encode(errors="replace")
        finally:
            part.unlink(missing_ok=True)
        reason = _why_not_converted(code, output, self.settings.convert_seconds)
        log.error("recordings.not_converted", file=source.name, by=self.tool, code=code, reason=reason)
        return False

    @asynccontextmanager
    async def _on_disk(self, source: RecordingFile) -> AsyncIterator[int]:
        """A descriptor at the start of the file. A file of another machine is copied here for the time of the block.

        Raises OSError, RecordingsBusyError.
        """
        if isinstance(source, NearFile):
            yield source.opened.fd
            return
        if source.size > self.cache.limit:
            raise OSError(f"has {source.size} bytes; cache_mb allows {self.cache.limit}")
        # An unnamed file: the kernel removes it even if this process is killed.
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


def _why_not_converted(code: int | None, output: bytearray, within: float) -> str:
    """``code``: the child's exit code, negative for a signal; None if it did not start or was timed out."""
    words = output.decode(errors="replace").strip()
    if code is None:
        return words or f"took longer than {within:g} s"
    if code < 0:
        words = f": {words}" if words else ""
        return f"was killed by {_signal_name(-code)}{_SUSPECTS.get(-code, '')}{words}"
    return words or f"ended with code {code} and no error message"


_SUSPECTS: dict[int, str] = {
    signal.SIGSYS: ", for a system call that is forbidden here (SystemCallFilter= of the systemd unit)",
    signal.SIGKILL: ", perhaps out of memory (MemoryMax= of the systemd unit)",
}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


async def try_tool(tool: str, form: str, within: float) -> str:
    """Convert a second of silence to ``form`` of ``[recordings] format``. Returns why that fails, "" on success."""
    sound, target = SOUNDS["ulaw"], TARGETS[form]
    output = bytearray()
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
                code = await _run_child(arguments, silence.fileno(), output)
        except OSError as why:
            output += str(why.strerror or why).encode()
        if code == 0:
            return "" if os.listdir(folder) else "reported success but wrote nothing"
    return _why_not_converted(code, output, within)


def _write_all(fd: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(fd, view) :]


async def _run_child(arguments: list[str], fd: int, output: bytearray) -> int:
    """Run a child to its end. Returns its exit code. Cancellation kills the child's process group."""
    process = await trio.lowlevel.open_process(
        arguments,
        stdin=fd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        start_new_session=True,
    )
    try:
        if process.stderr is not None:  # always: it is a pipe
            async with process.stderr as complaints:
                async for some in complaints:
                    output += some[: max(0, MAX_OUTPUT - len(output))]
        return await process.wait()
    finally:
        if process.returncode is None:
            _kill(process)
            with trio.CancelScope(shield=True):
                await process.wait()


def _kill(process: trio.Process) -> None:
    # The child is not reaped yet, so its process id cannot be another's.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
