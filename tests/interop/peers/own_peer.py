"""A client of asyncsamp in a process of its own, to be killed. It knows one request: declare_subscriptions.

See `scripted.py` for the language.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from asyncsamp import Client, Message


def emit(**line: Any) -> None:
    print(json.dumps(line), flush=True)


async def handle(message: Message) -> dict[str, Any]:
    kind = "notification" if message.msg_id is None else "call"
    emit(event=kind, sender=message.sender, id=message.msg_id, message=message.to_map())
    if message.mtype == "test.hold":
        await asyncio.Event().wait()
    return message.params


async def main() -> None:
    client = Client("own")
    async with client:
        emit(event="ready", id=client.public_id)
        while line := await asyncio.to_thread(sys.stdin.readline):
            operation, subscriptions = json.loads(line)
            assert operation == "declare_subscriptions"
            for mtype in subscriptions:
                client.on(str(mtype))(handle)
            await client.settled()
            emit(answer="")


if __name__ == "__main__":
    asyncio.run(main())
