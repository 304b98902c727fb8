"""A stand-in for vTiger's PBXManager that has the real one's row rules, bugs included.

The rules come from experiments with two running CRMs: SalesPlatform vTiger 7.2.0-202008 (``salesplatform``) and vTiger
8.2.0 (``stock``). tests/demo/test_crm_exchanges.py replays the recorded requests and compares the rows. No I/O and no
clock: time is an argument, seconds since the epoch.

Most important to imitate: the reply does not show success (an ignored event gets the same reply as a processed one),
there is no unique key and no state check (the last write wins), the caller id is pasted into SQL, and every value is
JSON-decoded. Requests come one at a time here, so the real CRM's races (two concurrent DialBegins make two rows) cannot
happen; ``hazards`` and ``doubles`` show what would have harmed the real one.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

import attrs

from uac_trio.crm.vtiger.account import Flavour
from uac_trio.demo import crm_columns as columns
from uac_trio.demo.crm_tables import OPEN_STATES, CallRow, CRMContact, CRMTables, CRMUser

__all__ = ["NO_ANSWER", "CRMContact", "CRMReply", "CRMUser", "CallRow", "Popup", "StandInCRM"]

RINGING_FOR_LONG: Final = 300.0
"""Seconds after which the poll treats an inbound ``ringing`` as lost (PBXManager_PBXManager_Model)."""

_HTML = "text/html; charset=UTF-8"
_XML = "text/xml; charset=utf-8"
_XML_HEAD = '<?xml version="1.0" encoding="utf-8"?>'
_NAME_CHECKS = {name: re.compile(r"[0-9xH]*") for name in ("record", "src_record", "parent_id")}
_NUMBER_FIELDS = ("callerIdNumber", "dialString", "callerid1", "callerid2", "callerNumber", "callerIdNum")
_INSERT = (
    "insert into vtiger_pbxmanager(pbxmanagerid,direction,callstatus,starttime,endtime,totalduration,billduration,"
    "recordingurl,sourceuuid,gateway,customer,user,customernumber,customertype,incominglinename,sp_is_local_cached,"
    "sp_recordingurl,sp_is_recorded,sp_recorded_call_id,sp_voip_provider,sp_call_status_code,sp_called_from_number,"
    "sp_called_to_number,tags) values(" + ",".join("?" * 24) + ")"
)


@attrs.frozen(kw_only=True)
class CRMReply:
    """The CRM's reply. ``status`` -1: there is none, the client has to time out."""

    status: int = 200
    content_type: str = _HTML
    body: str = ""


EMPTY: Final = CRMReply()
NO_ANSWER: Final = CRMReply(status=-1)
FAILURE: Final = CRMReply(
    content_type=_XML, body=f"{_XML_HEAD}<Response><Authentication>Failure</Authentication></Response>"
)


@attrs.frozen(kw_only=True)
class Popup:
    """The popup of a ringing call. ``caller`` and ``assigned_to`` are empty for an unknown customer."""

    row: int
    call_uuid: str
    status: str
    number: str
    caller: str
    customer: str
    assigned_to: str


@attrs.define
class _Form:
    """A request as PHP sees it: purified, JSON decoded. ``arrays``: fields that became an array, with its size."""

    values: dict[str, str]
    arrays: dict[str, int]

    @classmethod
    def decoded(cls, form: Mapping[str, str]) -> _Form:
        values: dict[str, str] = {}
        arrays: dict[str, int] = {}
        for name, value in form.items():
            values[name] = columns.purified(value)
            leaves = columns.json_leaves(values[name])
            if leaves is None:
                continue
            # PHP uses an array of one as its only value, and converts any other array to the text "Array".
            values[name] = leaves[0] if len(leaves) == 1 else "Array"
            if len(leaves) != 1:
                arrays[name] = len(leaves)
        return cls(values, arrays)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def surplus(self, *used: str) -> int | None:
        """How many surplus parameters the arrays among ``used`` add to a statement; None without such an array."""
        sizes = [self.arrays[name] for name in used if name in self.arrays]
        return sum(size - 1 for size in sizes) if sizes else None


