"""Unified Asterisk Connector: between Asterisk's manager interface (AMI) and vTiger CRM's PBXManager.

    wire bytes -> AMI events -> calls -> CRM requests -> durable outbox -> vTiger
    ami_client    ami           calls    vtiger          outbox            sender

Read ``pipeline.py`` first (the whole path of a call, without I/O), then ``calls/tracker.py``, then
``daemon/run.py`` for the tasks around it.
"""

__version__ = "26.11.0"
