"""Secrets: in the file, in files of their own, in systemd's credentials, and in no message."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.config.files import FULL, PBX, VTIGER, loaded, problems, vtiger
from uac_trio.config.loading import load_config
from uac_trio.config.words import describe


def test_password_in_the_address_of_the_crm(tmp_path: Path) -> None:
    """Neither words, nor a repr, nor a complaint show the password in an address, and the address is used with it."""
    secret = VTIGER.replace("http://", "http://u:hunter3@")
    config = loaded(tmp_path, PBX + secret + '[route]\nbind = "127.0.0.1:4574"\n')
    shown = "\n".join(describe(config, 0))
    assert "http://u:hunter3@" in vtiger(config).url
    assert "http://vtiger/" in shown
    assert "SPAgi.php" in shown
    assert "hunter3" not in shown + repr(config)
    for fault in (secret.replace("PBXManager.php", "PBXManager.php?a=1#b"), secret.replace("u:", "u:a/b")):
        (wrong,) = problems(tmp_path, PBX + fault)
        assert "expected something like http://crm.example/" in wrong
        assert "hunter3" not in wrong


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "expected either secret or secret_file"),
        ('secret = "s3cret-a"\nsecret_file = "b"', "expected either secret or secret_file"),
        ('secret = ""', "[pbx] secret: expected text that is not empty"),
        ("secret = 5", '[pbx] secret: expected text in quotes, "..."'),
        ('secret_file = "nowhere"', "nowhere: No such file or directory"),
        ('secret_file = "/nowhere/at/all"', "/nowhere/at/all: No such file or directory"),
        (
            'secret_file = "$CREDENTIALS_DIRECTORY/ami"',
            "systemd sets this variable for units with LoadCredential= only",
        ),
        ('secret_file = "empty"', "[pbx] secret_file: empty: is empty"),
        ('secret_file = "latin1"', "latin1: is not UTF-8 text"),
        ("secret_file = []", "[pbx] secret_file: expected text in quotes"),
    ],
)
def test_secret_that_cannot_be_had(tmp_path: Path, secret: str, said: str) -> None:
    """A missing, doubled or unreadable secret is a problem, and its value is in no message."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin1").write_bytes(b"\xff")
    (problem,) = problems(tmp_path, f'[[pbx]]\nname = "a"\nhost = "pbx"\nusername = "b"\n{secret}\n' + VTIGER)
    assert said in problem


@pytest.mark.parametrize("secret_file", ["ami", "$CREDENTIALS_DIRECTORY/ami"])
def test_secret_from_systemd(tmp_path: Path, secret_file: str) -> None:
    """A secret_file is found among systemd's credentials, by its bare name too."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "ami").write_text("from-systemd\n")
    (tmp_path / "ami").write_text("beside the configuration")
    content = PBX.replace('secret = "ami-s3cret"', f'secret_file = "{secret_file}"') + VTIGER
    assert loaded(tmp_path, content, CREDENTIALS_DIRECTORY=str(credentials)).pbx[0].secret == "from-systemd"


def test_secret_beside_the_configuration(tmp_path: Path) -> None:
    """A relative secret_file is looked for beside the configuration, wherever we were started."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "crm").write_text("from-a-file\r\n")
    content = PBX + VTIGER.replace('secret = "crm-s3cret"', 'secret_file = "secrets/crm"')
    assert loaded(tmp_path, content).crm.secret == "from-a-file"


def test_credential_that_may_not_be_seen(tmp_path: Path) -> None:
    """What is wrong with systemd's directory is said of the file there. (A long name stands for a closed directory.)"""
    content = FULL.replace('secret = "ami-s3cret"', f'secret_file = "{"x" * 300}"')
    (one,) = problems(tmp_path, content, CREDENTIALS_DIRECTORY=str(tmp_path.parent))
    assert f"[pbx] secret_file: {tmp_path.parent}/xxx" in one
    assert one.endswith(": File name too long")


DATABASE = "postgresql+psycopg://uac:hunter3@db.example/uac"


@pytest.mark.parametrize("given", [DATABASE, f"{DATABASE}\n", f"  {DATABASE} \n\n"])
def test_address_of_the_store_in_a_file(tmp_path: Path, given: str) -> None:
    """[store] url_file: a path, a file beside the configuration, or a credential of systemd, as secret_file is."""
    (tmp_path / "store-url").write_text(given)
    config = loaded(tmp_path, FULL + '[store]\nurl_file = "store-url"\npool_size = 2')
    assert (config.store.url, config.store.pool_size) == (DATABASE, 2)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "store-url").write_text("sqlite:////x.db")
    path = tmp_path / "c.toml"
    assert load_config(path, {"CREDENTIALS_DIRECTORY": str(credentials)}).store.url == "sqlite:////x.db"