@attrs.define(kw_only=True)
class StandInCRM:
    """A CRM in memory. ``timezone`` is its ``$default_timezone``; None means the flavour's own.

    ``fresh_install``: SalesPlatform as its web installer leaves it, where a request that touches a row gets an empty
    500.
    """

    flavour: Flavour = attrs.field(default=Flavour.SALESPLATFORM, converter=Flavour)
    users: Sequence[CRMUser]
    contacts: Sequence[CRMContact] = ()
    secret: str
    timezone: str | None = None
    fresh_install: bool = False
    trunk: str = "mytrunk"
    """Stock's ``outboundtrunk``, for the answer to StartApp."""
    owners_hang: bool = False
    """SPAgi.php never answers."""
    tables: CRMTables = attrs.field(init=False)
    poisoned: bool = attrs.field(default=False, init=False)
    """A JSON value killed PHP within a transaction: its locks stay and block new rows until php-fpm restarts."""
    hazards: list[str] = attrs.field(factory=list, init=False)
    """Values that would harm a real CRM, as ``step.field: why``. A correct connector causes none."""
    received: Counter[str] = attrs.field(factory=Counter, init=False)
    """All requests by ``callstatus``."""
    unmatched: Counter[str] = attrs.field(factory=Counter, init=False)
    """Requests by ``callstatus`` that changed nothing, because they matched no row or no user."""
    _zone: zoneinfo.ZoneInfo = attrs.field(init=False)
    _steps: Mapping[str, Callable[[_Form, float], CRMReply]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tables = CRMTables(self.users, self.contacts)
        own_zone = "Europe/Moscow" if self.flavour is Flavour.SALESPLATFORM else "UTC"
        self._zone = zoneinfo.ZoneInfo(self.timezone or own_zone)
        if self.flavour is Flavour.SALESPLATFORM:
            self._steps = {
                "StartApp": self._sp_start_app,
                "DialBegin": self._sp_dial_begin,
                "DialAnswer": self._sp_dial_answer,
                "Hangup": self._sp_hangup,
                "EndCall": self._sp_end_call,
                "Record": self._sp_record,
            }
        else:
            self._steps = {
                "StartApp": self._stock_start_app,
                "DialAnswer": self._stock_dial_answer,
                "Hangup": self._stock_hangup,
                "EndCall": self._stock_end_call,
                "Record": self._stock_record,
            }

    # Requests

    def callback(self, form: Mapping[str, str], now: float) -> CRMReply:
        """PBXManager.php: one event of a call. ``form`` has text, with invalid UTF-8 bytes as lone surrogates."""
        self._note_hazards(form)
        if any(name in form and not check.fullmatch(form[name]) for name, check in _NAME_CHECKS.items()):
            return CRMReply(status=400)
        if form.get("vtigersignature", "") != self.secret:
            return FAILURE
        decoded = _Form.decoded(form)
        step = decoded["callstatus"]
        self.received[step] += 1
        handle = self._steps.get(step)
        if handle is None:
            self.unmatched[step] += 1
            return EMPTY
        return handle(decoded, now)

    def owner_extension(self, form: Mapping[str, str]) -> CRMReply:
        """SPAgi.php of SalesPlatform: the extension of the employee who owns the caller's contact."""
        if self.flavour is not Flavour.SALESPLATFORM:
            return CRMReply(status=404)
        if self.owners_hang:
            return NO_ANSWER
        number = form.get("callerNumber", "")
        answer: dict[str, object] = {
            "success": False,
            "error": {"code": 400, "message": "Invalid request params", "title": None},
        }
        if form.get("vtigersignature", "") == self.secret and number:
            contact = self.tables.customer_by_last_digits(number, None)
            owner = self.tables.user(contact.owner) if contact is not None else None
            extension = (owner.extension or None) if owner is not None else None
            answer = {"success": True, "result": {"crmUserExtension": extension}}
        return CRMReply(content_type="text/json; charset=UTF-8", body=json.dumps(answer, separators=(",", ":")))

    def popups(self, extension: str, now: float) -> list[Popup]:
        """The poll of the user with ``extension``: their inbound calls that ring or talk. Then old rows are cleaned up.

        Stock shows an unanswered call to every user with an extension (known from its code only).
        """
        user = next((user for user in self.users if user.extension == extension), None)
        shown: list[Popup] = []
        for row in self.tables.rows if user is not None else ():
            is_for_all = self.flavour is Flavour.STOCK and row.user is None
            if row.direction != "inbound" or row.callstatus not in OPEN_STATES:
                continue
            if is_for_all or (user is not None and row.user == str(user.id)):
                shown.append(self._popup(row))
        self._clean_up(now)
        return shown

    @property
    def rows(self) -> list[CallRow]:
        """Every row, oldest first. The list is a copy, the rows are live."""
        return list(self.tables.rows)

    def load(self, rows: Iterable[CallRow]) -> None:
        """Add existing rows unchanged."""
        for row in rows:
            self.tables.add(row)

    def stuck(self) -> list[CallRow]:
        """Rows that still ring or talk; there should be none when no call goes on."""
        return [row for row in self.tables.rows if row.callstatus in OPEN_STATES]

    def doubles(self) -> list[CallRow]:
        """Rows beyond the first of each key: (uuid, user) in SalesPlatform, the uuid in stock."""
        extra: list[CallRow] = []
        for rows in self.tables.calls():
            seen: set[str | None] = set()
            for row in rows:
                key = row.user if self.flavour is Flavour.SALESPLATFORM else None
                if key in seen:
                    extra.append(row)
                seen.add(key)
        return extra

    @property
    def zone(self) -> str:
        """The name of ``$default_timezone``."""
        return self._zone.key

    def clock(self, now: float) -> str:
        """The CRM's wall clock."""
        return dt.datetime.fromtimestamp(now, self._zone).strftime("%Y-%m-%d %H:%M:%S")

    # SalesPlatform: one row per (call, user)

    def _sp_dial_begin(self, form: _Form, now: float) -> CRMReply:
        caller = form["callerIdNumber"]
        dialled = _bare_number(form["dialString"])
        if not caller or not dialled or caller == dialled:
            return self._ignored(form)
        if (user := self.tables.user_by_number(caller)) is not None:
            direction, number = "outbound", dialled
        elif (user := self.tables.user_by_number(dialled)) is not None:
            direction, number = "inbound", caller
        else:
            return self._ignored(form)
        return self._sp_begin(form, user, direction, number, form["connectedLineName"])

    def _sp_start_app(self, form: _Form, now: float) -> CRMReply:
        user = self._dialling_user(form)
        if user is None:  # a call from outside: the privileges file of an empty user id is missing
            body = "Sorry! Attempt to access restricted file. - user_privileges/user_privileges_.php"
            return CRMReply(body=body)
        return self._sp_begin(form, user, "outbound", _startapp_target(form), "")

    def _sp_begin(self, form: _Form, user: CRMUser, direction: str, number: str, line: str) -> CRMReply:
        customer = self.tables.customer_by_last_digits(number, user)
        existing = self._sp_rows(form["callUUID"], user)
        surplus = form.surplus("callUUID", "callerIdNumber", "dialString", "StartTime", "connectedLineName")
        if surplus is not None:
            self.poisoned = True
            return CRMReply(
                status=500, body=f"Input array has {24 + surplus} params, does not match query: '{_INSERT}'\n"
            )
        for row in existing:
            row.smownerid = user.id
            if self.fresh_install:  # the fatal error occurs just after the owner is saved
                continue
            row.callstatus = "ringing"
            row.customernumber = columns.cut("customernumber", number)
            row.customer = str(customer.id) if customer else ""
            row.customertype = customer.kind if customer else ""
        if existing:
            return self._touched()
        if self.poisoned:
            return NO_ANSWER
        self.tables.add(
            CallRow(
                pbxmanagerid=self.tables.new_id(),
                direction=direction,
                callstatus="ringing",
                starttime=columns.datetime_column(form["StartTime"]) if form["StartTime"] else None,
                recordingurl="",
                sourceuuid=columns.cut("sourceuuid", form["callUUID"]),
                customer=str(customer.id) if customer else "",
                customertype=customer.kind if customer else "",
                customernumber=columns.cut("customernumber", number),
                incominglinename=columns.cut("incominglinename", line),
                user=str(user.id),
                smownerid=user.id,
            )
        )
        return self._touched()

    def _sp_dial_answer(self, form: _Form, now: float) -> CRMReply:
        user = self.tables.user_by_number(form["callerid1"]) or self.tables.user_by_number(form["callerid2"])
        if user is None:
            return self._ignored(form)
        return self._update(form, self._sp_rows(form["callUUID"], user), {"callstatus": "in-progress"})

    def _sp_hangup(self, form: _Form, now: float) -> CRMReply:
        user = self.tables.user_by_number(form["callerIdNum"])
        if user is None or not columns.truthy(form["causetxt"]) or form["causetxt"] == "null":
            return self._ignored(form)
        rows = self._sp_rows(form["callUUID"], user)
        changes = {"callstatus": _final_status(form)} | _given_end(form)
        if "endtime" not in changes and rows:
            changes |= self._clocked_end(rows[0], now)
        return self._update(form, rows, changes, used=("causetxt", "EndTime", "Duration"))

    def _clocked_end(self, row: CallRow, now: float) -> dict[str, str]:
        """The end for a Hangup without one: the CRM's clock, only once, and only for a row with a start."""
        if not row.starttime or row.endtime or row.totalduration:
            return {}
        began = self._epoch(row.starttime)
        if began is None or now <= began:
            return {"endtime": self.clock(now)}
        return {"endtime": self.clock(now), "totalduration": str(int(now) - int(began))}

    def _sp_end_call(self, form: _Form, now: float) -> CRMReply:
        return self._update(form, self._sp_selected(form), _end_call(form), used=_END_CALL_FIELDS)

    def _sp_record(self, form: _Form, now: float) -> CRMReply:
        changes = {"recordingurl": form["recordinglink"]}
        return self._update(form, self._sp_selected(form), changes, used=("recordinglink",))

    def _sp_rows(self, uuid: str, user: CRMUser) -> list[CallRow]:
        return [row for row in self.tables.call(uuid) if row.user == str(user.id)]

    def _sp_selected(self, form: _Form) -> list[CallRow]:
        """EndCall and Record: the rows of ``callerNumber``'s user, or of all users if that number is no user's."""
        user = self.tables.user_by_number(form["callerNumber"])
        return self.tables.call(form["callUUID"]) if user is None else self._sp_rows(form["callUUID"], user)

    # Stock: one row per call, made by StartApp alone

    def _stock_start_app(self, form: _Form, now: float) -> CRMReply:
        if "callUUID" in form.arrays:
            return self._dial_all()  # the usual reply, but the row is lost
        if form.surplus("callerIdNumber", "StartTime") is not None:
            return CRMReply(status=500)
        user = self._dialling_user(form)
        number = _startapp_target(form) if user is not None else form["callerIdNumber"]
        customer = self.tables.customer_by_prefix(number)
        row = self.tables.add(
            CallRow(
                pbxmanagerid=self.tables.new_id(),
                direction="inbound" if user is None else "outbound",
                callstatus="ringing",
                starttime=columns.datetime_column(form["StartTime"]) if form["StartTime"] else None,
                sourceuuid=columns.cut("sourceuuid", form["callUUID"]),
                customer=str(customer.id) if customer else None,
                customertype=customer.kind if customer else None,
                customernumber=columns.cut("customernumber", number) or None,
                user=str(user.id) if user is not None else None,
            )
        )
        if user is not None:
            return _numbers([f"SIP/{number}@{self.trunk}" if len(number) > 5 else f"SIP/{number}"])
        if not any(user.extension for user in self.users):
            row.callstatus = "no-answer"
            row.starttime = row.endtime = self.clock(now)
        return self._dial_all()

    def _dial_all(self) -> CRMReply:
        return _numbers([f"SIP/{user.extension}" for user in self.users if user.extension])

    def _stock_dial_answer(self, form: _Form, now: float) -> CRMReply:
        rows = self.tables.call(form["callUUID"])
        if not rows:
            return self._ignored(form)
        answering = form["callerid2"] if rows[0].direction == "inbound" else form["callerid1"]
        user = self.tables.user_by_number(answering)
        for row in rows:
            row.callstatus = "in-progress"
            row.user = str(user.id) if user is not None else None
            row.smownerid = user.id if user is not None else 0
        return EMPTY

    def _stock_hangup(self, form: _Form, now: float) -> CRMReply:
        if form["causetxt"] == "null":
            return self._ignored(form)
        changes = {"callstatus": _final_status(form)} | _given_end(form)
        rows = self.tables.call(form["callUUID"])
        return self._update(form, rows, changes, used=("causetxt", "EndTime", "Duration"))

    def _stock_end_call(self, form: _Form, now: float) -> CRMReply:
        return self._update(form, self.tables.call(form["callUUID"]), _end_call(form), used=_END_CALL_FIELDS)

    def _stock_record(self, form: _Form, now: float) -> CRMReply:
        changes = {"recordingurl": form["recordinglink"]}
        return self._update(form, self.tables.call(form["callUUID"]), changes, used=("recordinglink",))

    # Common to both

    def _update(
        self, form: _Form, rows: Sequence[CallRow], changes: Mapping[str, str], used: tuple[str, ...] = ()
    ) -> CRMReply:
        """One UPDATE of each of ``rows``. The error text was seen for Record and is assumed for the others."""
        if not rows:
            return self._ignored(form)
        surplus = form.surplus("callUUID", *used)
        if surplus is not None:
            keys = " AND user = ?" if self.flavour is Flavour.SALESPLATFORM else ""
            assignments = ",".join(f"{column}=?" for column in changes)
            expected = len(changes) + (2 if keys else 1)
            statement = f"UPDATE vtiger_pbxmanager SET {assignments} WHERE sourceuuid = ?{keys}"  # noqa: S608 - text only
            return CRMReply(body=f"Input array has {expected + surplus} params, does not match query: '{statement}'\n")
        for row in rows:
            for column, value in changes.items():
                setattr(row, column, _STORED[column](value))
        return self._touched()

    def _touched(self) -> CRMReply:
        return CRMReply(status=500) if self.fresh_install else EMPTY

    def _ignored(self, form: _Form) -> CRMReply:
        self.unmatched[form["callstatus"]] += 1
        return EMPTY

    def _dialling_user(self, form: _Form) -> CRMUser | None:
        """StartApp: the employee who dials, by their number or by the peer in the channel's name."""
        return self.tables.user_by_number(form["callerIdNumber"]) or self.tables.user_by_number(_peer(form["channel"]))

    def _popup(self, row: CallRow) -> Popup:
        customer = self.tables.contact(row.customer)
        owner = self.tables.user(customer.owner) if customer is not None else None
        return Popup(
            row=row.pbxmanagerid,
            call_uuid=row.sourceuuid,
            status=row.callstatus,
            number=row.customernumber or "",
            caller=customer.name if customer is not None else "",
            customer=row.customer or "",
            assigned_to=owner.name if owner is not None else "",
        )

    def _clean_up(self, now: float) -> None:
        """Every user's poll ends rows that have rung for too long, comparing wall clocks as text. Outbound and talking
        rows stay as they are for ever."""
        oldest = self.clock(now - RINGING_FOR_LONG)
        for row in self.tables.rows:
            if row.direction == "inbound" and row.callstatus == "ringing" and (row.starttime or "") < oldest:
                row.callstatus = "no-response"

    def _epoch(self, text: str) -> float | None:
        """Seconds of a stored time; None for the zero time (not tried with PHP)."""
        if text == columns.ZERO_TIME:
            return None
        return dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=self._zone).timestamp()

    def _note_hazards(self, form: Mapping[str, str]) -> None:
        step = form.get("callstatus", "")
        for name, value in form.items():
            if columns.json_leaves(value) is not None:
                self.hazards.append(f"{step}.{name}: is decoded as JSON")
            if name in _NUMBER_FIELDS and re.search(r"['\"\\%_]", value):
                self.hazards.append(f"{step}.{name}: is pasted into SQL")
            width = columns.WIDTHS.get(_STORED_IN.get(name, ""), len(value))
            if len(value) > width:
                self.hazards.append(f"{step}.{name}: is cut to {width} characters")


