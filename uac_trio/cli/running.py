"""Running until a signal, and the errors that end a run, as texts."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import NoReturn

import trio


async def until_signal(program: Callable[..., Awaitable[None]], *, on_hangup: Callable[[], None] | None = None) -> None:
    """Run ``program``, which reports its start, until SIGTERM or SIGINT; call ``on_hangup`` at SIGHUP."""
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        await nursery.start(set_on_signal, stop)
        if on_hangup is not None:
            await nursery.start(_on_signal, signal.SIGHUP, on_hangup)
        await nursery.start(program)
        await stop.wait()
        nursery.cancel_scope.cancel()


async def set_on_signal(stop: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> NoReturn:
    """Set ``stop`` at SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            stop.set()
    raise AssertionError("the signals have no end")


async def _on_signal(
    number: signal.Signals, call: Callable[[], None], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> NoReturn:
    """Call ``call`` whenever the signal comes."""
    with trio.open_signal_receiver(number) as signals:
        task_status.started()
        async for _ in signals:
            call()
    raise AssertionError("the signals have no end")


def refusals(program: Callable[[], Awaitable[None]], *expected: type[Exception]) -> list[str]:
    """Run ``program`` to its end. Returns the texts of the ``expected`` errors that ended it, [] if none did."""
    texts: list[str] = []
    try:
        trio.run(program)
    except* expected as group:
        # No exit in this block: Python 3.11.2 raises a BaseExceptionGroup in its place.
        texts += map(str, _leaves(group))
    return texts


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one
