"""Where scenarios are played: the phones around one Asterisk, and the AMI session that records them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import trio

from lab.asterisk import AMI_PORT, Server
from lab.phone import Call, Phone, Plan, open_phone
from lab.recorder import Recorder, open_recorder
from lab.sound import ulaw_packet
from lab.truth import CUSTOMER, Truth, fill_in
from uac_trio.demo.crm import StandInCRM

SCENARIO_LIMIT = 90.0
# phone -> the last number of its address; "trunk" stands for the provider, "2915" and "carrier" for others
PHONES = {
    "plain": {"101": 101, "102": 102, "103": 103, "trunk": 200},
    "office": {
        "sip-anna": 101,
        "sip-anna-app": 111,
        "2002": 102,
        "2002-mobile": 112,
        "2003": 103,
        "desk-grisha": 104,
        "2005": 105,
        "2006": 106,
        "2006-cell": 116,
        "trunk": 200,
        "trunk-2": 201,
        "2915": 202,
    },
    "carrier": {"carrier": 200},
}
# whose devices they are: extension -> phones
USERS: dict[str, dict[str, tuple[str, ...]]] = {
    "plain": {"101": ("101",), "102": ("102",), "103": ("103",)},
    "office": {
        "2001": ("sip-anna", "sip-anna-app"),
        "2002": ("2002", "2002-mobile"),
        "2003": ("2003",),
        "2004": ("desk-grisha",),
        "2005": ("2005",),
        "2006": ("2006", "2006-cell"),
    },
}
GRISHAS_MOBILE = "+79260000004"
"""2004's, as the daemon's `[calls] mobiles` has it."""
RULES: dict[str, dict[str, Any]] = {
    "plain": {"extensions": r"^1\d{2}$"},
    "office": {"extensions": r"^2\d{3}$", "mobiles": {GRISHAS_MOBILE: "2004"}},
}
"""The daemon's `[calls]`: who is an employee in each profile."""

Play = Callable[["Stage"], Awaitable[list[Truth]]]


@attrs.frozen(kw_only=True)
class Scenario:
    """One scene: its name, the profile of the Asterisk it needs, what it is about, and the function that plays it."""

    name: str
    profile: str
    about: str
    play: Play
    user: str
    everyday: bool
    live_only: bool


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    *, profile: str = "plain", user: str = "crm", everyday: bool = False, live_only: bool = False
) -> Callable[[Play], Play]:
    """Register a scenario.

    `user` is the AMI user that records it. `everyday` ones are played against the daemon by default, `live_only` ones
    need it.
    """

    def register(play: Play) -> Play:
        name = getattr(play, "__name__", "")
        about = (play.__doc__ or "").strip()
        SCENARIOS[name] = Scenario(
            name=name,
            profile=profile,
            about=about,
            play=play,
            user=user,
            everyday=everyday,
            live_only=live_only,
        )
        return play

    return register


