"""What is dialled for a click, and whether at all, whatever the CRM."""

from __future__ import annotations

import re
from collections.abc import Collection

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uac_trio.crm.click import (
    Click2CallRules,
    ClickAnswer,
    ClickGuard,
    ClickRequest,
    Dial,
    Originated,
    Refusal,
    Route,
    Verdict,
    plan_click,
    skipping_voicemail,
)
from uac_trio.crm.number import normalise, spellings

ROUTE = Route(pbx="main", contexts=frozenset({"from-crm"}))


def is_extension(number: str) -> bool:
    return re.fullmatch(r"\d{2,5}", number) is not None


def click(
    rules: Click2CallRules | None = None,
    routes: tuple[Route, ...] = (ROUTE,),
    connected: Collection[str] = ("main", "a"),
    /,
    **changed: str,
) -> Dial | Refusal:
    """What comes of a click with some of its parts changed."""
    asked = {"extension": "101", "number": "+7 (916) 123-45-67", "context": "from-internal", **changed}
    return plan_click(
        ClickRequest(**asked),
        rules=rules or Click2CallRules(),
        routes=routes,
        is_extension=is_extension,
        region="RU",
        token="1764000000-3f9a2b7c",
        is_connected=connected.__contains__,
    )


def dialled(rules: Click2CallRules | None = None, /, **changed: str) -> Dial:
    dial = click(rules, (ROUTE,), **changed)
    assert isinstance(dial, Dial), dial
    return dial


def refused(rules: Click2CallRules | None = None, /, **changed: str) -> Refusal:
    refusal = click(rules, (ROUTE,), **changed)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def test_click_becomes_an_order() -> None:
    """The employee's phone rings with the customer's number on it."""
    assert click() == Dial(
        pbx="main",
        channel="PJSIP/101",
        context="from-internal",
        exten="+79161234567",
        shown="+79161234567 <+79161234567>",
        caller_id="101",
        channel_id="uac-1764000000-3f9a2b7c",
        ring_seconds=30,
        extension="101",
        number="+79161234567",
    )


@pytest.mark.parametrize(
    ("shown", "number"),
    [
        ("+7 (916) 123-45-67", "+79161234567"),
        ("8 916 123-45-67", "89161234567"),
        ("8(916)1234567", "89161234567"),
        ("\u00a0+7\u00a0916\u00a0123\u201145\u201367 ", "+79161234567"),
        ("7.916.123.45.67", "79161234567"),
        ("tel:+7-916-123-45-67;phone-context=x", "+79161234567"),
        ("sip:79161234567@10.0.0.1;transport=udp", "79161234567"),
        ("SIP:102@pbx", "102"),
        ("+7 916 123-45-67 доб. 12", "+79161234567"),
        ("+7 916 123-45-67, ext 305", "+79161234567"),
        ("+7 916 123-45-67 x7", "+79161234567"),
        ("123-45-67", "1234567"),
        ("+49 30 1234567", "+49301234567"),
        ("810 49 30 1234567", "81049301234567"),
        ("102", "102"),
        ("＋７９１６１２３４５６７", "+79161234567"),
    ],
)
def test_number_as_shown_is_dialled(shown: str, number: str) -> None:
    """Formatting, URI schemes and notes go; digits, + and the national prefix stay."""
    assert normalise(shown, is_extension=is_extension, region="RU") == number


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "   ",
        "-",
        "+",
        "no phone",
        "*72",
        "101&SIP/102",
        "102@evil",
        "sip:bob@example.org",
        "+7916123456789012",
        "1",
        "+7 916",
        "${EXTEN}",
        "٠١٢٣٤٥٦٧٨٩",
        "7916,,1234567",
        "1;2",
    ],
)
def test_what_is_no_number_is_refused(shown: str) -> None:
    """Anything but a telephone number that can exist is refused, and the reason says so without repeating it."""
    refusal = refused(number=shown)
    assert refusal.answer is ClickAnswer.ERROR
    assert refusal.reason.startswith("the number to call is ")
    assert len(shown) < 6 or shown not in refusal.reason


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"extension": ""}, "the employee of this click is no extension by [calls] extensions"),
        ({"extension": "SIP/101"}, "the employee of this click is no extension"),
        ({"extension": "+79161234567"}, "the employee of this click is no extension"),
        ({"number": ""}, "the number to call is empty"),
        ({"number": "101"}, "their own phone"),
        ({"number": " 101 "}, "their own phone"),
    ],
)
def test_click_that_makes_no_sense(changed: dict[str, str], part: str) -> None:
    """The reason names what is wrong."""
    assert part in refused(**changed).reason


