"""The daemon keeps what it reads of the PBXes, by default."""

from __future__ import annotations

import trio

from tests.daemon.test_live import live
from tests.daemon.world import CALL_ID, World, part_of_call, running
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.flight_recorder.files import open_file, recorded_files
from uac_trio.replay import replay


async def test_the_last_hours(world: World) -> None:
    """Beside the store is a file that replays to the calls that the CRM has, without the secret of the PBX."""
    config = world.config()
    async with running(config):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    (file,) = recorded_files(world.tmp_path / "flight-recorder")
    assert file.pbx == "main"
    crm = VtigerSettings(url="http://crm.example/", secret="s").crm(Surroundings())
    (call,) = replay([open_file(file.path)], config.calls, crm).calls
    assert (call.call_id, call.status.value) == (CALL_ID, "completed")
    data = b"".join(chunk.data for chunk in open_file(file.path).chunks)
    assert b"Key: (not recorded)" in data
    assert b"s3cret" not in data


async def test_turned_off(world: World) -> None:
    """With enabled = false nothing is kept."""
    async with running(world.config("[flight_recorder]\nenabled = false\n")):
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
    assert not (world.tmp_path / "flight-recorder").exists()


async def test_a_state_directory_that_takes_no_files(world: World) -> None:
    """Calls are delivered although nothing can be recorded, and the page has the reason."""
    (world.tmp_path / "flight-recorder").write_text("in the way")
    async with running(world.config()) as address:
        await (await world.session()).say(part_of_call(None, None))
        await world.until(lambda: world.crm.steps(CALL_ID)[-1:] == ["EndCall"])
        with trio.fail_after(5):
            while not (findings := (await live(address))["findings"]):  # noqa: ASYNC110  over HTTP
                await trio.sleep(0.05)
    assert findings[0]["condition"] == "flight_recorder_fails"
    assert f"{world.tmp_path}/flight-recorder: " in findings[0]["words"]
