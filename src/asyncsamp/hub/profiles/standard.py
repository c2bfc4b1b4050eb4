"""The Standard Profile: XML-RPC both ways, secrets, private keys and callback URLs (SAMP 1.3 §4)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from ..._util.foreign_text import plain_line, quoted
from ..._util.hosts import is_below_localhost, is_loopback_number, reaches_this_machine
from ..._util.threads import values_of
from ...delivery import DeliverNotification, DeliverResponse, Delivery, DeliveryError
from ...discovery import PROVE, RENEW_KEY, make_proof
from ...errors import (
    FaultCode,
    FaultError,
    LocalProtocolError,
    RemoteProtocolError,
)
from ...interfaces import TAP, Engine
from ...rpc import (
    ForeignPeerError,
    PeerError,
    PeerRefusedError,
    RpcClient,
    XmlRpcServer,
    check_url,
    encode_value,
)
from ...rpc.descriptors import raise_allowed
from ...rpc.endpoint import READY, Result
from ...rpc.offload import LARGE, load_response
from ...values import RawMap, Value, ValueMap
from ...xmlrpc import Fault, frame_call
from ..operations import find_operation
from ..tap import Tap
from ..validation import bad_parameters
from .keys import STANDARD, new_key, shown_keys

__all__ = ["StandardProfile"]

log = logging.getLogger("asyncsamp.hub")

_MAX_URL = 2000
"""Characters of a callback URL; real ones have 40."""

_MAX_ANSWER = 64 * 1024
"""Bytes of the answer to a delivery: it says nothing but that it came (CLIENT-4), or is a fault. A client
whose answers never end must not cost the hub more."""

_PROBE_TIMEOUT = 1.0
"""Seconds; who takes longer to accept a connection may have a full backlog, and counts as there."""

_MAX_CHALLENGE = 256

_MAX_REASON = 200
"""Characters of a client's own fault that go to its callers and into the log."""


