from __future__ import annotations

import structlog.testing

from tests.calls.streams import recorded, run
from uac_trio.daemon.clicks import log_click


def test_log_of_a_click() -> None:
    """The end of a click is one line, in a word and in words; calls of others have none."""
    with structlog.testing.capture_logs() as logs:
        for name in ("asterisk22/click_customer_busy", "asterisk22/inbound_answered"):
            for fact in run(recorded(name)):
                log_click(fact)
    (line,) = logs
    assert line["call"].startswith("main-uac-")
    assert {name: value for name, value in line.items() if name != "call"} == {
        "event": "click2call.ended",
        "log_level": "info",
        "extension": "101",
        "customer": "+79161234567",
        "outcome": "customer-busy",
        "words": "the customer was busy",
    }
