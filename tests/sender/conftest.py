"""What every test of the sender has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import structlog.testing


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power of the machine it runs on."""
    monkeypatch.setattr("uac_trio.store.opening.SYNCHRONOUS", "OFF")


@pytest.fixture
def logged() -> Iterator[list[Mapping[str, object]]]:
    """What was logged, in order."""
    with structlog.testing.capture_logs() as entries:
        yield entries  # type: ignore[misc]