@pytest.mark.parametrize(
    ("store", "content", "said"),
    [
        ('url_file = "nowhere"', "", "[store] url_file: {}/nowhere: No such file or directory"),
        ('url_file = "store-url"', "", "[store] url_file: store-url: is empty"),
        (
            'url_file = "store-url"',
            "mysql://uac:hunter3@db/uac",
            "[store] url_file: mysql://uac:***@db/uac: mysql is not",
        ),
        (
            'url_file = "store-url"',
            "uac:hunter3@db",
            "[store] url_file: is no database address; expected sqlite:///FILE",
        ),
        (f'url_file = "store-url"\nurl = "{DATABASE}"', DATABASE, "[store] url: expected either url or url_file"),
        ("url_file = 5", "", '[store] url_file: expected text in quotes, "..."'),
    ],
)
def test_mistakes_about_the_address_of_the_store(tmp_path: Path, store: str, content: str, said: str) -> None:
    """Each is named with its key, and no password is repeated."""
    (tmp_path / "store-url").write_text(content)
    (problem,) = problems(tmp_path, FULL + f"[store]\n{store}")
    assert said.format(tmp_path) in problem
    assert "hunter3" not in problem


def test_password_of_the_store_in_a_readable_file(tmp_path: Path) -> None:
    """It is worth a warning, as a secret is; in url_file it is not."""
    (tmp_path / "store-url").write_text(DATABASE)
    secrets = FULL + f'[store]\nurl = "{DATABASE}"\n'
    path = tmp_path / "c.toml"
    path.write_text(secrets)
    path.chmod(0o644)
    assert any("name it in url_file" in warning for warning in load_config(path, {}).warnings)
    assert "hunter3" not in str(load_config(path, {}).warnings)
    path.chmod(0o600)
    assert not any("url_file" in warning for warning in load_config(path, {}).warnings)
    path.write_text(FULL + '[store]\nurl_file = "store-url"\n')
    path.chmod(0o644)
    assert not any("url_file" in warning for warning in load_config(path, {}).warnings)


def test_files_that_hold_secrets(tmp_path: Path) -> None:
    """For the check of who can read them: the configuration is one only if a secret or a password is written there."""
    for name in ("ami-secret", "vtiger-secret", "store-url"):
        (tmp_path / name).write_text("s3cret" if name != "store-url" else DATABASE)
    in_files = re.sub(r'secret = ".*?"', 'secret_file = "ami-secret"', FULL)
    assert loaded(tmp_path, f'{in_files}[store]\nurl = "sqlite:///c.db"').secret_files == (tmp_path / "ami-secret",)
    written = loaded(tmp_path, FULL)
    assert written.secret_files == (written.path,)
    with_password = loaded(tmp_path, f'{in_files}[store]\nurl = "{DATABASE}"')
    assert with_password.secret_files == (with_password.path, tmp_path / "ami-secret")
    in_file = loaded(tmp_path, f'{in_files}[store]\nurl_file = "store-url"')
    assert in_file.secret_files == (tmp_path / "ami-secret", tmp_path / "store-url")


@pytest.mark.parametrize("written", ['secret = "<the secret of manager.conf>"', 'secret_file = "ami-secret"'])
def test_placeholder_of_the_example(tmp_path: Path, written: str) -> None:
    """What the example has between < > is no secret, wherever it was left."""
    (tmp_path / "ami-secret").write_text("<a long random word>\n")
    (problem,) = problems(tmp_path, PBX.replace('secret = "ami-s3cret"', written) + VTIGER)
    assert problem.endswith("is still the placeholder of the example: write the value itself in place of <...>")


def test_what_to_do_about_a_missing_secret(tmp_path: Path) -> None:
    """The message has the command that makes the file for root alone."""
    (problem,) = problems(tmp_path, PBX.replace('secret = "ami-s3cret"', 'secret_file = "ami-secret"') + VTIGER)
    path = tmp_path / "ami-secret"
    assert problem == (
        f"c.toml:5: [pbx] secret_file: {path}: No such file or directory; make it "
        f"(install -m 600 /dev/null {path}) and put the secret in"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all files")
def test_secret_for_root_alone(tmp_path: Path) -> None:
    """Another user is asked to run the command as root."""
    (tmp_path / "ami-secret").touch(0o000)
    (problem,) = problems(tmp_path, PBX.replace('secret = "ami-s3cret"', 'secret_file = "ami-secret"') + VTIGER)
    assert problem.endswith("ami-secret: Permission denied; it is for root alone, so run the command as root (sudo)")


def test_password_of_cdr_in_a_readable_file(tmp_path: Path) -> None:
    """It is worth a warning, as the store's is, and the check looks at who can read the file; in cdr_file it is not."""
    address = "mysql+pymysql://uac:hunter3@db.example/asteriskcdrdb"
    others = {'secret = "ami-s3cret"': 'secret_file = "ami"', 'secret = "crm-s3cret"': 'secret_file = "crm"'}
    content = FULL
    for written, named in others.items():
        content = content.replace(written, named)
    for name, text in {"ami": "ami-s3cret", "crm": "crm-s3cret", "cdr": address}.items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "c.toml"
    path.write_text(content.replace('secret_file = "ami"', f'secret_file = "ami"\ncdr = "{address}"'))
    path.chmod(0o644)
    config = load_config(path, {})
    assert any("[[pbx]] cdr has a password" in warning and "cdr_file" in warning for warning in config.warnings)
    assert path in config.secret_files
    assert "hunter3" not in str(config.warnings)
    path.write_text(content.replace('secret_file = "ami"', 'secret_file = "ami"\ncdr_file = "cdr"'))
    config = load_config(path, {})
    assert not any("has a password" in warning for warning in config.warnings)
    assert (path in config.secret_files, tmp_path / "cdr" in config.secret_files) == (False, True)
