"""Telling the hub our subscriptions, in the background since decorators cannot await (CLIENT-2, HUB-24)."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from ..errors import HubLostError
from ..interfaces import Connection
from ..mtypes import HUB_EVENTS
from ..values import Value
from .inbox import Handling
from .router import Router
from .stream import MessageStream

__all__ = ["Declarations", "Registered"]

log = logging.getLogger("asyncsamp.client")

# What every callable client of ours subscribes to (CLIENT-12, CLIENT-14, MTYPE-25, MTYPE-33).
_OWN_SUBSCRIPTIONS = ("samp.app.ping", *HUB_EVENTS, "samp.hub.disconnect", "samp.msg.progress")


class Registered(Protocol):
    """What the declarations need of the session that they are made in."""

    @property
    def at_hub(self) -> bool: ...

    @property
    def leaving(self) -> bool: ...

    def require(self, operation: str) -> None: ...

    def advised(self, error: HubLostError) -> HubLostError: ...

    async def request(self, operation: str, *params: Value, timeout: float | None = None) -> Value: ...


class Declarations:
    """What one session has told the hub of its handlers and streams, and has yet to tell."""

    def __init__(
        self,
        name: str,
        connection: Connection,
        router: Router[Handling, MessageStream],
        session: Registered,
    ) -> None:
        self.pending = False
        self._name = name
        self._connection = connection
        self._router = router
        self._session = session
        self._callable = False
        self._telling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """There is a new registration: its hub knows nothing, and cannot call us."""
        self._callable = False

    @property
    def callable(self) -> bool:
        """Whether the hub can call us, and so tells us of every change."""
        return self._callable

    def changed(self) -> None:
        """Tell the hub, in a task; several changes at once are told once. Without a hub, the next one."""
        self.pending = True
        if self._session.at_hub and (self._telling is None or self._telling.done()):
            telling = asyncio.get_running_loop().create_task(
                self._tell(), name=f"asyncsamp-declare-{self._name}"
            )
            telling.add_done_callback(self._told)
            self._telling = telling

    async def settled(self) -> None:
        """Return once the hub knows every subscription. Cancelling is safe.

        Without a hub there is nothing to wait for: the next one is told everything.

        Raises:
            SampError: What the hub said when it was told, if it refused.
        """
        telling = self._telling
        if telling is None or not self._session.at_hub:
            return
        # Not awaited as such: the end of that task is not the end of this one.
        await asyncio.wait({telling})
        if self._telling is not telling:
            await self.settled()  # changed again, meanwhile
        elif telling.cancelled():
            self._session.require("declare its subscriptions")
        else:
            telling.result()

    async def become_callable(self) -> None:
        """Let the hub call us, once (CLIENT-2). Raises as `Session.request` does; cancelling is safe."""
        while not self._callable:
            self._session.require("listen")
            self.changed()
            await self.settled()

    async def catch_up(self, *, wanted: bool) -> None:
        """Tell what is pending; become callable for it, or if that is `wanted`. Raises as above."""
        if self._callable and self.pending:
            self.changed()
            await self.settled()
        elif wanted or self.pending:
            await self.become_callable()

    def stop(self) -> None:
        """Tell nothing more for now."""
        if self._telling is not None:
            self._telling.cancel()

    async def stopped(self) -> None:
        """Return once nothing is being told, after `stop`."""
        if self._telling is not None:
            await asyncio.wait({self._telling})

    async def _tell(self) -> None:
        while self.pending and self._session.at_hub:
            self.pending = False
            try:
                await self._connection.listen()
            except HubLostError as error:
                raise self._session.advised(error) from error.__cause__
            declared = self._router.subscriptions(_OWN_SUBSCRIPTIONS)
            await self._session.request("declareSubscriptions", declared)
            self._callable = True

    def _told(self, task: asyncio.Task[None]) -> None:
        """Log that the hub refused, since perhaps nobody waits for it; a client that leaves does not care."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.pending = True
            if self._session.at_hub and not self._session.leaving:
                log.warning("client %r could not declare its subscriptions: %s", self._name, error)
