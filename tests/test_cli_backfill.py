"""``uac-trio backfill``: what an administrator runs, and reads."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
from click.testing import CliRunner, Result

from tests.cdr.evaluation import ROOT
from tests.fake_asterisk import FakeAsterisk
from uac_trio.ami_client.server import AMIServer
from uac_trio.cli import backfill as command
from uac_trio.cli import main
from uac_trio.cli.backfill import channels_of
from uac_trio.config.loading import load_config

CONFIG = """
[[pbx]]
name = "main"
host = "127.0.0.1"
port = {port}
username = "crm"
secret = "ami-s3cret"
{cdr}
[vtiger]
url = "http://127.0.0.1:9/PBXManager.php"
secret = "crm-s3cret"
flavour = "{flavour}"
[calls]
extensions = '^20\\d$'
outside_prefix = "9"
[http]
public_url = "http://connector:5000"
[store]
url = "sqlite:///connector.db"
"""


@pytest.fixture(autouse=True)
def no_pbx(monkeypatch: pytest.MonkeyPatch) -> None:
    """The PBX lists no channels; another test asks a real one."""

    async def none(_: object) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        return frozenset()

    monkeypatch.setattr(command, "channels_of", none)


def config(tmp_path: Path, cdr: str = "", flavour: str = "salesplatform") -> Path:
    path = tmp_path / "uac-trio.toml"
    path.write_text(CONFIG.format(cdr=cdr, flavour=flavour, port=1))
    return path


def recorded(tmp_path: Path) -> Path:
    """A FreePBX's rows as a file."""
    return config(tmp_path, f'cdr = "csv://{ROOT}/freepbx15/rg_v2_mobile_confirms.cdr.csv"')


def run(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["backfill", "--config", str(path), *arguments])


def test_a_dry_run_lists_what_is_missing(tmp_path: Path) -> None:
    result = run(recorded(tmp_path), "--since", "2026-11-28 03:00+00:00", "--dry-run")

    assert result.exit_code == 0
    assert "main-1795835350.788  201  end  inbound 7916***4567, answered-elsewhere" in result.output
    assert "PBX main: 1 calls in CDR, 1 with something missing" in result.output
    assert "would be put into the outbox" in result.output
    assert not (tmp_path / "connector.db").exists()


def test_numbers_in_full(tmp_path: Path) -> None:
    since = ("--since", "2026-11-28 03:00+00:00", "--dry-run", "--show-numbers")

    assert "inbound 79161234567" in run(recorded(tmp_path), *since).output


def test_twice(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    first = run(path, "--since", "2026-11-28T03:00+00:00", "--until", "2026-11-28T04:00+00:00")
    second = run(path, "--since", "2026-11-28T03:00+00:00", "--until", "2026-11-28T04:00+00:00")

    assert first.exit_code == second.exit_code == 0
    assert "1 with something missing" in first.output
    assert "0 with something missing; 0 deliveries were put" in second.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "tomorrow"), "'tomorrow' is no time; expected a time such as"),
        (("--since", "2026-11-28", "--until", "2026-11-27"), "--since must be before --until"),
        (("--since", "2100-01-01"), "--since must be before --until, and before now"),
        (("--since", "1h", "--pbx", "other"), "[[pbx]] other has no cdr"),
        ((), "Missing option '--since'"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    result = run(recorded(tmp_path), *arguments)

    assert result.exit_code == 2
    assert words in result.output


def test_no_cdr_is_configured(tmp_path: Path) -> None:
    result = run(config(tmp_path), "--since", "1h")

    assert result.exit_code == 2
    assert "no [[pbx]] has a cdr, which says where its CDR is (docs/backfill.md)" in result.output


def test_stock_would_show_twice_what_is_not_known_any_more(tmp_path: Path) -> None:
    path = config(tmp_path, f'cdr = "csv://{tmp_path}/Master.csv"', "stock")

    result = run(path, "--since", "8d")

    assert result.exit_code == 2
    assert "longer ago than [store] keep_delivered (7 days)" in result.output


def test_cdr_that_cannot_be_read(tmp_path: Path) -> None:
    result = run(config(tmp_path, f'cdr = "csv://{tmp_path}/Master.csv"'), "--since", "2h")

    assert result.exit_code == 1
    assert "uac-trio: PBX main: " in result.output
    assert "no such file; is cdr_csv.so loaded" in result.output


def test_settings_that_are_wrong(tmp_path: Path) -> None:
    wrong = run(config(tmp_path, 'cdr = "Master.csv"\ncdr_zone = "Moscow"'), "--since", "2h")
    alone = run(config(tmp_path, 'cdr_zone = "Europe/Moscow"'), "--since", "2h")

    assert wrong.exit_code == alone.exit_code == 2
    assert "cdr: expected mysql+pymysql://USER:PASSWORD@HOST/asteriskcdrdb" in wrong.output
    assert "cdr_zone: expected the name of a time zone such as Europe/Moscow" in wrong.output
    assert "cdr_zone: needs cdr, which is missing" in alone.output


def test_the_address_may_be_in_a_file_of_its_own(tmp_path: Path) -> None:
    address = tmp_path / "cdr-address"
    address.write_text(f"csv://{ROOT}/freepbx15/in_chan_sip.cdr.csv\n")
    address.chmod(0o600)
    path = config(tmp_path, f'cdr_file = "{address}"')

    assert load_config(path).cdr[0].address.endswith("in_chan_sip.cdr.csv")


async def test_channels_that_a_pbx_lists(nursery: trio.Nursery) -> None:
    asterisk = FakeAsterisk(nursery, channels=[("Channel: PJSIP/101-0000000a", "Uniqueid: 7.8", "Linkedid: 7.7")])
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, asterisk.serve, listeners)
    port = listeners[0].socket.getsockname()[1]
    server = AMIServer(name="main", host="127.0.0.1", port=port, username="crm", secret="s3cret")

    assert await channels_of(server) == frozenset({"PJSIP/101-0000000a", "7.8", "7.7"})
    assert await channels_of(attrs.evolve(server, secret="other")) is None
