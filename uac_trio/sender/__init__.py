"""From the outbox to vTiger: what is sent when (``gate``, pure), and the sending (``delivery``)."""

from uac_trio.sender.delivery import MAX_BODY, Sender, SenderStatus, ask_once, run_sender
from uac_trio.sender.gate import Gate, Pace, SenderSettings, backoff, paced

__all__ = [
    "MAX_BODY",
    "Gate",
    "Pace",
    "Sender",
    "SenderSettings",
    "SenderStatus",
    "ask_once",
    "backoff",
    "paced",
    "run_sender",
]