@pytest.mark.parametrize("poison", ["101\r\nAction: Command", "1\n1", "\x00", "\u2028", "9" * 257])
def test_control_characters_and_size(poison: str) -> None:
    """A CRM's room that lets a line break, a NUL or a huge value through changes nothing."""
    assert refused(extension=poison).answer is ClickAnswer.ERROR
    order = click(number=poison)
    assert isinstance(order, Refusal) or re.fullmatch("[0-9]+", order.exten)
    assert dialled(context=poison).context == "from-internal"


@pytest.mark.parametrize("extension", ["101&SIP/102", "Local/1@x", "101@host", "1 1"])
def test_lax_extension_rule_does_not_open_the_channel(extension: str) -> None:
    """Even where any text counts as an extension, one with a technology or a second destination in it is refused."""
    refusal = plan_click(
        ClickRequest(extension=extension, number="102"),
        rules=Click2CallRules(),
        routes=[ROUTE],
        is_extension=lambda _: True,
        region="RU",
        token="1",
    )
    assert isinstance(refusal, Refusal)


def test_context_of_the_request() -> None:
    """A context is taken from the request only if the configuration lists it."""
    assert dialled(context="from-crm").context == "from-crm"
    assert dialled(context="evil").context == "from-internal"
    assert dialled(context="").context == "from-internal"


def test_dial_rules() -> None:
    """Prefix and plus concern outside numbers; the employee sees the number itself."""
    rules = Click2CallRules(dial_prefix="9", strip_plus=True, caller_id='"{extension}" <{number}>')
    outside = dialled(rules)
    assert outside.exten == "979161234567"
    assert outside.shown == '"101" <+79161234567>'
    assert dialled(rules, number="102").exten == "102"


def test_allow_and_deny() -> None:
    """Deny wins over allow; without allow everything is allowed."""
    rules = Click2CallRules(allow=(re.compile(r"^(\+7|8)\d{10}$"),), deny=(re.compile(r"^(\+7|8)80[39]"),))
    assert dialled(rules).number == "+79161234567"
    assert "deny" in refused(rules, number="8 809 123-45-67").reason
    assert "allow" in refused(rules, number="+49 30 1234567").reason


PAID = ("8 803 123-45-67", "+7 803 1234567", "7 803 1234567", "803 1234567", "007 803 123 45 67", "8107 809 1234567")
ABROAD = (
    "+44 20 7946 0000",
    "0044 20 7946 0000",
    "810 44 20 7946 0000",
    "+810 44 20 7946 0000",
    "8~10 44 20 7946 0000",
    "+1 900 123 4567",
)


@pytest.mark.parametrize("shown", [*PAID, *ABROAD])
@pytest.mark.parametrize("deny", [(r"^(\+7|8)80[39]", "^810"), (r"^\+780[39]", r"^\+(?!7)")], ids=["typed", "e164"])
@pytest.mark.parametrize("allow", [(), (".",)], ids=["", "all allowed"])
def test_no_spelling_gets_past_deny(shown: str, deny: tuple[str, ...], allow: tuple[str, ...]) -> None:
    """What deny forbids in one spelling is dialled in none, and allow changes nothing about that."""
    rules = Click2CallRules(allow=tuple(map(re.compile, allow)), deny=tuple(map(re.compile, deny)))
    assert refused(rules, number=shown).answer is ClickAnswer.ERROR


@pytest.mark.parametrize(
    "shown",
    [
        "8 916 123-45-67",
        "+7 916 123-45-67",
        "916 123-45-67",
        "7 916 1234567",
        "8 800 555-35-35",
        "903 123 45 67",
        "102",
    ],
)
def test_deny_of_abroad_leaves_the_country_alone(shown: str) -> None:
    """No spelling of a number of the country is taken for one of another: 8 800 is not Bangladesh, 903 not Turkey."""
    for deny in ((r"^(\+7|8)80[39]", "^810"), (r"^\+780[39]", r"^\+(?!7)")):
        assert dialled(Click2CallRules(deny=tuple(map(re.compile, deny))), number=shown).pbx == "main"


