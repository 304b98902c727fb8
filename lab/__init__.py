"""The project's lab: real Asterisk servers, real SIP calls, on the loopback only.

`python -m lab` builds Asterisk 16 and 22 in chroots, drives phones through calls, and compares what the connector
sends to the CRM with what the people on the phones did. README.md says how to run it and what each file is.
"""
