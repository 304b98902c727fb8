"""Which part of a file a request gets (RFC 9110, sections 13 and 14). Pure: headers in, a decision out.

Where the standard leaves a choice, this follows nginx (ngx_http_range_filter_module.c): a malformed byte range gets
416, another unit is ignored, and ranges larger than the file in total get the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

import attrs

MAX_RANGES = 16
"""Most ranges in one reply; a request for more gets the whole file."""

_SPEC = re.compile(r" *(?:([0-9]{1,18}) *- *([0-9]{1,18})?|-([0-9]{1,18})) *")


@attrs.frozen(kw_only=True)
class Version:
    """The current version of a file."""

    size: int
    etag: str
    """Strong, with its quotes."""
    modified: float
    """Seconds since the epoch."""

    @property
    def last_modified(self) -> str:
        return formatdate(int(self.modified), usegmt=True)


@attrs.frozen(kw_only=True)
class Selection:
    """``ranges`` are (start, end) in bytes, the end excluded: none for 304, 412 and 416, several for a multipart
    reply."""

    status: HTTPStatus
    ranges: Sequence[tuple[int, int]] = ()


class Headers(Protocol):
    """The headers of a request; names are case-insensitive."""

    def get(self, name: str, default: str, /) -> str: ...
    def __contains__(self, name: str, /) -> bool: ...
    def __getitem__(self, name: str, /) -> str: ...


def select(headers: Headers, version: Version) -> Selection:
    """The reply to a GET or HEAD with these headers."""
    if _precondition_fails(headers, version):
        return Selection(status=HTTPStatus.PRECONDITION_FAILED)
    if _is_known_already(headers, version):
        return Selection(status=HTTPStatus.NOT_MODIFIED)
    whole = Selection(status=HTTPStatus.OK, ranges=((0, version.size),))
    wanted = headers.get("Range", "")
    if wanted[:6].lower() != "bytes=" or len(wanted) == 6 or not _if_range_holds(headers.get("If-Range", ""), version):
        return whole
    ranges = read_ranges(wanted[6:], version.size)
    if not ranges:
        return Selection(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    if len(ranges) > MAX_RANGES or sum(end - start for start, end in ranges) > version.size:
        return whole
    return Selection(status=HTTPStatus.PARTIAL_CONTENT, ranges=ranges)


def read_ranges(text: str, size: int) -> list[tuple[int, int]]:
    """The satisfiable ranges of ``bytes=...`` for a file of ``size`` bytes; none if one is malformed."""
    ranges: list[tuple[int, int]] = []
    for spec in text.split(","):
        found = _SPEC.fullmatch(spec)
        if found is None:
            return []
        first, last, suffix = found.groups()
        if suffix is not None:
            start, end = max(0, size - int(suffix)), size
        else:
            start, end = int(first), size if last is None else min(int(last) + 1, size)
        if start < end:
            ranges.append((start, end))
    return ranges


def _precondition_fails(headers: Headers, version: Version) -> bool:
    if "If-Match" in headers:
        tags = _tags(headers["If-Match"])
        return "*" not in tags and version.etag not in tags
    unmodified_since = _seconds(headers.get("If-Unmodified-Since", ""))
    return unmodified_since is not None and int(version.modified) > unmodified_since


def _is_known_already(headers: Headers, version: Version) -> bool:
    if "If-None-Match" in headers:
        tags = [tag.removeprefix("W/") for tag in _tags(headers["If-None-Match"])]
        return "*" in tags or version.etag in tags
    modified_since = _seconds(headers.get("If-Modified-Since", ""))
    return modified_since is not None and int(version.modified) <= modified_since


def _if_range_holds(if_range: str, version: Version) -> bool:
    """A weak tag never matches; a date matches only the file's exact one."""
    if not if_range or if_range.endswith('"'):
        return not if_range or if_range == version.etag
    return _seconds(if_range) == int(version.modified)


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",")]


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
