"""Stand-ins for the outside world: a PBX that plays recorded calls, and a CRM with the row rules of the real vTiger.

``uac-trio demo`` runs the real daemon between them (``run.py``). The tests use the stand-in CRM (``crm.py``) too.
"""