_END_CALL_FIELDS = ("starttime", "endtime", "duration", "billableseconds")
_STORED_IN = {
    "callUUID": "sourceuuid",
    "causetxt": "callstatus",
    "recordinglink": "recordingurl",
    "callerIdNumber": "customernumber",
    "dialString": "customernumber",
    "connectedLineName": "incominglinename",
}
_STORED: Mapping[str, Callable[[str], str | int]] = {
    "callstatus": lambda value: columns.cut("callstatus", value),
    "recordingurl": lambda value: columns.cut("recordingurl", value),
    "starttime": columns.datetime_column,
    "endtime": columns.datetime_column,
    "totalduration": columns.int_column,
    "billduration": columns.int_column,
}


def _bare_number(dial_string: str) -> str:
    """How PBXManager parses dialString: the part after the last ``/``; without a ``/``, the part before ``@``."""
    if "/" in dial_string:
        return dial_string.rpartition("/")[2]
    return dial_string.partition("@")[0]


def _peer(channel: str) -> str:
    """``SIP/101-00000002`` -> ``101``."""
    return channel.rpartition("/")[2].partition("-")[0]


def _startapp_target(form: _Form) -> str:
    """StartApp of an employee: the dialled number is in callerIdName if callerIdNumber is their own."""
    if form["callerIdNumber"] == _peer(form["channel"]):
        return form["callerIdName"]
    return form["callerIdNumber"] or form["callerId"]


