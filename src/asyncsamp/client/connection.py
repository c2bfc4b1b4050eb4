"""The ways to a hub: over the Standard Profile, or straight to one in the same event loop."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any, Protocol

from .._util import at_exit
from .._util.threads import values_of
from ..delivery import Delivery, DeliveryError
from ..discovery import Location, find_hub, has_proof, is_alive, locate, lockfile_owner, stale_lockfile
from ..errors import (
    FaultError,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    RegistrationError,
    RemoteProtocolError,
)
from ..interfaces import Engine, Receiver, Registration
from ..limits import Limits
from ..rpc import RpcClient
from ..values import RawMap, Value, copy_value
from .callback import CallbackEndpoint, receive
from .rpc_connection import RpcConnection

__all__ = ["DirectConnection", "StandardConnection"]


log = logging.getLogger("asyncsamp.client")


class StandardConnection(RpcConnection):
    """A connection by the Standard Profile (SAMP 1.3 §4). No port is opened before `listen`.

    Args:
        lockfile: Where the hub is found; by default as `SAMP_HUB` says, else `~/.samp`. It is read
            anew for each registration (STD-66).
        callback_host: The host on which the client listens for the hub.
        limits: Timeouts in seconds, and sizes in bytes.
    """

    def __init__(
        self,
        *,
        lockfile: str | os.PathLike[str] | None = None,
        callback_host: str = "127.0.0.1",
        limits: Limits | None = None,
    ) -> None:
        super().__init__("samp.hub", limits)
        self._lockfile = lockfile
        self._callback_host = callback_host
        self._endpoint: CallbackEndpoint | None = None
        self._secret = ""

    def __repr__(self) -> str:
        return f"<StandardConnection {self.proxy.url or 'not connected'}>"

    @property
    def url(self) -> str:
        """The hub's endpoint or, before there is one, the place where the lockfile is looked for.

        Raises:
            LockfileError: SAMP_HUB cannot be understood.
        """
        return self.proxy.url or locate(lockfile=self._lockfile).description

    async def resume(self) -> bool:
        """Return whether the hub is back and knows us still; see `Connection.resume`. Cancelling is safe.

        Raises:
            HubNotFoundError: There is no hub; it may be asked again.
            LockfileError: The lockfile cannot be used; it may be asked again.
        """
        proxy = self.proxy
        if not isinstance(proxy.sender, RpcClient) or proxy.receiver is None:
            return False
        location, lockfile = await find_hub(proxy.sender, lockfile=self._lockfile)
        if (lockfile.url, lockfile.secret) != (proxy.url, self._secret) or not has_proof(lockfile):
            return False
        try:
            # Whoever has the port now gets the key only once he has shown that he is the hub.
            await proxy.check_proof(lockfile.secret)
            key = await proxy.renew_key()
        except HubFaultError:
            return False
        except (HubLostError, RemoteProtocolError) as error:
            raise stale_lockfile(location, lockfile) from error
        if self._endpoint is not None:
            self._endpoint.renew_key(key)
        at_exit.unregister_at_exit(self, proxy.url, key)
        proxy.watch_over()
        return True

    async def traffic(self) -> tuple[list[dict[str, Any]], int]:
        """Return what has happened in the hub since last asked, and how many events were missed.

        The first question is answered at once; later ones when there is something, or after 20 s. What is
        told so is not delivered to this client as a notification again. See `hub.tap` for the items.

        Raises:
            HubFaultError: The hub is of another make, or older, and tells nothing of its traffic.
            HubLostError: It is gone.
            RemoteProtocolError: What it says cannot be read.

        If it is cancelled, what the hub was about to say may be lost.
        """
        return await self.proxy.traffic()

    async def close(self) -> None:
        """Close the endpoint, the connections and the watch over the hub.

        If it is cancelled, all is closed as well.
        """
        at_exit.forget(self)
        await super().close()

    async def _enter(self, name: str, receiver: Receiver) -> Registration:
        """Find the hub and register. The name is not used by this profile."""
        proxy = self.proxy
        sender = proxy.open()
        location, lockfile = await find_hub(sender, lockfile=self._lockfile)
        proxy.url, proxy.owner = lockfile.url, await _owner(location)
        try:
            registration = await proxy.register(lockfile.secret, receiver)
        except HubLostError as error:
            raise stale_lockfile(location, lockfile) from error
        except RemoteProtocolError as error:
            if await is_alive(lockfile.url, sender):
                raise
            # After a crash some other server may have got the port that the lockfile names.
            raise stale_lockfile(location, lockfile) from error
        at_exit.unregister_at_exit(self, proxy.url, proxy.key)
        self._secret = lockfile.secret
        return registration

    def _is_listening(self) -> bool:
        return self._endpoint is not None

    async def _begin_listening(self, receiver: Receiver) -> None:
        """Open the callback endpoint and name it to the hub (STD-13)."""
        endpoint = CallbackEndpoint(
            receiver, self.proxy.key, host=self._callback_host, max_body=self._limits.max_body
        )
        try:
            await endpoint.start()
            await self.ask_hub("setXmlrpcCallback", endpoint.url)
        except BaseException:
            await endpoint.close()
            raise
        self._endpoint = endpoint

    async def _end_listening(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            await endpoint.close()


async def _owner(location: Location) -> int | None:
    """Return whom the lockfile belongs to; say so if it is another user."""
    owner = await lockfile_owner(location)
    if owner is not None and owner not in (0, os.getuid()):
        log.warning(
            "the lockfile %s belongs to another user (uid %d): that user's hub gets all that this client "
            "sends, and may send it anything; if you do not know it, remove the file or set SAMP_HUB",
            location.place,
            owner,
        )
    return owner


class HasEngine(Protocol):
    """A `Hub`, as far as it matters here."""

    @property
    def engine(self) -> Engine: ...


class DirectConnection:
    """A connection to a hub that runs in the same event loop: no socket, no XML.

    async with Hub() as hub, Client("viewer", connection=DirectConnection(hub)) as viewer:

    Args:
        hub: The hub, which must be started before the client registers.
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
        """Register with the hub; see `Connection.register`. Cancelling is safe.

        Args:
            name: Not used here.
            receiver: Who gets what the hub delivers.

        Returns:
            Our public id and the hub's.

        Raises:
            RegistrationError: The hub is full or closing.
            HubNotFoundError: It does not run.
        """
        try:
            engine = self._hub.engine
        except RuntimeError as error:
            raise HubNotFoundError("this process, where the hub is not running") from error
        try:
            self._self_id = engine.register(self, in_process=True)
        except FaultError as error:
            raise RegistrationError(error.text, code=error.code, operation="register") from None
        self._engine, self._receiver = engine, receiver
        return Registration(self._self_id, engine.hub_id)

    async def resume(self) -> bool:
        """Return False: nothing is left of a hub of this process that has stopped. Cancelling is safe."""
        return False

    async def listen(self) -> None:
        """Become callable. Cancelling is safe."""
        if self._engine is not None:
            self._engine.set_callable(self._self_id, True)

    async def ask_hub(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Do one hub operation; see `Connection.ask_hub`. What goes over is copied, as a wire would.

        Cancelling is safe; the operation may have been done.

        Args:
            operation: The name of the operation in the standard.
            params: Its parameters.
            timeout: Not used: a hub in the same process answers or fails.

        Returns:
            The result of the operation.

        Raises:
            HubFaultError: The hub refuses.
            HubLostError: The hub has stopped, or does not know us any more.
        """
        if self._engine is None:
            raise HubLostError(self.url, operation, "there is no connection to it")
        if operation == "unregister":
            self._receiver = None  # it need not be told then that the hub lets it go
        try:
            answered = await self._engine.operate(
                self._self_id, operation, [copy_value(value) for value in params]
            )
        except FaultError as error:
            raise HubFaultError.from_fault(error.code, error.text, operation) from None
        return answered if isinstance(answered, str) else copy_value(answered)

    async def close(self) -> None:
        """Receive nothing any more. The hub knows at once. Cancelling is safe."""
        engine, self._engine = self._engine, None
        self._receiver = None
        if engine is not None:
            with contextlib.suppress(FaultError):  # it has let us go before
                await engine.operate(self._self_id, "unregister", [])

    # ---- as the hub's courier

    async def deliver(self, delivery: Delivery) -> None:
        """Hand one delivery to the receiver. Cancelling is safe.

        Args:
            delivery: What the hub has for us.

        Raises:
            DeliveryError: The receiver refuses it.
        """
        receiver = self._receiver
        if receiver is None:
            raise DeliveryError("it has closed its connection", gone=True)
        try:
            operation, params = delivery.callback()
            # A copy of a RawMap's values, too: other recipients get the same.
            values = [
                copy_value(await values_of(item) if isinstance(item, RawMap) else item) for item in params
            ]
            receive(receiver, operation, values)
        except FaultError as error:
            raise DeliveryError(f"it answered with a fault: {error.text}") from error

    async def is_alive(self, client: str) -> bool:
        """Return whether the connection is open. Cancelling is safe.

        Args:
            client: Our public id.
        """
        return self._receiver is not None

    def has_unread(self, client: str) -> bool:
        """Return False: what comes is taken at once.

        Args:
            client: A public id.
        """
        return False

    def forget(self, client: str) -> None:
        """The hub has let the client go, or has stopped.

        Args:
            client: The public id that we had.
        """
        if client == self._self_id and self._engine is not None:
            self._engine = None
            if self._receiver is not None:
                self._receiver.connection_lost("it has let this client go")
