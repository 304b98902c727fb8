"""A scripted SIP phone for loopback labs: UDP, no authentication, PCMU silence or a tone.

Only what driving a PBX in tests takes: calls in and out, CANCEL, BYE, hold, DTMF by INFO, 302, REFER with and
without Replaces. It does not retransmit: on a loopback nothing is lost.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import quote

import attrs
import trio

from lab.sip import SipMessage, media_address, session_description, tag_of, uri_of
from lab.sound import ulaw_packet

ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, REFER, NOTIFY, UPDATE"
_ids = itertools.count(random.randrange(10**6, 10**7))


def _token() -> str:
    return f"{next(_ids):x}{random.randrange(16**8):08x}"


def _now() -> float:
    return datetime.now(UTC).timestamp()


@attrs.frozen(kw_only=True)
class Plan:
    """What a phone does with an incoming call; seconds. Without answer_after and reject it just rings.

    `reject` (code, reason) with reject_after=0 comes instead of ringing. `forward` does it with 302 and that number.
    """

    ring_after: float = 0.05
    answer_after: float | None = None
    reject: tuple[int, str] | None = None
    reject_after: float = 0.3
    forward: str | None = None
    progress: bool = False
    bye_after: float | None = None


class Call:
    """One dialogue of a phone. Wait for `ringing`, `answered`, `ended`, `referred`."""

    def __init__(self, phone: Phone, *, incoming: bool) -> None:
        self.phone = phone
        self.incoming = incoming
        self.call_id = _token()
        self.local_tag = _token()
        self.remote_tag = ""
        self.local_uri = self.remote_uri = ""
        self.target = ""
        self.number = ""
        self.cseq = random.randrange(1, 1000)
        self.invite: SipMessage | None = None
        self.invite_cseq = 0
        self.branch = ""
        self.code = 0
        self.ringing = trio.Event()
        self.answered = trio.Event()
        self.ended = trio.Event()
        self.referred = trio.Event()
        self.forwarded = False  # by 302
        self.began_at = _now()  # seconds since the epoch, as the next three
        self.rang_at: float | None = None
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.session = 0
        self.media = "sendrecv"
        self.rtp_socket: socket.socket | None = None
        self.rtp_peer: tuple[str, int] | None = None
        self.rtp_sending = False

    # -- media ---------------------------------------------------------------

    def description(self) -> str:
        if self.rtp_socket is None:
            self.rtp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.rtp_socket.bind((self.phone.host, 0))
            self.rtp_socket.setblocking(False)
        self.session += 1
        return session_description(self.phone.host, self.rtp_socket.getsockname()[1], self.session, self.media)

    def media_from(self, body: str) -> None:
        self.rtp_peer = media_address(body) or self.rtp_peer
        if self.rtp_peer and not self.rtp_sending:
            self.rtp_sending = True
            self.phone.nursery.start_soon(self._send_rtp)

    async def _send_rtp(self) -> None:
        ssrc = random.randrange(2**32).to_bytes(4, "big")
        for n in itertools.count():
            if self.rtp_socket is None:
                return
            head = b"\x80\x00" + (n & 0xFFFF).to_bytes(2, "big") + ((n * 160) & 0xFFFFFFFF).to_bytes(4, "big")
            # BlockingIOError: nothing (more) to read; ConnectionError: the peer's port has just closed
            with contextlib.suppress(BlockingIOError, ConnectionError):
                if self.rtp_peer and self.media != "inactive":
                    self.rtp_socket.sendto(head + ssrc + self.phone.voice, self.rtp_peer)
                while True:
                    self.rtp_socket.recv(2048)
            await trio.sleep(0.02)

    def end(self, by: str) -> None:
        """The dialogue is over; `by` is us, them, close, or the code heard."""
        if self.ended.is_set():
            return
        self.ended.set()
        self.ended_at = _now()
        self.phone.log(f"call {self.number} ended by {by}")
        if self.rtp_socket:
            self.rtp_socket.close()
            self.rtp_socket = None

    # -- requests within the dialogue ----------------------------------------

    def request(
        self,
        method: str,
        headers: tuple[str, ...] = (),
        body: str = "",
        content_type: str = "",
        cseq: int | None = None,
        branch: str | None = None,
        uri: str | None = None,
    ) -> None:
        """Send a request of this dialogue."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        phone = self.phone
        to = f"<{self.remote_uri}>" + (f";tag={self.remote_tag}" if self.remote_tag else "")
        lines = [
            f"{method} {uri or self.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {phone.host}:{phone.port};branch={branch or 'z9hG4bK' + _token()}",
            "Max-Forwards: 70",
            f"From: {self.local_uri};tag={self.local_tag}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{phone.user}@{phone.host}:{phone.port}>",
            ALLOW,
            "Supported: replaces",
            *headers,
        ]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Content-Length: {len(body.encode())}")
        phone.send("\r\n".join(lines) + "\r\n\r\n" + body)

    def start_invite(self) -> None:
        """INVITE, the first or a re-INVITE."""
        self.cseq += 1
        self.invite_cseq = self.cseq
        self.branch = "z9hG4bK" + _token()
        body = self.description()
        self.request("INVITE", (), body, "application/sdp", cseq=self.invite_cseq, branch=self.branch)

    def cancel(self) -> None:
        """Give up before the answer."""
        self.phone.log(f"CANCEL {self.number}")
        self.request("CANCEL", cseq=self.invite_cseq, branch=self.branch)

    def bye(self) -> None:
        """Hang up."""
        self.phone.log(f"BYE {self.number}")
        self.request("BYE")
        self.end("us")

    async def dtmf(self, digits: str, gap: float = 0.12) -> None:
        """Press the keys, by SIP INFO."""
        self.phone.log(f"DTMF {digits} on {self.number}")
        for digit in digits:
            self.request("INFO", (), f"Signal={digit}\r\nDuration=100\r\n", "application/dtmf-relay")
            await trio.sleep(gap)

    async def hold(self, on: bool = True) -> None:
        """Put the other side on hold, or take it back."""
        self.phone.log(f"{'hold' if on else 'unhold'} {self.number}")
        self.media = "sendonly" if on else "sendrecv"
        self.start_invite()
        await trio.sleep(0.2)

    def refer(self, number: str, replaces: Call | None = None) -> None:
        """Transfer the other side to `number`; with `replaces`, to the one at the other end of that call."""
        server = f"{self.phone.server[0]}:{self.phone.server[1]}"
        if replaces is None:
            refer_to = f"<sip:{number}@{server}>"
            self.phone.log(f"REFER {number}")
        else:
            value = f"{replaces.call_id};to-tag={replaces.remote_tag};from-tag={replaces.local_tag}"
            refer_to = f"<sip:{number}@{server}?Replaces={quote(value, safe='')}>"
            self.phone.log(f"REFER {number} with Replaces")
        self.request("REFER", (f"Refer-To: {refer_to}", f"Referred-By: <sip:{self.phone.user}@{server}>"))

    # -- answers to an incoming INVITE ---------------------------------------

    def respond(self, code: int, reason: str, body: str = "", contact: str = "") -> None:
        assert self.invite is not None
        self.phone.respond(self.invite, code, reason, tag=self.local_tag, body=body, contact=contact)

    def answer(self) -> None:
        """200 OK, unless the call is over or answered already."""
        if self.ended.is_set() or self.answered.is_set():
            return
        assert self.invite is not None
        self.phone.log(f"answers {self.number}")
        self.media_from(self.invite.body)
        self.respond(200, "OK", self.description())
        self.answered_at = _now()
        self.answered.set()

    def reject(self, code: int, reason: str, contact: str = "") -> None:
        """Refuse the call; with 302, `contact` is where it shall go."""
        if self.ended.is_set() or self.answered.is_set():
            return
        self.phone.log(f"rejects {self.number} with {code}" + (f" to {contact}" if contact else ""))
        self.forwarded = bool(contact)
        self.respond(code, reason, contact=contact)
        self.end("us")

    async def run_plan(self, plan: Plan) -> None:
        """Do with this incoming call what the plan says."""
        await trio.sleep(plan.ring_after)
        if self.ended.is_set():
            return
        assert self.invite is not None
        moved = (302, "Moved Temporarily", f"<sip:{plan.forward}@{self.phone.server[0]}>")
        refusal = moved if plan.forward else (*plan.reject, "") if plan.reject else None
        if refusal and plan.reject_after <= 0:
            self.reject(*refusal)
            return
        if plan.progress:
            self.media_from(self.invite.body)
            self.respond(183, "Session Progress", self.description())
        else:
            self.respond(180, "Ringing")
        self.phone.log(f"rings as {self.number}, called from {self.invite.get('from')}")
        self.rang_at = _now()
        self.ringing.set()
        if refusal:
            await trio.sleep(plan.reject_after)
            self.reject(*refusal)
        elif plan.answer_after is not None:
            await trio.sleep(plan.answer_after)
            self.answer()
            if plan.bye_after is not None:
                await trio.sleep(plan.bye_after)
                if not self.ended.is_set():
                    self.bye()


