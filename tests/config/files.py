"""What the tests write into configuration files, and what loading gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from uac_trio.config.loading import Config, load_config
from uac_trio.config.reader import ConfigError
from uac_trio.crm.vtiger import VtigerAccount
from uac_trio.crm.vtiger.dialects import Vtiger

PBX = """[[pbx]]
name = "main"
host = "127.0.0.1"
username = "crm"
secret = "ami-s3cret"
"""
VTIGER = """
[vtiger]
url = "http://vtiger/modules/PBXManager/callbacks/PBXManager.php"
secret = "crm-s3cret"
"""
FULL = PBX + VTIGER

FAR = PBX + 'recordings_url = "http://pbx-host:5001/"\n' + 'recordings_secret = "far-s3cret"\n' + VTIGER


def loaded(tmp_path: Path, content: str, **environ: str) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(content)
    return load_config(path, environ)


def vtiger(config: Config) -> VtigerAccount:
    """What ``[vtiger]`` says."""
    assert isinstance(config.crm, Vtiger)
    return config.crm.account


def problems(tmp_path: Path, content: str, **environ: str) -> list[str]:
    """What is wrong with the content, each without the directory of the file."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, content, **environ)
    assert "s3cret" not in str(caught.value)
    return [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
