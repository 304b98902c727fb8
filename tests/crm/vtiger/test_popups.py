"""Whether the CRM's pages look for calls, by their script. The kinds are those of published trees, in other words."""

from __future__ import annotations

import pytest

from uac_trio.crm.vtiger.popups import Polling, polling_of

DEFINED = "var Vtiger_PBXManager_Js = { registerPBXCall : function() { requestPBXgetCalls(); },\n"
ASKED = "registerEvents : function() { app.request.get({url : url}).then(function(err, data) {\n"


@pytest.mark.parametrize(
    ("rest", "polling"),
    [
        ("registerPBXCall();\nVisibility.every(4000, function () {\nregisterPBXCall();", "REPEATED"),
        ('registerPBXCall();\nsetInterval("Vtiger_PBXManager_Js.registerPBXCall()", 3000);', "REPEATED"),
        ("registerPBXCall();\nsetInterval(function () {\n registerPBXCall(); }, 3000);", "REPEATED"),
        ('registerPBXCall();\n//setInterval("registerPBXCall()", 3000);', "ONCE"),
        ("Vtiger_PBXManager_Js.registerPBXCall(); /* setInterval('registerPBXCall()', 3000) */", "ONCE"),
        ("// registerPBXCall();\n// Visibility.every(4000, function () { registerPBXCall(); })", "OFF"),
        ("// see https://example.com/ registerPBXCall()\nvar url = 'http://x/'; // registerPBXCall()", "OFF"),
    ],
)
def test_polling(rest: str, polling: str) -> None:
    """What is commented out does not run, and a definition is no call."""
    assert polling_of(DEFINED + ASKED + rest) is Polling[polling]


def test_another_file() -> None:
    """A page of an error, or a script without any of it, shows nothing."""
    assert polling_of("<html>Not Found</html>") is Polling.NOT_THE_SCRIPT
