"""What a source of CDR is, and what is wrong with one, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from uac_trio.cdr.cel import CelRow
from uac_trio.cdr.row import CdrRow


class CdrError(Exception):
    """CDR cannot be read (now). The text says where, why and what to do; it holds no password."""


class CdrSource(Protocol):
    """Blocking: its methods run in worker threads. Each may raise CdrError.

    Times are wall clocks of the PBX counted as UTC, in seconds.
    """

    @property
    def where(self) -> str:
        """The address without a password."""

    @property
    def unread(self) -> int:
        """Lines or rows so far that are none of CDR."""

    def rows(self, since: float, until: float) -> Iterator[CdrRow]:
        """Rows that begin in this span; no more than a few at a time are in memory."""

    def latest(self, count: int) -> Sequence[CdrRow]:
        """About the last so many."""

    def cel(self, linkedids: Collection[str], uniqueids: Collection[str]) -> Sequence[CelRow]:
        """The CEL rows of these calls and channels; none where there is no CEL."""

    def remarks(self) -> Sequence[str]:
        """What an administrator should change, for ``check --live``."""
