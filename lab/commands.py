"""The lab's command line."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import click
import trio

import lab.scenarios  # noqa: F401  registers them
from lab.asterisk import AsteriskError, Server, open_sites
from lab.checking import Mistake, check_all
from lab.chroot import RELEASES, LabUnavailableError, default_cache, make_chroots
from lab.gaps import CUTS, Cut, Outcome, cut_all, forget_cdr
from lab.live import DaemonError, Verdict, run_live
from lab.stage import SCENARIOS, Scenario, open_stage


def chosen(names: Iterable[str], everyday: bool = False) -> list[Scenario]:
    """The scenarios of these names or beginnings of names; all if there are none."""
    wanted = list(names)
    scenes = [
        scene
        for scene in SCENARIOS.values()
        if (scene.everyday or not everyday)
        and (
            not wanted
            or any(scene.name == name or (name not in SCENARIOS and scene.name.startswith(name)) for name in wanted)
        )
    ]
    if not scenes:
        raise click.UsageError(f"no scenario is called {' or begins with '.join(wanted)}; see `python -m lab list`")
    return scenes


@attrs.frozen(kw_only=True)
class RecordOptions:
    """How `record` differs from a plain recording: who watches, and Asterisk's own settings."""

    user: str | None
    variables: tuple[tuple[str, str], ...]


async def record_all(
    cache: Path, versions: tuple[int, ...], scenes: list[Scenario], out: Path, options: RecordOptions
) -> int:
    """Record the scenes from each version, the versions side by side; how many had a problem."""
    problems = 0

    async def one(version: int, root: Path) -> None:
        nonlocal problems
        for profile in dict.fromkeys(scene.profile for scene in scenes):
            server = Server(root=root, version=version, profile=profile, variables=options.variables)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(open_sites(server))
                stage = await stack.enter_async_context(open_stage(server))
                for scene in scenes:
                    if scene.profile != profile or scene.live_only:
                        continue
                    _, problem = await stage.play(scene, out / f"asterisk{version}" / scene.name, options.user)
                    problems += problem is not None
                    click.echo(f"asterisk{version} {scene.name:44} {problem or 'ok'}")

    roots = await make_chroots(cache, versions, say_skipped)
    async with trio.open_nursery() as nursery:
        for version, root in roots.items():
            nursery.start_soon(one, version, root)
    return problems


@click.group(help=__doc__, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        context.invoke(run)


cache_option = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_cache,
    help="where the chroots are kept; $UAC_LAB_CACHE",
)
versions_option = click.option(
    "--asterisk",
    "versions",
    type=click.Choice([release.version for release in RELEASES]),
    multiple=True,
    default=[release.version for release in RELEASES],
    help="which; all if not given",
)


@main.command("list")
def list_scenarios() -> None:
    """Print the scenarios."""
    for scene in SCENARIOS.values():
        click.echo(f"{scene.name:44} {scene.profile:7} {scene.about}")


@main.command()
@cache_option
@versions_option
def prepare(cache: Path, versions: tuple[int, ...]) -> None:
    """Build the chroots that are not there yet, and no more."""
    or_skipped(partial(prepare_all, cache, versions))


async def prepare_all(cache: Path, versions: tuple[int, ...]) -> int:
    for version, root in (await make_chroots(cache, versions, say_skipped)).items():
        click.echo(f"asterisk{version}: {root}")
    return 0


def say_skipped(version: int, error: LabUnavailableError) -> None:
    click.echo(f"SKIPPED asterisk{version}: {error}")


@main.command()
@cache_option
@versions_option
@click.option("--user", help="who records: crm (sees all), calls or callsagent (fewer classes of events)")
@click.option("--systemname", default="pbx-hq", help="of asterisk.conf; makes every Uniqueid begin so")
@click.option("--no-cdr", is_flag=True, help="no CDR, so no Cdr events either")
@click.option("--unanswered", is_flag=True, help="unanswered=yes in cdr.conf")
@click.option("--cel", is_flag=True, help="CEL events too")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", nargs=-1)
def record(
    cache: Path,
    versions: tuple[int, ...],
    user: str | None,
    systemname: str,
    no_cdr: bool,
    unanswered: bool,
    cel: bool,
    out: Path,
    names: tuple[str, ...],
) -> None:
    """Play scenarios and record what AMI says: OUT/asteriskN/NAME.ami, .jsonl and .expect.json."""
    variables = {
        "SYSTEMNAME": systemname,
        "CDR": "no" if no_cdr else "yes",
        "UNANSWERED": "yes" if unanswered else "no",
        "CEL": "yes" if cel else "no",
    }
    options = RecordOptions(user=user, variables=tuple(variables.items()))
    sys.exit(1 if or_skipped(partial(record_all, cache, versions, chosen(names), out, options)) else 0)


@main.command()
@cache_option
@versions_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="keep transcripts, logs and the outbox here"
)
@click.argument("names", nargs=-1)
def run(cache: Path, versions: tuple[int, ...], out: Path | None, names: tuple[str, ...]) -> None:
    """Play scenarios (the everyday ones if none is named) against the real daemon and check the CRM's rows."""
    scenes = chosen(names, everyday=not names)
    with TemporaryDirectory(prefix="uac-trio-lab-") as spare:
        sys.exit(1 if or_skipped(partial(run_all, cache, versions, scenes, out or Path(spare))) else 0)


