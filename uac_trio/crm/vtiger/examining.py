"""A look at vTiger, by requests that change nothing there.

- A request with a wrong secret is answered ``Authentication Failure`` before it is looked at.
- One with our secret and a ``callstatus`` that there is not passes the check of the secret and then fits no case of
  PBXManager.php's ``switch``: 200, an empty body, no row (seen in SalesPlatform 7.2, where the same holds for
  ``dialbegin``, and in stock 8.2, for ``DialBegin``).
- If that is refused: one without a secret, whose answer distinguishes a wrong secret from a database that is away.
- SPAgi.php beside it, with the wrong secret again: SalesPlatform says so in JSON, a stock vTiger has no such file.
- A file of the companion module, where that is installed; else the script of its pages (``popups.py``), which shows
  whether they look for calls.

A fresh installation that answers 500 to what it writes cannot be seen so: it answers 200 to all that touches no row
(seen). The store knows what it answered to calls.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from uac_trio.crm.protocol import CRMRequest, Findings
from uac_trio.crm.reply import NoReply, Reply, Ruling, Verdict
from uac_trio.crm.vtiger.account import Flavour, VtigerAccount, file_url, without_login
from uac_trio.crm.vtiger.installed_module import installed_version
from uac_trio.crm.vtiger.judging import PROBE, UNSIGNED_PROBE, judge_harmless, knows_no_secret
from uac_trio.crm.vtiger.module_package import VERSION_FILE, module_version
from uac_trio.crm.vtiger.popups import SCRIPT, Polling, polling_of
from uac_trio.crm.vtiger.request import posted, signed

OFF_BY = 5.0
"""Seconds by which the CRM's clock may differ; its Date header has whole ones."""

NO_STEP = "uac-trio-check"
"""A ``callstatus`` that vTiger passes over."""

_MODULE = "uac-trio crm-module -o module.zip writes a module that shows popups (docs/companion.md)"
_SCRIPT = "PBXManager.php"
_OWNER_SCRIPT = "SPAgi.php"
_SETTINGS = "its page «Настройки» → «Интеграция» → «Asterisk», CRM Settings → Integration → PBXManager"


def examine(
    account: VtigerAccount, now: Callable[[], float], findings: Findings, *, wants_module: bool = False
) -> Generator[CRMRequest, Reply | NoReply, None]:
    """Reachable, vTiger's callback, our secret, its flavour, its clock, its popups. ``wants_module``: the companion
    module should be there."""
    stranger = yield posted(account.url, "probe", PROBE)
    said = judge_harmless(stranger)
    if said.ruling is not Ruling.AUTH_FAILED:
        _not_vtiger(said, account, findings)
        return
    findings.ok("crm.address", f"{without_login(account.url)} answers as vTiger's callback does")
    if isinstance(stranger, Reply):
        _clock(stranger, now(), findings)
    ours = judge_harmless((yield signed(account, NO_STEP, {"callstatus": NO_STEP})))
    if ours.ruling is Ruling.AUTH_FAILED and knows_no_secret((yield posted(account.url, "probe", UNSIGNED_PROBE))):
        findings.problem(
            "crm.database",
            "vTiger answers Authentication Failure to our secret and takes a request without one: its database is "
            "away, or no secret key is set; requests wait, none is lost",
            f"start its database (MariaDB), or set the secret key on {_SETTINGS}",
        )
    else:
        _secret(ours, findings)
    if account.url.endswith(_SCRIPT):
        owner = yield posted(account.url.removesuffix(_SCRIPT) + _OWNER_SCRIPT, _OWNER_SCRIPT, PROBE)
        _flavour(owner, account.flavour, findings)
    installed = ""
    if url := file_url(account.url, VERSION_FILE):
        installed = installed_version((yield CRMRequest(name=VERSION_FILE, url=url, body=b"", is_get=True)))
    if installed or wants_module:
        _module(installed, findings)
    if not installed and (url := file_url(account.url, SCRIPT)):
        _popups((yield CRMRequest(name=SCRIPT, url=url, body=b"", is_get=True)), account.flavour, findings)
    _zone(account, now(), findings)


def _not_vtiger(said: Verdict, account: VtigerAccount, findings: Findings) -> None:
    where = without_login(account.url)
    if said.ruling is Ruling.DELIVERED:
        findings.problem(
            "crm.address",
            f"{where} silently takes any secret: another server than vTiger's callback answers there",
            "check that [vtiger] url ends in /modules/PBXManager/callbacks/PBXManager.php",
        )
    elif not account.url.endswith(_SCRIPT):
        findings.problem(
            "crm.address",
            f"{where}: {said.words}",
            f"let [vtiger] url end in /modules/PBXManager/callbacks/{_SCRIPT}; curl of it on this machine must show "
            "Authentication Failure",
        )
    else:
        findings.problem(
            "crm.address", f"{where}: {said.words}", f"curl {where} on this machine must show Authentication Failure"
        )


