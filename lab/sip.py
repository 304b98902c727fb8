"""SIP as far as the lab's phones speak it: messages taken apart, nothing else. No I/O here."""

from __future__ import annotations

import re
from urllib.parse import unquote

_COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact"}


class SipMessage:
    """One SIP request or response; header names in lower case, compact forms spelled out.

    `code` is 0 for a request; `method` is that of CSeq for a response.
    """

    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        self.start = lines[0]
        self.body = body.decode("utf-8", "replace")
        self.headers: list[tuple[str, str]] = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((_COMPACT.get(name, name), value.strip()))
        first = self.start.split(" ", 2)
        if first[0] == "SIP/2.0":
            self.code, self.reason = int(first[1]), first[2] if len(first) > 2 else ""
            self.method, self.uri = self.get("cseq").split()[1], ""
        else:
            self.code, self.reason = 0, ""
            self.method, self.uri = first[0], first[1]

    def get(self, name: str) -> str:
        """The first value of a header, or an empty string."""
        return next((value for key, value in self.headers if key == name), "")

    def get_all(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for key, value in self.headers if key == name]

    @property
    def user(self) -> str:
        """The user part of the request's URI: the number called."""
        found = re.match(r"sips?:([^@;]+)@", self.uri)
        return unquote(found.group(1)) if found else ""

    @property
    def cseq(self) -> int:
        """The number of CSeq."""
        return int(self.get("cseq").split()[0])


def tag_of(value: str) -> str:
    """The tag parameter of a From or To."""
    found = re.search(r";tag=([^;>\s]+)", value)
    return found.group(1) if found else ""


def uri_of(value: str) -> str:
    """The URI of a From, To or Contact."""
    found = re.search(r"<([^>]+)>", value)
    return found.group(1) if found else value.split(";")[0].strip()


def media_address(body: str) -> tuple[str, int] | None:
    """Where the other side of an SDP body wants its RTP."""
    host = re.search(r"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (host.group(1), int(port.group(1))) if host and port else None


def session_description(host: str, port: int, version: int, direction: str) -> str:
    """An SDP body that offers PCMU; direction is sendrecv, sendonly (hold) or inactive."""
    return (
        f"v=0\r\no=lab 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na={direction}\r\n"
    )
