"""SAMP for plain, synchronous Python: the same client and hub, without `await`.

    from asyncsamp.sync import Client

    with Client("my tool") as client:
        client.send_table(table, "topcat")

`connect` finds a hub, starts one, or joins a room. All clients and hubs of a process share one event
loop in a daemon thread, which starts with the first of them. `client.py` and `hub.py` are written from
the asynchronous classes by scripts/make_sync.py.
"""

from .base import ForkedError
from .client import Client
from .connecting import connect
from .hub import Hub
from .stream import MessageStream, Stream

__all__ = ["Client", "ForkedError", "Hub", "MessageStream", "Stream", "connect"]
