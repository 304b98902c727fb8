from __future__ import annotations

from tests.daemon.world import world

__all__ = ["world"]
