"""``uac-trio check --live``: checks the configuration against the running systems.

- finding.py: Finding, and how findings are printed
- pbx.py: each PBX: connection, login, rights, settings, clock
- crm.py: the CRM's callback, its secret, its flavour, its clock
- here.py: this machine: store, recordings, addresses for HTTP and FastAGI
- looking.py: runs all checks concurrently, with a timeout
"""
