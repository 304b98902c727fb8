"""A stand-in CRM with everybody of the recordings in it, and an outbox's two promises: no doubles, order kept."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from uac_trio.demo.crm import CRMUser, StandInCRM
from uac_trio.pipeline import Begun
from uac_trio.vtiger.account import Flavour, VtigerAccount
from uac_trio.vtiger.request import CallbackRequest, Step

EXTENSIONS = ("101", "102", "103", "104", "105")


def account(flavour: Flavour = Flavour.SALESPLATFORM) -> VtigerAccount:
    return VtigerAccount(url="http://crm.example/PBXManager.php", secret="s", flavour=flavour, timezone="UTC")


@attrs.define
class Office:
    """The outbox and the CRM behind it; what the connector does to them outlives the connector."""

    flavour: Flavour = Flavour.SALESPLATFORM
    keys: set[str] = attrs.field(factory=set)
    sent: list[CallbackRequest] = attrs.field(factory=list)
    crm: StandInCRM = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        users = [
            CRMUser(id=5 + place, name=extension, extension=extension) for place, extension in enumerate(EXTENSIONS)
        ]
        self.crm = StandInCRM(flavour=self.flavour, users=users, secret="s", timezone="UTC")

    def put(self, requests: Iterable[CallbackRequest]) -> None:
        for request in requests:
            if request.key not in self.keys:
                self.keys.add(request.key)
                self.sent.append(request)
                self.crm.callback({**request.form, "vtigersignature": "s"}, request.at)

    def left_open(self, pbx: str) -> list[Begun]:
        """As the outbox tells a new process: what was begun and has no Hangup."""
        begun: dict[tuple[str, str], Begun] = {}
        for request in self.sent:
            if not request.call_id.startswith(f"{pbx}-"):
                continue
            who = (request.call_id, request.extension)
            if request.step in (Step.DIAL_BEGIN, Step.START_APP):
                begun.setdefault(who, Begun(request, None))
            elif request.step is Step.DIAL_ANSWER and self.flavour is Flavour.SALESPLATFORM and who in begun:
                begun[who] = Begun(begun[who].request, request.at)
            elif request.step is Step.DIAL_ANSWER and self.flavour is Flavour.STOCK and (request.call_id, "") in begun:
                begun[request.call_id, ""] = Begun(begun[request.call_id, ""].request, request.at)
            elif request.step is Step.HANGUP:
                begun.pop(who, None)
        return list(begun.values())

    def rows(self) -> dict[tuple[str, str], tuple[str, str, str]]:
        """(call, employee) to (status, direction, number)."""
        return {
            (row.sourceuuid, self._extension(row.user)): (row.callstatus, row.direction, row.customernumber or "")
            for row in self.crm.rows
        }

    def seconds(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(call, employee) to (duration, of that talk)."""
        return {
            (row.sourceuuid, self._extension(row.user)): (row.totalduration, row.billduration) for row in self.crm.rows
        }

    def _extension(self, user_id: str | None) -> str:
        user = self.crm.tables.user(user_id)
        return user.extension if user is not None else ""
