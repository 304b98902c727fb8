"""From the outbox to the CRM: what is sent when (``breaker``, pure), and the sending (``delivery``). And the one
question that it is asked (``lookup``)."""

from uac_trio.sender.breaker import CircuitBreaker, ConcurrencyLimit, SenderSettings, backoff
from uac_trio.sender.client import MAX_BODY, ask_once
from uac_trio.sender.delivery import Sender, SenderStatus, run_sender
from uac_trio.sender.lookup import Lookup, open_lookup

__all__ = [
    "MAX_BODY",
    "CircuitBreaker",
    "ConcurrencyLimit",
    "Lookup",
    "Sender",
    "SenderSettings",
    "SenderStatus",
    "ask_once",
    "backoff",
    "open_lookup",
    "run_sender",
]
