"""``uac-trio check --live``: checks the configuration against the running systems.

- finding.py: Finding, with a stable id, what was seen and what to do
- report.py: findings as lines and as JSON, and whether calls will be shown
- pbx.py: each PBX: connection, login, clock, version; pbx_clicks.py, pbx_phones.py, pbx_calls.py, pbx_events.py
- crm.py: the CRM's callback, its secret, its flavour, its clock, its popups
- store.py, recordings.py, addresses.py, credentials.py: this machine
- looking.py: runs all checks concurrently, with a timeout
- call_watch.py: ``--call``: watches a real call; call_report.py: what of it arrived
"""