def test_allow_holds_for_the_international_form() -> None:
    """One pattern allows all spellings of a country's numbers, and 00 before another country is none of them."""
    rules = Click2CallRules(allow=(re.compile(r"^\+7"),))
    for shown in ("8 916 123-45-67", "916 123-45-67", "7 916 1234567", "+7 916 1234567"):
        assert dialled(rules, number=shown).pbx == "main"
    for shown in ("0044 20 7946 0000", "810 44 20 7946 0000", "102"):
        assert "allow" in refused(rules, number=shown).reason


def test_bare_country_code_is_denied_where_it_could_be_dialled() -> None:
    """Where no number of the region is meant, digits that begin with a country code are that country's."""
    assert "+390612345678" in spellings("390612345678", "US")
    assert "+442079460000" in spellings("00442079460000", "US")


def test_deny_does_not_take_extensions_for_numbers() -> None:
    """A pattern for +7 forbids no extension."""
    assert dialled(Click2CallRules(deny=(re.compile(r"^\+7"),)), number="102").number == "102"


def test_turned_off_and_without_a_pbx() -> None:
    """Turned off in the configuration, or without a PBX, nothing is dialled and the reason says so."""
    assert "turned off" in refused(Click2CallRules(enabled=False)).reason
    nowhere = click(None, ())
    assert isinstance(nowhere, Refusal)
    assert "no [[pbx]] has this extension" in nowhere.reason


SEVERAL = (
    Route(pbx="city", channel="SIP/{extension}", extensions=frozenset({"101", "102"})),
    Route(pbx="village", extensions=re.compile(r"[23]\d\d")),
    Route(pbx="spare", extensions=re.compile(r"[12]\d\d")),
)


@pytest.mark.parametrize(
    ("extension", "connected", "pbx"),
    [
        ("101", {"city", "village", "spare"}, "city"),
        ("102", {"village", "spare"}, "spare"),
        ("103", {"city", "village", "spare"}, "spare"),
        ("201", {"spare"}, "spare"),
        ("301", {"spare"}, "village"),
        ("101", set(), "city"),
        ("401", {"city", "village", "spare"}, None),
        ("1013", {"city", "village", "spare"}, None),
    ],
)
def test_which_pbx_calls(extension: str, connected: set[str], pbx: str | None) -> None:
    """The first PBX that has the extension, a connected one before others; none is a refusal that says what to set."""
    order = click(None, SEVERAL, connected, extension=extension)
    if pbx is None:
        assert isinstance(order, Refusal)
        assert (order.answer, "originate_extensions" in order.reason) == (ClickAnswer.ERROR, True)
    else:
        assert isinstance(order, Dial)
        assert order.pbx == pbx


def test_every_pbx_by_default() -> None:
    """Without originate_extensions the first PBX calls all extensions, by its own template."""
    dial = click(None, (Route(pbx="a", channel="Local/{extension}@from-internal"), Route(pbx="b")))
    assert isinstance(dial, Dial)
    assert (dial.pbx, dial.channel) == ("a", "Local/101@from-internal")


def test_caller_id_and_variables_of_a_click() -> None:
    """Caller and variables come from the route's templates, and from the extension alone."""
    route = Route(pbx="a", caller_id="Office {extension} <4951234567>", variables={"__WHO": "user {extension}"})
    dial = click(None, (route,))
    assert isinstance(dial, Dial)
    assert (dial.caller_id, dial.variables) == ("Office 101 <4951234567>", (("__WHO", "user 101"),))
    assert dial.shown == "+79161234567 <+79161234567>"


@given(st.fixed_dictionaries({"extension": st.text(), "number": st.text(), "context": st.text()}))
def test_nothing_strange_gets_near_the_pbx(parameters: dict[str, str]) -> None:
    """Whatever is asked, an order holds only digits, + and what the configuration says."""
    result = click(**parameters)
    if isinstance(result, Dial):
        assert re.fullmatch(r"PJSIP/\d{2,5}", result.channel)
        assert re.fullmatch(r"\+?[0-9]{2,20}", result.exten)
        assert re.fullmatch(r"\+?[0-9]+ <\+?[0-9]+>", result.shown)
        assert re.fullmatch(r"\d{2,5}", result.caller_id)
        assert result.context in ("from-internal", "from-crm")


@given(st.from_regex(r"\+?[0-9 ()-]{5,20}", fullmatch=True))
def test_normalising_twice_changes_nothing(shown: str) -> None:
    """A normalised number is its own normal form."""
    try:
        number = normalise(shown, is_extension=is_extension, region="RU")
    except ValueError:
        return
    assert normalise(number, is_extension=is_extension, region="RU") == number