class StandardProfile:
    """Serves the clients that find the hub by its lockfile.

    It alone knows the secret, the private keys and the callback URLs; the engine knows
    public ids only (STD-4, HUB-71).

    Args:
        host: Where it listens.
        port: The port; 0 takes a free one.
        secret: What lets clients in; None takes a random one.
        pass_raw: Whether what it only relays is checked and goes on in its own bytes (see
            `xmlrpc.raw_passing`). Else everything is decoded and encoded again.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, secret: str | None = None, pass_raw: bool = True
    ) -> None:
        self._pass_raw = pass_raw
        self.secret = ""
        self._asked_secret = secret
        self._host = host
        self._asked_port = port
        self._port = port
        self.last_port = 0
        self._engine: Engine | None = None
        self._server: XmlRpcServer | None = None
        self._sender: RpcClient | None = None
        self._clients: dict[str, str] = {}  # private key -> public id
        self._keys: dict[str, str] = {}  # public id -> private key
        self._callbacks: dict[str, str] = {}  # public id -> URL
        self._owners: dict[str, int] = {}  # public id -> uid of who listened there when it was set
        self._taps: dict[str, Tap] = {}  # public id -> what it has not been told of the traffic
        self._encoded: tuple[ValueMap, bytes] | None = None
        self._encoding = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port listened on; before `start`, the one that was asked for."""
        return self._port if self._server is None else self._server.port

    @property
    def url(self) -> str:
        """The endpoint, as the lockfile names it.

        Raises:
            RuntimeError: It is not started.
        """
        if self._server is None:
            raise RuntimeError("the Standard Profile has no URL before it is started")
        return self._server.url

    async def start(self, engine: Engine) -> None:
        """Bind the endpoint and serve, with a new secret unless one was given.

        If it fails or is cancelled, nothing is left open.

        Args:
            engine: The hub.

        Raises:
            OSError: The address is taken.
        """
        limits = engine.limits
        raise_allowed()  # before the server and the sender share them out
        server = XmlRpcServer(
            self.dispatch,
            self._knows_key,
            host=self._host,
            port=self._port,
            max_body=limits.max_body,
            name="standard",
            relays=self._relay if self._pass_raw else None,
        )
        # All is set before the first request can come.
        # It has one if it comes back after a crash.
        self.secret = self.secret or self._asked_secret or secrets.token_hex(16)
        self._encoding = asyncio.Lock()  # the last one may have been used in another loop
        self._engine, self._server = engine, server
        self._sender = RpcClient(max_body=_MAX_ANSWER, trusts=self._trusts)
        try:
            await server.start()
        except BaseException:
            await self.stop()
            raise
        engine.own_ports.add(server.port)

    async def stop(self) -> None:
        """Close the endpoint and the connections to the clients, within a second or so.

        By then the engine has forgotten all clients. If it is cancelled, call it again.
        """
        if self._server is not None:
            await self._server.close()
        if self._sender is not None:
            await self._sender.close()
        self._encoded = None
        self.secret = ""

    # ---- coming back after a crash

    def snapshot(self) -> dict[str, Any]:
        """Return the secret, the port, the private keys and the callback URLs, as JSON can hold them."""
        clients = {client: [key, self._callbacks.get(client)] for client, key in self._keys.items()}
        return {"secret": self.secret, "port": self.port, "clients": clients}

    def restore(self, saved: Mapping[str, Any]) -> list[str]:
        """Take in what `snapshot` returned, before `start`.

        The old port is bound again, and told by `last_port`, unless another one was asked for.

        Args:
            saved: What `snapshot` returned.

        Returns:
            The public ids that come back.
        """
        self.secret = str(saved["secret"])
        self.last_port = 0 if self._asked_port else int(saved["port"])
        self._port = self._asked_port or self.last_port
        for client, (key, callback) in saved["clients"].items():
            self._clients[key] = client
            self._keys[client] = key
            if callback is not None:
                self._callbacks[client] = callback
        return list(self._keys)

    # ---- from the clients

    def dispatch(self, method: str, params: Sequence[Value | RawMap]) -> Result | Awaitable[Result]:
        """Do what a client asks for; see `rpc.endpoint.Dispatch`.

        Args:
            method: The name of the method.
            params: Its parameters; messages and responses may be as they came.

        Returns:
            The result, or what is to be awaited for it.

        Raises:
            FaultError: It is refused.
        """
        prefix, _, operation = method.rpartition(".")
        if method == PROVE:
            return self._prove(params)
        if method == RENEW_KEY:
            return self._renew_key(params)
        if method == TAP:
            return self._tell_traffic(params)
        if prefix != "samp.hub":
            raise FaultError(f"there is no method {quoted(method)}", code=FaultCode.UNKNOWN_METHOD)
        if operation == "ping":
            return ""  # with a key or without, registered or not (STD-10, TOL-5)
        engine = self._engine
        assert engine is not None
        if operation == "register":
            registered = self._register(engine, params)
            return _once_saved(engine, registered) if engine.keeps_state else registered
        if operation != "setXmlrpcCallback":
            find_operation(operation)  # one that does not exist is told so, whatever its key
        client = self._caller(operation, params)
        if operation == "setXmlrpcCallback":
            self._set_callback(engine, client, params[1:])
            return _once_saved(engine, "") if engine.keeps_state else ""
        return engine.begin(client, operation, params[1:])

    def _relay(self, method: str, params: list[Value | RawMap]) -> Result | Awaitable[Result]:
        """Do the same with a message or a response as it came."""
        assert self._engine is not None
        if self._engine.watched:
            large = [item for item in params if isinstance(item, RawMap) and len(item.xml) > LARGE]
            if large:
                return self._relay_decoded(large[0], method, params)
        return self.dispatch(method, params)

    async def _relay_decoded(self, content: RawMap, method: str, params: list[Value | RawMap]) -> Result:
        """Relay what is large once its values are there, for who watches: not in the loop."""
        await values_of(content)
        result = self.dispatch(method, params)
        return result if isinstance(result, READY) else await result

    def _knows_key(self, begun: bytes) -> bool:
        """Whether a key of a registered client stands there."""
        return any(key in self._clients for key in shown_keys(begun))

    def _register(self, engine: Engine, params: Sequence[Value | RawMap]) -> ValueMap:
        if len(params) != 1 or not isinstance(params[0], str):
            raise bad_parameters("register takes one parameter, the secret, a string")
        if not secrets.compare_digest(params[0].encode(), self.secret.encode()):
            raise FaultError(  # STD-66
                "wrong secret; read the lockfile again", code=FaultCode.REGISTRATION_REFUSED
            )
        client = engine.register(self)
        key = new_key(STANDARD)
        self._clients[key] = client
        self._keys[client] = key
        return {"samp.private-key": key, "samp.self-id": client, "samp.hub-id": engine.hub_id}

    def _prove(self, params: Sequence[Value | RawMap]) -> str:
        if len(params) != 1 or not isinstance(params[0], str) or not 0 < len(params[0]) <= _MAX_CHALLENGE:
            raise bad_parameters(f"{PROVE} takes one parameter, a string of 1 to {_MAX_CHALLENGE} characters")
        return make_proof(self.secret, params[0])

    async def _renew_key(self, params: Sequence[Value | RawMap]) -> str:
        assert self._engine is not None
        client = self._caller(RENEW_KEY, params)
        key = new_key(STANDARD)
        del self._clients[self._keys[client]]
        self._clients[key], self._keys[client] = client, key
        self._engine.note_return(client)
        await self._engine.saved()
        return key

    async def _tell_traffic(self, params: Sequence[Value | RawMap]) -> ValueMap:
        """Tell a client what happens in the hub from its first question on, which is answered at once."""
        engine = self._engine
        assert engine is not None
        client = self._caller(TAP, params)
        self._check_receives(engine, client)
        tap = self._taps.get(client)
        if tap is None:
            self._taps[client] = Tap(engine.observe, engine.limits.tap)
            return {"lines": "", "missed": "0"}
        with engine.listening(client):
            told = await tap.batch()
        self._check_receives(engine, client)
        return told

    def _check_receives(self, engine: Engine, client: str) -> None:
        """End the tap of a client that the user lets receive nothing, since it tells what others receive."""
        if engine.may_receive(client):
            return
        if (tap := self._taps.pop(client, None)) is not None:
            tap.close()
        raise FaultError(
            "the user of the hub lets this client receive no messages, so it is told of none",
            code=FaultCode.NOT_ALLOWED,
        )

    def _caller(self, operation: str, params: Sequence[Value | RawMap]) -> str:
        if not params:
            raise bad_parameters(f"{operation} takes the private key as its first parameter")
        key = params[0]
        client = self._clients.get(key) if isinstance(key, str) else None
        if client is None:
            raise FaultError(
                "the private key is not known, or not any more; register again",
                code=FaultCode.NOT_REGISTERED,
            )
        return client

    def _set_callback(self, engine: Engine, client: str, params: Sequence[Value | RawMap]) -> None:
        if len(params) != 1 or not isinstance(params[0], str):
            raise bad_parameters("setXmlrpcCallback takes one parameter, a URL, a string")
        url = params[0].strip()
        host, port = _callback_address(url)
        if _leaves_the_machine(host):
            # Every message to it, with its private key, goes over the network for all to read.
            log.warning("client %s is called back at an address that may be off this machine", client)
        self._callbacks[client] = url
        self._note_owner(client, host, port)
        engine.set_callable(client, True)

    def _note_owner(self, client: str, host: str, port: int) -> None:
        self._owners.pop(client, None)
        if self._sender is not None and is_loopback_number(host):
            with contextlib.suppress(OSError):
                owner = self._sender.listening_user(host, port)
                if owner is not None:
                    self._owners[client] = owner

    def _trusts(self, url: str, user: int) -> bool:
        """Whether a user may get what goes to a callback URL: ourselves, root, and who registered it."""
        if user in (0, os.getuid()):
            return True
        clients = (client for client, callback in self._callbacks.items() if callback == url)
        return any(self._owners.get(client) == user for client in clients)

    # ---- to the clients

    async def deliver(self, delivery: Delivery) -> None:
        """POST one delivery to its recipient's callback URL.

        It may be cancelled; then it is not known whether it was taken.

        Args:
            delivery: What goes to whom.

        Raises:
            DeliveryError: It was not taken.
        """
        assert self._engine is not None
        assert self._sender is not None
        if self._is_told_already(delivery):
            return
        key, url = self._keys[delivery.recipient], self._callbacks[delivery.recipient]
        body = await self._body(key, delivery)
        try:
            answered = await self._sender.post(url, body, timeout=self._engine.limits.delivery_timeout)
            fault = await _fault_in(answered)
        except ForeignPeerError as error:
            reason = f"its callback port now belongs to another user of this machine (uid {error.user})"
            raise DeliveryError(reason, gone=True) from error
        except PeerRefusedError as error:
            raise DeliveryError("nobody listens at its callback URL", gone=True) from error
        except PeerError as error:
            raise DeliveryError(str(error)) from error
        except RemoteProtocolError as error:
            raise DeliveryError(f"its answer cannot be understood: {_clean(str(error), key)}") from error
        if fault is not None:
            raise DeliveryError(f"it answered with a fault: {_clean(fault.text, key)}")

    def _is_told_already(self, delivery: Delivery) -> bool:
        """Whether it is a notification to a client that is told of all traffic.

        News of the hub is delivered all the same: whoever keeps a list of the clients does it by those.
        """
        tap = self._taps.get(delivery.recipient) if self._taps else None
        if tap is None or not tap.awake or type(delivery) is not DeliverNotification:
            return False
        return not str(delivery.message["samp.mtype"]).startswith("samp.hub.")

    async def is_alive(self, client: str) -> bool:
        """Return whether somebody listens at the callback URL.

        He is not touched where it can be found out without. Cancelling is safe.

        Args:
            client: A public id.
        """
        assert self._sender is not None
        assert self._engine is not None
        url = self._callbacks.get(client)
        if url is None:
            return True
        return await self._sender.is_there(url, _PROBE_TIMEOUT, self._engine.limits.probe_interval)

    def has_unread(self, client: str) -> bool:
        """Return whether a delivery is under way that the client has not read, as far as the system tells.

        Args:
            client: A public id.
        """
        url = self._callbacks.get(client)
        return url is not None and self._sender is not None and self._sender.has_unread(url)

    def forget(self, client: str) -> None:
        """Drop the key and the callback URL; the key is dead from now on (HUB-21, HUB-72).

        Args:
            client: A public id.
        """
        key = self._keys.pop(client, "")
        self._clients.pop(key, None)
        self._callbacks.pop(client, None)
        self._owners.pop(client, None)
        tap = self._taps.pop(client, None)
        if tap is not None:
            tap.close()

    async def _body(self, key: str, delivery: Delivery) -> tuple[bytes, bytes, bytes]:
        """Return the request in three pieces, of which the second is the same for all recipients."""
        operation, params = delivery.callback()
        content = params.pop()
        head, tail = frame_call(f"samp.client.{operation}", [key, *map(str, params)])
        if isinstance(content, RawMap):
            return head, content.xml, tail
        assert isinstance(content, dict)
        if type(delivery) is DeliverResponse:  # which has one recipient
            return head, (await encode_value(content)).xml.encode("ascii"), tail
        return head, await self._encode(content), tail

    async def _encode(self, message: ValueMap) -> bytes:
        """Encode a message once for all recipients of a broadcast, who get the very same map."""
        if self._encoded is None or self._encoded[0] is not message:
            async with self._encoding:
                if self._encoded is None or self._encoded[0] is not message:
                    self._encoded = (message, (await encode_value(message)).xml.encode("ascii"))
                return self._encoded[1]
        return self._encoded[1]


