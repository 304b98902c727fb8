"""vTiger's click: its parameters, and what it takes for success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.crm.click import ClickAnswer, ClickRequest, Refusal
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.crm.vtiger.click import PARAMETERS, read_click

SECRET = "labsecret123"
BYTE_FOR_BYTE = {
    "event": "OutgoingCall",
    "secret": SECRET,
    "from": "101",
    "to": "+7 (916) 123-45-67",
    "context": "from-internal",
}


def read(**changed: str | None) -> ClickRequest | Refusal:
    """What vTiger's request says with some parameters changed; None leaves one out."""
    parameters = {**BYTE_FOR_BYTE, **{name.removesuffix("_"): value for name, value in changed.items()}}
    return read_click([(name, value) for name, value in parameters.items() if value is not None], SECRET)


def refused(**changed: str | None) -> Refusal:
    refusal = read(**changed)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def test_click() -> None:
    """vTiger's request byte for byte: the values go on as they are, to be judged elsewhere."""
    assert read() == ClickRequest(extension="101", number="+7 (916) 123-45-67", context="from-internal")


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + " ", SECRET.upper(), "пароль", None])
def test_wrong_secret(secret: str | None) -> None:
    """A wrong or missing secret is an Authentication Failure, whatever else is wrong."""
    refusal = refused(secret=secret, event="?", from_="?", to="?")
    assert refusal.answer is ClickAnswer.AUTHENTICATION_FAILURE
    assert refusal.reason == "the secret is not that of [vtiger] secret"


@pytest.mark.parametrize("event", ["Hangup", "", None, "outgoingcall"])
def test_other_event(event: str | None) -> None:
    """Only a click is understood; the reason names the parameter."""
    refusal = refused(event=event)
    assert (refusal.answer, refusal.reason) == (ClickAnswer.ERROR, "the parameter event is not OutgoingCall")


@pytest.mark.parametrize("name", ["from_", "to", "context"])
def test_missing_parameter(name: str) -> None:
    """It counts as an empty one: whether that makes sense is asked elsewhere."""
    request = read(**{name: None})
    assert isinstance(request, ClickRequest)
    assert "" in (request.extension, request.number, request.context)


@pytest.mark.parametrize("name", ["event", "secret", "from_", "to", "context"])
@pytest.mark.parametrize("poison", ["101\r\nAction: Command", "1\n1", "\x00", "\u2028", "\ud800", "9" * 257])
def test_control_characters_and_size(name: str, poison: str) -> None:
    """A line break, a NUL, half a surrogate or a huge value in any parameter is refused by its name."""
    refusal = refused(**{name: poison})
    assert refusal.answer is ClickAnswer.ERROR
    assert f"the parameter {name.removesuffix('_')} " in refusal.reason


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_given_twice(name: str) -> None:
    """The same parameter in query and body is refused: which of the two was checked elsewhere is not known."""
    refusal = read_click([*BYTE_FOR_BYTE.items(), (name, BYTE_FOR_BYTE[name])], SECRET)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == f"the parameter {name} is given twice"


def test_unknown_parameters_do_not_matter() -> None:
    """The record= of the patched 7.3 is passed over."""
    assert read(record="57", variable="X\n") == read()


@given(st.lists(st.tuples(st.sampled_from([*PARAMETERS, "other"]), st.text()), max_size=8))
def test_anything_is_an_answer(parameters: list[tuple[str, str]]) -> None:
    """Nothing raises, and without the secret nothing is a click."""
    answer = read_click(parameters, SECRET)
    assert isinstance(answer, Refusal) or ("secret", SECRET) in parameters


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (ClickAnswer.SUCCESS, "Success"),
        (ClickAnswer.ERROR, "Error"),
        (ClickAnswer.AUTHENTICATION_FAILURE, "Authentication Failure"),
    ],
)
def test_reply(answer: ClickAnswer, body: str) -> None:
    """vTiger looks at the body alone, and takes all but two of them for success."""
    crm = VtigerSettings(url="http://crm.invalid/c.php", secret=SECRET).crm(Surroundings())
    assert crm.click_reply(answer) == (200, body)
    assert crm.read_click(BYTE_FOR_BYTE.items()) == read()
