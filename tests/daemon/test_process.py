"""What the process uses, as Prometheus reads it."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from uac_trio.clock import now
from uac_trio.daemon.process import process_families


def read(**given: Path) -> dict[str, float]:
    return {sample.name: sample.value for metric in process_families(now(), **given) for sample in metric.samples}


def test_names() -> None:
    """All that Prometheus' dashboards for processes look for."""
    parts = {"resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds", "open_fds", "max_fds"}
    assert read().keys() == {f"process_{part}" for part in (*parts, "cpu_seconds_total")}


def test_values() -> None:
    """They are those of this process."""
    used = os.times()
    values = read()
    assert values["process_cpu_seconds_total"] == pytest.approx(used.user + used.system, abs=0.5)
    assert 1e6 < values["process_resident_memory_bytes"] < values["process_virtual_memory_bytes"]
    assert values["process_max_fds"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert now() - 86400 < values["process_start_time_seconds"] < now()


def test_file_descriptors() -> None:
    """One that is opened is counted."""
    before = read()["process_open_fds"]
    with open(os.devnull):
        assert read()["process_open_fds"] == before + 1


def test_start() -> None:
    """The start is when the kernel made the process, however long the machine runs."""
    seconds_old = now() - read()["process_start_time_seconds"]
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    by_the_kernel = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    assert seconds_old == pytest.approx(by_the_kernel, abs=1)


def test_name_of_the_process(tmp_path: Path) -> None:
    """A name with blanks and parentheses moves no field."""
    stat = f"7 (a) b (c) S {' '.join(str(field) for field in range(4, 53))}\n"
    (tmp_path / "stat").write_text(stat)
    (tmp_path / "fd").mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    values = read(proc=tmp_path)
    assert values["process_cpu_seconds_total"] == (14 + 15) / ticks
    assert values["process_virtual_memory_bytes"] == 23


def test_without_proc(tmp_path: Path) -> None:
    """Where /proc is not mounted there are none, and the rest of the page stays."""
    assert read(proc=tmp_path) == {}
