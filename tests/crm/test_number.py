"""Numbers as people write them into cards, and how they are dialled."""

from __future__ import annotations

import re

import pytest

from uac_trio.crm.number import DialForm, in_form, international, national_digits, normalise, spellings


def is_extension(number: str) -> bool:
    return re.fullmatch(r"\d{2,5}", number) is not None


@pytest.mark.parametrize(
    ("shown", "number"),
    [
        ("\u202a+7 916 123-45-67\u202c", "+79161234567"),
        ("\u200b8\u00ad9161234567\ufeff", "89161234567"),
        ("+7 (495) 123-45-67 (доб. 12)", "+74951234567"),
        ("84951234567,101", "84951234567"),
        ("84951234567,,101#", "84951234567"),
        ("+74951234567*227", "+74951234567"),
        ("+7 495 123-45-67 # 12", "+74951234567"),
        ("84951234567;ext=101", "84951234567"),
        ("(моб.) 8 916 123-45-67", "89161234567"),
        ("тел. 8 916 123-45-67", "89161234567"),
        ("Phone: +44 20 7946 0000", "+442079460000"),
        ("8%20916%20123-45-67", "89161234567"),
        ("%2B7 916 123-45-67", "+79161234567"),
        ("++79161234567", "+79161234567"),
        ("8/916/123-45-67", "89161234567"),
        ("+44 (0)20 7946 0000", "+442079460000"),
        ("+7(0)916 123-45-67", "+79161234567"),
        ("101", "101"),
    ],
)
def test_what_can_mean_one_number_only(shown: str, number: str) -> None:
    """Invisible marks, notes, names of numbers and separators do not change the number."""
    assert normalise(shown, is_extension=is_extension, region="RU") == number


@pytest.mark.parametrize(
    "shown", ["89161234567, 89261234567", "89161234567;89261234567", "8 495 123-45-67 или 8 495 765-43-21"]
)
def test_two_numbers_are_refused_as_such(shown: str) -> None:
    """Which of them the user means is not to be guessed."""
    with pytest.raises(ValueError, match="two numbers"):
        normalise(shown, is_extension=is_extension, region="RU")


@pytest.mark.parametrize("shown", ["*43", "#31#", "0", "+", "abc", "телефон", "8 916 12", "1" * 30])
def test_what_is_no_number(shown: str) -> None:
    with pytest.raises(ValueError, match="the number to call"):
        normalise(shown, is_extension=is_extension, region="RU")


@pytest.mark.parametrize(
    ("number", "national", "international"),
    [
        ("+79161234567", "89161234567", "+79161234567"),
        ("89161234567", "89161234567", "+79161234567"),
        ("9161234567", "89161234567", "+79161234567"),
        ("79161234567", "89161234567", "+79161234567"),
        ("4951234567", "84951234567", "+74951234567"),
        ("+442079460000", "+442079460000", "+442079460000"),
    ],
)
def test_one_form_for_national_numbers(number: str, national: str, international: str) -> None:
    """However a national number stands in the card; others stay as they are."""
    assert in_form(number, DialForm.NATIONAL, "RU") == national
    assert in_form(number, DialForm.INTERNATIONAL, "RU") == international
    assert in_form(number, DialForm.AS_TYPED, "RU") == number


@pytest.mark.parametrize(
    ("number", "region", "national", "international", "digits"),
    [
        ("79161234567", "RU", "89161234567", "+79161234567", "9161234567"),
        ("55800123456", "BR", "0800123456", "+55800123456", "800123456"),  # only with a plus it is valid
        ("+77011234567", "RU", "87011234567", "+77011234567", "+77011234567"),  # Kazakhstan's, under the same code
        ("+70001234567", "RU", "+70001234567", "+70001234567", "+70001234567"),  # no such number
        ("+442079460000", "RU", "+442079460000", "+442079460000", "+442079460000"),
        ("*43", "RU", "*43", "*43", "*43"),
    ],
)
def test_numbers_of_a_region(number: str, region: str, national: str, international: str, digits: str) -> None:
    """A valid number of the region has one form; any other stays as it is."""
    assert in_form(number, DialForm.NATIONAL, region) == national
    assert in_form(number, DialForm.INTERNATIONAL, region) == international
    assert national_digits(number, region) == digits


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("89161234567", {"89161234567", "+79161234567"}),
        ("88001234567", {"88001234567", "+78001234567"}),  # not Bangladesh, +880
        ("+442079460000", {"+442079460000", "442079460000", "810442079460000"}),
        ("00442079460000", {"00442079460000", "+442079460000", "810442079460000"}),
        ("abc", {"abc"}),
    ],
)
def test_spellings(number: str, found: set[str]) -> None:
    """What forbids a number does not depend on how it was typed."""
    assert found <= spellings(number, "RU")
    assert ("810" in "".join(spellings(number, "RU"))) is ("44" in number)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("00442079460000", "+442079460000"), ("89161234567", "+79161234567"), ("abc", "abc")],
)
def test_international(number: str, shown: str) -> None:
    """``00`` stands for the plus in every region; what is no number stays."""
    assert international(number, "RU") == shown


@pytest.mark.parametrize(
    ("shown", "number"), [("1234,56", None), ("12345,56", "12345"), ("123456 1234567", "1234561234567")]
)
def test_keys_after_a_number(shown: str, number: str | None) -> None:
    """Digits after a comma are keys only behind a number of five digits or more."""
    if number is None:
        with pytest.raises(ValueError, match="the number to call"):
            normalise(shown, is_extension=is_extension, region="RU")
    else:
        assert normalise(shown, is_extension=lambda _: True, region="RU") == number
