"""Builds the Debian package from a wheel and tries it; says why where it cannot. A finished package is tried as it is.

python -m tests.installed WHEEL|DEB [package] [systemd]
"""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path

from tests.installed.machine import UnavailableError, check_machine, debian_root
from tests.installed.package import try_package
from tests.installed.service import try_service
from tools.make_deb import CannotBuildError, make_deb
from tools.make_deb import check_machine as check_builder

TRIALS = {"package": try_package, "systemd": try_service}


def main(given: Path, names: list[str]) -> None:
    try:
        check_builder()
        check_machine()
        root = debian_root(platform.freedesktop_os_release()["VERSION_CODENAME"])
    except (CannotBuildError, UnavailableError) as why:
        print(f"SKIPPED: the trial of the {' and of '.join(names)}: {why}")
        return
    with tempfile.TemporaryDirectory(prefix="uac-trio-deb-") as place:
        deb = given if given.suffix == ".deb" else make_deb(given.resolve(), Path(place))
        for name in names:
            TRIALS[name](root, deb)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(TRIALS))