def _secret(said: Verdict, findings: Findings) -> None:
    match said.ruling:
        case Ruling.DELIVERED:
            findings.ok("crm.secret", "it accepts our secret" + (f"; {said.words}" if said.words else ""))
        case Ruling.AUTH_FAILED:
            findings.problem(
                "crm.secret",
                "it refuses our secret: it has another, or none; until both are equal requests wait, none is lost",
                f"make [vtiger] secret equal to «Секретный ключ» / Vtiger Secret Key of {_SETTINGS}",
            )
        case _:
            findings.warn("crm.secret", f"whether our secret is right is not clear: {said.words}")


def _flavour(owner: Reply | NoReply, configured: Flavour, findings: Findings) -> None:
    if isinstance(owner, NoReply):
        return  # it answered a moment ago: nothing can be concluded
    is_json = owner.text.lstrip().startswith("{") and '"success"' in owner.text
    if not is_json and owner.status != HTTPStatus.NOT_FOUND:
        findings.warn("crm.flavour", f"its flavour cannot be seen from outside ({_OWNER_SCRIPT}: HTTP {owner.status})")
        return
    seen = Flavour.SALESPLATFORM if is_json else Flavour.STOCK
    if seen is configured:
        findings.ok("crm.flavour", f"its flavour is {seen.value}, as configured")
    elif seen is Flavour.STOCK:
        findings.problem(
            "crm.flavour",
            f"it has no {_OWNER_SCRIPT}, so it seems to be a stock vTiger, which ignores what SalesPlatform's takes",
            'set [vtiger] flavour = "stock", and [vtiger] timezone to $default_timezone of its config.inc.php ("UTC")',
        )
    else:
        findings.problem(
            "crm.flavour",
            f"it has {_OWNER_SCRIPT}, so it seems to be SalesPlatform's, which breaks over a stock vTiger's StartApp",
            'set [vtiger] flavour = "salesplatform"',
        )


def _module(installed: str, findings: Findings) -> None:
    """With it the pages look for calls by themselves, whatever the CRM's own script does."""
    if not installed:
        findings.warn(
            "crm.companion",
            f"the companion module is not installed in it, as far as can be seen ({VERSION_FILE}): popups come as its "
            "pages look for calls",
            "uac-trio crm-module -o FILE.zip, and import that in Settings > Module Manager (docs/companion.md)",
        )
    elif installed != module_version():
        findings.warn(
            "crm.companion",
            f"the companion module {installed} is installed in it; this version of uac-trio has {module_version()}",
            "uac-trio crm-module -o FILE.zip, import that in Settings > Module Manager, choose Update Now",
        )
    else:
        findings.ok("crm.companion", f"the companion module {installed} is installed in it")


def _popups(script: Reply | NoReply, flavour: Flavour, findings: Findings) -> None:
    polling = Polling.NOT_THE_SCRIPT
    if isinstance(script, Reply) and script.status == HTTPStatus.OK:
        polling = polling_of(script.text)
    match polling:
        case Polling.REPEATED:
            findings.ok("crm.popups", f"its pages look for calls {polling.value} ({SCRIPT})")
        case Polling.ONCE:
            findings.warn(
                "crm.popups",
                f"its pages look for calls {polling.value}: a popup comes with the next page that a user opens",
                f"{_MODULE}; or in {SCRIPT}, registerEvents, restore the line setInterval("
                '"Vtiger_PBXManager_Js.registerPBXCall()", 3000), then reload the page with Ctrl+F5',
            )
        case Polling.OFF:
            findings.problem(
                "crm.popups",
                "its pages never look for calls, so no popup is shown, though the rows are written: as published, "
                "SalesPlatform 7.2.0-202008 has that commented out",
                f"{_MODULE}; or in {SCRIPT}, registerEvents, take away the // before the lines between the two "
                'comments "SalesPlatform.ru ... 5670", then reload the page with Ctrl+F5',
            )
        case Polling.NOT_THE_SCRIPT:
            status = f"HTTP {script.status}" if isinstance(script, Reply) else script.detail
            findings.unknown(
                "crm.popups",
                f"whether its pages look for calls cannot be seen ({SCRIPT}: {status})",
                f"in {SCRIPT}, registerEvents, the lines with registerPBXCall() must have no // before them"
                if flavour is Flavour.SALESPLATFORM
                else "",
            )


def _zone(account: VtigerAccount, at: float, findings: Findings) -> None:
    clock = datetime.fromtimestamp(at, UTC).astimezone(account.zone)
    findings.ok(
        "crm.zone",
        f"a call that rings now is written as of {clock:%Y-%m-%d %H:%M:%S}, the time in {account.timezone}; that is "
        "right if $default_timezone in the CRM's config.inc.php is the same, which cannot be seen from outside",
    )


def _clock(reply: Reply, at: float, findings: Findings) -> None:
    try:
        ahead = parsedate_to_datetime(reply.date).timestamp() - at
    except (ValueError, OverflowError):
        return  # its server sends no Date
    if abs(ahead) > OFF_BY:
        findings.warn(
            "crm.clock",
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours: a popup whose call seems "
            "older than five minutes is taken away at once",
            "set up time synchronisation on both machines (timedatectl set-ntp true)",
        )
    else:
        findings.ok("crm.clock", "its clock agrees with ours")
