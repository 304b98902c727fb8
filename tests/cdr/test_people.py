from __future__ import annotations

import pytest

from tests.cdr.rows import row
from uac_trio.calls.rules import TrackerRules
from uac_trio.cdr.people import Devices, part_of
from uac_trio.cdr.row import CdrRow


def extension(endpoint: str, *rows: CdrRow, **rules: object) -> str:
    devices = Devices(TrackerRules(**rules))  # type: ignore[arg-type]
    devices.learn(rows)
    return devices.extension(endpoint)


def test_named_like_an_extension() -> None:
    assert extension("101") == "101"
    assert extension("101-mobile") == "101"
    assert extension("trunk") == ""


def test_configured_devices_and_trunks_come_first() -> None:
    assert extension("sip-anna", devices={"sip-anna": "101"}) == "101"
    assert extension("101", trunks=["101"]) == ""


def test_called_with_its_own_number() -> None:
    out = row(channel="PJSIP/sip-anna-00000001", src="101", dst="84951234567", dcontext="from-internal")

    assert extension("sip-anna", out) == "101"


def test_called_with_the_companys_number_and_freepbx_kept_its_own() -> None:
    out = row(
        channel="PJSIP/sip-anna-00000001", src="74956660000", cnum="101", dst="984951234567", dcontext="from-internal"
    )

    assert extension("sip-anna", out) == "101"


def test_a_line_through_which_an_employee_calls_in_once_is_a_line() -> None:
    rows = [row(channel="PJSIP/trunk-00000001", src=number) for number in ("101", "84951234567", "84957654321")]

    assert extension("trunk", *rows) == ""


def test_a_stranger_on_a_line_who_shows_an_employees_number() -> None:
    assert extension("trunk", row(channel="PJSIP/trunk-00000001", src="101", dcontext="from-trunk")) == ""
    assert extension("phone", row(channel="PJSIP/phone-00000001", src="101", dcontext="from-internal")) == "101"


def test_of_a_shared_pbx_our_devices_alone() -> None:
    """They would count as if the administrator had written them down."""
    out = row(channel="PJSIP/t2_anna-00000001", src="101", dcontext="t2-internal")

    assert extension("t2_anna", out, only_endpoints="^t1_") == ""
    assert extension("t2_anna", out, only_contexts="^t1-") == ""
    assert extension("t2_anna", out, only_contexts="^t2-") == "101"


def test_dialled_alone_at_its_extension() -> None:
    assert extension("sip-anna", row(dst="101", dstchannel="PJSIP/sip-anna-1", lastdata="PJSIP/sip-anna,30")) == "101"


def test_dialled_in_a_group() -> None:
    data = "PJSIP/sip-anna&PJSIP/102,30"
    rows = [row(dst="600", dstchannel=f"PJSIP/{name}-1", lastdata=data) for name in ("sip-anna", "102")]

    assert extension("sip-anna", *rows) == ""


@pytest.mark.parametrize("data", ["PJSIP/84951234567@trunk,30", "PJSIP/trunk/sip:84951234567@host,30"])
def test_a_line_is_dialled_with_an_outside_number(data: str) -> None:
    assert extension("33915", row(dstchannel="PJSIP/33915-1", lastdata=data.replace("trunk", "33915"))) == ""


@pytest.mark.parametrize(
    ("data", "channel", "part"),
    [
        ("PJSIP/101&PJSIP/102,30,tT", "PJSIP/102-0000000a", "102"),
        ("PJSIP/84951234567@trunk,30", "PJSIP/trunk-0000000a", "84951234567@trunk"),
        ("SIP/trunk/84951234567", "SIP/trunk-0000000a", "trunk/84951234567"),
        ("PJSIP/101/sip:101@10.0.0.5:5060,30", "PJSIP/101-0000000a", "101/sip:101@10.0.0.5:5060"),
        ("PJSIP/2005,15", "PJSIP/desk-grisha-0000000a", ""),  # picked up
        ("400,tT,,,30", "PJSIP/101-0000000a", ""),
    ],
)
def test_what_dialled_a_channel(data: str, channel: str, part: str) -> None:
    assert part_of(data, channel) == part
