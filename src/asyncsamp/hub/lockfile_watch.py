"""Looks after the lockfile while the hub runs: whoever loses it is found by no new client."""

from __future__ import annotations

import asyncio
import logging

from ..discovery import Location, publish, still_ours
from ..errors import HubRunningError, LockfileError
from ..lockfile import Lockfile
from ..rpc import RpcClient

__all__ = ["LockfileWatch"]

log = logging.getLogger("asyncsamp.hub")


class LockfileWatch:
    """One task, which reads the lockfile every `interval` seconds and puts it back if it has gone.

    Clean-up programs delete it, full disks truncate it, and other hubs take it. A live hub's
    is left alone (STD-60); then this hub serves on those who know it, and says so once.
    """

    def __init__(self, location: Location, lockfile: Lockfile, interval: float) -> None:
        self._location = location
        self._lockfile = lockfile
        self._interval = interval
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._watch(), name="asyncsamp-hub-lockfile")

    async def close(self) -> None:
        """Stop looking. At the end nothing is put back any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        told = ""
        while True:
            await asyncio.sleep(self._interval)
            trouble = await self._look()
            if trouble and trouble != told:
                log.warning("%s", trouble)
            told = trouble

    async def _look(self) -> str:
        """Put the lockfile back if need be; return what is wrong with it if it cannot be."""
        if await still_ours(self._location, self._lockfile):
            return ""
        sender = RpcClient()
        try:
            await publish(self._location, self._lockfile, sender, reclaim=True)
        except HubRunningError as error:
            return (
                f"another hub, at {error.url}, has taken the lockfile {error.lockfile}: new clients go there"
            )
        except LockfileError as error:
            return f"the lockfile is not ours any more, so no new client finds this hub: {error}"
        finally:
            await sender.close()
        log.warning("the lockfile %s was gone or damaged; it is there again", self._location.place)
        return ""
