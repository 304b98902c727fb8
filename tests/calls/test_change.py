"""What one event changed."""

from __future__ import annotations

from tests.calls.pieces import call, change, line, phone
from uac_trio.calls.call import CallEnd


def test_touched_channels() -> None:
    """Each once, in order."""
    now, one, other = change(), line("1.1"), phone("1.2", "101")
    now.touch([other, one])
    now.touch([one])
    assert list(now.channels) == [other, one]


def test_a_call_that_seemed_over() -> None:
    """It has no end any more and is reported; one that goes on is not."""
    now, over, going_on = change(), call("1.1"), call("2.1")
    over.end = CallEnd(4.0)
    for each in (over, going_on, over):
        now.reopen(each)
    assert now.reopened == [over]
    assert over.end is None
