"""python benchmarks/around/instant_crm.py [SECONDS]: a CRM that answers with an empty 200, at once or later.

A process of its own, so that its work is not counted as ours. ``GET /seen`` says when each request was there.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"


class InstantCRM(asyncio.Protocol):
    """Reads requests with a Content-Length, as ours have."""

    seconds = 0.0
    """Until a request is answered."""
    seen: list[tuple[float, str]] = []  # noqa: RUF012 - one list for all connections is what is wanted

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n")[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            body, self._data = self._data[end + 4 : end + 4 + length], self._data[end + 4 + length :]
            if head.startswith(b"get /seen"):
                seen = json.dumps(self.seen).encode()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(seen), seen))
            else:
                self.seen.append((time.time(), body.decode()))
                self._reply()

    def _reply(self) -> None:
        if self.seconds:
            asyncio.get_running_loop().call_later(self.seconds, self._transport.write, REPLY)
        else:
            self._transport.write(REPLY)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(InstantCRM, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    InstantCRM.seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    asyncio.run(serve())
