"""What is shown of an answer, and what Retry-After says."""

from __future__ import annotations

import pytest

from uac_trio.crm.reply import Reply, excerpt, retry_after_seconds, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<html><b>502</b> Bad\r\n\r\nGateway</html>", "502 Bad Gateway"),
        ("no user 79161234567 (+7 916 123-45-67)", "no user *********67 (+* *** ***-**-67)"),
        ("\x00\x1b[31mred", "??[31mred"),
        ("x" * 200, "x" * 117 + "..."),
        ("", ""),
    ],
)
def test_excerpt(text: str, expected: str) -> None:
    """A page becomes one short printable line without tags and without telephone numbers."""
    assert excerpt(text) == expected


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 40, 999_999_999.0),
        ("Mon, 21 Sep 2026 14:13:50 GMT", 30.0),
        ("Mon, 21 Sep 2026 14:13:00 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("Mon, 21 Sep 99999 14:13:50 GMT", 0.0),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    """Seconds or a date, as HTTP has it; anything else asks for nothing."""
    assert retry_after_seconds(header, 1_790_000_000.0) == seconds


def test_shown() -> None:
    """Words for an administrator with what was seen; a good answer has none."""
    page = Reply(status=502, text="<b>Bad</b> Gateway", location="http://x/")
    assert shown("no answer", page) == "no answer [HTTP 502, Location: http://x/, 'Bad Gateway']"
    assert shown("", page) == ""
