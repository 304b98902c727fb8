"""A database with FreePBX's tables, as far as they are read, in a file of SQLite."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.cdr.evaluation import ROOT

TEXTS = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "disposition", "uniqueid",
    "linkedid", "did", "recordingfile", "cnum", "userfield",
)  # fmt: skip
NUMBERS = ("duration", "billsec", "sequence")
CEL_TEXTS = (
    "eventtype", "cid_name", "cid_num", "exten", "context", "channame", "appname", "appdata", "uniqueid", "linkedid",
    "extra",
)  # fmt: skip


def create(url: str, *, without: Iterable[str] = (), index: bool = True, cel: bool = True) -> sa.Engine:
    """Tables ``cdr`` and ``cel``, with real column types."""
    metadata = sa.MetaData()
    start: sa.Column[Any] = sa.Column("calldate", sa.DateTime, index=index)
    columns = [start, *map(_text, TEXTS), *map(_number, NUMBERS)]
    sa.Table("cdr", metadata, *(column for column in columns if column.name not in without))
    if cel:
        identity: sa.Column[Any] = sa.Column("id", sa.Integer, primary_key=True)
        sa.Table("cel", metadata, identity, sa.Column("eventtime", sa.DateTime), *map(_text, CEL_TEXTS))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    metadata.create_all(engine)
    return engine


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(600), nullable=False, server_default="", index=name == "linkedid")


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def insert(engine: sa.Engine, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    described = sa.Table(table, sa.MetaData(), autoload_with=engine)
    known = set(described.c.keys())
    numbers = {column.name for column in described.c if isinstance(column.type, sa.Integer)}
    values = [
        {name: int(value) if name in numbers else value for name, value in row.items() if name in known} for row in rows
    ]
    with engine.begin() as connection:
        connection.execute(described.insert(), values)


def recorded(name: str, kind: str) -> list[dict[str, Any]]:
    """The rows of a recording, as text but for times."""
    path = Path(ROOT) / f"{name}.{kind}.csv"
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        found: list[dict[str, Any]] = [dict(row) for row in csv.DictReader(file)]
    for row in found:
        for column in ("calldate", "eventtime"):
            if column in row:
                row[column] = sa.DateTime().python_type.fromisoformat(row[column])
    return found