class Phone:
    """A phone at one loopback address. Made by open_phone().

    `plan` says what it does with calls: a Plan, or a function of the number called. `user` is its SIP user, `note`
    is called with all that happens on it.
    """

    def __init__(
        self,
        user: str,
        host: str,
        server: tuple[str, int],
        note: Callable[[str], None],
        nursery: trio.Nursery,
        udp: socket.socket,
        port: int,
    ) -> None:
        self.user, self.host, self.server, self.note = user, host, server, note
        self.nursery, self.port = nursery, port
        self._udp = udp
        self.calls: dict[str, Call] = {}
        self.plan: Plan | Callable[[str], Plan] = Plan()
        self.voice = ulaw_packet(0)  # 20 ms of what it sends all the time
        self._arrived, self._taken = trio.open_memory_channel[Call](math.inf)

    def forget(self) -> None:
        """Forget the incoming calls that `next_call` has not returned yet."""
        self._arrived, self._taken = trio.open_memory_channel[Call](math.inf)

    async def next_call(self) -> Call:
        """The next incoming call."""
        return await self._taken.receive()

    def log(self, text: str) -> None:
        self.note(f"{self.user}: {text}")

    def send(self, text: str) -> None:
        """Send a datagram; the loopback takes it at once."""
        self._udp.sendto(text.encode(), self.server)

    def respond(
        self, msg: SipMessage, code: int, reason: str, tag: str = "", body: str = "", contact: str = ""
    ) -> None:
        to = msg.get("to")
        if tag and ";tag=" not in to:
            to += f";tag={tag}"
        lines = [
            f"SIP/2.0 {code} {reason}",
            *(f"Via: {value}" for value in msg.get_all("via")),
            f"From: {msg.get('from')}",
            f"To: {to}",
            f"Call-ID: {msg.get('call-id')}",
            f"CSeq: {msg.get('cseq')}",
            f"Contact: {contact or f'<sip:{self.user}@{self.host}:{self.port}>'}",
            ALLOW,
        ]
        if body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body.encode())}")
        self.send("\r\n".join(lines) + "\r\n\r\n" + body)

    def call(self, number: str, from_user: str | None = None, from_name: str = "") -> Call:
        """Start a call; wait for its `ringing`, `answered`, `ended`."""
        call = Call(self, incoming=False)
        call.number = number
        name = f'"{from_name}" ' if from_name else ""
        call.local_uri = f"{name}<sip:{from_user or self.user}@{self.host}>"
        call.remote_uri = call.target = f"sip:{quote(number, safe='+*')}@{self.server[0]}:{self.server[1]}"
        self.calls[call.call_id] = call
        self.log(f"calls {number} as {from_name} <{from_user or self.user}>")
        call.start_invite()
        return call

    async def serve(self) -> None:
        """Read the socket until cancelled."""
        udp = trio.socket.from_stdlib_socket(self._udp)
        while True:
            try:
                data = await udp.recv(65536)
            except ConnectionError as error:  # an ICMP error for an earlier datagram: Asterisk is not there
                self.log(f"socket error {error}")
                continue
            if len(data) < 10:  # a keep-alive
                continue
            msg = SipMessage(data)
            if msg.code:
                self._on_response(msg)
            else:
                self._on_request(msg)

    def _on_response(self, msg: SipMessage) -> None:
        call = self.calls.get(msg.get("call-id"))
        if call is None:
            return
        if msg.method == "REFER":
            self.log(f"REFER answered {msg.code} {msg.reason}")
        elif msg.method == "INVITE":
            self._on_invite_response(call, msg)

    def _on_invite_response(self, call: Call, msg: SipMessage) -> None:
        if msg.code >= 101:
            if not call.incoming or call.answered.is_set():
                call.remote_tag = tag_of(msg.get("to")) or call.remote_tag
            if msg.get("contact"):
                call.target = uri_of(msg.get("contact"))
        if 101 <= msg.code < 200:
            if not call.ringing.is_set():
                self.log(f"hears {msg.code} from {call.number}")
                call.rang_at = _now()
            call.ringing.set()
            if msg.body:
                call.media_from(msg.body)
        elif 200 <= msg.code < 300:
            call.request("ACK", cseq=msg.cseq)
            call.media_from(msg.body)
            if not call.answered.is_set():
                self.log(f"is answered by {call.number}")
                call.answered_at = _now()
            call.answered.set()
        elif msg.code >= 300:
            uri = f"sip:{quote(call.number, safe='+*')}@{self.server[0]}:{self.server[1]}"
            call.request("ACK", cseq=msg.cseq, branch=call.branch, uri=uri)
            if not call.answered.is_set():
                call.code = msg.code
                self.log(f"hears {msg.code} {msg.reason} from {call.number}")
                call.end(f"{msg.code}")

    def _on_request(self, msg: SipMessage) -> None:
        call = self.calls.get(msg.get("call-id"))
        if msg.method == "ACK":
            return
        if call is None:
            if msg.method == "INVITE":
                self._on_new_call(msg)
            elif msg.method in ("OPTIONS", "NOTIFY"):
                self.respond(msg, 200, "OK", tag="x")
            else:
                self.respond(msg, 481, "Call/Transaction Does Not Exist", tag="x")
            return
        match msg.method:
            case "INVITE":  # a re-INVITE, or the first again
                if call.answered.is_set():
                    call.media_from(msg.body)
                    self.respond(msg, 200, "OK", tag=call.local_tag, body=call.description())
            case "UPDATE":
                self.respond(msg, 200, "OK", tag=call.local_tag, body=call.description() if msg.body else "")
            case "CANCEL":
                self.respond(msg, 200, "OK", tag=call.local_tag)
                if not call.answered.is_set() and not call.ended.is_set():
                    self.log(f"is cancelled; {msg.get('reason')}")
                    call.respond(487, "Request Terminated")
                    call.end("them")
            case "BYE":
                self.respond(msg, 200, "OK", tag=call.local_tag)
                call.end("them")
            case "NOTIFY":
                self.respond(msg, 200, "OK", tag=call.local_tag)
                if msg.get("event").startswith("refer"):
                    self.log(f"REFER progress {msg.body.strip()}")
                    if re.search(r"SIP/2.0 [2-6]", msg.body):
                        call.referred.set()
                    if "SIP/2.0 2" in msg.body and not call.ended.is_set():
                        call.bye()  # done with: Asterisk waits for it, and phones do it
            case _:
                self.respond(msg, 200, "OK", tag=call.local_tag)

    def _on_new_call(self, msg: SipMessage) -> None:
        call = Call(self, incoming=True)
        call.invite = msg
        call.call_id = msg.get("call-id")
        call.remote_tag = tag_of(msg.get("from"))
        call.local_uri = f"<{uri_of(msg.get('to'))}>"
        call.remote_uri = uri_of(msg.get("from"))
        call.target = uri_of(msg.get("contact"))
        call.number = msg.user or self.user
        self.calls[call.call_id] = call
        self.respond(msg, 100, "Trying")
        plan = self.plan if isinstance(self.plan, Plan) else self.plan(call.number)
        self.nursery.start_soon(call.run_plan, plan)
        self._arrived.send_nowait(call)


@asynccontextmanager
async def open_phone(
    user: str, host: str, server: tuple[str, int], note: Callable[[str], None], port: int = 5060
) -> AsyncIterator[Phone]:
    """A phone that is reachable inside the block; its calls are dropped, not hung up, at its end.

    Raises OSError where the address cannot be bound.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.bind((host, port))
        async with trio.open_nursery() as nursery:
            phone = Phone(user, host, server, note, nursery, udp, port)
            nursery.start_soon(phone.serve)
            try:
                yield phone
            finally:
                for call in phone.calls.values():
                    call.end("close")
                nursery.cancel_scope.cancel()
