"""What stands in for the outside world: a PBX that plays recorded calls, and a CRM with real vTiger's row rules.

``uac-trio demo`` puts the real daemon between them (``run.py``). The CRM's rules (``crm.py``) serve the tests as well.
"""
