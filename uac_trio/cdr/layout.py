"""Which columns the lines of a CDR file have: Asterisk writes no header."""

from __future__ import annotations

from collections.abc import Sequence

_MASTER = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
"""cdr_csv.c, ``build_csv_record``; what follows is switched on in cdr.conf."""

OWN_MARK = "uac-trio"
"""The first field of our own mapping of cdr_custom.conf, so that its lines are known for what they are."""

OWN = (
    "mark", "start_epoch", "duration_exact", "billsec_exact", "src", "dst", "dcontext", "clid", "channel", "dstchannel",
    "lastapp", "lastdata", "duration", "billsec", "disposition", "uniqueid", "linkedid", "sequence", "did", "cnum",
    "recordingpath",
)  # fmt: skip

OWN_MAPPING = (
    f"uac-trio.csv => {OWN_MARK}"
    ",${CDR(start,u)},${CDR(duration,f)},${CDR(billsec,f)}"
    ",${CSV_QUOTE(${CDR(src)})},${CSV_QUOTE(${CDR(dst)})},${CSV_QUOTE(${CDR(dcontext)})},${CSV_QUOTE(${CDR(clid)})}"
    ",${CSV_QUOTE(${CDR(channel)})},${CSV_QUOTE(${CDR(dstchannel)})}"
    ",${CSV_QUOTE(${CDR(lastapp)})},${CSV_QUOTE(${CDR(lastdata)})}"
    ",${CDR(duration)},${CDR(billsec)},${CDR(disposition)}"
    ",${CDR(uniqueid)},${CDR(linkedid)},${CDR(sequence)}"
    ",${CSV_QUOTE(${CDR(did)})},${CSV_QUOTE(${CDR(cnum)})},${CSV_QUOTE(${CDR(recordingpath)})}"
)
"""The line for ``[mappings]`` of cdr_custom.conf that makes a file with ``OWN``'s columns."""

_BY_COUNT = {
    21: (*_MASTER, "uniqueid", "userfield", "peeraccount", "linkedid", "sequence"),
    20: (*_MASTER, "uniqueid", "peeraccount", "linkedid", "sequence"),
    18: (*_MASTER, "uniqueid", "userfield"),
    17: (*_MASTER, "uniqueid"),
    16: _MASTER,
}

NO_LINKEDID = (
    "its lines have no linkedid, without which the rows of one call cannot be kept apart from those of another: set "
    "newcdrcolumns=yes in [csv] of cdr.conf, and loguniqueid=yes beside it"
)


def columns_of(fields: Sequence[str]) -> Sequence[str] | None:
    """The names of a first line's fields. None: it is a header, which names them itself, or is not known."""
    if fields and fields[0] == OWN_MARK:
        return OWN if len(fields) == len(OWN) else None
    return None if "channel" in fields else _BY_COUNT.get(len(fields))
