"""The transfers of one call: who handed the customer on to whom, and whether that was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import attrs

from uac_trio.calls.channel import Leg

PARKING_ORDER = 2.0
"""Seconds within which ParkedCall and the BlindTransfer to the parking extension are one act; either may be first."""

TransferType = Literal["blind", "attended", "redirect", "park"]


@attrs.define(eq=False)
class Transfer:
    """An employee hands the customer on."""

    type: Final[TransferType]
    by: Final[str]
    to: str
    at: Final[float]
    """Seconds since the epoch."""
    answered: bool = False
    consulting: Final[Leg | None] = None
    """An attended transfer by feature code that is not carried out yet: the leg to the colleague who is asked first."""

    @property
    def is_open(self) -> bool:
        """It was carried out, and the customer talks to no one else yet."""
        return not self.answered and self.consulting is None

    def is_act_of_parking(self, parker: str, at: float) -> bool:
        """The blind transfer to the parking extension that ParkedCall follows."""
        is_open = self.type == "blind" and not self.answered and self.by == parker
        return is_open and at - self.at < PARKING_ORDER


@attrs.define
class Transfers:
    """In order of time."""

    _all: Final[list[Transfer]] = attrs.field(factory=list)
    parker: str = ""
    """Who parked the customer, while they are parked."""

    def __iter__(self) -> Iterator[Transfer]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def is_under_way(self) -> bool:
        """The customer is parked, or is handed on and talks to no one yet."""
        return bool(self.parker) or any(transfer.is_open for transfer in self._all)

    @property
    def are_answered(self) -> bool:
        return all(transfer.answered for transfer in self._all)

    def add(self, transfer: Transfer) -> None:
        self._all.append(transfer)

    def answer(self, parties: Sequence[str]) -> str:
        """The customer talks to ``parties``: a transfer was answered once there is another among them than who handed
        the customer on. Returns whom they were handed to, "" if none was answered now."""
        to = ""
        for transfer in self._all:
            others = [party for party in parties if party != transfer.by]
            if others and transfer.is_open:
                transfer.answered, to = True, others[-1]
        return to

    def end_consultation(self) -> Transfer | None:
        """Take out the transfer for which a colleague is asked, since it is carried out now; None if there is none."""
        attempt = next((transfer for transfer in self._all if transfer.consulting is not None), None)
        if attempt is not None:
            self._all.remove(attempt)
        return attempt

    def correct_number(self, number: str) -> None:
        """The transfer's number was dialled with a prefix that the dialplan took off."""
        for transfer in self._all:
            if not transfer.answered and transfer.to.endswith(number):
                transfer.to = number

    def park(self, parker: str, at: float) -> None:
        """The customer is parked; the blind transfer to the parking extension was part of it."""
        self.parker = parker
        if self._all and self._all[-1].is_act_of_parking(parker, at):
            self._all.pop()

    def unpark(self) -> str:
        """The customer is retrieved. Returns who parked them, "" if that was not seen."""
        parker, self.parker = self.parker, ""
        return parker
