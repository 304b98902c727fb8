"""Pipes whose reader does not read."""

from __future__ import annotations

import os
from contextlib import suppress

FILLER = b"."


def fill(descriptor: int) -> None:
    """Write until nothing more goes into the pipe."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, FILLER * 4096)
    os.set_blocking(descriptor, True)