class Stage:
    """The phones of one profile. Made by open_stage()."""

    def __init__(self, server: Server, phones: dict[str, Phone]) -> None:
        self.server = server
        self.phones = phones
        self.trunk = phones["trunk"]
        self.session: Recorder | None = None
        self.sessions: list[Recorder] = []
        self.out = Path()
        self.user = "crm"
        self.connector_url: str | None = None
        self.connector_secret = ""
        self.crm: StandInCRM | None = None

    @property
    def rec(self) -> Recorder:
        """The recording AMI session of the scenario that is being played."""
        assert self.session is not None
        return self.session

    # -- what people do --------------------------------------------------------

    def plan(self, phone: str, **plan: Any) -> None:
        """What this phone does with calls from now on; see Plan."""
        self.phones[phone].plan = Plan(**plan)

    @property
    def tone_of(self) -> dict[str, int]:
        """The tone, in Hz, of each phone that has one by `sound`."""
        return {name: 400 + 100 * number for number, name in enumerate(self.phones)}

    def sound(self) -> None:
        """Every phone sends its tone, in all of its calls; without this they are silent."""
        for name, tone in self.tone_of.items():
            self.phones[name].voice = ulaw_packet(tone)

    def reset(self) -> None:
        """All phones ring and do no more, silently; what they did is forgotten."""
        for phone in self.phones.values():
            phone.plan = Plan()
            phone.voice = ulaw_packet(0)
            phone.forget()
            phone.calls.clear()

    def customer_calls(self, did: str, number: str = CUSTOMER, name: str = "") -> Call:
        """A customer calls one of the company's numbers."""
        return self.trunk.call(did, from_user=number, from_name=name)

    async def talk(self, call: Call, seconds: float) -> None:
        """Wait until this caller is answered (by whatever answers), then for so long."""
        with trio.fail_after(20):
            await call.answered.wait()
        await trio.sleep(seconds)

    async def taken(self, phone: str, timeout: float = 20) -> Call:
        """The next call this phone gets, once it has answered it."""
        with trio.fail_after(timeout):
            call = await self.phones[phone].next_call()
            await call.answered.wait()
        return call

    async def rung(self, phone: str, timeout: float = 20) -> Call:
        """The next call this phone gets, once it rings."""
        with trio.fail_after(timeout):
            call = await self.phones[phone].next_call()
            await call.ringing.wait()
        return call

    async def over(self, *calls: Call, timeout: float = 30) -> None:
        """Wait until these have ended."""
        with trio.fail_after(timeout):
            for call in calls:
                await call.ended.wait()

    def channel(self, prefix: str) -> str:
        """The youngest channel whose name begins so."""
        names = [
            message["Channel"]
            for message in self.rec.messages()
            if message.get("Event") == "Newchannel" and message["Channel"].startswith(prefix)
        ]
        return names[-1]

    async def taken_already(self, phone: str, timeout: float = 20) -> None:
        """Wait until this phone has answered the youngest of its calls."""
        call = list(self.phones[phone].calls.values())[-1]
        with trio.fail_after(timeout):
            await call.answered.wait()

    async def lose_session(self) -> None:
        """Drop the recording AMI connection."""
        await self.rec.stream.aclose()

    @asynccontextmanager
    async def next_session(self) -> AsyncIterator[None]:
        """A new recording AMI session into NAME_2, NAME_3, ...; it asks for CoreShowChannels first."""
        out = Path(f"{self.out}_{len(self.sessions) + 1}")
        async with open_recorder(out, self.server.host, AMI_PORT) as session:
            self.session = session
            self.sessions.append(session)
            await session.login(self.user, f"{self.user}secret")
            await session.action("CoreShowChannels")
            await session.wait_for("CoreShowChannelsComplete")
            yield
            await session.quiet()

    async def clear(self) -> None:
        """Hang up all that is still up, so that one scenario's failure is not the next one's."""
        for phone in self.phones.values():
            for call in list(phone.calls.values()):
                if call.ended.is_set():
                    continue
                if call.answered.is_set():
                    call.bye()
                elif call.incoming:
                    call.reject(480, "Temporarily Unavailable")
                else:
                    call.cancel()
        await trio.sleep(0.5)

    async def click(self, extension: str, number: str) -> str:
        """A click on `number` in the CRM by the user of `extension`, as vTiger sends it; the body of the answer."""
        assert self.connector_url is not None
        query = {"event": "OutgoingCall", "secret": self.connector_secret, "from": extension, "to": number}
        async with httpx.AsyncClient(timeout=10) as client:
            reply = await client.post(
                f"{self.connector_url}/makecall", params={**query, "context": "from-internal"}, content=b""
            )
        self.note(f"crm: {extension} clicks on {number}: {reply.status_code} {reply.text.strip()}")
        return reply.text.strip()

    # -- playing and recording -------------------------------------------------

    async def play(self, scene: Scenario, out: Path, user: str | None = None) -> tuple[list[Truth], str | None]:
        """Play a scenario, record it to OUT.ami, .jsonl and .expect.json; the truth, and what went wrong, if any."""
        problem: str | None = None
        calls: list[Truth] = []
        self.out, self.user = out, user or scene.user
        async with open_recorder(out, self.server.host, AMI_PORT) as session:
            self.session, self.sessions = session, [session]
            await session.login(self.user, f"{self.user}secret")
            self.reset()
            begin = trio.current_time()
            with trio.move_on_after(SCENARIO_LIMIT) as limit:
                try:
                    calls = await scene.play(self)
                except trio.TooSlowError:
                    problem = "TooSlowError: what the scenario waits for did not happen"
                except (AssertionError, KeyError, IndexError, OSError) as error:  # the transcript is worth keeping
                    problem = f"{type(error).__name__}: {error}"
            if limit.cancelled_caught:
                problem = f"not over after {SCENARIO_LIMIT:.0f} s"
            if problem:
                await self.clear()
            seconds = round(trio.current_time() - begin, 1)
            await session.quiet()
        monitor = f"{self.server.path('spool')}/monitor"
        messages = [message for part in self.sessions for message in part.messages()]
        missing = fill_in(calls, messages, monitor, self.server.root)
        if missing:
            problem = problem or "; ".join(missing)
        expect = {
            "scenario": scene.name,
            "description": scene.about,
            "started_at": round(session.started_at, 3),
            "seconds": seconds,
            "problem": problem,
            "tech": "PJSIP",
            "rules": RULES[self.server.profile],
            "calls": calls,
        }
        _write_json(Path(f"{out}.expect.json"), expect)
        self.session = None
        return calls, problem

    def note(self, text: str) -> None:
        if self.session is not None:
            self.session.note(text)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@asynccontextmanager
async def open_stage(server: Server) -> AsyncIterator[Stage]:
    """The phones of the server's profile, ready to be called."""
    stages: list[Stage] = []

    def note(text: str) -> None:
        for stage in stages:
            stage.note(text)

    async with AsyncExitStack() as stack:
        phones = {
            user: await stack.enter_async_context(open_phone(user, f"{site.net}.{last}", (site.host, 5060), note))
            for site in server.sites
            for user, last in PHONES[site.profile].items()
        }
        stage = Stage(server, phones)
        stages.append(stage)
        yield stage
