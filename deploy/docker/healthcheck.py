"""Docker's health check: ends with 0 if the connector of this container works, else with 1 and the reason.

It asks /healthz where [http] bind of the configuration says that the connector listens.
"""

from __future__ import annotations

import os
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

DEFAULT_BIND = "127.0.0.1:5000"
TIMEOUT = 4.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def address(configuration: Path) -> str:
    """Where the connector listens, as seen from beside it. Raises OSError, ValueError."""
    bind = tomllib.loads(configuration.read_text(encoding="utf-8")).get("http", {}).get("bind", DEFAULT_BIND)
    host, _, port = str(bind).rpartition(":")
    return f"http://{EVERYWHERE.get(host, host)}:{port}/healthz"


def fault(configuration: Path) -> str:
    """Why the connector does not work; "" if it does."""
    try:
        url = address(configuration)
    except (OSError, ValueError) as why:
        return f"{configuration}: {why}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever $http_proxy says
    try:
        with opener.open(url, timeout=TIMEOUT):
            return ""
    except urllib.error.HTTPError as refused:
        with refused:
            return f"{url}: {refused.code} {refused.read(2000).decode(errors='replace')}"
    except OSError as why:
        return f"{url}: {why}"


if __name__ == "__main__":
    sys.exit(fault(Path(os.environ.get("UAC_TRIO_CONFIG", "/etc/uac-trio/uac-trio.toml"))) or 0)
