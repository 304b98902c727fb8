"""What is said of servers that cannot be asked: real sockets, real certificates."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.reply import NoReply
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.http_client import NoReplyError, NotSentError, UntrustedError, open_http_client
from uac_trio.recordings.host import open_host
from uac_trio.recordings.place import RecordingsBusyError
from uac_trio.recordings.settings import HostSettings
from uac_trio.sender.breaker import SenderSettings
from uac_trio.sender.client import ask_once

AUTHORITY = trustme.CA()


@asynccontextmanager
async def serving(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A port that closes each connection after the first bytes, or after the handshake."""

    async def serve(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            if context is None:
                await stream.receive_some()
            else:
                await trio.SSLStream(stream, context, server_side=True).do_handshake()
        await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def certified(name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


async def unused_port() -> int:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


async def refusal(url: str, ca_file: Path | None = None) -> Exception:
    """Why ``url`` gives no reply."""
    client = partial(open_http_client, connect_timeout=3.0, reply_timeout=3.0, connections=1)
    with trio.fail_after(5), pytest.raises((NotSentError, NoReplyError)) as caught:
        async with client(ca_file=str(ca_file) if ca_file else None) as http:
            await http.get(url, most=100)
    assert "('" not in str(caught.value)  # no address as Python shows it
    return caught.value


async def test_untrusted_certificate() -> None:
    """A certificate of an unknown authority is named, and is no "no connection in time"."""
    async with serving(certified("127.0.0.1")) as port:
        why = await refusal(f"https://127.0.0.1:{port}/")
    assert isinstance(why, UntrustedError)
    assert "its certificate is not trusted: unable to get local issuer certificate" in str(why)


async def test_certificate_of_another_host(tmp_path: Path) -> None:
    """One with another name is not cured by another authority."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving(certified("crm.example")) as port:
        why = await refusal(f"https://127.0.0.1:{port}/", tmp_path / "ca.pem")
    assert not isinstance(why, UntrustedError)
    assert "certificate is not valid for '127.0.0.1'" in str(why)


async def test_port_without_tls() -> None:
    """https to a port that does not speak it."""
    async with serving(None) as port:
        why = await refusal(f"https://127.0.0.1:{port}/")
    assert "TLS" in str(why) or "Connection reset" in str(why)


async def test_refused_port() -> None:
    """The reason of a closed port has the word refused."""
    port = await unused_port()
    why = await refusal(f"http://127.0.0.1:{port}/")
    assert (type(why), str(why)) == (NotSentError, "Connection refused")


async def test_settings_that_help() -> None:
    """The CRM's and the recordings' host each name their own setting for one more authority."""
    async with serving(certified("127.0.0.1")) as port:
        crm = VtigerSettings(url=f"https://127.0.0.1:{port}/x.php", secret="x").crm(Surroundings())
        reply = await ask_once(crm.probe, crm, SenderSettings(), 0.0)
        assert isinstance(reply, NoReply)
        assert "not trusted" in reply.detail
        assert "[sender] ca_file can name its authority" in reply.detail
        settings = HostSettings(pbx="main", url=f"https://127.0.0.1:{port}", secret="x")
        async with open_host(settings, lambda: 0.0) as host:
            with pytest.raises(RecordingsBusyError, match=r"not trusted.*recordings_ca can name its authority"):
                await host.greet()
