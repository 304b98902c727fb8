"""What the administrator chose, and the machine as it was found."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs


class Platform(enum.Enum):
    """Who writes Asterisk's configuration files, which decides where ours belong."""

    ASTERISK = "asterisk"
    """The administrator."""
    FREEPBX = "freepbx"
    """FreePBX or Issabel: their ``*_custom.conf`` files are the administrator's, all others are overwritten."""
    MIKOPBX = "mikopbx"
    """MikoPBX, from its database at each start: users of AMI are made in its web interface."""


FREEPBX_SIGNS = ("/etc/freepbx.conf", "/etc/amportal.conf", "/etc/issabel.conf", "/etc/elastix.conf")
PACKAGED_UNITS = ("/usr/lib/systemd/system/uac-trio.service", "/lib/systemd/system/uac-trio.service")
MIKOPBX_SIGNS = ("/etc/inc/mikopbx-settings.json", "/cf/conf/mikopbx.db")


@attrs.frozen(kw_only=True)
class Answers:
    """What setup asks, or gets as options."""

    platform: Platform
    crm_url: str
    """The full address of PBXManager.php (``callback_url``)."""
    flavour: str
    timezone: str
    public_url: str
    bind: str
    extensions: str = r"^\d{2,5}$"
    ami_host: str = "127.0.0.1"
    ami_port: int = 5038
    ami_user: str = "uac-trio"
    pbx_name: str = "main"
    recordings: str = ""
    """The directory of the recordings on this machine; "" for none."""
    asterisk_dir: str = "/etc/asterisk"
    config: str = "/etc/uac-trio/uac-trio.toml"
    unit: str = "/etc/systemd/system/uac-trio.service"
    """Path of the systemd unit; "" for none."""
    fills_in: bool = False
    """Calls that no connector watched are filled in from CDR."""
    cdr: str = ""
    """``[[pbx]] cdr`` of the configuration that is there; "" if it has none."""
    cdr_file: str = ""
    """The same of ``cdr_file``."""
    adds_recording: bool = True
    """Where the dialplan records nothing: add a subroutine that does."""

    @property
    def is_here(self) -> bool:
        """Whether Asterisk and its files are on this machine and may be written."""
        return self.asterisk_dir != "" and self.platform is not Platform.MIKOPBX


@attrs.frozen
class FoundFile:
    """A file of the machine. ``mode``: its permissions."""

    text: str
    mode: int = 0o644


@attrs.frozen(kw_only=True)
class Machine:
    """What was found on the machine; paths are absolute."""

    files: Mapping[str, FoundFile]
    groups: frozenset[str] = frozenset()
    program: str = "/opt/uac-trio/bin/uac-trio"
    unit: str = ""
    """The text of the unit that is shipped."""

    def text(self, path: str) -> str:
        found = self.files.get(path)
        return found.text if found else ""

    @property
    def texts(self) -> dict[str, str]:
        return {path: found.text for path, found in self.files.items()}


def platform_of(machine: Machine, asterisk_dir: str) -> Platform | None:
    """The platform by the files of the machine; None if there is no Asterisk in ``asterisk_dir``."""
    if any(path in machine.files for path in MIKOPBX_SIGNS):
        return Platform.MIKOPBX
    manager = f"{asterisk_dir}/manager.conf"
    if any(path in machine.files for path in FREEPBX_SIGNS) and manager in machine.files:
        return Platform.FREEPBX
    if manager in machine.files or f"{asterisk_dir}/asterisk.conf" in machine.files:
        return Platform.ASTERISK
    return None


def callback_url(address: str) -> str:
    """The address of vTiger's callback, of the address of the CRM or of the callback itself."""
    address = address.strip().rstrip("/").removesuffix("/index.php")
    if address.endswith(".php"):
        return address
    return f"{address}/modules/PBXManager/callbacks/PBXManager.php"
