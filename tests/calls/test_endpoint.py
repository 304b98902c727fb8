"""Whose channel is whose, and by which evidence."""

from __future__ import annotations

import pytest

from uac_trio.calls.channel_events import ChannelState, ChannelView
from uac_trio.calls.endpoint import MAX_LEARNED, EndpointClassifier, Evidence, Identity
from uac_trio.calls.names import parse_channel_name
from uac_trio.calls.rules import TrackerRules

RULES = TrackerRules(
    devices={"sip-anna": "101", "anna": "101"}, trunks=("gate-7", "777"), mobiles={"+79261234567": "103"}
)


def identify(
    classifier: EndpointClassifier,
    name: str,
    number: str = "",
    context: str = "from-internal",
    state: int = ChannelState.DOWN,
    exten: str = "s",
    *,
    is_new: bool = True,
    tenant: str = "",
) -> Identity:
    view = ChannelView(
        uniqueid="1.1", name=name, number=number, context=context, state=state, exten=exten, tenant=tenant
    )
    return classifier.identify(parse_channel_name(name), view, is_new=is_new)


@pytest.mark.parametrize(
    ("name", "number", "context", "state", "exten", "extension", "evidence"),
    [
        ("PJSIP/sip-anna-0000001f", "", "", 0, "s", "101", Evidence.DEVICES),
        ("SIP/anna-0000001f", "+79160000000", "from-trunk", 4, "4951000101", "101", Evidence.DEVICES),
        ("PJSIP/gate-7-00000001", "102", "from-internal", 0, "s", "", Evidence.TRUNKS),
        ("PJSIP/777-0000001f", "777", "from-internal", 0, "s", "", Evidence.TRUNKS),
        ("Local/101@from-internal-00000003;1", "101", "from-internal", 0, "s", "", Evidence.HELPER),
        # A device is known by its own CallerID, whatever its name.
        ("PJSIP/101-0000000a", "101", "from-internal", 0, "s", "101", Evidence.OWN_NUMBER),
        ("PJSIP/desk-grisha-00000002", "104", "office", 4, "101", "104", Evidence.OWN_NUMBER),
        ("DAHDI/4-1", "104", "from-internal", 4, "101", "104", Evidence.OWN_NUMBER),
        ("PJSIP/101-mobile-0000000a", "101", "from-internal", 0, "s", "101", Evidence.OWN_NUMBER),
        ("PJSIP/9-0000000a", "201", "from-internal", 4, "8495", "201", Evidence.OWN_NUMBER),
        # Without one, by its name.
        ("PJSIP/101-0000000a", "", "from-internal", 0, "s", "101", Evidence.NAME),
        ("PJSIP/101-0000000a", "4951000101", "from-internal", 4, "89161234567", "101", Evidence.NAME),
        ("PJSIP/101-mobile-0000000a", "", "from-internal", 0, "s", "101", Evidence.SECOND_DEVICE),
        ("SIP/101_2-0000000a", "", "from-internal", 0, "s", "101", Evidence.SECOND_DEVICE),
        ("PJSIP/bob-0000001f", "", "from-internal", 0, "s", "", Evidence.NONE),
        ("PJSIP/4951000101-0000001f", "", "from-internal", 0, "s", "", Evidence.NONE),
        ("DAHDI/101-1", "", "from-internal", 0, "s", "", Evidence.NONE),
        # A line that is named like an extension, or shows a short number.
        ("SIP/33915-0000003d", "9130000176", "from-trunk-sip-33915", 4, "02100000077", "", Evidence.CONTEXT),
        ("SIP/33915-00000002", "", "from-trunk-sip-33915", 0, "s", "", Evidence.CONTEXT),
        ("PJSIP/megafon-00000001", "900", "in-megafon", 4, "4956660001", "", Evidence.CONTEXT),
        ("PJSIP/provider-00000002", "102", "from-trunk", 4, "4956660001", "", Evidence.CONTEXT),
        # Addresses and names of providers that begin with digits.
        ("SIP/195.34.36.130-00000003", "+79161234567", "default", 4, "4951000101", "", Evidence.NONE),
        ("SIP/127.0.0.1-00000003", "", "default", 0, "s", "", Evidence.NONE),
        ("PJSIP/2001:db8::1-00000003", "", "default", 4, "1", "", Evidence.NONE),
        ("SIP/78-mango-00000003", "+79161234567", "default", 4, "4951000101", "", Evidence.NONE),
        ("SIP/800-mts-00000003", "89161234567", "default", 4, "4951000101", "", Evidence.NONE),
        # An employee's own mobile that calls in.
        ("PJSIP/provider-00000002", "89261234567", "from-trunk", 4, "4956660001", "103", Evidence.MOBILES),
    ],
)
def test_identity(
    name: str, number: str, context: str, state: int, exten: str, extension: str, evidence: Evidence
) -> None:
    """What the first event of a channel shows, in the order of its weight."""
    found = identify(EndpointClassifier(RULES), name, number, context, state, exten)
    assert found == Identity(extension, evidence)


