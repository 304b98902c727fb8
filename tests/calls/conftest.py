"""A server whose first call this is, and one that showed bridges and hangup requests before: both give the same."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.calls.wire")

from tests.calls.wire import Office  # noqa: E402


@pytest.fixture(params=[True, False], ids=["first-call", "later-call"])
def office(request: pytest.FixtureRequest) -> Office:
    return Office(is_new=request.param)
