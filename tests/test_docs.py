"""What the pages say is what the program does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crm.facts import T0
from tests.crm.test_webhook import ANSWER, BEGIN, END, RECORDING, SECRET, webhook
from tools import make_architecture, make_configuration
from tools.make_calls_doc import PAGE, page
from uac_trio.calls.outcome import Outcome
from uac_trio.config.crms import crm_names
from uac_trio.config.tables import SERVE_TABLES, TABLES
from uac_trio.crm.click import ClickAnswer, ClickRequest
from uac_trio.crm.protocol import CRM, CRMRequest, Judge, Sent, Surroundings
from uac_trio.crm.reply import Failure, NoReply, Reply, Ruling
from uac_trio.crm.webhook import CLICK_STATUSES, OTHER, STATUSES
from uac_trio.store.tables import State


def test_calls_page_is_up_to_date() -> None:
    """docs/calls.md is what the pipeline makes of the recorded calls today (python -m tools.make_calls_doc)."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_architecture_page_is_up_to_date() -> None:
    """Its diagram and tables are those of the program (python -m tools.make_architecture)."""
    text = make_architecture.PAGE.read_text(encoding="utf-8")
    assert make_architecture.page(text) == text


def test_configuration_page_is_up_to_date() -> None:
    """All keys, their defaults and meanings are those of the program (python -m tools.make_configuration)."""
    assert make_configuration.PAGE.read_text(encoding="utf-8") == make_configuration.page()


def test_configuration_page_has_all_tables() -> None:
    """No table that is known is left out, and each key has a meaning."""
    assert set(make_configuration.TITLES) == {*TABLES, *SERVE_TABLES, *crm_names()}
    assert [line for line in make_configuration.page().splitlines() if line.endswith("|  |")] == []


def test_architecture_page_names_what_there_is() -> None:
    """Every file that the page names without a directory is there, under calls/ or at the top."""
    text = make_architecture.PAGE.read_text(encoding="utf-8")
    package = make_architecture.PAGE.parent.parent / "uac_trio"
    named = set(re.findall(r"`(\w+\.py)`", text))
    assert named
    assert {name for name in named if not any((top / name).exists() for top in (package, package / "calls"))} == set()


DOCS = PAGE.parent
ROOT = DOCS.parent
CRM_PAGE = (DOCS / "crm.md").read_text(encoding="utf-8")
DELIVERIES = ("begin", "answer", "end", "recording")
EVENTS = (*DELIVERIES, "ping", "owner")


@pytest.mark.parametrize("name", ["architecture.md", "crm.md"])
def test_files_that_are_named(name: str) -> None:
    """Every file that a page names with its directory is there, in the repository or in the package."""
    named = set(re.findall(r"`(\w+(?:/\w+)+\.py)`", (DOCS / name).read_text(encoding="utf-8")))
    assert named
    assert {path for path in named if not any((top / path).exists() for top in (ROOT, ROOT / "uac_trio"))} == set()


def test_where_it_is_decided() -> None:
    """Every name that the page gives as an answer is in the file that it gives."""
    text = make_architecture.PAGE.read_text(encoding="utf-8")
    for table in text.split("\n| question | file | name |\n")[1:]:
        for line in table.splitlines()[1:]:
            if not line.startswith("|"):
                break
            _, files, answer = line.strip("|").split(" | ")
            paths = [
                ROOT / "uac_trio" / place / name for name in re.findall(r"`(.+?)`", files) for place in ("", "calls")
            ]
            source = "".join(path.read_text(encoding="utf-8") for path in paths if path.exists())
            for name in re.findall(r"`([\w.]+)`", answer):
                assert name.rpartition(".")[2] in source, line


def test_states_of_a_delivery() -> None:
    """The diagram has those that there are."""
    text = make_architecture.PAGE.read_text(encoding="utf-8")
    diagram = text.partition("## Delivery")[2].partition("```mermaid")[2].partition("```")[0]
    assert {name for names in re.findall(r"(\w+) --> (\w+)", diagram) for name in names} == set(State)


