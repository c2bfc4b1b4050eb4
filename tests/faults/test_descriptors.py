"""More clients than half of the hub's file descriptors, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path

import pytest

from asyncsamp import Client, Limits, RegistrationError, StandardConnection, xmlrpc
from asyncsamp.errors import FaultCode
from asyncsamp.values import Value

from ..aio.raw import port_of, post
from ..aio.wire import connect
from .limited import calm, cpu_seconds, limited_hub, told

pytestmark = pytest.mark.timeout(120)

CALM = 1.5
"""Seconds for which the hub is watched."""


@pytest.mark.parametrize("loop", ["asyncio", "as installed"])
@pytest.mark.parametrize(("files", "count"), [(256, 180), (1024, 520)])
async def test_all_are_let_in_and_the_hub_is_calm(
    files: int, count: int, loop: str, tmp_path: Path, long: bool
) -> None:
    """180 clients at macOS's 256 files, 520 at the 1,024 of most shells."""
    if files > 256 and not long:
        pytest.skip("takes its time; run with --long")
    lockfile = tmp_path / "hub.samp"
    async with (
        limited_hub(tmp_path, "RLIMIT_NOFILE", files, loop=loop) as hub,
        contextlib.AsyncExitStack() as stack,
    ):
        await hub.line("SAMP hub ready")
        clients = [Client(f"n{n}", lockfile=lockfile, reconnect=False) for n in range(count)]
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.register())
        streams = [await stack.enter_async_context(client.messages("a.b")) for client in clients[1:11]]
        await calm(hub, CALM)
        for number in range(10):
            assert len(await clients[0].notify_all("a.b", {"n": number})) == 10
        async with asyncio.timeout(60):
            for stream in streams:
                assert [(await anext(stream)).params["n"] for _ in range(10)] == [str(n) for n in range(10)]
        assert len(await clients[0].get_registered_clients()) == count
        for first in range(0, count, 40):  # all at once they might not be heard in time on a slow machine
            await asyncio.gather(*(client.unregister() for client in clients[first : first + 40]))
        hub.send_signal(signal.SIGTERM)
        assert await hub.exit(30) == 0
        assert len(told(hub)) <= 3, hub.stderr.lines


async def test_if_all_connections_are_at_work_newcomers_are_told(tmp_path: Path) -> None:
    async with (
        limited_hub(tmp_path, "RLIMIT_NOFILE", 64) as hub,
        contextlib.AsyncExitStack() as stack,
    ):
        await hub.line("SAMP hub ready")
        lockfile = tmp_path / "hub.samp"
        async with Client("one", lockfile=lockfile) as one, one.messages("a.b", answer=False) as asked:
            connection = one._connection
            assert isinstance(connection, StandardConnection)
            key, port = connection.proxy.key, port_of(connection.url)
            message: Value = {"samp.mtype": "a.b", "samp.params": {}}
            request = post(xmlrpc.dump_call("samp.hub.callAndWait", [key, one.public_id, message, "0"]))
            for _ in range(28):
                _, writer = await stack.enter_async_context(connect(port))
                writer.write(request)
                await anext(asked)
            hasty = Limits(request_timeout=5.0)  # by default a client tries for ten seconds
            clock = asyncio.get_running_loop().time
            begun, computed = clock(), cpu_seconds(hub)
            with pytest.raises(RegistrationError, match="too many connections for this program") as refused:
                await Client("newcomer", lockfile=lockfile, limits=hasty).register()
            assert refused.value.code == FaultCode.LIMIT_REACHED
            assert cpu_seconds(hub) - computed < 0.2 * (clock() - begun), "it waits calmly"
            assert len(told(hub)) <= 3, hub.stderr.lines
            await stack.aclose()
            newcomer = Client("newcomer", lockfile=lockfile)
            async with asyncio.timeout(30):
                while not newcomer.registered:
                    with contextlib.suppress(RegistrationError):
                        await newcomer.register()
            await newcomer.unregister()
