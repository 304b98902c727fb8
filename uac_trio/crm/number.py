"""The number to dial, as people write numbers into cards."""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

import phonenumbers

_URI = re.compile(r"(?:tel|sips?|callto):", re.IGNORECASE)
_WORDS = re.compile(
    r"[(\[]?\b(?:тел|телефон|моб|мобильный|раб|рабочий|дом|домашний|tel|phone|mob|mobile|work|home)\b[.:]*[)\]]?",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"[\s,;(]*(?:\b(?:доб|добав|добавочный|вн|внутр|внутренний|ext|extension)[.:\s=]*|\bx\s*)\d{1,6}\)?\s*$",
    re.IGNORECASE,
)
_KEYS = re.compile(r"(?<=[\d)])\s*(?:[,;]+\s*|#\s*|\*)\d{1,6}#?\s*$")
"""Digits to dial once the call is answered, after a number: ``,12``, ``# 12``, ``*227``."""
_LEAST_BEFORE_KEYS = 5
"""Digits of such a number."""
_TRUNK_ZERO = re.compile(r"^(\+[\d\s]{1,5})\(0\)")
"""The 0 of a national number in an international one: ``+44 (0)20 ...``."""
_FORMATTING = re.compile(r"[\s().\-/\u2010-\u2015]+")
_DIALLABLE = re.compile(r"\+?[0-9]{2,20}")
_SEPARATOR = re.compile(r"[,;/|\n]|\s(?:и|или|and|or)\s")
_WHOLE_NUMBER = 7
"""Digits from which a text between separators is a number of its own."""


class DialForm(enum.Enum):
    """How a number of ``[calls] region`` is dialled; others are dialled as they were typed."""

    AS_TYPED = "as typed"
    NATIONAL = "national"
    """``89161234567``"""
    INTERNATIONAL = "international"
    """``+79161234567``"""


def normalise(shown: str, *, is_extension: Callable[[str], bool], region: str) -> str:
    """The number to dial for one as it is shown in the CRM: digits, with ``+`` where it had one.

    ``+7 (916) 123-45-67``, ``8/916/123-45-67``, ``тел. 8 916 123-45-67``, ``tel:+7-916-123-45-67``,
    ``sip:79161234567@host`` and a note at the end (``доб. 12``, ``ext 12``, ``,12``) are understood; the note is
    dropped. A national prefix stays as it was typed: the dialplan knows it. Raises ValueError with the reason when no
    telephone number is left, when there are two, or for one that cannot exist in ``region``.
    """
    text = unicodedata.normalize("NFKC", unquote(shown) if "%" in shown else shown)
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf").strip()
    if scheme := _URI.match(text):
        text = text[scheme.end() :].partition(";")[0].partition("@")[0]
    text = _WORDS.sub(" ", text).strip()
    if sum(len(re.sub(r"\D", "", part)) >= _WHOLE_NUMBER for part in _SEPARATOR.split(text)) > 1:
        raise ValueError("the number to call is two numbers: leave one in the field")
    text = _NOTE.sub("", text)
    if (keys := _KEYS.search(text)) and len(re.sub(r"\D", "", text[: keys.start()])) >= _LEAST_BEFORE_KEYS:
        text = text[: keys.start()]
    text = _TRUNK_ZERO.sub(r"\1", text)
    text = re.sub(r"^\++", "+", _FORMATTING.sub("", text))
    if not text:
        raise ValueError("the number to call is empty")
    if not _DIALLABLE.fullmatch(text):
        raise ValueError("the number to call is no telephone number: something else than digits and + is in it")
    if not is_extension(text):
        _check_possible(text, region)
    return text


def in_form(number: str, form: DialForm, region: str) -> str:
    """``number``, one of ``normalise``, as it is dialled."""
    if form is DialForm.AS_TYPED:
        return number
    reading = parsed(number, region) or parsed(f"+{number}", region)
    if reading is None or reading.country_code != phonenumbers.country_code_for_region(region):
        return number
    if not phonenumbers.is_valid_number(reading):
        reading = parsed(f"+{number.removeprefix('+')}", region)
        if reading is None or not phonenumbers.is_valid_number_for_region(reading, region):
            return number
    national = form is DialForm.NATIONAL
    chosen = phonenumbers.PhoneNumberFormat.NATIONAL if national else phonenumbers.PhoneNumberFormat.E164
    return re.sub(r"[^0-9+]", "", phonenumbers.format_number(reading, chosen))


def national_digits(number: str, region: str) -> str:
    """A valid number of ``region`` without country code and trunk prefix; any other as it is."""
    reading = parsed(number, region)
    if reading is None or not phonenumbers.is_valid_number_for_region(reading, region):
        reading = parsed(f"+{number}", region)  # as many trunks show it: 79161234567
    if reading is None or not phonenumbers.is_valid_number_for_region(reading, region):
        return number
    return phonenumbers.national_significant_number(reading)


def spellings(number: str, region: str) -> frozenset[str]:
    """``number`` in all ways in which it may be typed in ``region``, and those of all that a PBX may take it for.

    Of ``0044 20 7946 0000``, less its formatting, in RU among others ``+442079460000`` and ``810442079460000``. The
    user who edits a contact chooses the spelling, so what forbids a number must not depend on it. The plus may be taken
    off before dialling, and providers take ``00`` and a bare country code for ``+`` in every country.
    """
    digits = number.removeprefix("+")
    found = {number, digits, international(number, region)}
    readings = [parsed(number, region), parsed(digits, region), parsed(international(number, region), region)]
    # 8 800 123-45-67 is no number of Bangladesh, +880: a country code only where the region has no such number.
    if not any(reading and phonenumbers.is_valid_number(reading) for reading in readings):
        readings.append(parsed(f"+{digits}", region))
    home = phonenumbers.country_code_for_region(region)
    for reading in filter(None, readings):
        found.add(phonenumbers.format_number(reading, phonenumbers.PhoneNumberFormat.E164))
        if reading.country_code == home:
            shown = phonenumbers.format_number(reading, phonenumbers.PhoneNumberFormat.NATIONAL)
        else:
            shown = phonenumbers.format_out_of_country_calling_number(reading, region)
        found.add(re.sub(r"[^0-9+]", "", shown))
    return frozenset(found)


def international(number: str, region: str) -> str:
    """E.164. ``00`` is never the beginning of a number of the region itself, though phonenumbers may think so."""
    reading = parsed(f"+{number[2:]}" if number.startswith("00") else number, region)
    return phonenumbers.format_number(reading, phonenumbers.PhoneNumberFormat.E164) if reading else number


def parsed(number: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None


def _check_possible(number: str, region: str) -> None:
    """Length and prefix only: numbering plans change faster than libraries, so a number may be too new to be valid."""
    reading = parsed(number, region)
    if reading is None:
        raise ValueError(f"the number to call is no telephone number in [calls] region {region}")
    verdict = phonenumbers.is_possible_number_with_reason(reading)
    if verdict not in (phonenumbers.ValidationResult.IS_POSSIBLE, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        raise ValueError(f"the number to call is too short or too long for one of [calls] region {region}")
