"""SAMPClient: what comes from the hub, handed to the functions that are bound to it."""

from __future__ import annotations

import copy
import inspect
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .._util import at_exit
from ..client.callback import CallbackEndpoint
from ..limits import Limits
from ..mtypes import keys_for
from ..sync.portal import portal
from ..values import ValueMap
from .constants import SAMP_STATUS_OK, SAMP_STATUS_WARNING
from .errors import SAMPClientError
from .handler_threads import HandlerThreads
from .hub_proxy import SAMPHubProxy
from .scalars import restored

__all__ = ["SAMPClient"]

log = logging.getLogger("asyncsamp.client")

_DEFAULT_HOST = "127.0.0.1"

_NEXT_STATEMENT = 1.0
"""Seconds after a function was bound to calls in which another may be bound to notifications of the same
mtype: programs do it in two statements, and what the hub says between them is for both."""


class SAMPClient:
    """A callable client on a `SAMPHubProxy`. Functions that are bound run in threads; see `handler_threads`.

    Args:
        hub: The proxy of the hub.
        name: What others call the client (samp.name).
        description: A sentence about it (samp.description.text).
        metadata: What else is declared.
        addr: Where it listens; 127.0.0.1 if None.
        port: Not used: the port is free and opened when the client registers.
        callable: Whether it can receive anything.
    """

    def __init__(
        self,
        hub: SAMPHubProxy,
        name: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        addr: str | None = None,
        port: int = 0,
        callable: bool = True,
    ) -> None:
        self.hub = hub
        self._metadata = {} if metadata is None else metadata
        if name is not None:
            self._metadata["samp.name"] = name
        if description is not None:
            self._metadata["samp.description.text"] = description
        self._addr = addr or _DEFAULT_HOST
        self._callable = callable
        self._is_running = False
        self._key: str | None = None
        self._id: str | None = None
        self._endpoint: CallbackEndpoint | None = None
        self._notifications: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {}
        self._calls: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]] = {
            "samp.app.ping": (self._ping, {}),
            "client.env.get": (self._client_env_get, {}),
        }
        self._responses: dict[str, Callable[..., Any]] = {}
        self._beside: dict[str, Any] = {}
        self._binding = threading.Condition()
        self._bound_until = 0.0

    @property
    def is_running(self) -> bool:
        """Whether the client was started, and not stopped."""
        return self._is_running

    @property
    def is_registered(self) -> bool:
        """Whether the client is registered."""
        return self._key is not None

    def start(self) -> None:
        """Begin to take messages; the port is opened by `register`."""
        self._is_running = True

    def stop(self, timeout: float = 10.0) -> None:
        """Take no more messages, and close the port.

        Args:
            timeout: Not used: it takes no longer than a second.
        """
        self._is_running = False
        self._close()

    def _close(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            portal().run(endpoint.close())

    def register(self) -> None:
        """Register with the hub, and declare what was bound.

        Raises:
            SAMPClientError: The proxy is not connected, or the client is registered already.
            SAMPProxyError: The hub refuses.
        """
        self._require_hub("register to the SAMP Hub", registered=False)
        if self._key is not None:
            raise SAMPClientError("Client already registered")
        answer = self.hub.register(self.hub.lockfile["samp.secret"])
        key, self._id = answer["samp.private-key"], answer["samp.self-id"]
        if not key or not self._id:
            raise SAMPClientError("Registration failed: the hub gave no private key or no id")
        self._key = key
        at_exit.unregister_at_exit(self, self.hub.lockfile["samp.hub.xmlrpc.url"].replace("\\", ""), key)
        try:
            self._introduce(key)
        except BaseException:
            self._withdraw(key)
            raise

    def _introduce(self, key: str) -> None:
        """Tell the hub that has let us in where we listen, and what we are."""
        if self._callable:
            self._endpoint = portal().run(_listen(self, key, self._addr))
            self.hub.set_xmlrpc_callback(key, self._endpoint.url)
            self._declare_subscriptions()
        if self._metadata:
            self.declare_metadata()

    def _withdraw(self, key: str) -> None:
        """Leave the hub again: it would keep a client that nobody can take away."""
        self._key = self._id = None
        at_exit.forget(self)
        try:
            self.hub.unregister(key)
        except Exception as error:
            log.info("a client whose registration failed could not unregister: %s", error)
        finally:
            self._close()

    def come_back(self) -> None:
        """Register with the hub that the proxy is connected to now, the last one being gone.

        Raises:
            SAMPClientError: As `register`.
        """
        at_exit.forget(self)
        self._key = self._id = None
        self._close()
        self.register()

    def unregister(self) -> None:
        """Unregister from the hub.

        Raises:
            SAMPClientError: The proxy is not connected.
        """
        self._require_hub("unregister from the SAMP Hub", registered=False)
        key, self._key, self._id = self._key, None, None
        at_exit.forget(self)
        if key is not None:
            self.hub.unregister(key)

    # ---- what comes in; subclasses may have their own

    def receive_notification(self, private_key: str, sender_id: str, message: dict[str, Any]) -> str:
        """Hand a notification to the functions that are bound to its mtype.

        Args:
            private_key: The key of this client; with another one nothing happens.
            sender_id: The id of the sender.
            message: The message: samp.mtype and samp.params.

        Returns:
            An empty text.
        """
        if private_key == self._key and "samp.mtype" in message:
            mtype, params, extra = _parts(message)
            for function in _bound(self._notifications, mtype) or self._bound_next(mtype):
                given = (private_key, sender_id, mtype, params, extra)
                function(*given) if _takes_five(function) else function(*given[:2], None, *given[2:])
        return ""

    def receive_call(self, private_key: str, sender_id: str, msg_id: str, message: dict[str, Any]) -> str:
        """Hand a call to the functions that are bound to its mtype; they reply themselves.

        Args:
            private_key: The key of this client; with another one nothing happens.
            sender_id: The id of the sender.
            msg_id: What the reply must name.
            message: The message: samp.mtype and samp.params.

        Returns:
            An empty text.
        """
        if private_key == self._key and "samp.mtype" in message:
            mtype, params, extra = _parts(message)
            for function in _bound(self._calls, mtype):
                function(private_key, sender_id, msg_id, mtype, params, extra)
        return ""

    def receive_response(
        self, private_key: str, responder_id: str, msg_tag: str, response: dict[str, Any]
    ) -> str:
        """Hand a response to the function that is bound to its tag.

        Args:
            private_key: The key of this client; with another one nothing happens.
            responder_id: The id of who answers.
            msg_tag: The tag of the call.
            response: The response: samp.status, samp.result and samp.error.

        Returns:
            An empty text.
        """
        if private_key == self._key and msg_tag in self._responses:
            self._responses[msg_tag](private_key, responder_id, msg_tag, response)
        return ""

    # ---- binding

    def bind_receive_message(
        self,
        mtype: str,
        function: Callable[..., Any],
        declare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Bind a function to the calls and the notifications of `mtype`; see `bind_receive_call`.

        Args:
            mtype: An mtype, or a wildcard.
            function: What is called.
            declare: Whether the hub is told at once.
            metadata: What goes into the subscription.
        """
        self.bind_receive_call(mtype, function, declare=declare, metadata=metadata)
        self.bind_receive_notification(mtype, function, declare=declare, metadata=metadata)

    def bind_receive_notification(
        self,
        mtype: str,
        function: Callable[..., Any],
        declare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Bind a function to the notifications of `mtype`.

        It is called as `function(private_key, sender_id, mtype, params, extra)`, or, if it takes six
        arguments, with None as message id after the sender.

        Args:
            mtype: An mtype, or a wildcard.
            function: What is called.
            declare: Whether the hub is told at once.
            metadata: What goes into the subscription.
        """
        self._bind(self._notifications, mtype, function, declare, metadata)

    def bind_receive_call(
        self,
        mtype: str,
        function: Callable[..., Any],
        declare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Bind a function to the calls of `mtype`.

        It is called as `function(private_key, sender_id, msg_id, mtype, params, extra)`, and replies.

        Args:
            mtype: An mtype, or a wildcard.
            function: What is called.
            declare: Whether the hub is told at once.
            metadata: What goes into the subscription.
        """
        self._bind(self._calls, mtype, function, declare, metadata)

    def bind_receive_response(self, msg_tag: str, function: Callable[..., Any]) -> None:
        """Bind a function to the responses to calls with `msg_tag`.

        Args:
            msg_tag: The tag of the calls.
            function: What is called.
        """
        self._require_callable()
        self._responses[msg_tag] = function

    def unbind_receive_notification(self, mtype: str, declare: bool = True) -> None:
        """Take back `bind_receive_notification`.

        Args:
            mtype: An mtype, or a wildcard.
            declare: Whether the hub is told at once.

        Raises:
            KeyError: Nothing is bound.
        """
        self._unbind(self._notifications, mtype, declare)

    def unbind_receive_call(self, mtype: str, declare: bool = True) -> None:
        """Take back `bind_receive_call`.

        Args:
            mtype: An mtype, or a wildcard.
            declare: Whether the hub is told at once.

        Raises:
            KeyError: Nothing is bound.
        """
        self._unbind(self._calls, mtype, declare)

    def unbind_receive_response(self, msg_tag: str) -> None:
        """Take back `bind_receive_response`.

        Args:
            msg_tag: The tag of the calls.

        Raises:
            KeyError: Nothing is bound.
        """
        self._require_callable()
        del self._responses[msg_tag]

    def declare_subscriptions(self, subscriptions: Mapping[str, Any] | None = None) -> None:
        """Declare what is bound, and `subscriptions` beside it.

        Args:
            subscriptions: Mtypes with their annotations.
        """
        self._require_callable()
        self._beside = dict(subscriptions or {})
        self._declare_subscriptions()

    def declare_metadata(self, metadata: Mapping[str, Any] | None = None) -> None:
        """Declare the client's metadata, with `metadata` added to them.

        Args:
            metadata: What is declared.
        """
        key = self._require_hub("declare metadata")
        self._metadata.update(metadata or {})
        self.hub.declare_metadata(key, self._metadata)

    def get_private_key(self) -> str | None:
        """Return the private key, None without a registration."""
        return self._key

    def get_public_id(self) -> str | None:
        """Return the id by which others know the client, None without a registration."""
        return self._id

    # ---- inside

    def _bind(
        self,
        bindings: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]],
        mtype: str,
        function: Callable[..., Any],
        declare: bool,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        self._require_callable()
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__name__} is an 'async def', which nothing here awaits: write a plain function, "
                "or use asyncsamp.Client, whose handlers are async"
            )
        self._bound_until = math.inf
        with self._binding:
            bindings[mtype] = (function, metadata or {})
            self._binding.notify_all()
        try:
            if declare:
                self._declare_subscriptions()
        finally:
            self._bound_until = time.monotonic() + _NEXT_STATEMENT

    def _bound_next(self, mtype: str) -> list[Callable[..., Any]]:
        """Return what is bound to notifications of `mtype` right after a function was bound to its calls."""
        if not _bound(self._calls, mtype):
            return []
        with self._binding:
            while not (found := _bound(self._notifications, mtype)):
                left = self._bound_until - time.monotonic()
                if left <= 0:
                    break
                self._binding.wait(min(left, _NEXT_STATEMENT))
            return found

    def _unbind(
        self, bindings: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]], mtype: str, declare: bool
    ) -> None:
        self._require_callable()
        del bindings[mtype]
        if declare:
            self._declare_subscriptions()

    def _declare_subscriptions(self) -> None:
        key = self._require_hub("declare subscriptions")
        bound = {mtype: copy.deepcopy(note) for mtype, (_, note) in self._notifications.items()}
        bound |= {mtype: copy.deepcopy(note) for mtype, (_, note) in self._calls.items()}
        self.hub.declare_subscriptions(key, {**bound, **self._beside})

    def _require_callable(self) -> None:
        if not self._callable:
            raise SAMPClientError("Client not callable.")

    def _require_hub(self, what: str, *, registered: bool = True) -> str:
        if not self.hub.is_connected or (registered and self._key is None):
            lack = "Hub unreachable or not connected or client not registered."
            raise SAMPClientError(f"Unable to {what}. {lack}")
        return self._key or ""

    def _ping(self, private_key: str, sender_id: str, msg_id: str, *message: Any) -> None:
        self.hub.reply(private_key, msg_id, {"samp.status": SAMP_STATUS_OK, "samp.result": {}})

    def _client_env_get(
        self, private_key: str, sender_id: str, msg_id: str, mtype: str, params: dict[str, Any], extra: Any
    ) -> None:
        value = os.environ.get(params["name"])
        reply: dict[str, Any] = {"samp.status": SAMP_STATUS_OK, "samp.result": {"value": value or ""}}
        if value is None:
            reply["samp.status"] = SAMP_STATUS_WARNING
            reply["samp.error"] = {"samp.errortxt": "Environment variable not defined."}
        self.hub.reply(private_key, msg_id, reply)


class _Receiver:
    """Takes what the hub says in the loop's thread, and has the client handle it in another."""

    def __init__(self, client: SAMPClient, key: str, threads: HandlerThreads) -> None:
        self._client = client
        self._key = key
        self._threads = threads

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        take = self._client.receive_notification
        self._threads.put(lambda: take(self._key, sender, restored(message)))

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        take = self._client.receive_call
        self._threads.put(lambda: take(self._key, sender, msg_id, restored(message)))

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        take = partial(self._client.receive_response, self._key, responder, msg_tag, response)
        self._threads.put(take, urgent=True)  # a function may wait for it

    def connection_lost(self, reason: str) -> None:
        log.warning("the hub of a client is lost: %s", reason)


async def _listen(client: SAMPClient, key: str, host: str) -> CallbackEndpoint:
    threads = HandlerThreads()
    receiver = _Receiver(client, key, threads)
    endpoint = CallbackEndpoint(receiver, key, host=host, max_body=Limits().max_body, room=threads.room)
    await endpoint.start()
    return endpoint


def _parts(message: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    extra = dict(message)
    return extra.pop("samp.mtype"), extra.pop("samp.params", {}), extra


def _bound(
    bindings: dict[str, tuple[Callable[..., Any], Mapping[str, Any]]], mtype: str
) -> list[Callable[..., Any]]:
    return [bindings[key][0] for key in keys_for(mtype) if key in bindings]


def _takes_five(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(*range(6))
    except TypeError:
        return True
    return False
