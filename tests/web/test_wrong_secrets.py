from __future__ import annotations

import attrs
import pytest
import structlog.testing
import trio
import trio.testing

from uac_trio.web import wrong_secrets
from uac_trio.web.wrong_secrets import WrongSecrets

CRM, STRANGER = "10.0.0.5", "10.0.0.66"


@attrs.define
class Clock:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counter(clock: Clock) -> WrongSecrets:
    return WrongSecrets(3, clock)


def count(counter: WrongSecrets, address: str | None, times: int) -> None:
    for _ in range(times):
        counter.count(address)


def test_blocked_for_a_minute(counter: WrongSecrets, clock: Clock) -> None:
    """After so many in a minute an address is refused for the next one, another is not; then it is let in again."""
    count(counter, STRANGER, 2)
    assert not counter.refuses(STRANGER)
    clock.at += 59
    count(counter, STRANGER, 1)
    assert counter.refuses(STRANGER)
    assert not counter.refuses(CRM)
    clock.at += 59.9
    assert counter.refuses(STRANGER)
    clock.at += 0.2
    assert not counter.refuses(STRANGER)
    count(counter, STRANGER, 2)
    assert not counter.refuses(STRANGER)


def test_rarely_wrong_is_not_blocked(counter: WrongSecrets, clock: Clock) -> None:
    """Fewer than that in a minute are forgiven, for ever."""
    for _ in range(20):
        count(counter, STRANGER, 2)
        assert not counter.refuses(STRANGER)
        clock.at += 60


def test_one_line_when_it_begins_and_one_when_it_ends(counter: WrongSecrets, clock: Clock) -> None:
    """However much is refused, the log has two lines of it, the second with the count."""
    with structlog.testing.capture_logs() as logs:
        count(counter, STRANGER, 3)
        for _ in range(100):
            assert counter.refuses(STRANGER)
        clock.at += 60
        assert not counter.refuses(CRM)
    assert [(line["event"], line["client"]) for line in logs] == [
        ("web.client_blocked", STRANGER),
        ("web.client_unblocked", STRANGER),
    ]
    assert logs[1]["refused"] == 100


async def test_end_without_another_request(autojump_clock: trio.testing.MockClock) -> None:
    """The end is logged though no further request comes."""
    counter = WrongSecrets(1)
    counter.count(STRANGER)
    with structlog.testing.capture_logs() as logs:
        with trio.move_on_after(75):
            await counter.run()
    assert [line["event"] for line in logs] == ["web.client_unblocked"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fd00::5", "fd00::66", False),
        ("fe80::5", "fe80::66", False),
        ("fd00::66", "fd00:0::66", True),
        ("::1", "::2", False),
        ("::ffff:10.0.0.66", "10.0.0.66", True),
        ("::ffff:10.0.0.66", "::ffff:10.0.0.67", False),
        (None, "<local>", True),
    ],
)
def test_what_counts_as_one_client(counter: WrongSecrets, one: str | None, other: str | None, same: bool) -> None:
    """A machine has a /64 of public IPv6 to itself, not of a site's; an IPv4 address in IPv6 form is that address."""
    count(counter, one, 3)
    assert counter.refuses(other) is same


def test_memory_is_bounded(counter: WrongSecrets, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood from more addresses than are kept makes the oldest forgotten."""
    monkeypatch.setattr(wrong_secrets, "MAX_ADDRESSES", 50)
    for number in range(300):
        count(counter, f"10.1.{number // 250}.{number % 250}", 3)
    assert len(counter._windows) == 50
    assert not counter.refuses("10.1.0.0")
    assert counter.refuses("10.1.1.49")


def test_client_with_the_right_secret_is_not_blocked(counter: WrongSecrets, clock: Clock) -> None:
    """For an hour after the right secret an address is listened to whatever else comes from it; the log has one line of
    the wrong ones too many and one of how many it were."""
    counter.accept(CRM)
    with structlog.testing.capture_logs() as logs:
        counted = [counter.count(CRM) for _ in range(100)]
        assert not counter.refuses(CRM)
        clock.at += 60
        assert not counter.refuses(CRM)
    assert counted == [True] * 3 + [False] * 97
    assert [(line["event"], line["wrong_secrets"]) for line in logs] == [
        ("web.many_wrong_secrets", 3),
        ("web.many_wrong_secrets_ended", 100),
    ]
    clock.at += 3540 - 1
    count(counter, CRM, 3)
    assert not counter.refuses(CRM)
    clock.at += 1
    assert counter.refuses(CRM)


def test_only_the_very_address_is_known(counter: WrongSecrets) -> None:
    """A neighbour in the /64 of one that gave the right secret is blocked, and that one is not."""
    counter.accept("2001:db8::5")
    count(counter, "2001:db8::66", 3)
    assert counter.refuses("2001:db8::66")
    assert not counter.refuses("2001:db8::5")


def test_memory_of_right_secrets_is_bounded(counter: WrongSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more addresses than are kept the one is forgotten whose right secret is the oldest."""
    monkeypatch.setattr(wrong_secrets, "MAX_KNOWN", 2)
    for address in (CRM, "10.0.0.6", CRM, "10.0.0.7"):
        counter.accept(address)
    for address, refused in ((CRM, False), ("10.0.0.6", True), ("10.0.0.7", False)):
        count(counter, address, 3)
        assert counter.refuses(address) is refused
