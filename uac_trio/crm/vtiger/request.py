"""The callbacks that vTiger's PBXManager.php receives, and their signed forms.

Names of the steps are vTiger's own ``callstatus`` words (modules/PBXManager/callbacks/PBXManager.php).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from urllib.parse import urlencode

import attrs

from uac_trio.crm.delivery import Delivery, Kind
from uac_trio.crm.protocol import CRMRequest
from uac_trio.crm.vtiger import field
from uac_trio.crm.vtiger.account import VtigerAccount

_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class Step(enum.Enum):
    """vTiger's ``callstatus``."""

    START_APP = "StartApp"
    DIAL_BEGIN = "DialBegin"
    DIAL_ANSWER = "DialAnswer"
    HANGUP = "Hangup"
    END_CALL = "EndCall"
    RECORD = "Record"


def repeatable(step: Step) -> bool:
    """May ``step`` be sent a second time, after the first is certainly over?

    Stock vTiger inserts another row for every StartApp (seen in 8.2; modules/PBXManager/callbacks/PBXManager.php);
    all other steps write the same values into the same row.
    """
    return step is not Step.START_APP


def signed(account: VtigerAccount, name: str, form: Mapping[str, str], url: str = "") -> CRMRequest:
    """``form`` with our secret, to the callback or another ``url``."""
    return posted(url or account.url, name, {**form, "vtigersignature": account.secret})


def posted(url: str, name: str, form: Mapping[str, str]) -> CRMRequest:
    """``form`` as it stands."""
    body = urlencode(form, encoding="utf-8", errors="replace").encode()
    return CRMRequest(name=name, url=url, body=body, headers=_HEADERS)


def callback(account: VtigerAccount, delivery: Delivery, step: Step, /, **form: str) -> CRMRequest:
    """One callback that follows from ``delivery``; an END has an EndCall as well, under another key."""
    also = "/again" if delivery.kind is Kind.BEGIN and step is Step.END_CALL else ""
    about = {"callstatus": step.value, "callUUID": field.call_uuid(delivery.call_id), **form}
    return attrs.evolve(
        signed(account, step.value, about),
        about=about,
        key=f"{delivery.call_id}/{delivery.subject}/{step.value}/{delivery.occurrence}{also}",
        is_repeatable=repeatable(step),
    )
