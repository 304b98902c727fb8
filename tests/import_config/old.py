"""Configurations of the earlier connectors, as their documentation shows them."""

from __future__ import annotations

from pathlib import Path

PYTHON = (Path(__file__).parent / "class_config.txt").read_bytes()
PROPERTIES = (Path(__file__).parent / "properties.txt").read_bytes()
