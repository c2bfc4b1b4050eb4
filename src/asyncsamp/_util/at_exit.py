"""What is done when the interpreter ends without a word to us: a notebook's kernel is restarted.

The event loop has ended then, so it is done without one, quickly.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from ..xmlrpc import dump_call

__all__ = ["forget", "unregister_at_exit", "withdraw_at_exit"]

_PATIENCE = 1.0
"""Seconds for the hub to take the goodbye: a kernel that does not end soon is killed."""

_Work = tuple[int, str, "Callable[[], object]"]

_hubs: weakref.WeakKeyDictionary[object, _Work] = weakref.WeakKeyDictionary()
_clients: weakref.WeakKeyDictionary[object, _Work] = weakref.WeakKeyDictionary()


def unregister_at_exit(owner: object, url: str, private_key: str) -> None:
    """Unregister a client at exit, unless `owner` is gone or `forget` is called before."""
    _clients[owner] = os.getpid(), url, partial(_unregister, url, private_key)


def withdraw_at_exit(owner: object, url: str, withdraw: Callable[[], object]) -> None:
    """Call `withdraw` at exit for the hub at `url`, unless `owner` is gone or `forget` is called before."""
    _hubs[owner] = os.getpid(), url, withdraw


def forget(owner: object) -> None:
    """There is nothing left to do for `owner`."""
    _hubs.pop(owner, None)
    _clients.pop(owner, None)


def _at_exit() -> None:
    """Do what is left; a fork (another process) has nothing to do, nor has a client of a hub in here."""
    here = os.getpid()
    ours = set()
    for process, url, work in list(_hubs.values()):
        if process == here:
            ours.add(url)
            with contextlib.suppress(OSError):
                work()
    for process, url, work in list(_clients.values()):
        if process == here and url not in ours:
            work()


def _unregister(url: str, private_key: str) -> None:
    """Say goodbye; if that fails, it is nobody's business any more."""
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port or 80, timeout=_PATIENCE)
    with contextlib.suppress(OSError, HTTPException), contextlib.closing(connection):
        body = dump_call("samp.hub.unregister", [private_key])
        connection.request("POST", place.path or "/", body, {"Content-Type": "text/xml"})
        connection.getresponse().read()


atexit.register(_at_exit)
