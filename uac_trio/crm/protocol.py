"""The seam: all that the other rooms know of a CRM. ``docs/crm.md`` says how to write one.

A CRM is pure: values in, values out. The sender sends what it renders and shows it what came back; the web shows it
the clicks that arrive. It is found by the entry point ``uac_trio.crm``, whose name is the table of the configuration
and whose object is a settings class (``CRMSettings``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import attrs

from uac_trio.calls.fact import OfParticipation
from uac_trio.crm.click import ClickAnswer, ClickRequest, Refusal
from uac_trio.crm.delivery import Delivery, Scope
from uac_trio.crm.reply import NoReply, Reply, Verdict
from uac_trio.crm.responsible import Responsible


@attrs.frozen(kw_only=True)
class CRMRequest:
    """One HTTP request to the CRM, a POST unless it only reads a file. A delivery may need several."""

    name: str
    """The CRM's own word for it, for logs, metrics and people."""
    url: str = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    stamp: Callable[[float], Mapping[str, str]] | None = attrs.field(default=None, repr=False, eq=False)
    """More headers, by the time of sending in seconds since the epoch: a signature."""
    about: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """What it says, without secrets, for ``replay``."""
    key: str = ""
    """Semantic, as that of the delivery it belongs to. Of a question about a caller: the number."""
    is_repeatable: bool = True
    """May be sent again after the first one is certainly over: the CRM writes the same values into the same row."""
    is_get: bool = False
    """A GET of ``url`` alone: a static file, for ``CRM.examine``."""


@attrs.frozen(kw_only=True)
class Sent:
    """A request as it was sent: what a judge needs to know of it."""

    delivery: Delivery
    request: CRMRequest
    attempt: int
    """From 1: which sending of this delivery it is."""


@attrs.frozen(kw_only=True)
class PastBegin:
    """A BEGIN that this CRM accepted earlier."""

    extension: str
    is_probable: bool
    """It was answered with an error and taken for written."""


@attrs.frozen(kw_only=True)
class Doubt:
    """A question that decides what an answer means."""

    request: CRMRequest
    """Changes nothing."""
    decide: Callable[[Reply | NoReply], Verdict]
    """By the answer to it: what holds in place of the first verdict."""


class Judge(Protocol):
    """What the replies of one CRM mean. Remembers what it answered before; one for each sender."""

    def recall(self, begins: Iterable[PastBegin]) -> None:
        """What was answered to earlier runs, and to other connectors on this store, in its order."""

    def judge(self, sent: Sent, answer: Reply | NoReply) -> Verdict:
        """What an answer means. Never ``AGAIN`` for a request that is not repeatable."""

    def doubt(self, sent: Sent, verdict: Verdict) -> Doubt | None:
        """What to ask before this verdict is believed; None: nothing."""

    def settled(self, sent: Sent, verdict: Verdict) -> None:
        """This verdict holds."""

    @property
    def is_usual(self) -> bool:
        """``Ruling.PROBABLY`` is what this CRM answers to everything, so it is no news."""


class Findings(Protocol):
    """Where a look at the CRM puts what it found.

    ``id_``: stable, for programs, such as ``crm.secret``. ``text``: what was seen and what follows from it.
    ``remedy``: what to do, in the CRM's words.
    """

    def ok(self, id_: str, text: str) -> None: ...

    def unknown(self, id_: str, text: str, remedy: str = "") -> None: ...

    def warn(self, id_: str, text: str, remedy: str = "") -> None: ...

    def problem(self, id_: str, text: str, remedy: str = "") -> None: ...


class CRM(Protocol):
    """One CRM. Nothing in here waits, and nothing raises over what came from outside."""

    @property
    def host(self) -> str:
        """Host and port for messages and logs; never a user name or password of the address."""

    @property
    def secret(self) -> str:
        """Shared with the CRM: signs links to recordings. Replaced by *** wherever a reply quotes it."""

    @property
    def scope(self) -> Scope:
        """What it keeps a row of."""

    @property
    def repeats_begins(self) -> bool:
        """May a BEGIN be sent again after a sending without an answer?"""

    @property
    def player_sends_secret(self) -> bool:
        """A request for a recording carries the secret; otherwise the link is enough."""

    def wants(self, fact: OfParticipation) -> bool:
        """Does anything follow from this fact?"""

    def requests(self, delivery: Delivery) -> Sequence[CRMRequest]:
        """What to send, each after the answer to the one before. Always the same for the same delivery."""

    def new_judge(self) -> Judge: ...

    @property
    def probe(self) -> CRMRequest:
        """A request that changes nothing."""

    def judge_probe(self, answer: Reply | NoReply) -> Verdict:
        """``DELIVERED``: the CRM works. ``AWAY``: it does not."""

    def read_click(self, parameters: Iterable[tuple[str, str]]) -> ClickRequest | Refusal:
        """What a request to ``/makecall`` asks for. ``parameters``: all pairs of the query and of a form body. The
        secret is compared in constant time, before anything else is looked at."""

    def click_reply(self, answer: ClickAnswer) -> tuple[int, str]:
        """HTTP status and body of the answer to a click."""

    def owner_question(self, number: str) -> CRMRequest | Responsible:
        """The question who is responsible for a caller, or the answer where there is nothing to ask."""

    @property
    def owner_address(self) -> str:
        """Where that is asked, as it may be shown."""

    def read_owner(self, answer: Reply | NoReply) -> Responsible:
        """What was answered to it."""

    def examine(self, now: Callable[[], float], findings: Findings) -> Generator[CRMRequest, Reply | NoReply, None]:
        """A look for ``check --live``: yields requests that change nothing, and is sent what came back."""

    def describe(self, at: float) -> Iterator[str]:
        """The configuration in words. ``at``: seconds since the epoch."""

    def warnings(self, *, asks_for_owner: bool, route_secret: str) -> Iterator[str]:
        """What is allowed but not wise. ``route_secret``: ``[route] secret``, which stands in the dialplan."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a CRM needs to know of the rest of the configuration."""

    public_url: str = ""
    """``[http] public_url``; links to recordings begin with it."""
    is_extension: Callable[[str], bool] = lambda _: False
    """Is this an employee's number?"""
    owner_url: str = ""
    """``[route] url``: where to ask who is responsible for a caller; "" = where this CRM has it."""
    wants_module: bool = False
    """``[companion] enabled``: a module of ours should be installed in it, if there is one for it."""
    region: str = ""
    """``[calls] region``: the country, by its two letters, of numbers without a country code."""


class CRMSettings(Protocol):
    """An attrs class whose attributes are the keys of the table; ``secret`` may also come as ``secret_file``.

    Raises ValueError, in words, for values that cannot be right.
    """

    @property
    def longest_public_url(self) -> int:
        """Characters of ``[http] public_url`` with which links to recordings are not cut."""

    def crm(self, surroundings: Surroundings) -> CRM: ...
