"""Runs the companion module's PHP with a stand-in of the vTiger classes that it touches."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from uac_trio.crm.vtiger.module_package import module_files

PHPS = [found for name in ("php7.4", "php8.2", "php") if (found := shutil.which(name))]
"""Every interpreter of Debian's packages that is here."""
needs_php = pytest.mark.skipif(not PHPS, reason="php is not installed (Debian's package php-cli)")

STAND_IN = Path(__file__).with_name("crm_stand_in.php")
GATEWAY = {"vtigersecretkey": "crm-secret", "webappurl": "http://10.0.0.7:5000/"}


def unpack(folder: Path) -> None:
    """The module as it lies in the CRM's folder, and the file of vtlib that it loads."""
    for path, content in module_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "vtlib" / "Vtiger").mkdir(parents=True)
    (folder / "vtlib" / "Vtiger" / "Link.php").write_text("<?php\n")


@attrs.frozen
class CRM:
    """A folder with the module in it."""

    folder: Path

    def run(self, *do: Any, **changed: Any) -> Any:
        """What came out: ``body``, ``links``, ``sql``, ``deleted``, ``error``."""
        scene = {
            "do": do, "user": {"id": 5, "extension": "101"}, "module": "on", "gateway": GATEWAY, "settings": {},
            "permitted": ["ReceiveIncomingCalls"], "calls": [], "request": {}, "language": "en_us", **changed,
        }  # fmt: skip
        ran = subprocess.run(
            [PHPS[-1], "-d", "display_errors=stderr", STAND_IN],
            input=json.dumps(scene), capture_output=True, text=True, cwd=self.folder, timeout=20, check=True,
        )  # fmt: skip
        return json.loads(ran.stdout)

    def answer(self, action: str, **changed: Any) -> Any:
        """The result of an action that answers with JSON."""
        out = self.run("action", action, **changed)
        assert out["error"] is None
        assert not out["loginRequired"]
        return json.loads(out["body"])["result"]

    def scripts(self) -> Sequence[str]:
        return sorted(path.name for path in (self.folder / "modules" / "UacCompanion" / "resources").glob("*.js"))
