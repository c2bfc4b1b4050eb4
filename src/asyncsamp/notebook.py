"""`asyncsamp.connect`: one line in a notebook's cell."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from weakref import WeakValueDictionary

from .client.client import Client

__all__ = ["connect"]

_connected: WeakValueDictionary[tuple[int, str, str], Client] = WeakValueDictionary()


async def connect(
    name: str = "notebook",
    *,
    start_hub: bool = False,
    lockfile: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Client:
    """Find a hub and return a registered client: `client = await asyncsamp.connect("my notebook")`.

    A cell that is run twice has the same client again, with its handlers and streams, as long
    as that is registered. With `start_hub` a hub is started in this process if none runs. It
    shares the event loop with everything here: while a cell computes for long without an
    `await`, all tools on that hub wait; use `asyncio.to_thread`, or `python -m asyncsamp.hub`
    in a terminal. It ends with the client, or with the process.

    `options` are those of `Client`. Leave with `await client.unregister()`; when the kernel ends
    it is done anyway. Raises as `Client.register` does: `HubNotFoundError` says how to start one.
    """
    key = id(asyncio.get_running_loop()), name, os.fspath(lockfile) if lockfile is not None else ""
    client = _connected.get(key)
    if client is not None and client.registered and not options:
        return client
    if client is not None:
        await client.unregister()
    client = await Client(name, start_hub=start_hub, lockfile=lockfile, **options).register()
    _connected[key] = client
    return client