def guard() -> ClickGuard:
    return ClickGuard(guard_seconds=5, per_minute=3, total_per_minute=4)


def test_double_click_makes_one_call() -> None:
    """The same click within the guard's time is a double and gets the first one's answer; later it is new."""
    clicks, dial = guard(), dialled()
    assert clicks.admit(dial, at=100) is Verdict.NEW
    assert clicks.admit(dial, at=100.1) is Verdict.DOUBLE
    assert clicks.answer_to_double(dial) is ClickAnswer.SUCCESS
    assert clicks.settle(dial, Originated.QUEUED) is ClickAnswer.SUCCESS
    assert clicks.admit(dial, at=104.9) is Verdict.DOUBLE
    assert clicks.admit(dial, at=105) is Verdict.NEW


def test_unknown_outcome_is_not_dialled_again() -> None:
    """After an order with an unknown outcome, a second click gets Error and dials nothing."""
    clicks, dial = guard(), dialled()
    clicks.admit(dial, at=100)
    assert clicks.settle(dial, Originated.UNKNOWN) is ClickAnswer.ERROR
    assert clicks.admit(dial, at=101) is Verdict.DOUBLE
    assert clicks.answer_to_double(dial) is ClickAnswer.ERROR


def test_refused_order_may_be_tried_again() -> None:
    """When the PBX said no, nothing rings: the next click is a new one."""
    clicks, dial = guard(), dialled()
    clicks.admit(dial, at=100)
    assert clicks.settle(dial, Originated.REFUSED) is ClickAnswer.ERROR
    assert clicks.admit(dial, at=101) is Verdict.NEW


def test_late_outcome_of_a_forgotten_click() -> None:
    """An outcome that comes after the guard's time changes nothing."""
    clicks, dial = guard(), dialled()
    clicks.admit(dial, at=100)
    clicks.admit(attrs.evolve(dial, number="102"), at=110)
    assert clicks.settle(dial, Originated.UNKNOWN) is ClickAnswer.ERROR
    assert clicks.admit(dial, at=110) is Verdict.NEW


def test_limit_per_employee() -> None:
    """One employee starts so many calls a minute; a colleague is not concerned."""
    clicks, dial = guard(), dialled()
    numbers = [attrs.evolve(dial, number=str(number)) for number in range(200, 205)]
    assert [clicks.admit(one, at=100 + i) for i, one in enumerate(numbers)] == [
        *[Verdict.NEW] * 3,
        *[Verdict.TOO_MANY] * 2,
    ]
    assert clicks.admit(attrs.evolve(numbers[4], extension="102"), at=105) is Verdict.NEW
    assert clicks.admit(numbers[4], at=160) is Verdict.NEW


def test_limit_of_all_employees() -> None:
    """All employees together start so many calls a minute; refused clicks do not count."""
    clicks, dial = guard(), dialled()
    who = [attrs.evolve(dial, extension=str(number)) for number in range(101, 107)]
    assert [clicks.admit(one, at=100 + i) for i, one in enumerate(who)] == [
        *[Verdict.NEW] * 4,
        *[Verdict.TOO_MANY_IN_ALL] * 2,
    ]
    assert clicks.admit(who[4], at=160) is Verdict.NEW
    assert clicks.admit(who[5], at=160.5) is Verdict.TOO_MANY_IN_ALL


def test_guard_forgets() -> None:
    """After a minute nothing of an employee's clicks is kept: memory does not grow with the days."""
    clicks, dial = guard(), dialled()
    clicks.admit(dial, at=100)
    clicks.admit(attrs.evolve(dial, extension="102"), at=200)
    assert list(clicks._starts) == ["102"]
    assert list(clicks._recent) == [("102", dial.number)]


@pytest.mark.parametrize(
    ("channel", "skipping"),
    [
        ("Local/202@from-internal", "Local/202@originate-skipvm"),
        ("Local/202@from-internal/n", "Local/202@originate-skipvm/n"),
        ("local/202@From-Internal", "local/202@originate-skipvm"),
        ("Local/202@from-internal-xfer", ""),
        ("Local/202@originate-skipvm", ""),
        ("Local/202@employees", ""),
        ("PJSIP/202@from-internal", ""),
        ("PJSIP/202", ""),
    ],
)
def test_skipping_voicemail(channel: str, skipping: str) -> None:
    """Only a Local channel into FreePBX's context for employees is led past the mailbox, its flags kept."""
    assert skipping_voicemail(channel) == skipping
