"""Unified Asterisk Connector: between Asterisk's manager interface (AMI) and a CRM, vTiger first of all.

    wire bytes -> AMI events -> calls -> facts -> deliveries -> durable outbox -> requests -> CRM
    ami_client    ami           calls             crm           store             crm         sender

Read ``pipeline.py`` first (the whole path of a call, without I/O), then ``calls/tracker.py``, then
``daemon/run.py`` for the tasks around it. ``docs/architecture.md`` says where each question is decided.
"""

__version__ = "26.11.0"
