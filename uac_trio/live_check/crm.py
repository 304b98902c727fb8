"""The CRM, asked three questions that change nothing there.

- A request with a secret that nobody has is answered ``Authentication Failure`` before it is looked at.
- One with our secret and a ``callstatus`` that there is not passes the check of the secret and then fits no case of
  PBXManager.php's ``switch``: 200, an empty body, no row (seen in SalesPlatform 7.2, where the same holds for
  ``dialbegin``, and in stock 8.2, for ``DialBegin``).
- SPAgi.php beside it, with the wrong secret again: SalesPlatform says so in JSON, a stock vTiger has no such file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import attrs

from uac_trio.live_check.finding import Findings
from uac_trio.sender import SenderSettings, ask_once
from uac_trio.vtiger.account import Flavour, VtigerAccount, without_login
from uac_trio.vtiger.reply import NoReply, Reply, Ruling, Verdict, judge
from uac_trio.vtiger.request import Step

CONNECTS_WITHIN = 3.0
ANSWERS_WITHIN = 8.0
"""Seconds."""
OFF_BY = 5.0
"""Seconds by which the CRM's clock may differ; its header tells whole ones."""

NOBODYS_SECRET = {"vtigersignature": "uac-trio-is-anybody-there"}
NO_STEP = "uac-trio-check"
"""A ``callstatus`` that vTiger passes over."""

_SCRIPT = "PBXManager.php"
_OWNER_SCRIPT = "SPAgi.php"


async def check_crm(
    account: VtigerAccount, settings: SenderSettings, now: Callable[[], float], findings: Findings
) -> None:
    """Reachable, vTiger's callback, our secret, its flavour, its clock."""
    patience = attrs.evolve(
        settings,
        connect_timeout=min(settings.connect_timeout, CONNECTS_WITHIN),
        reply_timeout=min(settings.reply_timeout, ANSWERS_WITHIN),
    )

    async def ask(form: Mapping[str, str], url: str = account.url) -> Reply | NoReply:
        return await ask_once(attrs.evolve(account, url=url), patience, form, now())

    stranger = await ask(NOBODYS_SECRET)
    said = judge(Step.HANGUP, stranger, attempt=1)
    if said.ruling is not Ruling.AUTH_FAILED:
        findings.problem(_not_vtiger(said, account))
        return
    findings.ok(f"{without_login(account.url)} answers as vTiger's callback does")
    if isinstance(stranger, Reply):
        _clock(stranger, now(), findings)
    _secret(
        judge(Step.HANGUP, await ask({"vtigersignature": account.secret, "callstatus": NO_STEP}), attempt=1), findings
    )
    if account.url.endswith(_SCRIPT):
        owner = await ask(NOBODYS_SECRET, account.url.removesuffix(_SCRIPT) + _OWNER_SCRIPT)
        _flavour(owner, account.flavour, findings)


def _not_vtiger(said: Verdict, account: VtigerAccount) -> str:
    if said.ruling is Ruling.DELIVERED:
        return (
            f"{without_login(account.url)} takes any secret without a word: something else than vTiger's callback "
            "answers there; check that [vtiger] url ends in /modules/PBXManager/callbacks/PBXManager.php"
        )
    return f"{without_login(account.url)}: {said.words}"


def _secret(said: Verdict, findings: Findings) -> None:
    match said.ruling:
        case Ruling.DELIVERED:
            findings.ok("it accepts our secret" + (f"; {said.words}" if said.words else ""))
        case Ruling.AUTH_FAILED:
            findings.problem(
                "it refuses our secret: [vtiger] secret differs from the secret key in vTiger's PBX Manager settings, "
                "or none is set there; until they are equal requests wait, none is lost"
            )
        case _:
            findings.warn(f"whether our secret is right is not clear: {said.words}")


def _flavour(owner: Reply | NoReply, configured: Flavour, findings: Findings) -> None:
    if isinstance(owner, NoReply):
        return  # it answered a moment ago: nothing can be concluded
    is_json = owner.text.lstrip().startswith("{") and '"success"' in owner.text
    if not is_json and owner.status != HTTPStatus.NOT_FOUND:
        findings.warn(f"its flavour cannot be told from outside ({_OWNER_SCRIPT}: HTTP {owner.status})")
        return
    seen = Flavour.SALESPLATFORM if is_json else Flavour.STOCK
    if seen is configured:
        findings.ok(f"its flavour is {seen.value}, as configured")
    elif seen is Flavour.STOCK:
        findings.problem(
            f"it has no {_OWNER_SCRIPT}, so it seems to be a stock vTiger, which passes over what SalesPlatform's is "
            'told: set [vtiger] flavour = "stock"'
        )
    else:
        findings.problem(
            f"it has {_OWNER_SCRIPT}, so it seems to be SalesPlatform's, which breaks over a stock vTiger's StartApp: "
            'set [vtiger] flavour = "salesplatform"'
        )


def _clock(reply: Reply, at: float, findings: Findings) -> None:
    try:
        ahead = parsedate_to_datetime(reply.date).timestamp() - at
    except (ValueError, OverflowError):
        return  # its server tells no time
    if abs(ahead) > OFF_BY:
        findings.warn(
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours: a popup whose call seems "
            "older than five minutes is taken away at once; set up time synchronisation"
        )
    else:
        findings.ok("its clock agrees with ours (its time zone cannot be seen from outside)")
