"""Whom or what is asked about: a customer's number, an employee's extension, a call."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import attrs

from uac_trio.calls.fact import CallBegan, CallEnded, CallTransferred, Fact, OfParticipation
from uac_trio.calls.rules import TrackerRules
from uac_trio.store.deliveries import significant

_LINKEDID = re.compile(r"(?:(?P<pbx>[A-Za-z0-9_-]+)-)?(?P<id>(?:[\w-]+-)?\d{9,10}\.\d+)")
_PUNCTUATION = re.compile(r"[\s()+./-]")


@attrs.frozen(kw_only=True)
class Subject:
    text: str
    """As it was asked."""
    call: str = ""
    """A call's id, or its Linkedid."""
    extension: str = ""
    digits: str = ""
    """Of a customer's number, those that say whose it is."""

    @property
    def needle(self) -> bytes:
        """What stands in the AMI of its calls."""
        found = _LINKEDID.fullmatch(self.call)
        return (found["id"] if found else self.call or self.extension or self.digits).encode()

    def call_ids(self, pbxes: Iterable[str]) -> Collection[str]:
        """The ids that the call may have, if it is one."""
        return {self.call, *(f"{pbx}-{self.call}" for pbx in pbxes)} if self.call else ()

    def is_about(self, ids: Collection[str], facts: Iterable[Fact]) -> bool:
        """Whether a call with these ids and facts is asked about."""
        if self.call:
            return any(each == self.call or each.endswith(f"-{self.call}") for each in ids)
        return any(self._is_in(fact) for fact in facts)

    def _is_in(self, fact: Fact) -> bool:
        match fact:
            case OfParticipation():
                return self._is_one_of(fact.extension, fact.customer)
            case CallBegan():
                return self._is_one_of(fact.customer, fact.did)
            case CallTransferred():
                return self._is_one_of(fact.by, fact.to)
            case CallEnded():
                summary = fact.summary
                people = (summary.customer, summary.did, summary.caller, summary.called, *summary.rang)
                return self._is_one_of(*people)
            case _:
                return False

    def _is_one_of(self, *people: str) -> bool:
        if self.extension:
            return self.extension in people
        return any(significant(person) == self.digits for person in people if person)


def subject_of(text: str, rules: TrackerRules) -> Subject:
    """What ``text`` names. Raises ValueError, in words."""
    wanted = text.strip()
    if _LINKEDID.fullmatch(wanted):
        return Subject(text=wanted, call=wanted)
    if rules.is_extension(wanted):
        return Subject(text=wanted, extension=wanted)
    digits = _PUNCTUATION.sub("", wanted)
    if digits.isdecimal() and digits.isascii() and len(digits) >= 3:
        return Subject(text=wanted, digits=significant(digits))
    raise ValueError(
        f"{text!r} is no telephone number, no extension by [calls] extensions, and no call's id, such as "
        "main-1795413750.28 or its Linkedid 1795413750.28"
    )
