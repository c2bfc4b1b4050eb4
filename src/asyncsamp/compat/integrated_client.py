"""SAMPIntegratedClient: the proxy of the hub and the client in one."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .client import SAMPClient
from .differences import tell_once
from .errors import SAMPClientError, SAMPProxyError
from .hub_proxy import SAMPHubProxy, main_hub
from .watcher import Watcher

__all__ = ["SAMPIntegratedClient"]

log = logging.getLogger("asyncsamp.client")

Function = Callable[..., Any]

_PLACES = ("SAMP_HUB", "HOME", "USERPROFILE")
"""What decides where the lockfile is; some programs change it after they have connected."""

_CHECK_INTERVAL = 2.0
"""Seconds between two looks whether the hub is still that with which the client has registered."""


class SAMPIntegratedClient:
    """A client with the names of `astropy.samp.SAMPIntegratedClient`; arguments as of `SAMPClient`.

    When its hub has gone and another one has started, it registers there by itself within some seconds,
    with its metadata and what is bound; its id and its private key are new then.

    Args:
        name: What others call it (samp.name).
        description: What it says of itself (samp.description.text).
        metadata: What else it says.
        addr: Where it listens; None means 127.0.0.1.
        port: The port for that; 0 takes any that is free.
        callable: Whether it can be called.
    """

    def __init__(
        self,
        name: str | None = None,
        description: str | None = None,
        metadata: dict[str, Any] | None = None,
        addr: str | None = None,
        port: int = 0,
        callable: bool = True,
    ) -> None:
        self.hub = SAMPHubProxy()
        self.client_arguments = {
            "name": name,
            "description": description,
            "metadata": metadata,
            "addr": addr,
            "port": port,
            "callable": callable,
        }
        self.client: Any = None
        self._turn = threading.RLock()
        self._find: Callable[[], Mapping[str, str]] = main_hub
        self._known: dict[str, str] = {}
        self._watcher: Watcher | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the client is registered with a hub that is there now: it is asked."""
        if self.client is None or not self.client.is_running or not self.client.is_registered:
            return False
        return self.hub.knows(self.client.get_private_key(), self.client.get_public_id())

    def connect(
        self, hub: Any = None, hub_params: Mapping[str, str] | None = None, pool_size: int = 20
    ) -> None:
        """Find the hub and register; connected already, it leaves first; see `SAMPHubProxy.connect`.

        Args:
            hub: A hub of this process, or None for the one that the lockfile names.
            hub_params: The lockfile, read already.
            pool_size: Not used: connections are made as they are needed.
        """
        self.disconnect()
        tell_once()
        with self._turn:
            self._find = _finder(hub, hub_params)
            self.hub.connect(hub, hub_params, pool_size)
            arguments: dict[str, Any] = self.client_arguments
            self.client = SAMPClient(self.hub, **arguments)
            self.client.start()
            try:
                self.client.register()
            except BaseException:
                self.client.stop()
                self.hub.disconnect()
                raise
            self._known = dict(self.hub.lockfile)
            self._watcher = Watcher(self._look_after, _CHECK_INTERVAL)

    def disconnect(self) -> None:
        """Unregister and close everything; not connected, it does nothing."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        with self._turn:
            if self.client is None:
                return
            try:
                if self.is_connected:
                    self.client.unregister()
            except (OSError, SAMPProxyError) as error:  # it does not know us any more, or is gone
                log.info("a hub that a client leaves does not answer: %s", error)
            finally:
                self.client.stop()
                self.hub.disconnect()

    def _look_after(self) -> None:
        """Register with another hub if there is one and the one that is known has gone.

        Raises `SAMPHubError` if there is no hub, and what `connect` raises.
        """
        found = dict(self._find())
        url = found["samp.hub.xmlrpc.url"]
        if found["samp.secret"] == self._known["samp.secret"] and url == self._known["samp.hub.xmlrpc.url"]:
            return  # whoever is not registered there now has been put out
        with self._turn:
            if self._watcher is None or (url != self._known["samp.hub.xmlrpc.url"] and self.hub.is_connected):
                return
            self.hub.connect(hub_params=found)
            self.client.come_back()
            self._known = found
            log.warning("the hub has gone; the client is registered with the one at %s now", url)

    # ---- the hub

    def ping(self) -> Any:
        """Ask whether the hub is there.

        Returns:
            What the hub answers, an empty text.
        """
        return self.hub.ping()

    def declare_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Declare the client's metadata, added to those it has.

        Args:
            metadata: What is declared.
        """
        self._client().declare_metadata(metadata)

    def get_metadata(self, client_id: str) -> Any:
        """Return a client's metadata.

        Args:
            client_id: The id of the client that is asked about.
        """
        return self.hub.get_metadata(self._key(), client_id)

    def get_subscriptions(self, client_id: str) -> Any:
        """Return what a client takes.

        Args:
            client_id: The id of the client that is asked about.
        """
        return self.hub.get_subscriptions(self._key(), client_id)

    def get_registered_clients(self) -> Any:
        """Return the ids of the other clients."""
        return self.hub.get_registered_clients(self._key())

    def get_subscribed_clients(self, mtype: str) -> Any:
        """Return who takes `mtype`.

        Args:
            mtype: The mtype.
        """
        return self.hub.get_subscribed_clients(self._key(), mtype)

    def notify(self, recipient_id: str, message: Mapping[str, Any]) -> Any:
        """Send a message to one client, without an answer.

        Args:
            recipient_id: The id of the client that gets it.
            message: The message: samp.mtype and samp.params.

        Returns:
            What the hub answers, an empty text.
        """
        return self.hub.notify(self._key(), recipient_id, message)

    def enotify(self, recipient_id: str, mtype: str, **params: Any) -> Any:
        """As `notify`, with the parameters as keywords; `extra_kws` go beside them.

        Args:
            recipient_id: The id of the client that gets it.
            mtype: The mtype.
            params: The parameters of the message.

        Returns:
            What the hub answers, an empty text.
        """
        return self.notify(recipient_id, _message(mtype, params))

    def notify_all(self, message: Mapping[str, Any]) -> Any:
        """Send a message to all who take it, without answers

        Args:
            message: The message: samp.mtype and samp.params.

        Returns:
            The ids of those who got it.
        """
        return self.hub.notify_all(self._key(), message)

    def enotify_all(self, mtype: str, **params: Any) -> Any:
        """As `notify_all`, with the parameters as keywords.

        Args:
            mtype: The mtype.
            params: The parameters of the message.

        Returns:
            The ids of those who got it.
        """
        return self.notify_all(_message(mtype, params))

    def call(self, recipient_id: str, msg_tag: str, message: Mapping[str, Any]) -> Any:
        """Send a call; its response comes to the function bound to `msg_tag`.

        Args:
            recipient_id: The id of the client that gets it.
            msg_tag: What the response comes with.
            message: The message: samp.mtype and samp.params.

        Returns:
            The id of the message.
        """
        return self.hub.call(self._key(), recipient_id, msg_tag, message)

    def ecall(self, recipient_id: str, msg_tag: str, mtype: str, **params: Any) -> Any:
        """As `call`, with the parameters as keywords.

        Args:
            recipient_id: The id of the client that gets it.
            msg_tag: What the response comes with.
            mtype: The mtype.
            params: The parameters of the message.

        Returns:
            The id of the message.
        """
        return self.call(recipient_id, msg_tag, _message(mtype, params))

    def call_all(self, msg_tag: str, message: Mapping[str, Any]) -> Any:
        """Send a call to all who take it

        Args:
            msg_tag: What the response comes with.
            message: The message: samp.mtype and samp.params.

        Returns:
            The ids of those who got it, with the ids of the messages.
        """
        return self.hub.call_all(self._key(), msg_tag, message)

    def ecall_all(self, msg_tag: str, mtype: str, **params: Any) -> Any:
        """As `call_all`, with the parameters as keywords.

        Args:
            msg_tag: What the response comes with.
            mtype: The mtype.
            params: The parameters of the message.

        Returns:
            The ids of those who got it, with the ids of the messages.
        """
        return self.call_all(msg_tag, _message(mtype, params))

    def call_and_wait(self, recipient_id: str, message: Mapping[str, Any], timeout: str | float) -> Any:
        """Send a call and return its response; see `SAMPHubProxy.call_and_wait`.

        Args:
            recipient_id: The id of the client that gets it.
            message: The message: samp.mtype and samp.params.
            timeout: Seconds, as a number or a text; 0 waits for ever.

        Returns:
            The response.
        """
        return self.hub.call_and_wait(self._key(), recipient_id, message, timeout)

    def ecall_and_wait(self, recipient_id: str, mtype: str, timeout: str | float, **params: Any) -> Any:
        """As `call_and_wait`, with the parameters as keywords.

        Args:
            recipient_id: The id of the client that gets it.
            mtype: The mtype.
            timeout: Seconds, as a number or a text; 0 waits for ever.
            params: The parameters of the message.

        Returns:
            The response.
        """
        return self.call_and_wait(recipient_id, _message(mtype, params), timeout)

    def reply(self, msg_id: str, response: Mapping[str, Any]) -> Any:
        """Answer a call.

        Args:
            msg_id: The id of the message that is answered.
            response: The response: samp.status, samp.result and samp.error.

        Returns:
            What the hub answers, an empty text.
        """
        return self.hub.reply(self._key(), msg_id, response)

    def ereply(
        self,
        msg_id: str,
        status: str,
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer a call by its parts.

        Args:
            msg_id: The id of the message that is answered.
            status: SAMP_STATUS_OK, SAMP_STATUS_WARNING or SAMP_STATUS_ERROR.
            result: The result, if there is one.
            error: The error, if there is one.

        Returns:
            What the hub answers, an empty text.
        """
        parts = {"samp.status": status, "samp.result": result, "samp.error": error}
        return self.reply(msg_id, {name: part for name, part in parts.items() if part is not None})

    # ---- the client

    def receive_notification(self, private_key: str, sender_id: str, message: dict[str, Any]) -> Any:
        """See `SAMPClient.receive_notification`.

        Args:
            private_key: The key of this client; with another one nothing happens.
            sender_id: The id of the sender.
            message: The message: samp.mtype and samp.params.

        Returns:
            An empty text.
        """
        return self._client().receive_notification(private_key, sender_id, message)

    def receive_call(self, private_key: str, sender_id: str, msg_id: str, message: dict[str, Any]) -> Any:
        """See `SAMPClient.receive_call`.

        Args:
            private_key: The key of this client; with another one nothing happens.
            sender_id: The id of the sender.
            msg_id: What the reply must name.
            message: The message: samp.mtype and samp.params.

        Returns:
            An empty text.
        """
        return self._client().receive_call(private_key, sender_id, msg_id, message)

    def receive_response(
        self, private_key: str, responder_id: str, msg_tag: str, response: dict[str, Any]
    ) -> Any:
        """See `SAMPClient.receive_response`.

        Args:
            private_key: The key of this client; with another one nothing happens.
            responder_id: The id of who answers.
            msg_tag: The tag of the call.
            response: The response: samp.status, samp.result and samp.error.

        Returns:
            An empty text.
        """
        return self._client().receive_response(private_key, responder_id, msg_tag, response)

    def bind_receive_message(
        self,
        mtype: str,
        function: Function,
        declare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """See `SAMPClient.bind_receive_message`.

        Args:
            mtype: An mtype, or a wildcard.
            function: What is called.
            declare: Whether the hub is told at once.
            metadata: What goes into the subscription.
        """
        self._client().bind_receive_message(mtype, function, declare, metadata)

    def bind_receive_notification(
        self,
        mtype: str,
        function: Function,
        declare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """See `SAMPClient.bind_receive_notification`.

        Args:
            mtype: An mtype, or a wildcard.
            function: What is called.
            declare: Whether the hub is told at once.
            metadata: What goes into the subscription.
        """
        self._client().bind_receive_notification(mtype, function, declare, metadata)

    def bind_receive_call(
        self,
        mtype: str,
        function: Function,
        declare: bool = True,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """See `SAMPClient.bind_receive_call`.

        Args:
            mtype: An mtype, or a wildcard.
            function: What is called.
            declare: Whether the hub is told at once.
            metadata: What goes into the subscription.
        """
        self._client().bind_receive_call(mtype, function, declare, metadata)

    def bind_receive_response(self, msg_tag: str, function: Function) -> None:
        """See `SAMPClient.bind_receive_response`.

        Args:
            msg_tag: The tag of the calls.
            function: What is called.
        """
        self._client().bind_receive_response(msg_tag, function)

    def unbind_receive_notification(self, mtype: str, declare: bool = True) -> None:
        """See `SAMPClient.unbind_receive_notification`.

        Args:
            mtype: An mtype, or a wildcard.
            declare: Whether the hub is told at once.
        """
        self._client().unbind_receive_notification(mtype, declare)

    def unbind_receive_call(self, mtype: str, declare: bool = True) -> None:
        """See `SAMPClient.unbind_receive_call`.

        Args:
            mtype: An mtype, or a wildcard.
            declare: Whether the hub is told at once.
        """
        self._client().unbind_receive_call(mtype, declare)

    def unbind_receive_response(self, msg_tag: str) -> None:
        """See `SAMPClient.unbind_receive_response`.

        Args:
            msg_tag: The tag of the calls.
        """
        self._client().unbind_receive_response(msg_tag)

    def declare_subscriptions(self, subscriptions: Mapping[str, Any] | None = None) -> None:
        """See `SAMPClient.declare_subscriptions`.

        Args:
            subscriptions: Mtypes with their annotations.
        """
        self._client().declare_subscriptions(subscriptions)

    def get_private_key(self) -> Any:
        """Return the private key, None without a registration."""
        return self._client().get_private_key()

    def get_public_id(self) -> Any:
        """Return the id by which others know the client, None without a registration."""
        return self._client().get_public_id()

    def _client(self) -> Any:
        if self.client is None:
            raise SAMPClientError("the client is not connected to a hub: call connect() before")
        return self.client

    def _key(self) -> str:
        key = self._client().get_private_key()
        if key is None:
            raise SAMPClientError("the client is not registered with a hub: call connect() before")
        return str(key)


def _finder(hub: Any, hub_params: Mapping[str, str] | None) -> Callable[[], Mapping[str, str]]:
    """Return what finds the hub again: the same object or parameters, or the lockfile of this moment."""
    if hub is not None:
        return lambda: dict(hub.params)
    if hub_params is not None:
        return lambda: dict(hub_params)
    environ = {name: value for name, value in os.environ.items() if name in _PLACES}
    return lambda: main_hub(environ)


def _message(mtype: str, params: dict[str, Any]) -> dict[str, Any]:
    extra = params.pop("extra_kws", {})
    return {"samp.mtype": mtype, "samp.params": params, **extra}
