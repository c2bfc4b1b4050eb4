"""The file descriptors of the process: shared out by its limit, and raised where that is allowed."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp.rpc import RpcClient, RpcServer, descriptors
from asyncsamp.rpc.descriptors import Supply

from ..connections import turns_until
from ..wire import connect, post

resource = pytest.importorskip("resource", reason="limits of a process are a Unix thing")


@pytest.mark.parametrize(
    ("soft", "share"),
    [(10, 16), (64, 28), (256, 112), (1024, 480), (10**6, 8192), (resource.RLIM_INFINITY, 8192)],
)
def test_a_share_is_half_of_what_is_not_in_reserve(
    soft: int, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, soft))
    assert descriptors.share() == share


@pytest.mark.parametrize(
    ("number", "supply"),
    [(223, Supply.PLENTY), (224, Supply.SCARCE), (239, Supply.SCARCE), (240, Supply.SPENT)],
)
def test_the_number_of_a_connection_tells_how_many_are_left(
    number: int, supply: Supply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 256))
    assert descriptors.supply(number) is supply


RAISED = """
import resource
from asyncsamp.rpc.descriptors import allowed, raise_allowed
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
raise_allowed()
print(allowed())
"""


@pytest.mark.parametrize(("hard", "allowed"), [(256, 256), (1024, 1024), (10_000, 8192)])
def test_it_is_raised_where_that_is_allowed(hard: int, allowed: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", RAISED.format(hard=hard)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [str(allowed)]


RAISED_BY_A_HUB = """
import asyncio, resource, sys
from pathlib import Path
from asyncsamp import Hub

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))
    async with Hub(lockfile=Path(sys.argv[1])):
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

asyncio.run(main())
"""


def test_a_hub_raises_it_in_whatever_program_it_runs(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", RAISED_BY_A_HUB, tmp_path / "hub.samp"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["1024"]


async def test_a_server_and_a_client_have_a_share_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (64, 64))
    sender = RpcClient()

    async def nothing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    async with RpcServer(nothing) as server:
        assert (server.limit._most, sender._max_open) == (28, 28)
    await sender.close()


async def test_a_server_that_lacks_descriptors_tries_again_now_and_then() -> None:
    """Not at each turn of the loop, which took a core."""
    tried = 0
    lacking = True
    accept = socket.socket.accept

    def scarce(sock: socket.socket) -> tuple[socket.socket, object]:
        nonlocal tried
        if lacking:
            tried += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(sock)

    async def hello(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="hello")

    clock = asyncio.get_running_loop().time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "accept", scarce)
        begun = clock()
        async with RpcServer(hello) as server, connect(server.port) as (reader, writer):
            writer.write(post(b""))
            await turns_until(lambda: tried >= 4)
            assert clock() - begun > 0.25
            lacking = False
            async with asyncio.timeout(30):
                assert b" 200 " in await reader.readline()


class Idle:
    """One idle connection."""

    def __init__(self) -> None:
        self.open = True

    def close_one(self) -> bool:
        was_open, self.open = self.open, False
        return was_open


async def test_whoever_has_an_idle_connection_closes_it_for_others() -> None:
    one, two = Idle(), Idle()
    descriptors.hold(one)
    descriptors.hold(two)
    assert [descriptors.free_one() for _ in range(3)] == [True, True, False]
    one.open = True
    assert not await asyncio.to_thread(lambda: asyncio.run(_free_one()))  # another loop's are not touched


async def _free_one() -> bool:
    return descriptors.free_one()
