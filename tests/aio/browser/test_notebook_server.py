"""What a kernel learns of the notebook's server: of the one that started it, and of no other."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp.browser.notebook_server import ANSWER_PATIENCE, lacks_proxy, shown_folder
from asyncsamp.browser.widget import SOCKET_PATIENCE

from ...installed import require_module

PARENT = 4711


@pytest.mark.parametrize(
    ("host", "pid", "asked"),
    [
        ("127.0.0.1", PARENT, True),
        ("localhost", PARENT, True),
        ("0.0.0.0", PARENT, False),
        ("127.0.0.1", PARENT + 1, False),
    ],
)
async def test_only_the_server_that_started_it_on_this_machine_is_asked(
    host: str, pid: int, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_module("jupyterlab", "jupyterlab")  # which brings jupyter_core
    heard: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.path)
        raise web.HTTPNotFound

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://{host}:{runner.addresses[0][1]}/"
        described = json.dumps({"url": url, "token": "secret", "pid": pid})
        (tmp_path / f"jpserver-{PARENT}.json").write_text(described)
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("JPY_PARENT_PID", str(PARENT))
        assert await lacks_proxy(5) is asked
        assert heard == (["/proxy/5/x"] if asked else [])
    finally:
        await runner.cleanup()


def test_a_slow_server_is_waited_for_as_long_as_its_page() -> None:
    """Else its user would hear late, and not why no page comes."""
    assert ANSWER_PATIENCE >= SOCKET_PATIENCE


@pytest.mark.parametrize(("parent", "there"), [(os.getppid(), True), (PARENT, False)])
def test_only_the_folder_of_the_process_that_started_it_is_known(
    parent: int, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine with the same home may have written the same file."""
    require_module("jupyterlab", "jupyterlab")
    described = {"root_dir": str(tmp_path), "pid": parent}
    (tmp_path / f"jpserver-{parent}.json").write_text(json.dumps(described))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", str(parent))
    assert shown_folder() == (tmp_path if there else None)
    (tmp_path / f"jpserver-{parent}.json").write_text(json.dumps({**described, "root_dir": f"{tmp_path}/x"}))
    assert shown_folder() is None