async def _once_saved(engine: Engine, result: ValueMap | str) -> ValueMap | str:
    """Return `result` once a crash could not undo what it promises."""
    await engine.saved()
    return result


def _leaves_the_machine(host: str) -> bool:
    if is_loopback_number(host):
        return False
    # Some systems ask the network for names below localhost.
    return is_below_localhost(host) or not reaches_this_machine(host, {socket.gethostname().lower()})


def _callback_address(url: str) -> tuple[str, int]:
    if len(url) > _MAX_URL:
        raise bad_parameters(f"the callback URL is longer than {_MAX_URL} characters")
    try:
        return check_url(url)
    except LocalProtocolError as error:
        raise bad_parameters(f"the callback URL is not of the form http://HOST:PORT/PATH: {error}") from None


async def _fault_in(answered: bytes) -> Fault | None:
    """Return the fault that an answer to a delivery holds, if any. Raises `RemoteProtocolError`.

    The value itself is of no use (CLIENT-4), so an answer that shows no fault is not parsed.
    """
    if b"<methodResponse" in answered and b"<fault" not in answered:
        return None
    outcome = await load_response(answered)
    return outcome if isinstance(outcome, Fault) else None


def _clean(text: str, key: str) -> str:
    """Return a client's own words on one line; some name the key, and others get to read this (HUB-71)."""
    return plain_line(text.replace(key, "(its key)"), _MAX_REASON)