def _final_status(form: _Form) -> str:
    match form["causetxt"]:
        case "Normal Clearing":
            return "no-answer" if form["HangupCause"] == "NO ANSWER" else "completed"
        case "User busy" | "Call Rejected":
            return "busy"
        case other:
            return other


def _given_end(form: _Form) -> dict[str, str]:
    """The end in a Hangup: used only if PHP considers both EndTime and Duration true, which ``0`` is not."""
    if columns.truthy(form["EndTime"]) and columns.truthy(form["Duration"]):
        return {"endtime": form["EndTime"], "totalduration": form["Duration"]}
    return {}


def _end_call(form: _Form) -> dict[str, str]:
    """All four columns are written; a missing field empties its column."""
    return {
        "starttime": form["starttime"],
        "endtime": form["endtime"],
        "totalduration": form["duration"],
        "billduration": form["billableseconds"],
    }


def _numbers(numbers: Sequence[str]) -> CRMReply:
    """Stock's reply to StartApp, for an AGI script that dials these numbers."""
    listed = "".join(f"<Number>{escape(number)}</Number>" for number in numbers)
    inside = listed or "<ConfiguredNumber>empty</ConfiguredNumber>"
    body = f"{_XML_HEAD}<Response><Dial><Authentication>Success</Authentication>{inside}</Dial></Response>"
    return CRMReply(content_type=_XML, body=body)
