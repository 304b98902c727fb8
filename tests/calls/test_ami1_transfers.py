"""AMI 1.x: transfers, parking, hold."""

from __future__ import annotations

import pytest

from tests.calls.ami1_scenes import (
    A_CALL,
    ANNA,
    ASKS_BORIS,
    ATTENDED,
    BORIS,
    CONSULTS,
    FEATURE_BLIND,
    NEWER,
    RINGS_BORIS,
    SECOND,
    TALKS_ANNA,
    TRUNK,
    VERA,
    adapter_after,
    ami,
    asked,
    called,
    dial,
    dialled,
    follows,
    hangup,
    joins,
    leaves,
    link,
    local,
    made,
    masquerade,
    refer,
    state,
    step,
    unlink,
    variable,
)

# ---- by the phone


def test_an_attended_transfer() -> None:
    assert follows(*CONSULTS, ATTENDED) == [f"attended {ANNA} {SECOND}: {TRUNK} to {BORIS}"]


def test_an_attended_transfer_while_the_target_rings() -> None:
    assert follows(A_CALL, TALKS_ANNA, ASKS_BORIS, ATTENDED) == [f"attended {ANNA} {SECOND}: {TRUNK} to -"]


def test_a_blind_transfer() -> None:
    sent = refer("Blind", TargetChannel=TRUNK, TargetUniqueid="1.1", TransferExten="102")

    assert follows(A_CALL, TALKS_ANNA, sent) == [f"blind {ANNA} sends {TRUNK} to 102"]


# ---- by feature code

SENT = f"blind {ANNA} sends {TRUNK} to"


def test_a_blind_transfer_by_feature_code() -> None:
    """main/features.c, builtin_blindtransfer: the transferer goes first, then the dialplan shows where to."""
    ends = hangup(ANNA, "1.2") + dialled(TRUNK, "1.1", "ANSWER")

    assert follows(*FEATURE_BLIND, ends) == []
    assert follows(*FEATURE_BLIND, ends, step(TRUNK, "1.1", "102")) == [f"{SENT} 102", f"hung up {ANNA} 16"]
    assert follows(*FEATURE_BLIND, ends, joins(TRUNK, "1.1", "sales"))[:2] == [f"{SENT} sales", f"hung up {ANNA} 16"]
    assert follows(*FEATURE_BLIND, ends, RINGS_BORIS)[:2] == [f"{SENT} ", f"hung up {ANNA} 16"]
    assert follows(*FEATURE_BLIND, ends, hangup(TRUNK, "1.1")) == [f"hung up {ANNA} 16", f"hung up {TRUNK} 16"]


def test_a_hangup_in_a_blind_transfer_sends_no_party_on() -> None:
    left = asked(TRUNK, "1.1") + hangup(TRUNK, "1.1") + hangup(ANNA, "1.2")

    assert follows(*FEATURE_BLIND, left) == [f"asked {TRUNK}", f"hung up {TRUNK} 16", f"hung up {ANNA} 16"]
    adapter = adapter_after(*FEATURE_BLIND, left)
    assert not adapter._feature_codes._blind


