"""python benchmarks/around/panoramisk_aiohttp.py AMI_PORT URL: the peer.

The example of panoramisk's README with an aiohttp session: each DialBegin, DialEnd and Hangup is posted as it
comes, by a task of its own. No call is tracked, nothing is stored, nothing is tried again.
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import urlencode

import aiohttp
from panoramisk import Manager

POSTED = ("DialBegin", "DialEnd", "Hangup")


async def main(port: int, url: str) -> None:
    manager = Manager(
        loop=asyncio.get_running_loop(), host="127.0.0.1", port=port, username="benchmark", secret="benchmark"
    )
    async with aiohttp.ClientSession() as session:

        async def post(_manager: Manager, event) -> None:  # noqa: ANN001 - panoramisk's Message has no types
            about = {
                "callstatus": event.event,
                "callUUID": event.get("DestUniqueid") or event.get("Uniqueid"),
                "channel": event.get("Channel"),
                "from": event.get("CallerIDNum"),
                "exten": event.get("Exten"),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            async with session.post(url, data=urlencode(about), headers=headers) as reply:
                await reply.read()

        for name in POSTED:
            manager.register_event(name, post)
        await manager.connect()
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
