"""What every test starts with.

Hypothesis: by default its examples are the same every time; ``HYPOTHESIS_PROFILE=deep`` searches long and anew.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],  # to make a failing example small takes minutes: ``deep`` does that
)
settings.register_profile(
    "deep", deadline=None, max_examples=3000, stateful_step_count=60, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

HERE = Path(__file__).parent
CLOCKED = (
    HERE / "sender",
    *(HERE / "faults" / f"test_{of}_faults.py" for of in ("crm", "pbx", "store")),
    HERE / "faults" / "test_process.py",
    HERE / "test_ami_client.py",
    HERE / "test_ami_sockets.py",
    HERE / "daemon" / "test_recordings.py",
    HERE / "demo" / "test_companion_browser.py",
    HERE / "test_log_stuck.py",
)
"""What measures real seconds at real sockets and processes, and needs the machine for itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(path) for path in CLOCKED):
            item.add_marker("clock")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """A test that sets up logging, as the command line does, leaves none of it to the next."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
