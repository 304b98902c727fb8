"""python -m lab: see README.md."""

from __future__ import annotations

from lab.commands import main

main()
