"""Transcripts without personal data: numbers and names are replaced, what a call tracker looks at is not.

The same number or name is replaced by the same other one throughout a recording. Lengths, formats and prefixes stay,
and ``+7916...`` and ``8916...`` of one person stay alike in their last ten digits. Extensions (up to five digits),
Uniqueids, times and the names of devices stay as they are. A secret does not get into any transcript.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

import attrs

# Values that hold long digits which are no telephone numbers: ids, times, what belongs to the session.
_LEFT_ALONE = re.compile(
    r"(?:.*(?:unique|linked|bridge|action|session|account|call|list)id|timestamp|.*tv|.*time|uptime|lastreload"
    r"|.*address|privilege|event|response|message|secret|key|challenge|sequence.*|duration|billable.*|lastcall|.*port)",
    re.IGNORECASE,
)
_NAMES = re.compile(r"(?:.*(?:calleridname|connectedlinename)|membername)", re.IGNORECASE)
# Where a name may stand among other things: arguments of applications, variables, a caller id as a whole.
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
    """A line of an action we sent: its secret, or what proves that we know it, is blanked."""
    name, colon, _ = line.partition(b":")
    return name + b": (not recorded)\r\n" if colon and _SECRETS.fullmatch(name.decode("latin-1").strip()) else line


@attrs.define
class Anonymiser:
    """``salt`` is random for each recording and forgotten after it: nobody can try out which number gave which."""

    salt: bytes = attrs.field(repr=False)
    _numbers: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)
    _names: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)
    _given: set[str] = attrs.field(factory=set, init=False, repr=False)

    def line(self, line: bytes) -> bytes:
        """One whole line of the wire, with its line end."""
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
        # Longer ones first, so that Anna does not cut Annabel.
        self._names = dict(sorted(self._names.items(), key=lambda entry: -len(entry[0])))

    def _number(self, digits: str) -> str:
        """Country code or trunk prefix stay in front of the last ten digits; of these (or of all) the first stays."""
        prefix, own = (digits[:-10], digits[-10:]) if len(digits) >= 10 else ("", digits)
        if own not in self._numbers:
            self._numbers[own] = self._new(own, self._other_digits)
        return prefix + self._numbers[own]

    def _new(self, old: str, make: Callable[[str, int], str]) -> str:
        attempt = 0
        while (new := make(old, attempt)) in self._given or new == old:
            attempt += 1
            if attempt > 100:
                break  # a name of one letter has few others
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
            told = f"{attempt} {len(noise)} {text}".encode("utf-8", "surrogateescape")
            noise += hmac.digest(self.salt, told, "sha256")
        return noise[:length]
