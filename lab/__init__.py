"""The project's lab: real Asterisk servers, real SIP calls, on the loopback only.

`python -m lab` builds Asterisk 16 and 22 in chroots, drives phones through calls, and holds what the connector tells
the CRM against what the people on the phones did. README.md says how to run it and what each file is.
"""
