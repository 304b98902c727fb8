"""Whether vTiger's pages look for calls, by the script that they load: a static file, which needs no login.

``registerPBXCall`` is what looks for a call to show. modules/PBXManager/resources/PBXManagerJS.js

- of SalesPlatform 7.2.0-202008 defines it, and the only call of it is commented out (``begin 5670``);
- of a stock vTiger calls it when a page is loaded, and the timer that repeats it is commented out;
- of others repeats it: by ``setInterval``, or by ``Visibility.every`` in visible tabs.
"""

from __future__ import annotations

import enum
import re

SCRIPT = "modules/PBXManager/resources/PBXManagerJS.js"

_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\\'\"])//[^\n]*", re.DOTALL)
_CALL = re.compile(r"\bregisterPBXCall\s*\(")
_REPEATED = re.compile(r"(?:setInterval|\.every)\s*\(.{0,300}?registerPBXCall\s*\(", re.DOTALL)


class Polling(enum.Enum):
    """How the pages look for calls."""

    REPEATED = "every few seconds"
    ONCE = "when a page is loaded, and not again"
    OFF = "never"
    NOT_THE_SCRIPT = "cannot be seen"


def polling_of(script: str) -> Polling:
    """What the text of the script does."""
    code = _COMMENT.sub(" ", script)
    if "registerPBXCall" not in script:
        return Polling.NOT_THE_SCRIPT
    if _REPEATED.search(code):
        return Polling.REPEATED
    return Polling.ONCE if _CALL.search(code) else Polling.OFF
