"""The ways to a hub: over the Standard Profile, or straight to one in the same event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Protocol

from .._util import at_exit
from ..delivery import DeliverCall, DeliverNotification, Delivery, DeliveryError
from ..discovery import find_hub, locate, stale_lockfile
from ..errors import HubFaultError, HubLostError, HubNotFoundError
from ..interfaces import Engine, Receiver, Registration
from ..limits import Limits
from ..values import Value, ValueMap, copy_map, copy_value
from .callback import CallbackEndpoint
from .hub_proxy import HubProxy

__all__ = ["DirectConnection", "StandardConnection"]


class StandardConnection:
    """A connection by the Standard Profile (SAMP 1.3 §4).

    The lockfile is looked for as `Hub` does: `lockfile`, else `SAMP_HUB`, else `~/.samp`.
    It is read anew for each registration (STD-66). `callback_host` is where the client
    listens for the hub; no port is opened before `listen`.
    """

    def __init__(
        self,
        *,
        lockfile: str | os.PathLike[str] | None = None,
        callback_host: str = "127.0.0.1",
        limits: Limits | None = None,
    ) -> None:
        self._lockfile = lockfile
        self._callback_host = callback_host
        self._limits = limits or Limits()
        self._line = HubProxy("samp.hub", self._limits)
        self._endpoint: CallbackEndpoint | None = None
        self._turn = asyncio.Lock()  # for opening the endpoint

    def __repr__(self) -> str:
        return f"<StandardConnection {self._line.url or 'not connected'}>"

    @property
    def url(self) -> str:
        """The hub's endpoint or, before there is one, the place where the lockfile is looked for.

        Raises `LockfileError` if that cannot be made out.
        """
        return self._line.url or locate(lockfile=self._lockfile).description

    async def register(self, name: str, receiver: Receiver) -> Registration:
        """Find the hub and register; see `Connection.register`. The name is not used by this profile.

        If it fails or is cancelled, nothing is left open, and the hub is left.
        """
        await self.close()
        line = self._line
        try:
            location, lockfile = await find_hub(line.open(), lockfile=self._lockfile)
            line.url = lockfile.url
            try:
                registration = await line.register(lockfile.secret, receiver)
            except HubLostError as error:
                raise stale_lockfile(location, lockfile) from error
        except BaseException:
            await self.close()
            raise
        self._turn = asyncio.Lock()
        at_exit.unregister_at_exit(self, line.url, line.key)
        line.watch_over()
        return registration

    async def resume(self) -> bool:
        """See whether the hub is back, and knows us still; see `Connection.resume`."""
        line = self._line
        if line.sender is None or line.receiver is None:
            return False
        location, lockfile = await find_hub(line.sender, lockfile=self._lockfile)
        if lockfile.url != line.url:
            return False
        try:
            await line.operate("getMetadata", line.self_id)
        except HubFaultError:
            return False
        except HubLostError as error:
            raise stale_lockfile(location, lockfile) from error
        line.watch_over()
        return True

    async def listen(self) -> None:
        """Open the callback endpoint and name it to the hub (STD-13). Raises as `operate` does, or OSError.

        Two at once open one endpoint. If it fails or is cancelled, none is left.
        """
        async with self._turn:
            receiver = self._line.receiver
            if self._endpoint is not None or receiver is None:
                return
            endpoint = CallbackEndpoint(
                receiver, self._line.key, host=self._callback_host, max_body=self._limits.max_body
            )
            try:
                await endpoint.start()
                await self.operate("setXmlrpcCallback", endpoint.url)
            except BaseException:
                await endpoint.close()
                raise
            self._endpoint = endpoint

    async def operate(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Do one hub operation; see `Connection.operate`.

        Raises `RemoteProtocolError`, too, if the hub's answer cannot be understood.
        """
        return await self._line.operate(operation, *params, timeout=timeout)

    async def close(self) -> None:
        """Close the endpoint, the connections and the watch over the hub."""
        endpoint, self._endpoint = self._endpoint, None
        at_exit.forget(self)
        # In this order from the last to the first, and each also if it is cancelled meanwhile.
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._line.close)
            if endpoint is not None:
                stack.push_async_callback(endpoint.close)


class HasEngine(Protocol):
    """A `Hub`, as far as it matters here."""

    @property
    def engine(self) -> Engine: ...


class DirectConnection:
    """A connection to a hub that runs in the same event loop: no socket, no XML.

    async with Hub() as hub, Client("viewer", connection=DirectConnection(hub)) as viewer:
    """

    def __init__(self, hub: HasEngine) -> None:
        self._hub = hub
        self._engine: Engine | None = None
        self._receiver: Receiver | None = None
        self._self_id = ""

    def __repr__(self) -> str:
        return f"<DirectConnection {self._hub!r}>"

    @property
    def url(self) -> str:
        """A name for people to read; there is no socket."""
        return "the hub in this process"

    async def register(self, name: str, receiver: Receiver) -> Registration:
        """Register with the hub; see `Connection.register`. The name is not used here."""
        try:
            engine = self._hub.engine
        except RuntimeError as error:
            raise HubNotFoundError("this process, where the hub is not running") from error
        self._self_id = engine.register(self)
        self._engine, self._receiver = engine, receiver
        return Registration(self._self_id, engine.hub_id)

    async def resume(self) -> bool:
        """A hub in this process does not crash by itself: there is nothing to resume."""
        return False

    async def listen(self) -> None:
        """Become callable."""
        if self._engine is not None:
            self._engine.set_callable(self._self_id, True)

    async def operate(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Do one hub operation; see `Connection.operate`. What goes over is copied, as a wire would."""
        if self._engine is None:
            raise HubLostError(self.url, operation, "there is no connection to it")
        if operation == "unregister":
            self._receiver = None  # that the hub lets it go is no news then
        try:
            answered = await self._engine.operate(
                self._self_id, operation, [copy_value(value) for value in params]
            )
        except HubFaultError as error:
            raise HubFaultError.from_fault(error.code, error.text, operation) from None
        return copy_value(answered)

    async def close(self) -> None:
        """Receive nothing any more. The hub knows at once."""
        engine, self._engine = self._engine, None
        self._receiver = None
        if engine is not None:
            with contextlib.suppress(HubFaultError):  # it has let us go before
                await engine.operate(self._self_id, "unregister", [])

    # ---- as the hub's courier

    async def deliver(self, delivery: Delivery) -> None:
        """Hand one delivery to the receiver. Raises `DeliveryError` if it refuses."""
        receiver = self._receiver
        if receiver is None:
            raise DeliveryError("it has closed its connection", gone=True)
        try:
            if isinstance(delivery, DeliverNotification):
                receiver.receive_notification(delivery.sender, copy_map(delivery.message))
            elif isinstance(delivery, DeliverCall):
                receiver.receive_call(delivery.sender, delivery.msg_id, copy_map(delivery.message))
            else:
                response: ValueMap = copy_map(delivery.response)
                receiver.receive_response(delivery.responder, delivery.msg_tag, response)
        except HubFaultError as error:
            raise DeliveryError(f"it answered with a fault: {error.text}") from error

    async def is_alive(self, client: str) -> bool:
        """Whether the connection is open."""
        return self._receiver is not None

    def forget(self, client: str) -> None:
        """The hub has let the client go, or has stopped."""
        if client == self._self_id and self._engine is not None:
            self._engine = None
            if self._receiver is not None:
                self._receiver.connection_lost("it has let this client go")
