"""asyncsamp.sync in the programs that people write: Tk, Qt, FastAPI and Jupyter."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

import asyncsamp
from asyncsamp.sync import Client, Hub

from ..interop.peers import hub_variable, process
from ..interop.peers.desktop import xvfb
from ..notebook.kernels import kernel

pytestmark = pytest.mark.timeout(180)

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("name", ["tk_window.py", "qt_window.py"])
async def test_a_window_handles_messages_in_its_own_thread(name: str, tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        asyncsamp.Hub(lockfile=lockfile),
        asyncsamp.Client("pointer", lockfile=lockfile) as pointer,
        xvfb(tmp_path) as display,
    ):
        env = {
            **hub_variable(lockfile),
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "offscreen",  # PySide's wheel wants libraries of X that few have
            "PYTHONPATH": str(Path(asyncsamp.__file__).parents[1]),
        }
        async with process([sys.executable, EXAMPLES / name], name=name, home=tmp_path, env=env) as window:
            await window.line("^listening$")
            target = {"ra": 10.68, "dec": 41.27}
            (receiver,) = await pointer.get_subscribed_clients("coord.pointAt.sky")
            response = await pointer.call(receiver, "coord.pointAt.sky", target, timeout=30)
            assert response.ok
            await window.line(r"^ra 10\.68, dec 41\.27 in MainThread$")
            window.send_signal(signal.SIGINT)
            await window.line("^left$")
            assert await window.exit(30) == 0
            assert not await pointer.get_subscribed_clients("coord.pointAt.sky")


async def test_an_async_route_may_use_it(hub: Hub) -> None:
    app = FastAPI()

    @app.get("/names")
    async def names() -> list[str]:
        with Client("route") as client:
            return sorted(found.name for found in client.get_clients())

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        answers = await asyncio.gather(*(browser.get("/names") for _ in range(3)))
    assert all(answer.json()[0] == "Hub" for answer in answers)


CELL = """
from asyncsamp.sync import Client
client = Client("cell").register()
@client.on("x.ask")
def ask(message):
    return {"name": client.name}
print(sorted(found.name for found in client.get_clients()))
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_cells_use_it_where_a_loop_runs(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        asyncsamp.Hub(lockfile=lockfile),
        asyncsamp.Client("other", lockfile=lockfile) as other,
        kernel(tmp_path, lockfile) as cells,
    ):
        assert "['Hub', 'other']" in await cells.run(CELL)
        cell = await other.find("cell")
        assert (await other.call(cell, "x.ask", timeout=30)).result == {"name": "cell"}
        await cells.run("client.unregister()")
        assert threading.current_thread() is threading.main_thread()
