"""CDR in a database: FreePBX's ``asteriskcdrdb``, cdr_adaptive_odbc, cdr_pgsql. Columns are found by their names."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import sqlalchemy as sa

from uac_trio.backfill.source import CdrError
from uac_trio.cdr.cel import CelRow, cel_row
from uac_trio.cdr.row import CdrRow, RowError, cdr_row

TABLE, CEL_TABLE = "cdr", "cel"

NEEDED = (
    "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "duration", "billsec", "disposition",
    "uniqueid", "linkedid",
)  # fmt: skip
WANTED = ("clid", "sequence", "did", "recordingfile", "recordingpath", "cnum")
CEL_NEEDED = ("eventtype", "eventtime", "channame", "uniqueid", "linkedid")
CEL_WANTED = (
    "id", "cid_name", "cid_num", "exten", "context", "appname", "appdata", "extra", "eventextra",
)  # fmt: skip

AT_ONCE = 500
"""Rows fetched, and identities asked for, at a time."""

PACKAGES = {"mysql": "pymysql", "postgresql": "psycopg[binary]"}

_SECONDS = {"connect_timeout": 10, "read_timeout": 120, "write_timeout": 30}
_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "mysql": {**_SECONDS, "charset": "utf8mb4"},
    "postgresql": {"connect_timeout": 10, "options": "-c statement_timeout=120s", "application_name": "uac-trio"},
    "sqlite": {"timeout": 5},
}


@attrs.define
class CdrTable:
    """A ``CdrSource``. Reads alone; a user with SELECT on the tables is enough."""

    url: sa.URL
    unread: int = attrs.field(default=0, init=False)
    _table: str = attrs.field(init=False)
    _cel_table: str = attrs.field(init=False)
    _engine: sa.Engine = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Raises CdrError without the driver. Connects to nothing yet."""
        query = dict(self.url.query)
        self._table = str(query.pop("table", TABLE))
        self._cel_table = str(query.pop("cel", CEL_TABLE))
        self.url = self.url.set(query=query)
        kind = self.url.get_backend_name()
        try:
            self._engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=dict(_ARGUMENTS[kind]))
        except ModuleNotFoundError as error:
            raise CdrError(
                f"{self.where}: its driver is not installed; run: {sys.executable} -m pip install '{PACKAGES[kind]}'"
            ) from error

    @property
    def where(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def rows(self, since: float, until: float) -> Iterator[CdrRow]:
        with self._connected() as connection:
            table, start = self._cdr(connection)
            wanted = sa.select(table).where(
                start >= _clock(start, since), start < _clock(start, until)
            ).order_by(start)  # fmt: skip
            for row in connection.execution_options(stream_results=True, yield_per=AT_ONCE).execute(wanted):
                if (found := self._row(row)) is not None:
                    yield found

    def latest(self, count: int) -> Sequence[CdrRow]:
        with self._connected() as connection:
            table, start = self._cdr(connection)
            rows = connection.execute(sa.select(table).order_by(start.desc()).limit(count)).all()
        return [found for row in reversed(rows) if (found := self._row(row)) is not None]

    def cel(self, linkedids: Collection[str], uniqueids: Collection[str]) -> Sequence[CelRow]:
        with self._connected() as connection:
            table = self._described(connection, self._cel_table, CEL_NEEDED, CEL_WANTED)
            if table is None:
                return ()
            found: dict[tuple[object, ...], CelRow] = {}
            wanted = ((table.c.linkedid, sorted(linkedids)), (table.c.uniqueid, sorted(uniqueids)))
            for column, identities in wanted:
                for begin in range(0, len(identities), AT_ONCE):
                    some = identities[begin : begin + AT_ONCE]
                    query = sa.select(table).where(column.in_(some)).order_by(*_cel_order(table))
                    for order, row in enumerate(connection.execute(query)):
                        columns = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name of it
                        found.setdefault(tuple(columns.values()), cel_row(columns, order))
            return list(found.values())

    def remarks(self) -> Sequence[str]:
        found: list[str] = []
        with self._connected() as connection:
            inspector = sa.inspect(connection)
            table, start = self._cdr(connection)
            indexed = {column for index in inspector.get_indexes(self._table) for column in index["column_names"][:1]}
            if start.name not in indexed:
                found.append(
                    f"column {start.name} of table {self._table} has no index, so each pass reads the whole table: "
                    f"CREATE INDEX {self._table}_start ON {self._table} ({start.name})"
                )
            if not {"recordingfile", "recordingpath"} & set(table.c.keys()):
                found.append(f"table {self._table} has no recordingfile: filled-in calls have no links to recordings")
            if self._described(connection, self._cel_table, CEL_NEEDED, ()) is None:
                found.append(
                    f"there is no table {self._cel_table} (cel_odbc, cel_pgsql), so talk times after a menu or a "
                    "transfer, and who refused a call, are not known"
                )
        return found

    # -- columns ------------------------------------------------------------------------------------------------------

    def _cdr(self, connection: sa.Connection) -> tuple[sa.TableClause, sa.ColumnClause[Any]]:
        """The table with the columns of use, and the one with the beginning."""
        table = self._described(connection, self._table, NEEDED, (*WANTED, "calldate", "start"))
        if table is None:
            raise CdrError(
                f"{self.where}: there is no table {self._table}; another name goes behind the address: ?table=NAME"
            )
        start = next((table.c[name] for name in ("calldate", "start") if name in table.c), None)
        if start is None:
            raise CdrError(f"{self.where}: table {self._table} has neither a column calldate nor start")
        return table, start

    def _described(
        self, connection: sa.Connection, name: str, needed: Sequence[str], wanted: Sequence[str]
    ) -> sa.TableClause | None:
        inspector = sa.inspect(connection)
        if not inspector.has_table(name):
            return None
        types = {column["name"].lower(): (column["name"], column["type"]) for column in inspector.get_columns(name)}
        lacking = [column for column in needed if column not in types]
        if lacking:
            raise CdrError(f"{self.where}: table {name} has no column {', '.join(lacking)}")
        chosen = [types[column] for column in (*needed, *wanted) if column in types]
        return sa.table(name, *(sa.column(column, kind) for column, kind in chosen))

    def _row(self, row: sa.Row[Any]) -> CdrRow | None:
        try:
            return cdr_row(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name of it
        except RowError:
            self.unread += 1
            return None

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise CdrError(f"{self.where}: {_reason(error)}") from error


def _clock(column: sa.ColumnClause[Any], at: float) -> object:
    """A wall clock, as this column has it."""
    clock = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    is_time = isinstance(column.type, sa.DateTime)
    return clock if is_time else clock.isoformat(sep=" ", timespec="seconds")


def _cel_order(table: sa.TableClause) -> list[sa.ColumnClause[Any]]:
    return [table.c[name] for name in ("eventtime", "id") if name in table.c]


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """The database's own words, of which the last line says what is wrong."""
    original = getattr(error, "orig", None)
    arguments: tuple[object, ...] = getattr(original, "args", ())
    words = str(arguments[-1]) if len(arguments) > 1 else str(original or error)
    lines = [line for line in words.strip().splitlines() if line]
    return lines[0] if lines else type(error).__name__
