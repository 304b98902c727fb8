"""Stays connected to a PBX and passes on what the PBX sends.

- client.py: connects, and connects again; makes calls
- session.py: one session: login, events and snapshot, reads, writes, pings
- order.py: an action on its way, and its outcome
- stream.py: TCP or TLS
- server.py: the settings of one PBX
- status.py: what is known of it
- listener.py: what the reader calls
"""

from uac_trio.ami_client.client import NO_EXTENSION, AMIClient, run_ami_client
from uac_trio.ami_client.listener import SessionListener
from uac_trio.ami_client.order import OriginateOutcome, Outcome
from uac_trio.ami_client.server import AMIServer
from uac_trio.ami_client.session import MAX_WAITING
from uac_trio.ami_client.status import AMIStatus
from uac_trio.ami_client.stream import open_stream

__all__ = [
    "MAX_WAITING",
    "NO_EXTENSION",
    "AMIClient",
    "AMIServer",
    "AMIStatus",
    "OriginateOutcome",
    "Outcome",
    "SessionListener",
    "open_stream",
    "run_ami_client",
]
