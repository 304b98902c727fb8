"""``python -m uac_trio``."""

from uac_trio.cli import main

main()
