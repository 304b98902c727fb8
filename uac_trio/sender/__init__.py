"""From the outbox to the CRM: what is sent when (``breaker``, pure), and the sending (``delivery``). And the one
question that it is asked (``lookup``)."""
