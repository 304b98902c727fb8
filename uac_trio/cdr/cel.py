"""A row of Asterisk's CEL as a value: one event of one channel (main/cel.c)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import attrs

from uac_trio.cdr.row import RowError, finite


@attrs.frozen(kw_only=True)
class CelRow:
    """ "": the source has no such column, or nothing is in it."""

    type: str
    """``CHAN_START``, ``ANSWER``, ``BRIDGE_ENTER``, ``BRIDGE_EXIT``, ``HANGUP``, ``PICKUP`` ..."""
    at: float
    """As ``CdrRow.start``: since the epoch if ``is_absolute``, else the wall clock counted as UTC."""
    is_absolute: bool
    order: int
    """Of rows of one second the order in which they were written."""
    name: str
    number: str
    exten: str
    context: str
    channel: str
    app: str
    data: str
    """Of ``app``."""
    uniqueid: str
    linkedid: str
    extra: Mapping[str, str] = attrs.field(factory=dict)
    """``bridge_id``, ``hangupcause``, ``hangupsource``, ``dialstatus``, ``pickup_channel`` ..."""


COLUMNS = (
    "eventtype", "eventtime", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid", "exten", "context", "channame",
    "appname", "appdata", "amaflags", "accountcode", "uniqueid", "linkedid", "peer", "userfield", "userdeftype",
    "extra",
)  # fmt: skip
"""Of the mapping in Asterisk's sample of cel_custom.conf."""


def cel_row(columns: Mapping[str, object], order: int) -> CelRow:
    """The row of a table or file with these columns, by their names. Raises RowError."""
    text = {name.lower(): "" if value is None else str(value) for name, value in columns.items()}
    if not text.get("uniqueid") or not text.get("eventtype"):
        raise RowError("it has no uniqueid or no eventtype")
    at, is_absolute = _time(columns.get("eventtime"))
    identity = text.get("id", "")
    return CelRow(
        type=text["eventtype"],
        at=at,
        is_absolute=is_absolute,
        order=int(identity) if identity.isdecimal() else order,
        name=text.get("cid_name", ""),
        number=text.get("cid_num", ""),
        exten=text.get("exten", ""),
        context=text.get("context", ""),
        channel=text.get("channame", ""),
        app=text.get("appname", ""),
        data=text.get("appdata", ""),
        uniqueid=text["uniqueid"],
        linkedid=text.get("linkedid", ""),
        extra=_extra(text.get("extra") or text.get("eventextra", "")),
    )


def _time(value: object) -> tuple[float, bool]:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value).timestamp(), value.tzinfo is not None
    text = str(value)
    try:
        return finite(text), True
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp(), False
    except ValueError as error:
        raise RowError(f"its eventtime {text!r} is no time") from error


def _extra(text: str) -> Mapping[str, str]:
    """The JSON of the column; one that was cut at the column's width has none."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
