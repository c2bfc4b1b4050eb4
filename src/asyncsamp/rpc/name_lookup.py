"""Looking up the addresses of hosts, without harm when no name server answers.

A look-up that hangs cannot be stopped. In the threads of asyncio's own executor, a few of them would hold up
everything else that is done there, and the end of the program.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from functools import partial

from .._util.threads import in_daemon_thread

__all__ = ["NameLookup"]

_AT_ONCE = 16
"""Names that are looked up at the same time, each in a thread."""

_PATIENCE = 5.0
"""Seconds that a look-up may take; resolvers wait as long for one answer of a name server."""

_FAILED_FOR = 30.0
"""Seconds in which a name that could not be found is not looked up again."""

_MOST_FAILED = 1000


class NameLookup:
    """Looks up names, each once at a time, and remembers for a while which of them failed."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[list[str]]] = {}
        self._failed: dict[str, tuple[float, str]] = {}  # until when, and why

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of `host`, in the order in which they are to be tried. Cancelling is safe.

        Raises:
            socket.gaierror: There are none, or nobody has told in time.
            UnicodeError: It is not a name.
        """
        if _needs_no_server(host):
            return [host]
        now = asyncio.get_running_loop().time()
        until, reason = self._failed.get(host, (0.0, ""))
        if now < until:
            raise socket.gaierror(socket.EAI_AGAIN, reason)
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asyncio.shield(self._lookup(host))
        except TimeoutError:
            raise self._fail(host, f"no name server told within {_PATIENCE:g} s where {host} is") from None
        except socket.gaierror as error:
            raise self._fail(host, f"{host} is not known: {error.strerror}") from None

    def close(self) -> None:
        """Wait for nothing any more. The threads do not keep the process alive."""
        for running in self._running.values():
            running.cancel()

    def _lookup(self, host: str) -> asyncio.Task[list[str]]:
        running = self._running.get(host)
        if running is None:
            if len(self._running) >= _AT_ONCE:
                raise socket.gaierror(socket.EAI_AGAIN, "too many other names are being looked up")
            looking = in_daemon_thread(partial(_look_up, host))
            running = asyncio.get_running_loop().create_task(looking, name="asyncsamp-lookup")
            self._running[host] = running
            running.add_done_callback(partial(self._end, host))
        return running

    def _end(self, host: str, ended: asyncio.Task[list[str]]) -> None:
        del self._running[host]
        if not ended.cancelled():
            ended.exception()  # else asyncio complains if nobody has waited so long

    def _fail(self, host: str, reason: str) -> socket.gaierror:
        if len(self._failed) >= _MOST_FAILED:
            self._failed.clear()
        self._failed[host] = (asyncio.get_running_loop().time() + _FAILED_FOR, reason)
        return socket.gaierror(socket.EAI_AGAIN, reason)


def _needs_no_server(host: str) -> bool:
    """Whether `host` is an address, or the name of this machine that each system knows."""
    if host.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _look_up(host: str) -> list[str]:
    infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))
