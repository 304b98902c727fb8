"""vTiger's click on a number: its parameters, and the answer it expects.

A click in a CRM card makes the CRM's server (modules/PBXManager/connectors/PBXManager.php, ``call()``) send

    POST /makecall?event=OutgoingCall&secret=..&from=101&to=%2B7+%28916%29+123-45-67&context=from-internal

with an empty body. It looks at nothing of the reply but the trimmed body: exactly ``Error``, exactly
``Authentication Failure`` or an empty one mean failure, anything else success. It waits without a limit and blocks the
user's CRM tab meanwhile, so the reply goes out as soon as the PBX has taken the order, long before a phone is answered.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Iterable, Mapping

from uac_trio.crm.click import MAX_PARAMETER, ClickAnswer, ClickRequest, Refusal, refused

PARAMETERS = ("event", "secret", "from", "to", "context")

REPLIES = {
    ClickAnswer.SUCCESS: "Success",
    ClickAnswer.ERROR: "Error",
    ClickAnswer.AUTHENTICATION_FAILURE: "Authentication Failure",
}
"""The body of the reply. Its HTTP status is 200 in every case: vTiger does not look at it."""


def read_click(parameters: Iterable[tuple[str, str]], secret: str) -> ClickRequest | Refusal:
    """What a request to ``/makecall`` asks for, or why it is refused."""
    given = _parameters(parameters)
    if isinstance(given, Refusal):
        return given
    if not hmac.compare_digest(given["secret"].encode(), secret.encode()):
        answer = ClickAnswer.AUTHENTICATION_FAILURE
        return Refusal(answer=answer, reason="the secret is not that of [vtiger] secret")
    if given["event"] != "OutgoingCall":
        return refused("the parameter event is not OutgoingCall")
    return ClickRequest(extension=given["from"], number=given["to"], context=given["context"])


def _parameters(pairs: Iterable[tuple[str, str]]) -> Mapping[str, str] | Refusal:
    given = dict.fromkeys(PARAMETERS, "")
    seen: set[str] = set()
    for name, value in pairs:
        if name not in given:
            continue  # record= of the patched 7.3, and whatever a later CRM adds
        if name in seen:
            return refused(f"the parameter {name} is given twice")
        if len(value) > MAX_PARAMETER:
            return refused(f"the parameter {name} is longer than {MAX_PARAMETER} characters")
        if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in value):
            return refused(f"the parameter {name} has a line break or another control character in it")
        seen.add(name)
        given[name] = value
    return given
