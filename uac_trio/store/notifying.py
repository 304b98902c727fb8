"""What connectors on one PostgreSQL let each other know at once: NOTIFY and LISTEN.

Nothing of it is kept: who does not listen misses it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NoReturn, Protocol

import attrs
import sqlalchemy as sa
import trio

from uac_trio.store.opening import explain
from uac_trio.store.settings import OutboxError

CHANNEL = "uac_trio_"
"""And the name of the schema: a channel belongs to the whole database."""
ROUND = 1.0
"""Seconds for which a thread waits at once: as long may a shutdown take to be seen."""
PAUSE = 5.0
"""Seconds until a connection that was lost is opened again."""


class Listener(Protocol):
    """Nothing in here waits or raises."""

    def received(self, texts: Sequence[str]) -> None:
        """What other connectors sent, and this one too."""

    def missed(self) -> None:
        """It begins to listen: what was sent before is not known."""

    def deaf(self, why: OutboxError) -> None:
        """It cannot listen; it is tried again."""


@attrs.frozen(eq=False)
class Notices:
    """Of an outbox that connectors may share."""

    _engine: sa.Engine
    _write: Callable[..., Awaitable[Any]]
    _threads: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))

    async def send(self, texts: Sequence[str]) -> None:
        """To all connectors that listen, in one transaction; 8000 bytes each at most. Raises OutboxError."""
        await self._write(_notify, texts)

    async def listen(self, listener: Listener) -> NoReturn:
        """Until cancelled. The connection is one of its own, beside those of ``pool_size``."""
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    connection = await self._in_thread(self._open)
                    stack.push_async_callback(self._close, connection)
                    listener.missed()
                    while True:
                        if texts := await self._in_thread(self._wait, connection):
                            listener.received(texts)
            except OutboxError as why:
                listener.deaf(why)
            await trio.sleep(PAUSE)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  typed by its callers
        """Abandoned when cancelled: a server that stands still keeps no timeout of its own."""
        return await trio.to_thread.run_sync(work, *arguments, limiter=self._threads, abandon_on_cancel=True)

    async def _close(self, connection: Any) -> None:  # noqa: ANN401  psycopg is optional
        with trio.move_on_after(2 * ROUND, shield=True):
            await self._in_thread(connection.close)

    def _open(self) -> Any:  # noqa: ANN401
        with self._in_words():
            pooled = self._engine.raw_connection()
            connection = pooled.driver_connection
            assert connection is not None  # noqa: S101 - just opened
            pooled.detach()  # else the pool has one less
            try:
                connection.autocommit = True
                (schema,) = connection.execute("SELECT current_schema()").fetchone()
                channel = self._engine.dialect.identifier_preparer.quote_identifier(f"{CHANNEL}{schema}")
                connection.execute(f"LISTEN {channel}")
            except BaseException:
                connection.close()
                raise
            return connection

    def _wait(self, connection: Any) -> list[str]:  # noqa: ANN401
        """What comes within ``ROUND``."""
        with self._in_words():
            return [notice.payload for notice in connection.notifies(timeout=ROUND, stop_after=1)]

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """The driver is used without SQLAlchemy, so its errors come as they are."""
        driver_error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        try:
            yield
        except (sa.exc.SQLAlchemyError, driver_error, OSError) as error:
            raise OutboxError(explain(self._engine.url, error)) from error


def _notify(connection: sa.Connection, texts: Sequence[str]) -> None:
    channel = sa.literal(CHANNEL) + sa.func.current_schema()
    for text in texts:
        connection.execute(sa.select(sa.func.pg_notify(channel, text)))
