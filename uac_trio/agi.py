"""FastAGI, the script's side of the protocol: bytes in, values out.

Asterisk (res/res_agi.c) connects, sends its environment as lines ``agi_name: value`` and an empty line, then reads one
command per line and answers each with a line that begins with three digits. The caller's name and number are in the
environment unescaped, line breaks included: any line may come from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

import attrs

MAX_RECEIVED = 32 * 1024
"""Bytes of a whole session. An environment is below 2 KiB; arguments of the application add 2 KiB at most
(AGI_BUF_LEN)."""

_RESULT = re.compile(rb"(?:HANGUP)?([0-9]{3})[ -](.*)")  # HANGUP comes as urgent data, its line end lost
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_VALUE = re.compile(r"[^\x00-\x1f\x7f\"\\]{0,256}")


class AGIError(Exception):
    """The peer does not speak AGI, or sends more than Asterisk ever does."""


@attrs.frozen(kw_only=True)
class AGIRequest:
    """The request: the script that Asterisk wants and the call."""

    script: str
    """``route`` of ``agi://host:port/route?number=1``."""
    parameters: Mapping[str, str]
    """The query's parameters, the first value of each name."""
    arguments: Sequence[str]
    """The arguments behind the address in AGI()."""
    caller: str
    """CALLERID(num), "" if there is none."""


@attrs.frozen(kw_only=True)
class AGIResult:
    code: int
    """200: done. 510: unknown command, 511: not on a dead channel, 520: wrong syntax."""
    text: str


@attrs.define
class AGIConnection:
    """A session. receive_data() only stores the bytes. request() returns the request, then result() the result of each
    command; None means that more data is needed."""

    _buffer: bytearray = attrs.field(factory=bytearray, init=False)
    _received: int = attrs.field(default=0, init=False)
    _environment: dict[str, str] = attrs.field(factory=dict, init=False)

    def receive_data(self, data: bytes) -> None:
        """Raises AGIError beyond ``MAX_RECEIVED``."""
        self._received += len(data)
        if self._received > MAX_RECEIVED:
            raise AGIError(f"more than {MAX_RECEIVED} bytes")
        self._buffer += data

    def request(self) -> AGIRequest | None:
        """Raises AGIError when the first line is not that of an AGI environment."""
        while (line := self._line()) is not None:
            if not line:
                return _request(self._environment)
            name, colon, value = line.decode("utf-8", errors="replace").partition(":")
            if not self._environment and not (colon and name.startswith("agi_")):
                raise AGIError("does not begin as Asterisk's AGI() does")
            self._environment.setdefault(name, value.strip())
        return None

    def result(self) -> AGIResult | None:
        while (line := self._line()) is not None:
            if found := _RESULT.match(line):
                return AGIResult(code=int(found[1]), text=found[2].decode("utf-8", errors="replace"))
        return None

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line


def set_variable(name: str, value: str) -> bytes:
    """The command that sets a channel variable. Raises ValueError if name or value could break the command.

    The value is quoted, so that it may be empty (res_agi.c, ``parse_args``).
    """
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise ValueError(f"{name!r} cannot be set to {value!r} by an AGI command")
    return f'SET VARIABLE {name} "{value}"\n'.encode()


def _request(environment: Mapping[str, str]) -> AGIRequest:
    path, _, query = environment.get("agi_network_script", "").partition("?")
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters.setdefault(name, value)
    arguments = [value for name, value in environment.items() if name.startswith("agi_arg_")]
    caller = environment.get("agi_callerid", "")
    return AGIRequest(
        script=path.strip("/"),
        parameters=parameters,
        arguments=arguments,
        caller="" if caller == "unknown" else caller,
    )
