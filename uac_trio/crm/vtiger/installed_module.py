"""Which version of the companion module is installed in a vTiger: a static file of it, which needs no login.

Module Manager says "imported" also where it could write no file; so it is the file that is looked at.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from uac_trio.crm.reply import NoReply, Reply

_VERSION = re.compile(r"\d+(?:\.\d+)+-[0-9a-f]{8}\s*")


def installed_version(answer: Reply | NoReply) -> str:
    """Of the file's text; "" = it is not there, or cannot be seen."""
    if isinstance(answer, NoReply) or answer.status != HTTPStatus.OK or not _VERSION.fullmatch(answer.text):
        return ""
    return answer.text.strip()
