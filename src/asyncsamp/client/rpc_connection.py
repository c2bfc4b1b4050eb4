"""What the connections over XML-RPC have in common: one registration at a time, over one `HubProxy`."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from ..interfaces import Receiver, Registration
from ..limits import Limits
from ..values import Value
from .hub_proxy import HubProxy

__all__ = ["RpcConnection"]


class RpcConnection(ABC):
    """A `Connection` whose operations are XML-RPC requests; a profile says how to register and to listen.

    Args:
        prefix: What the names of the profile's methods begin with.
        limits: Timeouts in seconds, and sizes in bytes.

    Attributes:
        proxy: The hub; for those who derive from this class.
    """

    def __init__(self, prefix: str, limits: Limits | None) -> None:
        self._limits = limits or Limits()
        self.proxy = HubProxy(prefix, self._limits)
        self._turn = asyncio.Lock()  # for beginning to listen

    @property
    def url(self) -> str:
        """The endpoint of the hub."""
        return self.proxy.url

    async def register(self, name: str, receiver: Receiver) -> Registration:
        """Find the hub and register; see `Connection.register`.

        If it fails or is cancelled, nothing is left open, and the hub has let the client go.

        Args:
            name: What the client is called.
            receiver: Who gets what the hub delivers.

        Returns:
            Our public id, and the hub's.

        Raises:
            HubNotFoundError: There is no hub.
            LockfileError: The lockfile cannot be used.
            RegistrationError: The hub does not let us in.
            HubLostError: The hub does not answer.
        """
        await self.close()
        try:
            registration = await self._enter(name, receiver)
        except BaseException:
            await self.close()
            raise
        self._turn = asyncio.Lock()  # a lock belongs to one event loop
        self.proxy.watch_over()
        return registration

    async def listen(self) -> None:
        """Become callable; raises as `ask_hub` does, or OSError.

        Two tasks may call it at once: the client becomes callable once. If it fails or is cancelled,
        nothing is left open.
        """
        async with self._turn:
            receiver = self.proxy.receiver
            if receiver is not None and not self._is_listening():
                await self._begin_listening(receiver)

    def ask_hub(
        self, operation: str, *params: Value, timeout: float | None = None
    ) -> Coroutine[Any, Any, Value]:
        """Do one hub operation, when awaited; see `Connection.ask_hub`.

        Cancelling is safe; the hub may have done the operation.

        Args:
            operation: The name of the operation in the standard.
            params: Its parameters.
            timeout: Seconds to wait for the answer; None takes the connection's own bound.

        Returns:
            The result of the operation.

        Raises:
            HubFaultError: The hub refuses.
            HubLostError: The hub does not answer.
            RemoteProtocolError: The answer of the hub cannot be understood.
        """
        return self.proxy.call(operation, self.proxy.key, *params, timeout=timeout)

    async def close(self) -> None:
        """End the listening, the connections and the watch over the hub, also if it is cancelled."""
        # In this order from the last to the first.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.proxy.close)
            stack.push_async_callback(self._end_listening)

    @abstractmethod
    async def _enter(self, name: str, receiver: Receiver) -> Registration:
        """Open the proxy and register with it. What is left open when it raises is closed."""

    @abstractmethod
    def _is_listening(self) -> bool:
        """Whether the hub can call us."""

    @abstractmethod
    async def _begin_listening(self, receiver: Receiver) -> None:
        """Let the hub call us; leaves nothing behind if it fails."""

    @abstractmethod
    async def _end_listening(self) -> None:
        """Undo what `_begin_listening` did; nothing if it was not called."""