@pytest.mark.parametrize(
    ("name", "dial_string", "extension", "evidence"),
    [
        ("SIP/33915-00000002", "33915/09130000001", "", Evidence.DIALLED),
        ("PJSIP/33915-00000002", "09130000001@33915", "", Evidence.DIALLED),
        ("SIP/78-mango-00000002", "78-mango/89161234567", "", Evidence.DIALLED),
        ("PJSIP/101-00000002", "101/sip:101@127.0.0.1:5060", "101", Evidence.NAME),
        ("PJSIP/101-00000002", "PJSIP/101", "101", Evidence.NAME),
        ("PJSIP/trunk-00000002", "89261234567@trunk", "103", Evidence.MOBILES),
        ("PJSIP/sip-anna-00000002", "sip-anna/89161234567", "101", Evidence.DEVICES),
    ],
)
def test_what_is_dialled_there_shows_a_line(name: str, dial_string: str, extension: str, evidence: Evidence) -> None:
    """An outside number in the DialString makes a line, an employee's own outside number makes it theirs."""
    classifier = EndpointClassifier(RULES)
    before = identify(classifier, name, context="default")
    assert classifier.dialled(parse_channel_name(name), before, dial_string) == Identity(extension, evidence)


def test_a_line_is_learned() -> None:
    """An endpoint that showed an outside number is a line when it shows a short one, too."""
    classifier = EndpointClassifier(RULES)
    assert identify(classifier, "PJSIP/gate-00000001", "+79161234567").extension == ""
    assert identify(classifier, "PJSIP/gate-00000002", "102") == Identity("", Evidence.LINE_BEFORE)


def test_an_endpoint_named_by_digits_that_shows_several_callers_is_a_line() -> None:
    """A device with the company's CallerID shows always the same one."""
    classifier = EndpointClassifier(RULES)

    def call(number: str) -> Identity:
        return identify(classifier, "SIP/33915-00000001", number, "default", ChannelState.RING, "02100000077")

    assert [call(number).extension for number in ("9130000176", "9130000176")] == ["33915"] * 2
    assert call("9130000177") == Identity("", Evidence.LINE_BEFORE)
    assert call("9130000176") == Identity("", Evidence.LINE_BEFORE)


def test_a_device_is_remembered_when_its_channel_is_met_in_mid_call() -> None:
    """Its CallerID may be the customer's by then."""
    classifier = EndpointClassifier(RULES)
    assert identify(classifier, "PJSIP/desk-00000001", "104").extension == "104"
    met = identify(classifier, "PJSIP/desk-00000001", "+79161234567", state=ChannelState.UP, is_new=False)
    assert met == Identity("104", Evidence.LEARNED)


def test_a_number_that_may_be_anybodys_teaches_nothing() -> None:
    classifier = EndpointClassifier(RULES)
    met = identify(classifier, "PJSIP/desk-00000001", "+79161234567", state=ChannelState.UP, is_new=False)
    assert met.extension == ""
    assert identify(classifier, "PJSIP/desk-00000002", "104") == Identity("104", Evidence.OWN_NUMBER)


def test_of_a_channel_met_in_mid_call_the_name_weighs_more_than_the_number() -> None:
    """After a transfer 101's channel may show 102."""
    classifier = EndpointClassifier(RULES)
    met = identify(classifier, "PJSIP/101-00000001", "102", state=ChannelState.UP, is_new=False)
    assert met == Identity("101", Evidence.NAME)
    met = identify(classifier, "PJSIP/desk-00000001", "102", state=ChannelState.UP, is_new=False)
    assert met == Identity("102", Evidence.OWN_NUMBER)


def test_the_context_of_an_outgoing_route_shows_no_line() -> None:
    """FreePBX's own contexts of outgoing calls are named after trunks; a listing shows an employee's channel there."""
    met = identify(
        EndpointClassifier(RULES), "PJSIP/101-00000001", "74956660000", "macro-dialout-trunk", ChannelState.RING,
        is_new=False,
    )  # fmt: skip
    assert met == Identity("101", Evidence.NAME)


def test_another_companys_phone_is_no_employee() -> None:
    """On a shared PBX the administrator limits whose devices are ours."""
    classifier = EndpointClassifier(TrackerRules(only_endpoints="^t1_", only_tenants=["acme"]))
    assert identify(classifier, "PJSIP/t1_101-00000001", "101", tenant="acme").extension == "101"
    assert identify(classifier, "PJSIP/t2_101-00000001", "101", tenant="acme") == Identity("", Evidence.NOT_OURS)
    assert identify(classifier, "PJSIP/t1_101-00000001", "101", tenant="other") == Identity("", Evidence.NOT_OURS)


def test_what_is_learned_is_bounded() -> None:
    """Guests that invent endpoint names do not fill the memory."""
    classifier = EndpointClassifier(RULES)
    for guest in range(MAX_LEARNED + 10):
        identify(classifier, f"SIP/guest{guest}-1", "+79161234567")
    assert identify(classifier, f"SIP/guest{MAX_LEARNED + 1}-1", "102").extension == "102"
