"""SalesPlatform's ListenRecord: the CRM's server fetches a recording from the connector and passes it on.

It behaves as vTiger's script does (modules/PBXManager/actions/ListenRecord.php): it appends the secret, requests no
range, accepts only the status 200, buffers the whole file in memory, forwards three headers, and returns an empty page
otherwise.
"""

from __future__ import annotations

from urllib.parse import quote_plus, urlsplit

import attrs
import trio

LARGEST = 64 << 20
"""Bytes; about PHP's memory_limit."""
CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 60.0

_PASSED_ON = ("content-type", "content-length", "content-disposition")


@attrs.frozen(kw_only=True)
class Listened:
    """The reply to the browser."""

    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytes = b""


async def listen(recordingurl: str, secret: str) -> Listened:
    """Fetch ``recordingurl``; an empty page if that fails."""
    with trio.move_on_after(TOTAL_SECONDS):
        try:
            status, headers, body = await _get(f"{recordingurl}&secret={quote_plus(secret)}")
        except (OSError, ValueError, trio.BrokenResourceError):
            return Listened()
        if status == 200:
            passed = {name: value for name, value in headers.items() if name in _PASSED_ON}
            return Listened(headers=passed, body=body)
    return Listened()


async def _get(url: str) -> tuple[int, dict[str, str], bytes]:
    """Raises OSError, ValueError, BrokenResourceError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url} is not the URL of a connector")
    with trio.fail_after(CONNECT_SECONDS):
        stream = await trio.open_tcp_stream(parts.hostname, parts.port or 80)
    async with stream:
        asked = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n"
        await stream.send_all(f"{asked}Connection: close\r\n\r\n".encode())
        reply = bytearray()
        while data := await stream.receive_some():
            reply += data
            if len(reply) > LARGEST:
                raise ValueError("the recording is larger than PHP's memory")
    head, end, body = bytes(reply).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    if not end or not first.startswith("HTTP/1.1 "):
        raise ValueError("the reply is not HTTP")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(body) != int(headers.get("content-length", len(body))):
        raise ValueError("the reply is cut off")
    return int(first[9:12]), headers, body
