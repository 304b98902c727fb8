"""The stand-in CRM's tables: users, customers and call rows, with vTiger's lookups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import attrs

from uac_trio.demo import crm_columns as columns

OPEN_STATES = frozenset({"ringing", "in-progress"})
"""The call states that only a further callback ends (the popup poll cleans up an inbound ``ringing``)."""

_INJECTED = re.compile(r"'\s*or\s*'([^']*)'\s*=\s*'\1\Z", re.IGNORECASE)
_SEPARATORS = re.compile(r"[-()+\s]")


@attrs.frozen(kw_only=True)
class CRMUser:
    """An employee. Any of their phone fields counts as their extension, not only ``phone_crm_extension``."""

    id: int
    name: str
    extension: str = ""
    other_phones: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class CRMContact:
    """A customer. ``kind`` is vTiger's module: Contacts, Leads or Accounts; ``owner`` is a user's id."""

    id: int
    name: str
    kind: str = "Contacts"
    owner: int = 1
    phones: tuple[str, ...] = ()


@attrs.define(kw_only=True)
class CallRow:
    """A row of ``vtiger_pbxmanager`` joined with its ``vtiger_crmentity``, under the real column names.

    Times are the CRM's wall clock as text, durations are seconds. Missing text is ``''`` in SalesPlatform and NULL in
    stock. Left out: the columns that no callback touches (``sp_*``, tags, label, created and modified times).
    """

    pbxmanagerid: int
    direction: str
    callstatus: str
    starttime: str | None
    endtime: str | None = None
    totalduration: int = 0
    billduration: int = 0
    recordingurl: str | None = None
    sourceuuid: str
    gateway: str = "PBXManager"
    customer: str | None = None
    user: str | None = None
    customernumber: str | None = None
    customertype: str | None = None
    incominglinename: str | None = None
    smownerid: int = 1


def same_uuid(value: str) -> str:
    """The uuid as the column's collation compares it: case and trailing spaces do not count."""
    return value.rstrip(" ").casefold()


@attrs.define
class CRMTables:
    users: Sequence[CRMUser]
    contacts: Sequence[CRMContact]
    rows: list[CallRow] = attrs.field(factory=list)
    _by_uuid: dict[str, list[CallRow]] = attrs.field(factory=dict, init=False)
    _next_id: int = attrs.field(default=10, init=False)

    def __attrs_post_init__(self) -> None:
        existing, self.rows = self.rows, []
        for row in existing:
            self.add(row)

    def new_id(self) -> int:
        return self._next_id

    def add(self, row: CallRow) -> CallRow:
        self.rows.append(row)
        self._by_uuid.setdefault(same_uuid(row.sourceuuid), []).append(row)
        self._next_id = max(self._next_id, row.pbxmanagerid + 1)
        return row

    def call(self, uuid: str) -> list[CallRow]:
        """The rows of a callUUID. A uuid longer than the column was truncated when stored and is never found again."""
        return list(self._by_uuid.get(same_uuid(uuid), ()))

    def calls(self) -> Iterable[list[CallRow]]:
        """The rows, grouped by callUUID."""
        return self._by_uuid.values()

    def user(self, user_id: str | int | None) -> CRMUser | None:
        return next((user for user in self.users if str(user.id) == str(user_id)), None)

    def contact(self, crm_id: str | int | None) -> CRMContact | None:
        return next((contact for contact in self.contacts if str(contact.id) == str(crm_id)), None)

    def user_by_number(self, number: str) -> CRMUser | None:
        """PBXManager's user lookup: an exact match, with the number pasted into the statement unescaped.

        A quote or a backslash breaks the statement (no user is found), unless it makes one that matches all users.
        """
        in_order = sorted(self.users, key=lambda user: user.id)
        if _INJECTED.search(number):
            return in_order[0] if in_order else None
        if not number or "'" in number or "\\" in number:
            return None
        return next((user for user in in_order if number in (user.extension, *user.other_phones)), None)

    def customer_by_last_digits(self, number: str, user: CRMUser | None) -> CRMContact | None:
        """SalesPlatform's lookup: compares the last ten characters; a shorter number must match in full.

        Of several matches the one whose owner is ``user`` wins, else the first.
        """
        plain = _SEPARATORS.sub("", number)
        wanted = columns.like(f"%{plain[-10:]}" if len(plain) >= 10 else plain)
        found = [contact for contact in self.contacts if any(wanted.fullmatch(phone) for phone in _stored(contact))]
        owned = (contact for contact in found if user is not None and contact.owner == user.id)
        return next(owned, found[0] if found else None)

    def customer_by_prefix(self, number: str) -> CRMContact | None:
        """Stock vTiger's lookup: the first whose number begins or ends with ``number``; "" matches every customer."""
        plain = _SEPARATORS.sub("", number)
        begins, ends = columns.like(f"{plain}%"), columns.like(f"%{plain}")
        for contact in self.contacts:
            if any(begins.fullmatch(phone) or ends.fullmatch(phone) for phone in _stored(contact)):
                return contact
        return None


def _stored(contact: CRMContact) -> Iterable[str]:
    """A customer's numbers as vtiger_pbxmanager_phonelookup stores them: without separators."""
    return (_SEPARATORS.sub("", phone) for phone in contact.phones)
