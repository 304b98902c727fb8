"""The event logs as a store keeps them, without a store."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from uac_trio.event_log import Entry, LogChanges, LogPart, read_entry, write_entry


@attrs.define
class StoredLogs:
    """Of all runs."""

    parts: list[LogPart] = attrs.field(factory=list)

    def write(self, changes: Iterable[LogChanges]) -> None:
        """One transaction."""
        for each in changes:
            self._write(each)

    def read(self) -> list[LogPart]:
        """As another process reads them."""
        return [attrs.evolve(part, entries=[_reread(entry) for entry in part.entries]) for part in self.parts]

    def forget_all_but(self, run: str) -> None:
        self.parts = [part for part in self.parts if part.run == run]

    def cut(self, cut: slice) -> None:
        """Of each call's log these entries alone are left."""
        by_call: dict[str, list[LogPart]] = {}
        for part in self.parts:
            by_call.setdefault(part.call_id, []).append(part)
        self.parts = [
            attrs.evolve(parts[0], entries=entries)
            for parts in by_call.values()
            if (entries := [entry for part in parts for entry in part.entries][cut])
        ]

    def _write(self, changes: LogChanges) -> None:
        for source, target in changes.copied:
            own = [part for part in self.parts if (part.run, part.call_id) == (changes.run, source)]
            self.parts += [attrs.evolve(part, call_id=target) for part in own]
        for absorbed, survivor in changes.moved:
            self.parts = [
                attrs.evolve(part, call_id=survivor) if (part.run, part.call_id) == (changes.run, absorbed) else part
                for part in self.parts
            ]
        self.parts = [
            part
            for part in self.parts
            if part.call_id not in changes.dropped and not (part.run == changes.run and part.call_id in changes.left)
        ]
        self.parts += changes.added


def _reread(entry: Entry) -> Entry:
    return read_entry(write_entry(entry))
