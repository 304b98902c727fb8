"""Machines with Asterisk's files as they are installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from uac_trio.asterisk_conf import Configuration, read
from uac_trio.setup.answers import Answers, FoundFile, Machine, Platform
from uac_trio.setup.change import Change

E = "/etc/asterisk"

DEBIAN = {
    f"{E}/asterisk.conf": "[directories]\nastspooldir => /srv/asterisk\n",
    f"{E}/manager.conf": '[general]\nenabled = no\nport = 5038\nbindaddr = 127.0.0.1\n#include "manager.d/*.conf" \n',
    f"{E}/manager.d/README.conf": "; put users here\n",
    f"{E}/cdr_manager.conf": "[general]\nenabled = no\n;[mappings]\n",
    f"{E}/extensions.conf": "[general]\n[office]\nexten => _1XX,1,Dial(PJSIP/${EXTEN})\n",
    f"{E}/pjsip.conf": "[phone](!)\ntype = endpoint\ncontext = office\n[101](phone)\n[102](phone)\n[trunk]\n"
    "type = endpoint\ncontext = from-trunk\n",
}
"""Of Debian's package, with phones."""

FREEPBX = {
    "/etc/freepbx.conf": "",
    f"{E}/manager.conf": "[general]\nenabled = yes\nport = 5038\nbindaddr = 127.0.0.1\n\n[admin]\nsecret = amp\n"
    "read = system,call\n\n#include manager_additional.conf\n#include manager_custom.conf\n",
    f"{E}/manager_additional.conf": "",
    f"{E}/manager_custom.conf": "",
    f"{E}/cdr_manager.conf": "[general]\n#include cdr_manager_general_additional.conf\n"
    "#include cdr_manager_general_custom.conf\n[mappings]\n#include cdr_manager_mapping_additional.conf\n"
    "#include cdr_manager_mapping_custom.conf",
    f"{E}/cdr_manager_general_additional.conf": "enabled=yes\n",
    f"{E}/extensions.conf": "[general]\n#include extensions_additional.conf\n#include extensions_custom.conf\n",
    f"{E}/extensions_additional.conf": "[originate-skipvm]\nexten => _X.,1,Noop()\n[macro-one-touch-record]\n"
    "exten => s,1,MixMonitor(a.wav)\n same => n,Set(CDR(recordingfile)=a.wav)\n",
}
"""FreePBX 15."""

OLD = {
    f"{E}/manager.conf": "[general]\r\nenabled = yes\r\n[old]\r\nsecret = x\r\nread = all\r\n",
    f"{E}/extensions.conf": "[vtiger]\nexten => _X.,1,Set(CDR(recordingpath)=/x.wav)\n"
    " same => n,MixMonitor(/x.wav,b)\n",
    f"{E}/sip.conf": "[general]\n[101]\ntype = friend\ncontext = vtiger\n",
}
"""Made by hand, as users of the old connector have it, with chan_sip and Windows' line ends."""

ANSWERS = Answers(
    platform=Platform.ASTERISK,
    crm_url="http://crm.local/modules/PBXManager/callbacks/PBXManager.php",
    flavour="salesplatform",
    timezone="Europe/Moscow",
    public_url="http://10.0.0.5:5000",
    bind="0.0.0.0:5000",
    recordings="/var/spool/asterisk/monitor",
)
ON_FREEPBX = attrs.evolve(ANSWERS, platform=Platform.FREEPBX)


def machine(texts: Mapping[str, str], *, groups: Iterable[str] = ("asterisk",), mode: int = 0o640) -> Machine:
    found = {path: FoundFile(text, mode) for path, text in texts.items()}
    return Machine(files=found, groups=frozenset(groups), unit=UNIT)


UNIT = """[Service]
ExecStart=/opt/uac-trio/bin/uac-trio run --config /etc/uac-trio/uac-trio.toml
LoadCredential=ami-secret:/etc/uac-trio/ami-secret
# SupplementaryGroups=asterisk
"""


def after(texts: Mapping[str, str], changes: Iterable[Change]) -> dict[str, str]:
    """The files when the changes have been carried out."""
    return {**texts, **{change.path: change.text for change in changes}}


def configuration(texts: Mapping[str, str], name: str) -> Configuration:
    found = read(f"{E}/{name}", texts)
    assert found.refused == []
    return found
