"""`asyncsamp.sync.connect`: one line in a script."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from ..notebook import Files
from ..notebook import connect as connect_inner
from .base import AsyncClient, around
from .client import Client
from .handlers import Dispatcher
from .portal import portal

__all__ = ["connect"]

_lock = threading.Lock()
_outer: weakref.WeakKeyDictionary[AsyncClient, weakref.ref[Client]] = weakref.WeakKeyDictionary()


def connect(
    name: str = "script",
    *,
    start_hub: bool = False,
    lockfile: str | os.PathLike[str] | None = None,
    join: str = "",
    files: Files = None,
    dispatcher: Dispatcher | None = None,
    **options: Any,
) -> Client:
    """Find a hub and return a registered client, as `asyncsamp.connect` does.

        with asyncsamp.sync.connect("my script", join="nats://127.0.0.1:47222") as client:
            client.send_table(table, "topcat")

    Called twice it gives the same client, as long as that is registered. A hub that it starts ends with the
    client, or with the program.

    Args:
        name: What others call the client (samp.name).
        start_hub: Whether to start a hub in this process if none runs.
        lockfile: Where the hub is published, if not where SAMP_HUB says or at `~/.samp`.
        join: The file of an invitation, or a server's URL: a hub that is started joins that room.
        files: With `join`, whether the files and local URLs that programs here send may be read by the whole
            room ("sent") or not ("none"); None for what the invitation says.
        dispatcher: Where handlers run, as of `Client`; that of the first call counts.
        options: Those of `Client`.

    Returns:
        The client.

    Raises:
        HubNotFoundError: There is no hub; it says how to start one.
        InvitationError: `join` cannot be used.
        SampError: Else as `Client.register`.
    """
    if "via" in options:
        raise ValueError("via= is for notebooks: use asyncsamp.connect")
    work = connect_inner(name, start_hub=start_hub, lockfile=lockfile, join=join, files=files, **options)
    inner = portal().run(work)
    with _lock:
        known = _outer.get(inner)
        client = None if known is None else known()
        if client is None:
            client = around(Client, inner, dispatcher)
            _outer[inner] = weakref.ref(client)
        return client
