"""The client on real sockets, with TLS and without."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest
import structlog.testing
import trio
import trio.testing
import trustme

from tests.ami_scene import ORDER, Heard, now, server
from tests.fake_asterisk import (
    FakeAsterisk,
    event,
)
from tests.fake_vtiger import reset
from uac_trio.ami_client.client import AMIClient, run_ami_client
from uac_trio.ami_client.order import Outcome
from uac_trio.ami_client.stream import open_stream

# ---- real sockets


async def listening(nursery: trio.Nursery, pbx: FakeAsterisk, context: ssl.SSLContext | None = None) -> int:
    """Serve on a free port of loopback, with TLS if a context is given."""

    async def serve(stream: trio.SocketStream) -> None:
        if context is None:
            await pbx.serve(stream)
            return
        tls = trio.SSLStream(stream, context, server_side=True)
        try:
            await tls.do_handshake()
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)
            return
        await pbx.serve(tls)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(trio.serve_listeners, serve, [listener])
    name = listener.socket.getsockname()
    return int(name[1])


@attrs.define
class AwaitableHeard(Heard):
    """A listener whose connection and loss a test can await."""

    there: trio.Event = attrs.field(factory=trio.Event)
    gone: trio.Event = attrs.field(factory=trio.Event)

    def connected(self, pbx: str, banner: str, at: float) -> None:
        super().connected(pbx, banner, at)
        self.there.set()

    def lost(self, pbx: str, reason: str, at: float) -> None:
        super().lost(pbx, reason, at)
        self.gone.set()


async def until(fact: Callable[[], bool]) -> None:
    """Poll a status whose changes are not signalled."""
    while not fact():  # noqa: ASYNC110
        await trio.sleep(0.001)


async def test_tcp() -> None:
    """Over a real socket: a login, an order, the loss of the PBX, and a connection that is refused."""
    with structlog.testing.capture_logs() as log, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            pbx = FakeAsterisk(nursery)
            async with trio.open_nursery() as door:
                port = await listening(door, pbx)
                heard = AwaitableHeard()
                client = await nursery.start(
                    partial(run_ami_client, server(port=port, backoff_min=0.01, backoff_max=0.02), heard, now=now)
                )
                assert isinstance(client, AMIClient)
                await heard.there.wait()
                assert (await client.originate(ORDER)).outcome is Outcome.QUEUED
                door.cancel_scope.cancel()
            await pbx.sessions[0].stream.aclose()
            await heard.gone.wait()
            await until(lambda: "refused" in client.status.last_error)
            nursery.cancel_scope.cancel()
    assert {"ami.connected", "ami.lost", "ami.unreachable"} <= {entry["event"] for entry in log}


async def test_reset_while_we_were_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What had arrived before the connection broke is heard, though the ping that is due finds it broken at once."""
    monkeypatch.setattr("uac_trio.ami_client.session.READ_SIZE", 1000)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            pbx = FakeAsterisk(nursery)
            port = await listening(nursery, pbx)
            heard = AwaitableHeard()
            settings = server(port=port, ping_interval=0.05, backoff_min=1.0)
            await nursery.start(partial(run_ami_client, settings, heard, now=now))
            await heard.there.wait()
            await until(lambda: pbx.sessions[0].names()[-1] == "CoreShowChannels")
            stream = pbx.sessions[0].stream
            assert isinstance(stream, trio.SocketStream)
            with socket.socket(fileno=os.dup(stream.socket.fileno())) as frozen:  # no await: no other task runs
                data = event("Newstate", f"Filler: {'x' * 900}") * 20
                assert frozen.send(data) == len(data)
            reset(stream)
            time.sleep(0.1)  # noqa: ASYNC251 - the process is frozen
            await heard.gone.wait()
            assert heard.names().count("Newstate") == 20
            nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize(("name", "expected"), [("127.0.0.1", None), ("pbx.example.org", "pbx.example.org")])
async def test_tls(tmp_path: Path, authority: trustme.CA, name: str, expected: str | None) -> None:
    """With the right authority and name, TLS is as TCP."""
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with structlog.testing.capture_logs(), trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            pbx = FakeAsterisk(nursery)
            port = await listening(nursery, pbx, server_context(authority, name))
            heard = AwaitableHeard()
            settings = server(port=port, tls=True, tls_ca=ca, tls_name=expected)
            nursery.start_soon(partial(run_ami_client, settings, heard, now=now))
            await heard.there.wait()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        ("127.0.0.1", False, "is not trusted: unable to get local issuer certificate"),
        ("pbx.example.org", True, "certificate is not valid for '127.0.0.1'"),
        (None, True, "record layer failure|wrong version number|WRONG_VERSION_NUMBER"),
    ],
)
async def test_tls_refused(
    tmp_path: Path, authority: trustme.CA, certificate: str | None, trusted: bool, words: str
) -> None:
    """A stranger's certificate, another host's, and a port without TLS are refused before anything is said."""
    ca = tmp_path / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(ca))
    with structlog.testing.capture_logs() as log, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            pbx = FakeAsterisk(nursery)
            context = None if certificate is None else server_context(authority, certificate)
            port = await listening(nursery, pbx, context)
            client = AMIClient(server=server(port=port, tls=True, tls_ca=ca), listener=Heard(), now=now)
            nursery.start_soon(client.run)
            await until(lambda: bool(client.status.last_error))
            nursery.cancel_scope.cancel()
    (entry,) = [entry for entry in log if entry["event"] == "ami.tls_failed"]
    assert re.search(words, str(entry["reason"]))
    assert "('" not in str(entry["reason"])  # no arguments of an error as Python shows them
    assert "tls_ca" in str(entry["hint"])
    assert [session.actions for session in pbx.sessions] in ([], [[]])


async def test_tls_authority_that_is_not_there(tmp_path: Path) -> None:
    """A missing file of certificates is named, before anything is connected to."""
    with pytest.raises(ssl.SSLError, match=r"nowhere\.pem cannot be read"):
        await open_stream(server(tls=True, tls_ca=tmp_path / "nowhere.pem"))


async def test_tls_cancelled(tmp_path: Path) -> None:
    """A handshake that is not answered can be cancelled, and leaves no socket open."""
    async with trio.open_nursery() as nursery:
        closed = trio.Event()
        scope = trio.CancelScope()

        async def swallow(stream: trio.SocketStream) -> None:
            await trio.testing.wait_all_tasks_blocked(0.01)
            scope.cancel()
            try:
                while await stream.receive_some(1000):
                    pass
            except trio.BrokenResourceError:
                pass
            closed.set()

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(trio.serve_listeners, swallow, [listener])
        port = listener.socket.getsockname()[1]
        with scope:
            await open_stream(server(port=port, tls=True))
        assert scope.cancelled_caught
        with trio.fail_after(2):
            await closed.wait()
        nursery.cancel_scope.cancel()
