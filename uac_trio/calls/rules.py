"""The ``[calls]`` table of the configuration: what an administrator says of an installation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import attrs
import phonenumbers

from uac_trio.settings import setting, values
from uac_trio.settings.values import WrongValueError


def _extensions(value: str | re.Pattern[str] | list[str] | frozenset[str]) -> re.Pattern[str] | frozenset[str]:
    if isinstance(value, str):
        return re.compile(value)
    return frozenset(value) if isinstance(value, list) else value


def _pattern(value: str | re.Pattern[str] | None) -> re.Pattern[str] | None:
    return re.compile(value) if isinstance(value, str) else value


def _names(value: Iterable[str]) -> frozenset[str]:
    return frozenset(value)


def _country(value: object) -> str:
    if not isinstance(value, str) or value not in phonenumbers.SUPPORTED_REGIONS:
        raise WrongValueError('a country as two capital letters, such as "RU"')
    return value


@attrs.frozen(kw_only=True)
class TrackerRules:
    """Who is who. Raises ValueError for a number in ``mobiles`` that is no telephone number of any country."""

    extensions: re.Pattern[str] | frozenset[str] = attrs.field(
        default=re.compile(r"^\d{2,5}$"),
        converter=_extensions,
        metadata=setting(
            values.extensions, "Who is an employee: a pattern the whole number must match, or the list of numbers."
        ),
    )
    internal: Literal["ignore", "report"] = attrs.field(
        default="ignore",
        metadata=setting(values.one_of("ignore", "report"), "Whether calls between employees are reported to the CRM."),
    )
    unreached: str = attrs.field(
        default="",
        metadata=setting(
            values.text,
            'The extension that owns incoming calls for which no employee\'s phone rang; "" = such calls are only '
            "counted.",
        ),
    )
    unreached_by: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata=setting(values.text_table, "The same by queue or DID, where others than `unreached` own such calls."),
    )
    region: str = attrs.field(
        default="RU", metadata=setting(_country, "ISO 3166 country of numbers without a country code.")
    )
    devices: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata=setting(
            values.text_table,
            "Endpoint (`sip-anna` of PJSIP/sip-anna-0000001f) to extension, where neither name nor CallerID shows it.",
        ),
    )
    trunks: frozenset[str] = attrs.field(
        default=(),
        converter=_names,
        metadata=setting(values.text_set, "Endpoints that are lines to the outside whatever CallerID they show."),
    )
    mobiles: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata=setting(
            values.text_table,
            "An employee's own outside number (mobile, home) to their extension: who answers there is the employee.",
        ),
    )
    only_endpoints: re.Pattern[str] | None = attrs.field(
        default=None,
        converter=_pattern,
        metadata=setting(
            values.pattern,
            "On a PBX that several companies share: the endpoints (`t1_101`) whose users are ours. Left out: all.",
        ),
    )
    only_contexts: re.Pattern[str] | None = attrs.field(
        default=None,
        converter=_pattern,
        metadata=setting(values.pattern, "The same by dialplan context of the device."),
    )
    only_dids: frozenset[str] = attrs.field(
        default=(),
        converter=_names,
        metadata=setting(values.text_set, "The same by the number that an incoming call dialled. Empty = all."),
    )
    only_tenants: frozenset[str] = attrs.field(
        default=(),
        converter=_names,
        metadata=setting(values.text_set, "The same by `Tenantid` of the channel. Empty = all."),
    )
    recording_headers: tuple[str, ...] = attrs.field(
        default=("recordingpath", "recordingfile"),
        converter=tuple,
        metadata=setting(
            values.texts,
            "Headers of the Cdr event ([mappings] of cdr_manager.conf) that may hold the recording's path, best first.",
        ),
    )
    outside_prefix: str = attrs.field(
        default="",
        metadata=setting(
            values.prefix,
            "What employees dial before an outside number; taken off where only the dialled digits are known.",
        ),
    )
    linger: float = attrs.field(
        default=2.0,
        metadata=setting(
            values.seconds(0, 60),
            "Seconds a call is kept after its last Hangup for the Cdr, which comes before or after it at random.",
        ),
    )
    _mobile_endings: tuple[tuple[str, str], ...] = attrs.field(init=False, repr=False)
    """(national number, extension)."""

    def __attrs_post_init__(self) -> None:
        endings = tuple((national_number(number, self.region), ext) for number, ext in self.mobiles.items())
        object.__setattr__(self, "_mobile_endings", endings)

    def owner_of_unreached(self, queue: str, did: str) -> str:
        """The extension that owns a missed call for which no phone rang; "" = none."""
        return self.unreached_by.get(queue) or self.unreached_by.get(did) or self.unreached

    def is_extension(self, number: str) -> bool:
        if isinstance(self.extensions, frozenset):
            return number in self.extensions
        return self.extensions.fullmatch(number) is not None

    def owner_of_mobile(self, number: str) -> str:
        """The extension whose mobile this is, however it was dialled (prefix, 8, +7, 00); "" = no employee's."""
        if len(number) < 7 or not self._mobile_endings:
            return ""
        return next((extension for ending, extension in self._mobile_endings if number.endswith(ending)), "")

    def is_shared(self) -> bool:
        """Other companies use the PBX as well."""
        return bool(self.only_endpoints or self.only_contexts or self.only_dids or self.only_tenants)

    def is_our_device(self, endpoint: str, context: str, tenant: str) -> bool:
        """Whether a device on a shared PBX belongs to this company."""
        return (
            (self.only_endpoints is None or self.only_endpoints.search(endpoint) is not None)
            and (self.only_contexts is None or self.only_contexts.search(context) is not None)
            and self.is_our_tenant(tenant)
        )

    def is_our_tenant(self, tenant: str) -> bool:
        return not self.only_tenants or tenant in self.only_tenants


def national_number(number: str, region: str) -> str:
    """``9261234567`` of ``+7 926 123-45-67``. Raises ValueError for what is no telephone number."""
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"{number!r} is no telephone number: write it as +79261234567") from error
    national = str(parsed.national_number)
    if len(national) < 7:
        raise ValueError(f"{number!r} is too short for an outside number: write it as +79261234567")
    return national
