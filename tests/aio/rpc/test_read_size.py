"""How much is asked of the system at once."""

from __future__ import annotations

import asyncio

from asyncsamp.rpc import XmlRpcServer
from asyncsamp.rpc.connection import PeerConnection
from asyncsamp.rpc.read_size import read_little

MOST = 128 * 1024
"""From here on glibc takes memory from the system for each read, and gives it back."""


async def test_connections_in_both_directions_ask_for_little() -> None:
    loop = asyncio.get_running_loop()
    server = XmlRpcServer(lambda method, params: "", lambda begun: True)
    await server.start()
    transport, connection = await loop.create_connection(
        lambda: PeerConnection(loop, lambda lost: None), "127.0.0.1", server.port
    )
    front = server.server.make_front()
    front.connection_made(transport)
    assert 0 < transport.max_size < MOST  # type: ignore[attr-defined]
    front.connection_lost(None)
    connection.abort()
    await server.close()


def test_another_kind_of_transport_is_left_as_it_is() -> None:
    transport = asyncio.BaseTransport()
    read_little(transport)
    assert not hasattr(transport, "max_size")
