"""python benchmarks/around/panoramisk_parse.py FILE.ami: the peer's receiving side on the bytes of a file.

Its protocol object gets them as asyncio would hand them over, with one callback for all events. Prints the events and
the seconds of CPU without the start of the program.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol


class Transport:
    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def main(path: str) -> None:
    count = 0

    def callback(manager: Manager, event) -> None:  # noqa: ANN001 - panoramisk's Message has no types
        nonlocal count
        count += 1

    logging.getLogger("panoramisk").setLevel(logging.WARNING)
    manager = Manager(loop=asyncio.new_event_loop())
    manager.callbacks.clear()
    manager.patterns.clear()
    manager.register_event("*", callback)
    protocol = AMIProtocol()
    protocol.connection_made(Transport())
    protocol.factory, protocol.queue, protocol.encoding = manager, deque(), "utf8"
    began = time.process_time()
    with open(path, "rb") as file:
        while data := file.read(65536):
            protocol.data_received(data)
    print(count, time.process_time() - began)


if __name__ == "__main__":
    main(sys.argv[1])
