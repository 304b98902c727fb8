"""A stand-in CRM with all employees of the recordings in it, and an outbox's two promises: no doubles, order kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from uac_trio.calls.fact import RecordingKnown
from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.protocol import CRM, Surroundings
from uac_trio.crm.vtiger import Flavour, VtigerSettings
from uac_trio.demo.crm import CRMUser, StandInCRM
from uac_trio.pipeline import Begun

EXTENSIONS = ("101", "102", "103", "104", "105")


def crm_of(flavour: Flavour = Flavour.SALESPLATFORM, is_extension: Callable[[str], bool] = lambda _: False) -> CRM:
    settings = VtigerSettings(url="http://crm.example/PBXManager.php", secret="s", flavour=flavour, timezone="UTC")
    return settings.crm(Surroundings(public_url="http://pbx.example", is_extension=is_extension))


def token(_: RecordingKnown) -> str:
    return "0" * 32


def steps(deliveries: Iterable[Delivery], crm: CRM | None = None) -> list[str]:
    """The requests, in vTiger's words, and whose row they are about."""
    rendered = [(each, request) for each in deliveries for request in (crm or crm_of()).requests(each)]
    return [f"{request.name} {each.subject}".strip() for each, request in rendered]


@attrs.define
class Office:
    """The outbox and the CRM behind it; what the connector does to them outlives the connector."""

    flavour: Flavour = Flavour.SALESPLATFORM
    keys: set[str] = attrs.field(factory=set)
    sent: list[Delivery] = attrs.field(factory=list)
    crm: StandInCRM = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        users = [
            CRMUser(id=5 + place, name=extension, extension=extension) for place, extension in enumerate(EXTENSIONS)
        ]
        self.crm = StandInCRM(flavour=self.flavour, users=users, secret="s", timezone="UTC")

    def put(self, deliveries: Iterable[Delivery]) -> None:
        crm = crm_of(self.flavour)
        for delivery in deliveries:
            if delivery.key not in self.keys:
                self.keys.add(delivery.key)
                self.sent.append(delivery)
                for request in crm.requests(delivery):
                    self.crm.callback({**request.about, "vtigersignature": "s"}, delivery.at)

    def left_open(self, pbx: str) -> list[Begun]:
        """As the outbox returns to a new process: what was begun and has no END."""
        return left_open(each for each in self.sent if each.pbx == pbx)

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


def ends(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """More than ``Outbox.logged_ends`` returns: of calls without a log too, which a pipeline passes over."""
    return [delivery for delivery in deliveries if delivery.kind is Kind.END]


def left_open(deliveries: Iterable[Delivery]) -> list[Begun]:
    """As ``Outbox.open_participations`` returns them, in their order."""
    begun: dict[tuple[str, str], Begun] = {}
    for delivery in deliveries:
        who = (delivery.call_id, delivery.subject)
        if delivery.kind is Kind.BEGIN:
            begun.setdefault(who, Begun(delivery, None))
        elif delivery.kind is Kind.ANSWER and who in begun:
            begun[who] = Begun(begun[who].begin, delivery.at)
        elif delivery.kind is Kind.END:
            begun.pop(who, None)
    return list(begun.values())