def rows(head: str) -> Iterator[list[str]]:
    """The cells of the table of docs/crm.md that begins with ``head``."""
    (_, _, table) = CRM_PAGE.partition(f"\n{head}\n")
    assert table
    for line in table.splitlines()[1:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def rendered() -> list[CRMRequest]:
    """One of each event."""
    question = webhook().owner_question("+79161234567")
    assert isinstance(question, CRMRequest)
    deliveries = [request for each in (BEGIN, ANSWER, END, RECORDING) for request in webhook().requests(each)]
    return [*deliveries, webhook().probe, question]


def test_fields_of_the_webhook() -> None:
    """The table has every field, with the events that have it and the type of its value; and no other."""
    groups = {"all": EVENTS, "deliveries": DELIVERIES}
    shown = {
        (event, field.strip("`"), kind)
        for field, kind, where, _ in rows("| field | type | in | what |")
        for event in groups.get(where, (where,))
    }
    sent = [json.loads(request.body) for request in rendered()]
    assert [fields["event"] for fields in sent] == list(EVENTS)
    assert shown == {(fields["event"], name, type_of(value)) for fields in sent for name, value in fields.items()}


def type_of(value: object) -> str:
    if not isinstance(value, str):
        return "number"
    return "time" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", value) else "text"


def test_outcomes_of_the_webhook() -> None:
    """The table has every outcome."""
    shown = [outcome.strip("`") for outcome, _ in rows("| outcome | what happened to the employee's part |")]
    assert sorted(shown) == sorted(outcome.value for outcome in Outcome)


def test_statuses_of_the_webhook() -> None:
    """Those of one row of the table mean the same, and all are there that do not mean what their hundred does."""
    shown: set[int] = set()
    for statuses, _ in rows("| status | what uac-trio does |"):
        numbers = [int(each) for each in re.findall(r"\d{3}", statuses)]
        assert len({STATUSES.get(number, OTHER)[0] for number in numbers}) <= 1, statuses
        shown |= set(numbers)
    of_their_own = {status for status, meaning in STATUSES.items() if meaning not in (STATUSES[200], STATUSES[500])}
    assert shown == of_their_own | {404, 409, 500}


def test_clicks_of_the_webhook() -> None:
    """The table has status and body of each answer."""
    shown = {(int(status), body.strip("`")) for status, body, _ in rows("| status | body | what it means |")}
    assert shown == {webhook().click_reply(answer) for answer in ClickAnswer}
    assert len(shown) == len(CLICK_STATUSES)


def program(name: str) -> dict[str, Any]:
    """What a program of docs/crm.md defines."""
    (_, _, rest) = CRM_PAGE.partition(f"<!-- {name} -->\n```python\n")
    defined: dict[str, Any] = {}
    exec(compile(rest.partition("```")[0], f"docs/crm.md, {name}", "exec"), defined)
    return defined


@pytest.mark.parametrize("request_", rendered(), ids=EVENTS)
def test_check_of_the_signature(request_: CRMRequest) -> None:
    """The one that receivers are shown takes what is signed, and nothing else."""
    is_genuine = program("receiver")["is_genuine"]
    assert request_.stamp is not None
    header = request_.stamp(T0)["X-Uac-Signature"]
    assert is_genuine(SECRET, header, request_.body, T0 + 299)
    assert not is_genuine(SECRET, header, request_.body, T0 + 301)
    assert not is_genuine(SECRET, header, request_.body + b" ", T0)
    assert not is_genuine("another", header, request_.body, T0)
    for forged in ("", "t=,v1=", "v1=\u0448", "t=1", header.replace("t=1", "t=2")):
        assert not is_genuine(SECRET, forged, request_.body, T0)


def test_skeleton_of_a_crm() -> None:
    """The one that the page shows has all that the seam asks for, and works."""
    settings = program("skeleton")["AcmeSettings"](url="http://acme.example/", secret="hush")
    crm: CRM = settings.crm(Surroundings(public_url="http://pbx:5000", is_extension=lambda _: True))
    judge = crm.new_judge()
    assert {name for name in members(CRM) if not hasattr(crm, name)} == set()
    assert {name for name in members(Judge) if not hasattr(judge, name)} == set()
    assert settings.longest_public_url
    for delivery in (BEGIN, ANSWER, END, RECORDING):
        (request,) = crm.requests(delivery)
        assert (request.key, b"hush" in request.body, "hush" in f"{request!r}{request.about}") == (
            delivery.key, True, False
        )  # fmt: skip
        sent = Sent(delivery=delivery, request=request, attempt=1)
        assert judge.judge(sent, Reply(status=200)).ruling is Ruling.DELIVERED
        assert judge.judge(sent, NoReply(failure=Failure.UNKNOWN, detail="")).ruling is Ruling.UNKNOWN
    assert crm.judge_probe(Reply(status=400)).ruling is Ruling.AWAY
    click = crm.read_click([("key", "hush"), ("user", "101"), ("number", "1")])
    assert click == ClickRequest(extension="101", number="1")


def members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}