async def run_all(cache: Path, versions: tuple[int, ...], scenes: list[Scenario], out: Path) -> int:
    """Play the scenes live on each version, the versions side by side; how many were wrong."""
    verdicts: list[Verdict] = []

    def report(verdict: Verdict) -> None:
        verdicts.append(verdict)
        result = "ok" if not verdict.wrong else "WRONG"
        if verdict.played:
            result += f"; plays {', '.join(verdict.played)}"
        click.echo(
            f"asterisk{verdict.version} {verdict.scenario:44} {verdict.rows:2} rows {verdict.seconds:5.1f} s  {result}"
        )
        for text in verdict.wrong:
            click.echo(f"    {text}")

    async def one(version: int, root: Path) -> None:
        for profile in dict.fromkeys(scene.profile for scene in scenes):
            server = Server(root=root, version=version, profile=profile)
            mine = [scene for scene in scenes if scene.profile == profile]
            await run_live(server, mine, out / f"asterisk{version}-{profile}", report)

    roots = await make_chroots(cache, versions, say_skipped)
    async with trio.open_nursery() as nursery:
        for version, root in roots.items():
            nursery.start_soon(one, version, root)
    wrong = sum(bool(verdict.wrong) for verdict in verdicts)
    click.echo(f"{len(verdicts) - wrong} of {len(verdicts)} right")
    return wrong


@main.command()
@cache_option
@versions_option
def check(cache: Path, versions: tuple[int, ...]) -> None:
    """Run `uac-trio check --live` with mistakes on the PBX, and see that it names each, and no other."""
    with TemporaryDirectory(prefix="uac-trio-lab-") as spare:
        sys.exit(1 if or_skipped(partial(check_versions, cache, versions, Path(spare))) else 0)


async def check_versions(cache: Path, versions: tuple[int, ...], out: Path) -> int:
    """The versions side by side; how many mistakes were not named, or named otherwise."""
    wrong = 0

    async def one(version: int, root: Path) -> None:
        server = Server(root=root, version=version, profile="plain", variables=(("TIMESTAMPS", "yes"),))

        def report(mistake: Mistake, found: set[str]) -> None:
            nonlocal wrong
            is_right = found == mistake.found
            wrong += not is_right
            result = "ok" if is_right else f"WRONG: expected {sorted(mistake.found)}"
            click.echo(f"asterisk{version} {mistake.name:38} {', '.join(sorted(found)) or 'nothing':40} {result}")

        (out / f"asterisk{version}").mkdir()
        async with open_sites(server), open_stage(server) as stage:
            await check_all(server, stage, out / f"asterisk{version}", report)

    roots = await make_chroots(cache, versions, say_skipped)
    async with trio.open_nursery() as nursery:
        for version, root in roots.items():
            nursery.start_soon(one, version, root)
    return wrong


@main.command()
@cache_option
@versions_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="keep logs and the outboxes here")
@click.argument("names", nargs=-1, type=click.Choice([cut.name for cut in CUTS]))
def backfill(cache: Path, versions: tuple[int, ...], out: Path | None, names: tuple[str, ...]) -> None:
    """Stop, kill and freeze the daemon during calls, and see that it fills them in from the CDR that Asterisk wrote."""
    cuts = [cut for cut in CUTS if cut.name in (names or (cut.name,))]
    with TemporaryDirectory(prefix="uac-trio-lab-") as spare:
        sys.exit(1 if or_skipped(partial(backfill_versions, cache, versions, cuts, out or Path(spare))) else 0)


async def backfill_versions(cache: Path, versions: tuple[int, ...], cuts: list[Cut], out: Path) -> int:
    """The versions side by side; how many cuts left the CRM with wrong rows."""
    wrong = 0

    async def one(version: int, root: Path) -> None:
        variables = (("CDR_FILES", "load"), ("TIMESTAMPS", "yes"))
        server = Server(root=root, version=version, profile="plain", variables=variables)

        def report(outcome: Outcome) -> None:
            nonlocal wrong
            wrong += bool(outcome.wrong)
            result = "WRONG" if outcome.wrong else "ok"
            click.echo(f"asterisk{version} {outcome.cut.name:16} {outcome.seconds:5.1f} s  {result}")
            for text in (*outcome.rows, *outcome.wrong):
                click.echo(f"    {text}")

        async with open_sites(server), open_stage(server) as stage:
            forget_cdr(server)
            await cut_all(server, stage, cuts, out / f"asterisk{version}", report)

    roots = await make_chroots(cache, versions, say_skipped)
    async with trio.open_nursery() as nursery:
        for version, root in roots.items():
            nursery.start_soon(one, version, root)
    return wrong


def or_skipped(run: Callable[[], Awaitable[int]]) -> int:
    """Run it; where the lab cannot run on this machine say so, and count that as no problem."""
    try:
        return trio.run(until_stopped, run)
    except (LabUnavailableError, AsteriskError, DaemonError, BaseExceptionGroup) as error:
        reason = _first(error)
        match reason:
            case LabUnavailableError():
                click.echo(f"SKIPPED: the lab cannot run here: {reason}")
                return 0
            case AsteriskError() | DaemonError():
                click.echo(f"FAILED: {reason}")
                return 1
            case _:
                raise


async def until_stopped(run: Callable[[], Awaitable[int]]) -> int:
    """Run it to its end, or until SIGINT or SIGTERM; then too its children are ended first."""
    outcome = 1

    async def watch() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                click.echo(f"ended by {signal.Signals(number).name}")
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        outcome = await run()
        nursery.cancel_scope.cancel()
    return outcome


def _first(error: BaseException) -> BaseException:
    """The innermost of the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
