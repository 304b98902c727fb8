"""``uac-trio check --live``: goes and looks whether what the configuration says is so.

- finding.py: Finding, and how one is said to people
- pbx.py: each PBX: connection, login, rights, settings, clock
- crm.py: the CRM's callback, its secret, its flavour, its clock
- here.py: this machine: store, recordings, addresses for HTTP and FastAGI
- looking.py: all of it at once, within a time
"""

from uac_trio.live_check.finding import Finding, Level, finding_lines
from uac_trio.live_check.looking import look

__all__ = ["Finding", "Level", "finding_lines", "look"]
