"""The companion module: the files of ``module/`` as a zip that vTiger's Module Manager imports, 7.x and 8.x alike.

The zip is deterministic: the same version of this package makes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable

from uac_trio import __version__

NAME = "UacCompanion"
VERSION_FILE = f"modules/{NAME}/resources/version.txt"
"""Of the CRM's web server: the version of the module that is installed."""

_MANIFEST = "manifest.xml"
_SCRIPTS = ".js"
_AT = (1980, 1, 1, 0, 0, 0)


def module_version() -> str:
    """Of this package, and a fingerprint of the files: browsers keep scripts by their names."""
    return f"{__version__}-{_fingerprint(_sources())}"


def module_files() -> Mapping[str, bytes]:
    """By their paths in the zip."""
    sources = _sources()
    version = f"{__version__}-{_fingerprint(sources)}"
    in_names = version.replace(".", "_")  # in the CRM's names of scripts a dot separates folders
    files = {}
    for path, content in sources.items():
        if path == _MANIFEST:
            files[path] = content.replace(b"@VERSION@", __version__.encode())
        elif path.endswith(_SCRIPTS):
            files[f"modules/{NAME}/{path.removesuffix(_SCRIPTS)}-{in_names}{_SCRIPTS}"] = content
        else:
            files[f"modules/{NAME}/{path}"] = content
    files[VERSION_FILE] = f"{version}\n".encode()
    return dict(sorted(files.items()))


def module_zip() -> bytes:
    """What Module Manager imports."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as package:
        for path, content in module_files().items():
            package.writestr(zipfile.ZipInfo(path, _AT), content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def _sources() -> Mapping[str, bytes]:
    return dict(_read(resources.files("uac_trio.crm.vtiger") / "module", ""))


def _read(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _read(entry, f"{path}{entry.name}/")
        else:
            yield f"{path}{entry.name}", entry.read_bytes()


def _fingerprint(sources: Mapping[str, bytes]) -> str:
    """Eight characters."""
    digest = hashlib.sha256()
    for path, content in sources.items():
        digest.update(f"{path}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:8]
