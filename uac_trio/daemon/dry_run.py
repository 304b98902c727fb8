"""``run --dry-run``: everything but sending, so that this connector can run beside the one that is in use.

PBXes are followed and deliveries are rendered as always. What has an effect elsewhere is left out: no request reaches
the CRM, no click is dialled, callers are not routed, browsers of the CRM get no events, no recording is deleted. The
deliveries are in a database of their own, which is deleted at the end: the one of ``[store]`` is not opened, so nothing
of a dry run can be sent by the real run that follows, and the two may even run at once.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import attrs

from uac_trio.config.loading import Config
from uac_trio.crm.protocol import CRMRequest
from uac_trio.logs import mask_name, mask_text
from uac_trio.store.rows import LeasedRow

MAX_CALLS = 2000
"""In the report, the latest; 2 MB."""
MAX_LINES = 200
"""Of one call."""


def dry_run_config(config: Config, folder: Path) -> Config:
    """``config`` without anything that has an effect elsewhere; the database is in ``folder``."""
    return attrs.evolve(
        config,
        store=attrs.evolve(config.store, url=f"sqlite:///{folder}/dry-run.db"),
        responsible=attrs.evolve(config.responsible, bind="", secret=""),
        companion=attrs.evolve(config.companion, enabled=False),
        flight_recorder=attrs.evolve(config.flight_recorder, enabled=False),
        playback=attrs.evolve(config.playback, delete_files=False),
    )


@attrs.define(eq=False, kw_only=True)
class DryRunReport:
    """What would have been sent, by call."""

    mask: bool
    """Show numbers and names in part."""
    clicks: int = attrs.field(default=0, init=False)
    """Clicks that were refused."""
    _calls: OrderedDict[str, list[str]] = attrs.field(factory=OrderedDict, init=False)
    _requests: Counter[str] = attrs.field(factory=Counter, init=False)
    _dropped: int = attrs.field(default=0, init=False)
    """Calls that there was no room for."""

    def note(self, row: LeasedRow, request: CRMRequest) -> None:
        """A request would have been sent now."""
        self._requests[request.name] += 1
        call_id = row.delivery.call_id
        if call_id not in self._calls and len(self._calls) >= MAX_CALLS:
            self._calls.popitem(last=False)
            self._dropped += 1
        lines = self._calls.setdefault(call_id, [])
        if len(lines) < MAX_LINES:
            lines.append(self._line(row, request))

    def lines(self) -> Iterator[str]:
        """For a terminal: the counts, then each call with its requests."""
        total = self._requests.total()
        kinds = ", ".join(f"{count} {name}" for name, count in self._requests.most_common())
        yield "Dry run: nothing was sent to the CRM and nothing was dialled."
        yield f"Calls with deliveries: {len(self._calls) + self._dropped}. Clicks refused: {self.clicks}."
        yield f"Requests that would have been sent: {total}" + (f" ({kinds})." if kinds else ".")
        if self._dropped:
            yield f"The first {self._dropped} calls are left out below."
        for call_id, lines in self._calls.items():
            yield ""
            yield call_id
            yield from lines

    def _line(self, row: LeasedRow, request: CRMRequest) -> str:
        delivery = row.delivery
        at = datetime.fromtimestamp(delivery.at).astimezone()
        own = {delivery.call_id, request.name, ""}
        form = " ".join(
            f"{name}={self._shown(name, value)}" for name, value in request.about.items() if value not in own
        )
        return f"  {at:%Y-%m-%d %H:%M:%S%z}  {delivery.extension:<6} {request.name:<12} {form}"

    def _shown(self, name: str, value: str) -> str:
        if not self.mask:
            return value
        is_name = "name" in name.lower() and any(map(str.isalpha, value))
        return mask_name(value) if is_name else mask_text(value)
