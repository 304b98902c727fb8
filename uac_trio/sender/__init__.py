"""From the outbox to vTiger: what is sent when (``gate``, pure), and the sending (``delivery``). And the one question
that it is asked (``lookup``)."""

from uac_trio.sender.client import MAX_BODY
from uac_trio.sender.delivery import Sender, SenderStatus, run_sender
from uac_trio.sender.gate import Gate, Pace, SenderSettings, backoff, paced
from uac_trio.sender.lookup import Lookup, open_lookup

__all__ = [
    "MAX_BODY",
    "Gate",
    "Lookup",
    "Pace",
    "Sender",
    "SenderSettings",
    "SenderStatus",
    "backoff",
    "open_lookup",
    "paced",
    "run_sender",
]
