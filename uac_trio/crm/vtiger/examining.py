"""A look at vTiger, by questions that change nothing there.

- A request with a wrong secret is answered ``Authentication Failure`` before it is looked at.
- One with our secret and a ``callstatus`` that there is not passes the check of the secret and then fits no case of
  PBXManager.php's ``switch``: 200, an empty body, no row (seen in SalesPlatform 7.2, where the same holds for
  ``dialbegin``, and in stock 8.2, for ``DialBegin``).
- If that is refused: one without a secret, whose answer distinguishes a wrong secret from a database that is away.
- SPAgi.php beside it, with the wrong secret again: SalesPlatform says so in JSON, a stock vTiger has no such file.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from uac_trio.crm.protocol import CRMRequest, Findings
from uac_trio.crm.reply import NoReply, Reply, Ruling, Verdict
from uac_trio.crm.vtiger.account import Flavour, VtigerAccount, without_login
from uac_trio.crm.vtiger.judging import DATABASE_AWAY, PROBE, UNSIGNED_PROBE, judge_harmless, knows_no_secret
from uac_trio.crm.vtiger.request import posted, signed

OFF_BY = 5.0
"""Seconds by which the CRM's clock may differ; its Date header has whole ones."""

NO_STEP = "uac-trio-check"
"""A ``callstatus`` that vTiger passes over."""

_SCRIPT = "PBXManager.php"
_OWNER_SCRIPT = "SPAgi.php"


def examine(
    account: VtigerAccount, now: Callable[[], float], findings: Findings
) -> Generator[CRMRequest, Reply | NoReply, None]:
    """Reachable, vTiger's callback, our secret, its flavour, its clock."""
    stranger = yield posted(account.url, "probe", PROBE)
    said = judge_harmless(stranger)
    if said.ruling is not Ruling.AUTH_FAILED:
        findings.problem(_not_vtiger(said, account))
        return
    findings.ok(f"{without_login(account.url)} answers as vTiger's callback does")
    if isinstance(stranger, Reply):
        _clock(stranger, now(), findings)
    ours = judge_harmless((yield signed(account, NO_STEP, {"callstatus": NO_STEP})))
    if ours.ruling is Ruling.AUTH_FAILED and knows_no_secret((yield posted(account.url, "probe", UNSIGNED_PROBE))):
        findings.problem(DATABASE_AWAY)
    else:
        _secret(ours, findings)
    if account.url.endswith(_SCRIPT):
        owner = yield posted(account.url.removesuffix(_SCRIPT) + _OWNER_SCRIPT, _OWNER_SCRIPT, PROBE)
        _flavour(owner, account.flavour, findings)


def _not_vtiger(said: Verdict, account: VtigerAccount) -> str:
    if said.ruling is Ruling.DELIVERED:
        return (
            f"{without_login(account.url)} silently takes any secret: something else than vTiger's callback "
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
        findings.warn(f"its flavour cannot be seen from outside ({_OWNER_SCRIPT}: HTTP {owner.status})")
        return
    seen = Flavour.SALESPLATFORM if is_json else Flavour.STOCK
    if seen is configured:
        findings.ok(f"its flavour is {seen.value}, as configured")
    elif seen is Flavour.STOCK:
        findings.problem(
            f"it has no {_OWNER_SCRIPT}, so it seems to be a stock vTiger, which ignores what SalesPlatform's takes: "
            'set [vtiger] flavour = "stock"'
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
        return  # its server sends no Date
    if abs(ahead) > OFF_BY:
        findings.warn(
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours: a popup whose call seems "
            "older than five minutes is taken away at once; set up time synchronisation"
        )
    else:
        findings.ok("its clock agrees with ours (its time zone cannot be seen from outside)")
