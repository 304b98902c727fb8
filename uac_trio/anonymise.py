"""Removes personal data from transcripts: replaces numbers and names, keeps what the call tracker needs.

Within a recording, each number or name always gets the same replacement. Lengths, formats and prefixes stay, and
``+7916...`` and ``8916...`` of one person keep equal last ten digits. Extensions (up to five digits), Uniqueids, times
and device names stay unchanged. Secrets are never written to a transcript.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

import attrs

# Values with long digits that are not telephone numbers: ids, times, fields of the session.
_LEFT_ALONE = re.compile(
    r"(?:.*(?:unique|linked|bridge|action|session|account|call|list)id|timestamp|.*tv|.*time|uptime|lastreload"
    r"|.*address|privilege|event|response|message|secret|key|challenge|sequence.*|duration|billable.*|lastcall|.*port)",
    re.IGNORECASE,
)
_NAMES = re.compile(r"(?:.*(?:calleridname|connectedlinename)|membername)", re.IGNORECASE)
# Values that may contain a name: arguments of applications, variables, a whole caller id.
_MAY_QUOTE = re.compile(r"(?:app|last|application)?data|value|variable|callerid|chanvariable.*", re.IGNORECASE)
_SECRETS = re.compile(r"(?:secret|key)", re.IGNORECASE)
# Not within words, uniqueids (1795413713.0), nor the eight hexadecimal digits at the end of a channel's name.
_NUMBER = re.compile(r"(?<![0-9A-Za-z.])(?<!-(?=0[0-9]{7}(?![0-9])))(\+?)([0-9]{6,15})(?![0-9A-Za-z]|\.[0-9])")
_NO_NAME = ("", "<unknown>", "unknown", "anonymous")
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
)


def without_secret(line: bytes) -> bytes:
    """A line of an action we sent, with its secret or key blanked."""
    name, colon, _ = line.partition(b":")
    return name + b": (not recorded)\r\n" if colon and _SECRETS.fullmatch(name.decode("latin-1").strip()) else line


@attrs.define
class Anonymiser:
    """``salt`` is random for each recording and not kept, so that replacements cannot be reversed by trying numbers."""

    salt: bytes = attrs.field(repr=False)
    _numbers: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)
    _names: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)
    _given: set[str] = attrs.field(factory=set, init=False, repr=False)

    def line(self, line: bytes) -> bytes:
        """Anonymise one complete line, line end included."""
        text = line.decode("utf-8", "surrogateescape")
        name, colon, value = text.partition(":")
        if not colon or _LEFT_ALONE.fullmatch(name.strip()):
            return line
        value = _NUMBER.sub(lambda found: found[1] + self._number(found[2]), value)
        if _NAMES.fullmatch(name.strip()):
            self._learn(value.strip())
            value = value.replace(value.strip(), self._names.get(value.strip(), value.strip()))
        elif _MAY_QUOTE.fullmatch(name.strip()):
            for known, other in self._names.items():
                value = value.replace(known, other)
        return f"{name}:{value}".encode("utf-8", "surrogateescape")

    def _learn(self, name: str) -> None:
        if name in _NO_NAME or name in self._names or not any(letter.isalpha() for letter in name):
            return
        self._names[name] = self._new(name, self._other_letters)
        # Longer names first, so that Anna is not replaced within Annabel.
        self._names = dict(sorted(self._names.items(), key=lambda entry: -len(entry[0])))

    def _number(self, digits: str) -> str:
        """Keeps what precedes the last ten digits (country code, trunk prefix), and the first of those digits."""
        prefix, own = (digits[:-10], digits[-10:]) if len(digits) >= 10 else ("", digits)
        if own not in self._numbers:
            self._numbers[own] = self._new(own, self._other_digits)
        return prefix + self._numbers[own]

    def _new(self, old: str, make: Callable[[str, int], str]) -> str:
        attempt = 0
        while (new := make(old, attempt)) in self._given or new == old:
            attempt += 1
            if attempt > 100:
                break  # a name of one letter has few replacements
        self._given.add(new)
        return new

    def _other_digits(self, digits: str, attempt: int) -> str:
        return digits[0] + "".join(str(number % 10) for number in self._noise(digits, attempt, len(digits) - 1))

    def _other_letters(self, name: str, attempt: int) -> str:
        other = ""
        for letter, number in zip(name, self._noise(name, attempt, len(name)), strict=True):
            alphabet = next((letters for letters in _ALPHABETS if letter in letters), "")
            other += alphabet[number % len(alphabet)] if alphabet else letter if not letter.isalpha() else "x"
        return other

    def _noise(self, text: str, attempt: int, length: int) -> bytes:
        noise = b""
        while len(noise) < length:
            seed = f"{attempt} {len(noise)} {text}".encode("utf-8", "surrogateescape")
            noise += hmac.digest(self.salt, seed, "sha256")
        return noise[:length]
