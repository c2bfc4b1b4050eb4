"""Whether the notebook's server leads pages to ports of this machine: jupyter-server-proxy."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["lacks_proxy"]

log = logging.getLogger("asyncsamp.browser")

_PATIENCE = 5.0
"""Seconds for the server of the notebook to answer."""


async def lacks_proxy(port: int) -> bool:
    """Return whether this kernel's server certainly leads no page to a port of this machine.

    The server is asked once, as the user's own programs are let to: what it needs for that, it leaves for
    them in a file. Where there is none, as under JupyterHub, only the page can find out. Cancelling is safe.

    Args:
        port: A port where something answers.
    """
    server = await asyncio.to_thread(_server)
    url, token = server.get("url"), server.get("token")
    if not isinstance(url, str) or not isinstance(token, str) or not token:
        return False
    headers = {"Authorization": f"token {token}"}
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            # Its certificate may be one that it made itself; it is on this machine.
            session.get(f"{url}proxy/{port}/x", headers=headers, allow_redirects=False, ssl=False) as answer,
        ):
            return answer.status == 404
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        log.debug("the server of this notebook did not answer: %s", error)
        return False


def _server() -> dict[str, Any]:
    """Return what the server that started this kernel says of itself; {} if it says nothing."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        name = f"jpserver-{int(os.environ['JPY_PARENT_PID'])}.json"
        described = json.loads((Path(jupyter_runtime_dir()) / name).read_text(encoding="utf-8"))
    except (ImportError, KeyError, ValueError, OSError):
        return {}
    return described if isinstance(described, dict) else {}
