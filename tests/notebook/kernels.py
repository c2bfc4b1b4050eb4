"""Cells run on a real kernel, as in a notebook."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat.notebooknode import NotebookNode, from_dict

SECONDS = 60
"""For one cell; a kernel on a busy machine starts slowly."""


_node: Callable[[dict[str, Any]], NotebookNode] = from_dict


class Kernel:
    """A kernel and what its cells have given."""

    def __init__(self, client: Any, listener: Any) -> None:
        self._client = client
        self._listener = listener
        self._written = ""

    async def run(self, source: str, *, fails: bool = False) -> str:
        """Run a cell and return its output as text. Unless it `fails`, an error in it is one here."""
        cell = await self.cell(source)
        text = as_text(cell)
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == fails, text
        return text

    async def cell(self, source: str) -> Any:
        """Run a cell and return it, with its outputs."""
        tags = {"tags": ["raises-exception"]}
        cell = _node({"cell_type": "code", "source": source, "metadata": tags, "outputs": [], "id": "x"})
        self._client.nb.cells.append(cell)
        return await self._client.async_execute_cell(cell, len(self._client.nb.cells) - 1)

    async def shown(self, text: str) -> None:
        """Wait until the notebook shows `text` under any of its cells: handlers write when they run."""
        async with asyncio.timeout(SECONDS):
            while text not in self._written:
                message = await self._listener.get_iopub_msg(timeout=SECONDS)
                if message["msg_type"] == "stream" and message["parent_header"]:
                    self._written += message["content"]["text"]

    async def interrupt(self) -> None:
        """What the stop button does. The kernel sees it when its loop wakes: a question wakes it."""
        await self._client.km.interrupt_kernel()
        self._client.kc.kernel_info()

    async def restart(self) -> None:
        """What the restart button does."""
        await self._client.km.restart_kernel(now=False)
        await self._client.kc.wait_for_ready(timeout=SECONDS)


def patient(client: Any) -> Any:
    """Let the kernel of an nbclient end by itself: it would be killed after five seconds."""
    client.km = client.create_kernel_manager()
    client.km.shutdown_wait_time = float(SECONDS)
    return client


async def _until_heard(client: Any, listener: Any) -> None:
    """Wait until a listener hears the kernel: what comes before it is connected is lost."""
    while True:
        client.kc.kernel_info()  # of which the kernel tells all listeners
        with contextlib.suppress(queue.Empty):
            await listener.get_iopub_msg(timeout=0.5)
            return


@contextlib.asynccontextmanager
async def kernel(home: Path, lockfile: Path) -> AsyncIterator[Kernel]:
    """Run a Python kernel that looks for its hub at `lockfile`."""
    client: Any = NotebookClient(
        _node({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": home}},
    )
    async with patient(client).async_setup_kernel(env=kernel_environment(home, lockfile)):
        listener = client.km.client()
        listener.start_channels(shell=False, stdin=False, hb=False, control=False)
        try:
            async with asyncio.timeout(SECONDS):
                await _until_heard(client, listener)
            yield Kernel(client, listener)
        finally:
            listener.stop_channels()


def kernel_environment(home: Path, lockfile: Path) -> dict[str, str]:
    """Return the environment of a kernel of the test's own."""
    kept = {key: os.environ[key] for key in ("PATH", "PYTHONPATH", "LANG") if key in os.environ}
    folders = {name: str(home / name) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
    return {**kept, **folders, "HOME": str(home), "SAMP_HUB": f"std-lockurl:{lockfile.as_uri()}"}


def as_text(cell: Any) -> str:
    """Return everything that a cell has put out."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts += [str(value) for value in output.data.values()]
    return re.sub(r"\x1b\[[0-9;]*m", "", "".join(parts))


async def gone(client: Any, name: str, timeout: float = SECONDS) -> None:
    """Wait until nobody of that name is registered."""
    async with client.messages("samp.hub.event.unregister") as events, asyncio.timeout(timeout):
        await client.get_clients()
        while any(other.name == name for other in client.clients.values()):
            await anext(events)
