"""Commands that work on the outbox of a configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from uac_trio.cli.refusing import fail
from uac_trio.config.loading import Config
from uac_trio.store.outbox import Outbox, open_outbox
from uac_trio.store.settings import OutboxError

T = TypeVar("T")


def with_outbox(config: Config, work: Callable[[Outbox], Awaitable[T]]) -> T:
    """The result of ``work``. An outbox that cannot be used ends the program with 1."""

    async def do() -> T:
        async with open_outbox(config.store, create=False) as outbox:
            return await work(outbox)

    try:
        return trio.run(do)
    except OutboxError as why:
        fail(f"uac-trio: {why}")
