"""What an event costs with many calls open, and in a call of many channels: the pipeline in process, CPU time.

python benchmarks/scale.py [--rounds N]
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from uac_trio.ami.message import Event
from uac_trio.ami.parser import MessageParser
from uac_trio.calls.adapters import is_wanted
from uac_trio.calls.rules import TrackerRules
from uac_trio.crm.protocol import Surroundings
from uac_trio.crm.vtiger import VtigerSettings
from uac_trio.pipeline import Pipeline

EPOCH = 1_795_414_019.0
MEASURED = 8000
"""Events."""


def new_pipeline() -> Pipeline:
    crm = VtigerSettings(url="http://crm.example/", secret="s").crm(Surroundings())
    pipeline = Pipeline(TrackerRules(), crm, lambda _: "")
    pipeline.connected("bench", EPOCH, "Asterisk Call Manager/11.0.0")
    return pipeline


def events_of(pieces: Iterator[bytes]) -> list[Event]:
    parser, found = MessageParser(wanted=is_wanted), []
    for piece in pieces:
        parser.receive_data(piece)
        found += [message for message in iter(parser.next_message, None) if isinstance(message, Event)]
    return found


def seconds_each(events: list[Event], measured: int) -> float:
    """Of the last so many."""
    pipeline, at = new_pipeline(), EPOCH
    assert len(events) > measured
    first = len(events) - measured
    for event in events[:first]:
        at += 0.001
        pipeline.received("bench", [event], at)
    gc.collect()
    gc.freeze()
    before = time.process_time()
    for event in events[first:]:
        at += 0.001
        pipeline.received("bench", [event], at)
    took = time.process_time() - before
    gc.unfreeze()
    return took / measured


def open_calls(count: int) -> list[Event]:
    """``count`` calls at once, until most of them have taken another's place."""
    from around.busy_pbx import Calls

    return events_of(Calls(random.Random(3), int(EPOCH)).stream(count * 60 + 12 * MEASURED, count))


def one_call(channels: int) -> list[Event]:
    """A caller whom so many phones ring for, all at once, and who hangs up."""
    from around.busy_pbx import Calls

    return events_of(Calls(random.Random(3), int(EPOCH)).ring_all(channels))


def ratios(rounds: int) -> tuple[float, float]:
    """Time for an event: 10,000 open calls against 10; a call of 10,000 channels against one of 1,000."""
    few, many, small, large = open_calls(10), open_calls(10_000), one_call(1000), one_call(10_000)
    calls, legs = [], []
    for _ in range(rounds):
        calls.append(seconds_each(many, MEASURED) / seconds_each(few, MEASURED))
        legs.append(seconds_each(large, len(large) - 1) / seconds_each(small, len(small) - 1))
    return statistics.median(calls), statistics.median(legs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    calls, legs = ratios(parser.parse_args().rounds)
    print(f"time for an event, 10,000 open calls against 10: {calls:.2f}")
    print(f"time for an event, a call of 10,000 channels against one of 1,000: {legs:.2f}")


if __name__ == "__main__":
    main()
