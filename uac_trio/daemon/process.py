"""What the process uses, under the names that all programs have in Prometheus (``process_*``).

prometheus_client has a collector of its own, which yields nothing under the shipped unit: it needs /proc/stat, and
``ProcSubset=pid`` hides that.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

PROC = Path("/proc/self")


def process_families(now: float, proc: Path = PROC) -> Iterator[Metric]:
    """CPU, memory, file descriptors and the start of this process; nothing where /proc cannot be read.

    ``now``: seconds since the epoch.
    """
    try:
        fields = (proc / "stat").read_text().rpartition(")")[2].split()  # proc(5); the name may hold anything
        open_fds = len(os.listdir(proc / "fd"))
    except OSError:
        return  # a container without /proc: the other metrics are worth having
    ticks, page_size = os.sysconf("SC_CLK_TCK"), resource.getpagesize()
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    cpu = (int(fields[11]) + int(fields[12])) / ticks
    yield CounterMetricFamily("process_cpu_seconds", "User and system CPU time.", value=cpu)
    gauges = {
        "process_resident_memory_bytes": ("Memory in use, RSS.", int(fields[21]) * page_size),
        "process_virtual_memory_bytes": ("Address space.", int(fields[20])),
        "process_start_time_seconds": ("When it started.", now - since_boot + int(fields[19]) / ticks),
        "process_open_fds": ("Open file descriptors.", open_fds),
        "process_max_fds": ("How many may be open.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    }
    for name, (what, value) in gauges.items():
        yield GaugeMetricFamily(name, what, value=float(value))
