"""A hub as seen over XML-RPC: calls with our private key, and a watch over the hub's life."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from ..discovery import PROVE, RENEW_KEY, make_proof
from ..errors import (
    FaultCode,
    FaultError,
    HubFaultError,
    HubLostError,
    RegistrationError,
    RemoteProtocolError,
    SampError,
)
from ..interfaces import TAP, Receiver, Registration
from ..limits import Limits
from ..rpc import (
    PeerBusyError,
    PeerClosedError,
    PeerError,
    PeerRefusedError,
    PeerTimeoutError,
    RpcClient,
)
from ..values import Value

__all__ = ["HubProxy", "HubSender"]

log = logging.getLogger("asyncsamp.client")

_CALM = 0.5
"""Seconds between two looks at a hub that closes our connections: it may have too many, and each look
makes another one."""

_LOOK_AGAIN = (0.25, 0.5, 1.0, 2.0)
"""Seconds between two looks at a hub that closed the connection, or answered what is not XML-RPC; then it
counts as lost. It may have had too many connections for a moment."""

_QUIET = 20.0
"""Seconds that our hub may let pass while there is no traffic to tell of."""

_NOBODY = "nobody listens there (any more)"


class HubSender(Protocol):
    """What a `HubProxy` asks the hub with: an `RpcClient`, or its like where no socket leads there."""

    async def call(self, url: str, method: str, params: Sequence[Value], *, timeout: float) -> Value:
        """Call a method at `url`. Raises `FaultError`, `PeerError` or `RemoteProtocolError`."""
        ...

    async def gone(self, url: str) -> None:
        """Return when the hub may have gone. Raises `PeerError` if that cannot be waited for."""
        ...

    async def close(self) -> None:
        """Give up every request under way."""
        ...


class HubProxy:
    """The hub, as one registration over XML-RPC sees it; opened, closed, and perhaps opened again.

    Args:
        prefix: What the names of the profile's methods begin with.
        limits: Timeouts in seconds, and sizes in bytes.
    """

    def __init__(self, prefix: str, limits: Limits) -> None:
        self.url = ""
        self.key = ""
        self.self_id = ""
        self.owner: int | None = None
        """Whom the hub belongs to, as far as it is known; it is the only other user who is told the key."""
        self.receiver: Receiver | None = None
        self.upload_url = ""
        """Where the hub takes data of a web client; "" if it takes none."""
        self.sender: HubSender | None = None
        self._prefix = prefix
        self._limits = limits
        self._watch: asyncio.Task[None] | None = None

    def open(self) -> RpcClient:
        """Make a sender that posts to the hub, and return it."""
        self.owner = None
        self.sender = sender = RpcClient(max_body=self._limits.max_body, trusts=self._trusts)
        return sender

    def open_with(self, sender: HubSender) -> None:
        """Use `sender` from now on, and close it with this."""
        self.owner = None
        self.sender = sender

    def _trusts(self, url: str, user: int) -> bool:
        """Whether a user of this machine who listens at the hub's port may be the hub."""
        return user in (0, os.getuid(), self.owner)

    async def check_proof(self, secret: str) -> None:
        """Have the hub show that it knows `secret`. What is sent is of no use to anybody else.

        Raises `HubLostError` if it does not.
        """
        challenge = secrets.token_hex(8)
        try:
            proof = await self._post(PROVE, challenge, operation="resume")
        except HubFaultError:
            proof = ""
        right = make_proof(secret, challenge)
        if not isinstance(proof, str) or not secrets.compare_digest(proof.encode(), right.encode()):
            raise HubLostError(self.url, "resume", "what listens there now does not know the hub's secret")

    async def renew_key(self) -> str:
        """Have the private key replaced, and return the new one. Raises as `call` does."""
        key = await self._post(RENEW_KEY, self.key, operation="resume")
        if not isinstance(key, str) or not key:
            raise RemoteProtocolError("the hub's answer to renewKey is not a private key")
        self.key = key
        return key

    async def traffic(self) -> tuple[list[dict[str, Any]], int]:
        """Return what has happened in the hub since last asked, and how many events were missed.

        The first question begins it, and is answered at once. Raises as `call` does: `HubFaultError` by a
        hub of another make.
        """
        told = await self._post(TAP, self.key, operation="tap", timeout=_QUIET + self._limits.request_timeout)
        try:
            assert isinstance(told, dict)
            lines = [json.loads(line) for line in str(told["lines"]).splitlines()]
            return lines, int(str(told["missed"]))
        except (AssertionError, KeyError, ValueError) as error:
            raise RemoteProtocolError("what the hub tells of its traffic cannot be read") from error

    async def register(
        self, identity: Value, receiver: Receiver, *, timeout: float | None = None
    ) -> Registration:
        """Register as `identity`: a secret, or a name. Raises as `call` does, `RegistrationError` if refused.

        A hub that has the request may let us in though nobody waits for it any more. So when it is
        cancelled it awaits the answer, for `Limits.close_timeout` at most, and unregisters.
        """
        asking = asyncio.create_task(
            self.call("register", identity, timeout=timeout), name="asyncsamp-register"
        )
        try:
            return self._registered(await asyncio.shield(asking), receiver)
        except HubFaultError as error:
            raise RegistrationError(error.text, code=error.code, operation="register") from error
        except asyncio.CancelledError:
            await self._take_back(asking, receiver)
            raise
        finally:
            asking.cancel()

    async def _take_back(self, asking: asyncio.Task[Value], receiver: Receiver) -> None:
        patience = self._limits.close_timeout
        await asyncio.wait({asking}, timeout=patience)
        with contextlib.suppress(SampError, asyncio.InvalidStateError):
            self._registered(asking.result(), receiver)  # it raises if there is no answer yet
            await self.call("unregister", self.key, timeout=patience)

    def _registered(self, answered: Value, receiver: Receiver) -> Registration:
        values = answered if isinstance(answered, dict) else {}
        ids = (values.get(name) for name in ("samp.private-key", "samp.self-id", "samp.hub-id"))
        key, self_id, hub_id = ids
        if not (isinstance(key, str) and isinstance(self_id, str) and isinstance(hub_id, str)):
            raise RemoteProtocolError("the hub's answer to register lacks a private key or a public id")
        translator, upload = (values.get(name) for name in ("samp.url-translator", "x-asyncsamp.upload"))
        self.upload_url = upload if isinstance(upload, str) else ""
        self.key, self.self_id, self.receiver = key, self_id, receiver
        return Registration(self_id, hub_id, translator if isinstance(translator, str) else "")

    def call(
        self, operation: str, *params: Value, timeout: float | None = None
    ) -> Coroutine[Any, Any, Value]:
        """Call one method, when awaited. Raises `HubFaultError`, `HubLostError`, `RemoteProtocolError`."""
        method = f"{self._prefix}.{operation}"
        return self._post(method, *params, operation=operation, timeout=timeout)

    async def _post(self, method: str, *params: Value, operation: str, timeout: float | None = None) -> Value:
        sender, receiver = self.sender, self.receiver
        if sender is None:
            raise HubLostError(self.url, operation, "there is no connection to it")
        seconds = self._limits.request_timeout if timeout is None else timeout
        try:
            return await sender.call(self.url, method, params, timeout=seconds)
        except FaultError as error:
            raise HubFaultError.from_fault(error.code, error.text, operation) from None
        except PeerBusyError as error:
            raise HubFaultError.from_fault(FaultCode.LIMIT_REACHED, error.reason, operation) from None
        except PeerRefusedError as error:
            # It is dead, though it said nothing (CLIENT-15).
            reason = _NOBODY if type(error) is PeerRefusedError else error.reason
            if receiver is not None:
                receiver.connection_lost(reason)
            raise HubLostError(self.url, operation, reason) from error
        except PeerTimeoutError as error:
            raise HubLostError(self.url, operation, f"no answer within {seconds:g} s") from error
        except PeerError as error:
            raise HubLostError(self.url, operation, error.reason) from error

    def watch_over(self) -> None:
        """Begin to watch over the hub, for the receiver."""
        if self._watch is not None:
            self._watch.cancel()
        assert self.sender is not None
        assert self.receiver is not None
        watch = self._watch_hub(self.sender, self.receiver)
        self._watch = asyncio.get_running_loop().create_task(watch, name="asyncsamp-hub-watch")

    async def close(self) -> None:
        """Close the connections and the watch, also if it is cancelled meanwhile."""
        watch, self._watch = self._watch, None
        sender, self.sender = self.sender, None
        self.receiver, self.key = None, ""
        async with contextlib.AsyncExitStack() as stack:
            if sender is not None:
                stack.push_async_callback(sender.close)
            if watch is not None:
                watch.cancel()
                await asyncio.wait({watch})

    async def _watch_hub(self, sender: HubSender, receiver: Receiver) -> None:
        """Tell the receiver when the hub dies without a word: kill -9 (CLIENT-15).

        A hub that keeps connections shows its death by closing an idle one: nothing is
        polled. A hub that keeps none (JSAMP, astropy) can only be asked now and then. What is
        asked needs a registration: a hub that was started again on the same port answers a
        ping, but knows us not.
        """
        clock = asyncio.get_running_loop().time
        asked, unanswered = clock(), 0
        while True:
            await self._next_look(sender, asked, unanswered)
            asked = clock()
            question = f"{self._prefix}.getMetadata", [self.key, self.self_id]
            try:
                await sender.call(self.url, *question, timeout=self._limits.request_timeout)
                unanswered = 0
                continue
            except FaultError as error:
                log.info("the hub at %s does not know this client: %s", self.url, error)
                reason = "it does not know this client any more"
            except PeerRefusedError as error:
                reason = "it is gone without a word" if type(error) is PeerRefusedError else error.reason
            except (PeerError, RemoteProtocolError) as error:
                log.info("the hub at %s did not answer when asked: %s", self.url, error)
                unanswered += isinstance(error, PeerClosedError | RemoteProtocolError)
                if unanswered <= len(_LOOK_AGAIN):
                    continue
                # As `discovery.is_alive` has it: what does not answer in XML-RPC is not a hub.
                reason = "what listens there now does not answer as a hub does"
            receiver.connection_lost(reason)
            return

    async def _next_look(self, sender: HubSender, asked: float, unanswered: int) -> None:
        """Wait until the hub is to be asked again, which was asked last at `asked`."""
        if unanswered:
            # A killed hub resets what it had not accepted yet; only the next look tells that it is dead.
            await asyncio.sleep(_LOOK_AGAIN[unanswered - 1])
            return
        try:
            await sender.gone(self.url)
            pause = asked + _CALM - asyncio.get_running_loop().time()
        except PeerError:
            pause = self._limits.hub_check_interval
        await asyncio.sleep(max(0.0, pause))
