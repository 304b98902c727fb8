"""Checks the recordings: directories, other machines that have them, the converter and its cache."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from uac_trio.config.loading import Config
from uac_trio.live_check.finding import Findings
from uac_trio.recordings.converting import find_tool, try_tool
from uac_trio.recordings.host import open_host
from uac_trio.recordings.place import RecordingsBusyError
from uac_trio.recordings.settings import HostSettings

CONVERTS_WITHIN = 5.0
"""Timeout in seconds for converting a second of silence."""
SAMPLE = 200
"""Most files that are checked for permission to read."""
_GROUP = "add the group of its files to SupplementaryGroups= of the unit, then systemctl daemon-reload and restart"


async def check_recordings(config: Config, now: Callable[[], float], findings: Findings) -> None:
    """Opens directories and asks the other machines; reads no recording."""
    roots = [(name, root) for name, listed in config.recordings.items() for root in listed]
    for name, root in roots:
        # In a thread that can be abandoned: a network mount may hang for ever.
        await trio.to_thread.run_sync(_root, name, root, findings, abandon_on_cancel=True)
    for host in config.hosts:
        await _host(host, now, findings)
    far = {host.pbx for host in config.hosts}
    without = [name for name, listed in config.recordings.items() if not listed and name not in far]
    if without:
        findings.ok(
            "recordings.none",
            f"no directory is configured for PBX {', '.join(without)}: this machine serves none of its recordings",
        )
    if not (roots or far):
        return
    if not config.http.public_url:
        findings.problem(
            "recordings.public_url",
            "[http] public_url is not set, so the CRM gets no links to recordings",
            "set it to the address by which the CRM reaches this machine, such as http://172.16.1.1:5000",
        )
    await _converter(config, findings)
    store = Path(config.store.url.removeprefix("sqlite:///")) if config.store.url.startswith("sqlite") else Path()
    _cache(Path(config.playback.cache or store.parent / "recordings-cache"), findings)


async def _host(host: HostSettings, now: Callable[[], float], findings: Findings) -> None:
    try:
        async with open_host(host, now) as there:
            await there.greet()
    except RecordingsBusyError as why:
        findings.problem("recordings.host", str(why))
    except OSError as why:
        findings.problem("recordings.host", f"[[pbx]] {host.pbx}: recordings_ca: {host.ca_file}: {why.strerror or why}")
    else:
        findings.ok("recordings.host", f"{host.url} serves the recordings of PBX {host.pbx}")


def _root(name: str, root: str, findings: Findings) -> None:
    try:
        os.scandir(root).close()
    except OSError as why:
        remedy = {
            errno.ENOENT: "is it mounted? Else correct [[pbx]] recordings",
            errno.EACCES: f"let this user read it: {_GROUP}",
        }
        findings.problem(
            "recordings.directory", f"{root} of PBX {name}: {why.strerror}", remedy.get(why.errno or 0, "")
        )
        return
    files = list(_some_files(root))
    unreadable = [path for path in files if not os.access(path, os.R_OK)]
    if unreadable:
        findings.problem(
            "recordings.directory",
            f"{unreadable[0]} and {len(unreadable) - 1} of {len(files)} files may not be read by this user",
            _GROUP,
        )
    elif files:
        findings.ok("recordings.directory", f"{root} of PBX {name} and its files can be read")
    else:
        findings.ok("recordings.directory", f"{root} of PBX {name} can be read; it has no files yet")


def _some_files(root: str) -> Iterator[str]:
    """At most ``SAMPLE`` files, the latest directories by date (2026/11/23) first."""
    seen = 0
    for folder, folders, names in os.walk(root):
        folders.sort(reverse=True)
        for name in names:
            yield os.path.join(folder, name)
            seen += 1
            if seen >= SAMPLE:
                return


async def _converter(config: Config, findings: Findings) -> None:
    wanted, form = config.playback.converter, config.playback.format
    tool = find_tool(wanted)
    if tool:
        if why := await try_tool(tool, form, CONVERTS_WITHIN):
            findings.problem(
                "recordings.converter",
                f"{tool} does not convert a second of silence to {form}: {why}; recordings that browsers cannot play "
                "are sent as they are",
                "try another tool: [recordings] converter",
            )
        else:
            findings.ok(
                "recordings.converter",
                f"{tool} converts what browsers cannot play; it converted a second of silence (as this user, outside "
                "of the unit's sandbox)",
            )
    elif wanted not in ("", "auto"):
        findings.problem(
            "recordings.converter",
            f"[recordings] converter {wanted} is not there or cannot be run: originals are sent as they are",
            "apt install ffmpeg, or correct the path",
        )
    elif form != "wav":
        findings.problem(
            "recordings.converter",
            f'[recordings] format = "{form}" needs ffmpeg or sox, and neither is installed: originals are sent',
            "apt install ffmpeg",
        )
    elif wanted:
        findings.warn(
            "recordings.converter",
            "neither ffmpeg nor sox is installed: recordings that browsers cannot play (gsm, wav49, g722, ulaw, alaw) "
            "are sent as they are",
            "apt install ffmpeg",
        )


def _cache(cache: Path, findings: Findings) -> None:
    there = next(path for path in (cache.absolute(), *cache.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        findings.problem(
            "recordings.cache",
            f"converted recordings are kept in {cache}, but {there} cannot be written by this user",
            "name another directory in [recordings] cache",
        )
    else:
        findings.ok("recordings.cache", f"converted recordings are kept in {cache}")
