"""Which platform a machine has, and the address of the CRM's callback."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.setup.machines import DEBIAN, FREEPBX, E, machine
from uac_trio.setup.answers import Platform, callback_url, platform_of


@pytest.mark.parametrize(
    ("texts", "platform"),
    [
        ({}, None),
        (DEBIAN, Platform.ASTERISK),
        ({f"{E}/asterisk.conf": ""}, Platform.ASTERISK),
        (FREEPBX, Platform.FREEPBX),
        ({**DEBIAN, "/etc/amportal.conf": ""}, Platform.FREEPBX),
        ({**DEBIAN, "/etc/issabel.conf": ""}, Platform.FREEPBX),
        ({"/etc/freepbx.conf": ""}, None),
        ({**DEBIAN, "/etc/inc/mikopbx-settings.json": ""}, Platform.MIKOPBX),
    ],
)
def test_platform(texts: Mapping[str, str], platform: Platform | None) -> None:
    """By the files that only one of them has."""
    assert platform_of(machine(texts), E) is platform


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://crm", "http://crm/modules/PBXManager/callbacks/PBXManager.php"),
        ("https://crm/vtiger/", "https://crm/vtiger/modules/PBXManager/callbacks/PBXManager.php"),
        ("http://crm/index.php", "http://crm/modules/PBXManager/callbacks/PBXManager.php"),
        ("http://crm/x/PBXManager.php", "http://crm/x/PBXManager.php"),
    ],
)
def test_callback(given: str, expected: str) -> None:
    """What stands in a browser's address bar is enough."""
    assert callback_url(given) == expected
