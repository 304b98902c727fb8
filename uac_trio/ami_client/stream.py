"""The connection to a PBX, over TCP or TLS."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable

import trio

from uac_trio.ami_client.server import AMIServer
from uac_trio.socket_errors import socket_reason

OpenStream = Callable[[AMIServer], Awaitable[trio.abc.Stream]]


async def open_stream(server: AMIServer) -> trio.abc.Stream:
    """TCP, or TLS with the certificate verified.

    Raises OSError, or ssl.SSLError where it is TLS that failed; UnicodeError if the host cannot be a name.
    """
    context: ssl.SSLContext | None = None
    if server.tls:
        try:
            context = ssl.create_default_context(cafile=str(server.tls_ca) if server.tls_ca else None)
        except OSError as error:
            why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise ssl.SSLError(0, f"tls_ca {server.tls_ca} cannot be read: {why}") from error
    stream: trio.abc.Stream = await trio.open_tcp_stream(server.host, server.port)
    if context is None:
        return stream
    tls = trio.SSLStream(stream, context, server_hostname=server.tls_name or server.host)
    agreed = False
    try:
        await tls.do_handshake()
        agreed = True
    except trio.BrokenResourceError as error:
        raise ssl.SSLError(0, socket_reason(error)) from error
    finally:
        if not agreed:
            await trio.aclose_forcefully(stream)
    return tls
