"""The configuration of uac-trio: written from the answers, and the answers read from one that is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from uac_trio.setup.answers import Answers, Platform
from uac_trio.toml_text import Value, table_text

AMI_SECRET = "ami-secret"  # noqa: S105 - the name of a file
VTIGER_SECRET = "vtiger-secret"  # noqa: S105 - the name of a file
CDR_ADDRESS = "cdr-address"

_HEAD = """\
# The configuration of uac-trio, as uac-trio setup wrote it. Check it with: uac-trio check
# All keys with their meanings are in docs/configuration.md and deploy/uac-trio.example.toml.

"""


def configuration_text(answers: Answers, channel: str, context: str, cdr: Mapping[str, str]) -> str:
    """The TOML. ``channel``, ``context``: ``originate_channel`` and ``originate_context``. ``cdr``: keys and values."""
    pbx: dict[str, Value] = {"name": answers.pbx_name, "host": answers.ami_host}
    if answers.ami_port != 5038:
        pbx["port"] = answers.ami_port
    pbx |= {"username": answers.ami_user, "secret_file": AMI_SECRET}
    pbx |= {"originate_channel": channel, "originate_context": context}
    if answers.recordings:
        pbx["recordings"] = [answers.recordings]
    pbx |= cdr
    tables = [
        table_text("[[pbx]]", pbx, ["The name is part of every call's identity: never change it while calls go on."])
        + ('originate_variables = { pt1c_cid = "{number}" }\n' if answers.platform is Platform.MIKOPBX else ""),
        table_text("[calls]", {"extensions": answers.extensions}, ["Who is an employee."]),
        table_text(
            "[vtiger]",
            {
                "url": answers.crm_url,
                "secret_file": VTIGER_SECRET,
                "flavour": answers.flavour,
                "timezone": answers.timezone,
            },
            ["The time zone is $default_timezone of the CRM's config.inc.php."],
        ),
        table_text(
            "[http]",
            {"bind": answers.bind, "public_url": answers.public_url},
            ["Where the CRM sends clicks, and links to recordings begin."],
        ),
    ]
    return _HEAD + "\n".join(tables)


def given_in(text: str) -> dict[str, str]:
    """The answers in a configuration that is there, by their names; {} if it is empty or no TOML."""
    if not text.strip():
        return {}
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    pbxes = data.get("pbx")
    pbx = pbxes[0] if isinstance(pbxes, list) and pbxes and isinstance(pbxes[0], dict) else {}
    recordings = pbx.get("recordings")
    first = recordings[0] if isinstance(recordings, list) and recordings else ""  # "" is an answer: none here
    found = {
        "name": pbx.get("name"),
        "ami_user": pbx.get("username"),
        "recordings": first,
        "cdr": pbx.get("cdr"),
        "cdr_file": pbx.get("cdr_file"),
        "extensions": _table(data, "calls").get("extensions"),
        "crm_url": _table(data, "vtiger").get("url"),
        "flavour": _table(data, "vtiger").get("flavour"),
        "timezone": _table(data, "vtiger").get("timezone"),
        "bind": _table(data, "http").get("bind"),
        "public_url": _table(data, "http").get("public_url"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def unit_text(unit: str, program: str, config: str, group: str, credential: str) -> str:
    """The systemd unit for this machine: its paths, the group that may read recordings and CDR, and one more file of
    a secret; "" for none."""
    directory = config.rpartition("/")[0]
    unit = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", unit, flags=re.MULTILINE)
    if credential:
        one_more = f"LoadCredential={credential}:/etc/uac-trio/{credential}"
        unit = re.sub(r"^LoadCredential=ami-secret:.*$", rf"\g<0>\n{one_more}", unit, flags=re.MULTILINE)
    unit = unit.replace("/etc/uac-trio/uac-trio.toml", config).replace(":/etc/uac-trio/", f":{directory}/")
    return unit.replace("# SupplementaryGroups=asterisk", f"SupplementaryGroups={group}") if group else unit


def drop_in_text(group: str, credential: str, config: str) -> str:
    """What a unit that a package brought needs besides; see unit_text()."""
    lines = [f"SupplementaryGroups={group}"] if group else []
    lines += [f"LoadCredential={credential}:{config.rpartition('/')[0]}/{credential}"] if credential else []
    what = "the group that may read recordings" if group else "one more secret"
    return f"# Written by uac-trio setup: {what}.\n[Service]\n" + "".join(f"{line}\n" for line in lines)
