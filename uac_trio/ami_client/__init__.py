"""Stays connected to a PBX and passes on what the PBX sends.

- client.py: connects, and connects again; makes calls
- session.py: one session: login, events and snapshot, reads, writes, pings
- order.py: an action on its way, and its outcome
- stream.py: TCP or TLS
- server.py: the settings of one PBX
- status.py: what is known of it
- listener.py: what the reader calls
"""
