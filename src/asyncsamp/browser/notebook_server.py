"""What the notebook's server leads its pages to: ports of this machine, and files in a folder."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

__all__ = ["ANSWER_PATIENCE", "lacks_proxy", "shown_folder"]

log = logging.getLogger("asyncsamp.browser")

ANSWER_PATIENCE = 15.0
"""Seconds for the server of the notebook to answer: its page is waited for meanwhile, and no less."""


async def lacks_proxy(port: int) -> bool:
    """Return whether this kernel's server certainly leads no page to a port of this machine.

    The server is asked once, as the user's own programs are let to: what it needs for that, it leaves for
    them in a file. Where there is none, as under JupyterHub, or that server is of another machine with the
    same home, only the page can find out. Cancelling is safe.

    Args:
        port: A port where something answers.
    """
    server = await asyncio.to_thread(_server)
    url, token = server.get("url"), server.get("token")
    if not isinstance(url, str) or not isinstance(token, str) or not token or not _is_here(url):
        return False
    headers = {"Authorization": f"token {token}"}
    timeout = aiohttp.ClientTimeout(total=ANSWER_PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            # Its certificate may be one that it made itself; it is on this machine, see `_is_here`.
            session.get(f"{url}proxy/{port}/x", headers=headers, allow_redirects=False, ssl=False) as answer,
        ):
            return answer.status == 404
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        log.debug("the server of this notebook did not answer: %s", error)
        return False


def shown_folder() -> Path | None:
    """Return the folder whose files the notebook's server shows to its page; None if that is not known.

    It is known of the very process that started this kernel. Blocking: it reads a file.
    """
    server = _server()
    folder = server.get("root_dir")
    if server.get("pid") != os.getppid() or not isinstance(folder, str) or not os.access(folder, os.W_OK):
        return None
    return Path(folder)


def _is_here(url: str) -> bool:
    """Return whether a URL is of this machine, where nobody else answers."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _server() -> dict[str, Any]:
    """Return what the server that started this kernel says of itself; {} if it says nothing."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        parent = int(os.environ["JPY_PARENT_PID"])
        place = Path(jupyter_runtime_dir()) / f"jpserver-{parent}.json"
        described = json.loads(place.read_text(encoding="utf-8"))
    except (ImportError, KeyError, ValueError, OSError):
        return {}
    return described if isinstance(described, dict) and described.get("pid") == parent else {}