def test_a_transferee_who_was_dialled_goes_on_in_another_structure() -> None:
    """ast_async_goto; the transferer's own dialplan ends in its h extension."""
    helper = f"AsyncGoto/{TRUNK}"
    moves = ami("Newchannel", Channel=helper, Uniqueid="1.9", ChannelState="0") + masquerade(
        helper, "1.9", TRUNK, "1.1"
    )
    before = [*FEATURE_BLIND, moves + hangup(f"{helper}<ZOMBIE>", "1.1")]

    assert follows(*before, step(ANNA, "1.2", "h")) == []
    assert follows(*before, step(TRUNK, "1.9", "102")) == [f"{SENT} 102"]
    assert follows(*before, step(TRUNK, "1.9", "102"), step(TRUNK, "1.9", "s")) == []
    assert follows(*before, step(TRUNK, "1.9", "102"), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


def test_the_variable_of_a_refer_is_no_feature_code() -> None:
    """chan_sip.c sets it too, while the two are linked; the Transfer event says more."""
    before = [A_CALL, TALKS_ANNA, variable(TRUNK, "1.1", "BLINDTRANSFER", ANNA)]

    assert follows(*before, unlink(TRUNK, "1.1", ANNA, "1.2"), hangup(ANNA, "1.2")) == [f"hung up {ANNA} 16"]


XFER = "Local/102@from-internal-xfer-0c"
STARS = [A_CALL, TALKS_ANNA, unlink(TRUNK, "1.1", ANNA, "1.2")]
XFER_DIALS = made(BORIS, "1.7", "102") + dial(f"{XFER};2", "1.6", BORIS, "1.7", "102", "101")
BY_VARIABLE = [local(XFER, "1.5", "1.6"), variable(f"{XFER};1", "1.5", "TRANSFERERNAME", ANNA), XFER_DIALS]
BY_NUMBER = [local(XFER, "1.5", "1.6"), XFER_DIALS]
COMPLETED = f"attended {ANNA}: {TRUNK} to {XFER};1"


@pytest.mark.parametrize("shown", [BY_VARIABLE, BY_NUMBER], ids=["TRANSFERERNAME", "number"])
def test_a_consultation_by_feature_code(shown: list[str]) -> None:
    """Transferer and asked channel are in a bridge, as Asterisk 12 and later has it, before the colleague rings."""
    assert follows(*STARS, *shown, state(BORIS, "1.7", 5)) == [
        f"created {XFER};1",
        f"created {XFER};2",
        f"in 1.2+1.5 basic {ANNA}",
        f"in 1.2+1.5 basic {XFER};1",
        f"created {BORIS}",
        f"dial {XFER};2 > {BORIS} 102",
        f"changed {BORIS}",
    ]


def test_a_consultation_with_an_outside_number() -> None:
    """The dialplan has set the company's CallerID before anything rings; rarely_asked_mobile_by_feature."""
    dials = made(BORIS, "1.7") + dial(f"{XFER};2", "1.6", BORIS, "1.7", "8926", "4951000101")
    shown = [local(XFER, "1.5", "1.6"), dials, state(BORIS, "1.7", 5)]

    assert f"in 1.2+1.5 basic {ANNA}" in follows(*STARS, *shown), "an employee is the only one who can ask"
    assert f"dial - > {XFER};1" in follows(*STARS, variable(TRUNK, "1.1", "X", "y"), *shown), "VarSet would show it"
    named = variable(f"{XFER};1", "1.5", "TRANSFERERNAME", ANNA)
    assert f"in 1.2+1.5 basic {ANNA}" in follows(*STARS, shown[0], named, *shown[1:]), "VarSet shows it"
    in_vain = [STARS[0], STARS[1], local(XFER, "1.5", "1.6"), named, shown[1]]
    assert f"dial - > {XFER};1" in follows(*in_vain, shown[2]), "whom it is for is not known"
    phone = [made(BORIS, "1.7"), state(BORIS, "1.7", 5)]
    assert f"dial - > {BORIS}" in follows(*STARS, *phone), "features.c dials Local channels"
    third = called("SIP/trunk-09", "1.9", "+79990001122") + made(VERA, "1.4", "103")
    third += dial("SIP/trunk-09", "1.9", VERA, "1.4", "103") + link("SIP/trunk-09", "1.9", VERA, "1.4")
    both = [*STARS, third, unlink("SIP/trunk-09", "1.9", VERA, "1.4")]
    assert f"dial - > {XFER};1" in follows(*both, *shown), "two may be asking"
    colleagues = [stage.replace("+79161234567", "109") for stage in STARS]
    assert f"dial - > {XFER};1" in follows(*colleagues, *shown), "both may be asking"
    two_customers = [A_CALL, TALKS_ANNA, called("SIP/trunk-09", "1.9", "+79990001122") + RINGS_BORIS]
    assert f"dial - > {XFER};1" in follows(*two_customers, *shown), "no employee left a conversation"


CONSULTED = [*STARS, *BY_VARIABLE, state(BORIS, "1.7", 5)]


def test_a_transferer_who_hangs_up_completes_the_transfer() -> None:
    assert follows(*CONSULTED, asked(ANNA, "1.2")) == [COMPLETED, f"asked {ANNA}"]
    assert COMPLETED not in follows(*CONSULTED, asked(ANNA, "1.2"), link(TRUNK, "1.1", f"{XFER};1", "1.5"))


def test_asterisk_18_shows_the_transfer_when_the_two_are_linked() -> None:
    talk = link(ANNA, "1.2", f"{XFER};1", "1.5")
    before = [*CONSULTED, state(f"{XFER};1", "1.5", 6), talk, unlink(ANNA, "1.2", f"{XFER};1", "1.5")]

    assert COMPLETED not in follows(*before)
    assert follows(*before, link(TRUNK, "1.1", f"{XFER};1", "1.5"))[0] == COMPLETED


def test_a_consultation_that_is_given_back_is_no_transfer() -> None:
    ended = hangup(f"{XFER};1", "1.5", 0) + hangup(BORIS, "1.7", 17) + dialled(f"{XFER};2", "1.6", "BUSY")
    before = [NEWER, *CONSULTED, ended, link(TRUNK, "1.1", ANNA, "1.2")]

    assert follows(*before) == [f"in 1.1+1.2 basic {TRUNK}", f"in 1.1+1.2 basic {ANNA}"]
    assert follows(*before, asked(ANNA, "1.2")) == [f"asked {ANNA}"]


@pytest.mark.parametrize("variables", [True, False])
@pytest.mark.parametrize("is_18", [True, False])
def test_a_transferer_who_is_called_back(is_18: bool, variables: bool) -> None:
    """They hung up while the colleague's phone rang, in vain; rarely_recalled."""
    ended = hangup(f"{XFER};1", "1.5", 0) + hangup(BORIS, "1.7") + dialled(f"{XFER};2", "1.6", "CANCEL")
    left = [] if is_18 else [asked(ANNA, "1.2")]
    again = [made(SECOND, "1.8", "101"), *([variable(SECOND, "1.8", "TRANSFERERNAME", ANNA)] if variables else [])]
    found = follows(*CONSULTED, *left, ended, *again, state(SECOND, "1.8", 5, "101", "+79161234567"))

    transfer = [f"attended {ANNA}: {TRUNK} to -"] if is_18 else []
    assert found == [*transfer, f"created {SECOND}", f"dial {TRUNK} > {SECOND}", f"changed {SECOND}"]


def test_who_dials_anew_consults_no_colleague() -> None:
    """After the link ended the dialplan went on with the caller, and a click follows on the employee's number."""
    before = [A_CALL, TALKS_ANNA, unlink(TRUNK, "1.1", ANNA, "1.2")]
    click = [made(VERA, "1.4", "103"), state(VERA, "1.4", 5, "103", "101")]

    assert f"dial {ANNA} > {VERA}" not in follows(*before, RINGS_BORIS, *click)
    assert f"dial - > {VERA}" in follows(*before, joins(TRUNK, "1.1"), leaves(TRUNK, "1.1"), *click)
    assert f"dial - > {VERA}" in follows(*before, RINGS_BORIS, *click)


# ---- parking, hold


def test_parking() -> None:
    parked = ami("ParkedCall", Channel=TRUNK, Uniqueid="1.1", From=ANNA, Exten="71")
    retrieved = called(VERA, "1.4", "103", "71") + ami("UnParkedCall", Channel=TRUNK, Uniqueid="1.1", From=VERA)

    assert follows(A_CALL, TALKS_ANNA, parked) == [f"parked {TRUNK} by SIP/101"]
    assert follows(A_CALL, TALKS_ANNA, parked.replace("\r\n\r\n", "\r\nActionID: 1\r\n\r\n")) == [], "of a list"
    assert follows(A_CALL, TALKS_ANNA, parked, retrieved)[-1] == f"unparked {TRUNK} by {VERA}"
    unknown = ami("UnParkedCall", Channel=TRUNK, Uniqueid="1.1", From=VERA)
    assert follows(A_CALL, TALKS_ANNA, parked, unknown) == []


def test_hold() -> None:
    on = ami("Hold", Channel=ANNA, Uniqueid="1.2", Status="On")

    assert follows(A_CALL, TALKS_ANNA, on) == [f"hold {ANNA}"]
    assert follows(A_CALL, TALKS_ANNA, on, on.replace("On", "Off")) == [f"unhold {ANNA}"]
