"""A headless Chromium, for tests of what only a browser can show. Debian's package ``chromium``."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

QUIETLY = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage",
)  # fmt: skip
"""Arguments: no window, no sound, nothing of its own over the network."""


@asynccontextmanager
async def chromium(tmp_path: Path, url: str, *flags: str) -> AsyncIterator[None]:
    """Opens ``url`` and stays for as long as the block."""
    home = tmp_path / "chromium"
    home.mkdir()
    process = await trio.lowlevel.open_process(
        [str(CHROMIUM), *QUIETLY, f"--user-data-dir={home}", *flags, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
