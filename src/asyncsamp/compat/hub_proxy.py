"""SAMPHubProxy: the hub's operations, each with a private key."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

from ..discovery import find_hub
from ..errors import FaultCode, HubNotFoundError, LockfileError, RemoteProtocolError
from ..lockfile import Lockfile
from ..rpc import RpcClient
from ..sync.portal import portal
from ..values import encode_map
from .errors import SAMPHubError, SAMPProxyError, SAMPWarning
from .line import Line
from .scalars import outgoing

__all__ = ["SAMPHubProxy", "main_hub"]

_PATIENCE = 30.0
"""Seconds for the hub to answer an operation that waits for nobody."""

_QUICK = 2.0
"""Seconds for the hub to answer whether it is there: one that takes longer is of no use."""


class SAMPHubProxy:
    """The hub's operations by the Standard Profile, for programs that keep private keys themselves."""

    def __init__(self) -> None:
        self.lockfile: dict[str, str] = {}
        self._line: Line | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the proxy is connected to a hub that is there now: it is asked."""
        return self._answers("ping")

    def connect(
        self, hub: Any = None, hub_params: Mapping[str, str] | None = None, pool_size: int = 20
    ) -> None:
        """Find the hub and ask whether it is there.

        Args:
            hub: A `SAMPHubServer` that runs.
            hub_params: What a lockfile says, instead of the lockfile that is looked for.
            pool_size: Not used: connections are made as they are needed.

        Raises:
            SAMPHubError: There is no hub.
        """
        self.disconnect()
        if hub is not None and hub_params is not None:
            raise ValueError("give hub or hub_params, not both")
        if hub is not None and not hub.is_running:
            raise SAMPHubError("Hub is not running")
        found = dict(hub.params if hub is not None else hub_params or main_hub())
        self._line = Line(found["samp.hub.xmlrpc.url"].replace("\\", ""))
        try:
            self.ping()
        except OSError as error:
            self.disconnect()
            raise SAMPHubError(f"Unable to find a running SAMP Hub: {error}") from error
        self.lockfile = found

    def disconnect(self) -> None:
        """Close the connections. The hub is told nothing: see `unregister`."""
        line, self._line = self._line, None
        self.lockfile = {}
        if line is not None:
            line.close()

    def ping(self) -> Any:
        """Ask whether the hub is there.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("ping")

    def knows(self, private_key: str, client_id: str) -> bool:
        """Return whether the hub is there and has that registration now; not of astropy.samp.

        Args:
            private_key: The key of the client that asks.
            client_id: The id of the client that is asked about.
        """
        return self._answers("getSubscriptions", private_key, client_id)

    def set_xmlrpc_callback(self, private_key: str, xmlrpc_addr: str) -> Any:
        """Name the URL at which the client listens.

        Args:
            private_key: The key of the client that asks.
            xmlrpc_addr: The URL.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("setXmlrpcCallback", private_key, xmlrpc_addr)

    def register(self, secret: str) -> Any:
        """Register; the answer has samp.self-id, samp.private-key and samp.hub-id.

        Args:
            secret: What the lockfile says.

        Returns:
            What the client learns.
        """
        return self._ask_hub("register", secret)

    def unregister(self, private_key: str) -> Any:
        """Unregister.

        Args:
            private_key: The key of the client that asks.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("unregister", private_key)

    def declare_metadata(self, private_key: str, metadata: Mapping[str, Any]) -> Any:
        """Declare the client's metadata.

        Args:
            private_key: The key of the client that asks.
            metadata: What is declared.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("declareMetadata", private_key, encode_map(metadata, "metadata"))

    def get_metadata(self, private_key: str, client_id: str) -> Any:
        """Return a client's metadata.

        Args:
            private_key: The key of the client that asks.
            client_id: The id of the client that is asked about.
        """
        return self._ask_hub("getMetadata", private_key, client_id)

    def declare_subscriptions(self, private_key: str, subscriptions: Mapping[str, Any]) -> Any:
        """Declare what the client takes.

        Args:
            private_key: The key of the client that asks.
            subscriptions: Mtypes with their annotations.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("declareSubscriptions", private_key, encode_map(subscriptions, "subscriptions"))

    def get_subscriptions(self, private_key: str, client_id: str) -> Any:
        """Return what a client takes.

        Args:
            private_key: The key of the client that asks.
            client_id: The id of the client that is asked about.
        """
        return self._ask_hub("getSubscriptions", private_key, client_id)

    def get_registered_clients(self, private_key: str) -> Any:
        """Return the ids of the other clients.

        Args:
            private_key: The key of the client that asks.
        """
        return self._ask_hub("getRegisteredClients", private_key)

    def get_subscribed_clients(self, private_key: str, mtype: str) -> Any:
        """Return who takes `mtype`.

        Args:
            private_key: The key of the client that asks.
            mtype: The mtype.
        """
        return self._ask_hub("getSubscribedClients", private_key, mtype)

    def notify(self, private_key: str, recipient_id: str, message: Mapping[str, Any]) -> Any:
        """Send a message to one client, without an answer.

        Args:
            private_key: The key of the client that asks.
            recipient_id: The id of the client that gets it.
            message: The message: samp.mtype and samp.params.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("notify", private_key, recipient_id, outgoing(message))

    def notify_all(self, private_key: str, message: Mapping[str, Any]) -> Any:
        """Send a message to all who take it, without answers.

        Args:
            private_key: The key of the client that asks.
            message: The message: samp.mtype and samp.params.

        Returns:
            The ids of those who got it.
        """
        recipients = self._ask_hub("notifyAll", private_key, outgoing(message))
        if not recipients:
            text = f"No client was able to receive this message: none takes {message.get('samp.mtype')}"
            warnings.warn(text, SAMPWarning, stacklevel=2)
        return recipients

    def call(self, private_key: str, recipient_id: str, msg_tag: str, message: Mapping[str, Any]) -> Any:
        """Send a message to one client; its response comes to the function bound to `msg_tag`.

        Args:
            private_key: The key of the client that asks.
            recipient_id: The id of the client that gets it.
            msg_tag: What the response comes with.
            message: The message: samp.mtype and samp.params.

        Returns:
            The id of the message.
        """
        return self._ask_hub("call", private_key, recipient_id, msg_tag, outgoing(message))

    def call_all(self, private_key: str, msg_tag: str, message: Mapping[str, Any]) -> Any:
        """Send a message to all who take it; their responses come to the function bound to `msg_tag`.

        Args:
            private_key: The key of the client that asks.
            msg_tag: What the response comes with.
            message: The message: samp.mtype and samp.params.

        Returns:
            The ids of those who got it, with the ids of the messages.
        """
        return self._ask_hub("callAll", private_key, msg_tag, outgoing(message))

    def call_and_wait(
        self, private_key: str, recipient_id: str, message: Mapping[str, Any], timeout: str | float
    ) -> Any:
        """Send a message to one client and return its response.

        Args:
            timeout: Seconds, as a number or a text, parts of one count as one; 0 waits for ever.
            private_key: The key of the client that asks.
            recipient_id: The id of the client that gets it.
            message: The message: samp.mtype and samp.params.

        Returns:
            The response.

        Raises:
            SAMPProxyError: The hub refused, or nobody answered in time (code 1, "Timeout expired!").
        """
        seconds = math.ceil(float(timeout))
        patience = seconds + _PATIENCE if seconds > 0 else None
        params = (private_key, recipient_id, outgoing(message), str(seconds))
        return self._ask_hub("callAndWait", *params, patience=patience)

    def reply(self, private_key: str, msg_id: str, response: Mapping[str, Any]) -> Any:
        """Answer a call.

        Args:
            private_key: The key of the client that asks.
            msg_id: The id of the message that is answered.
            response: The response: samp.status, samp.result and samp.error.

        Returns:
            What the hub answers, an empty text.
        """
        return self._ask_hub("reply", private_key, msg_id, encode_map(response, "response"))

    def _ask_hub(self, operation: str, *params: Any, patience: float | None = _PATIENCE) -> Any:
        if self._line is None:
            raise SAMPHubError(f"not connected to a hub: connect() before {operation}")
        try:
            return self._line.call(f"samp.hub.{operation}", params, patience)
        except ConnectionRefusedError:
            self.disconnect()  # it is dead
            raise
        except SAMPProxyError as error:
            raise _in_old_words(error, operation, params) from None

    def _answers(self, operation: str, *params: Any) -> bool:
        line = self._line
        if line is None:
            return False
        try:
            line.call(f"samp.hub.{operation}", params, _QUICK)
        except (OSError, RemoteProtocolError, SAMPProxyError):
            return False
        return True


def _in_old_words(error: SAMPProxyError, operation: str, params: tuple[Any, ...]) -> SAMPProxyError:
    """Return the fault as astropy's hub says it: programs compare codes and texts."""
    code, text = error.faultCode, error.faultString
    if code == FaultCode.TIMEOUT:
        code, text = 1, "Timeout expired!"
    elif code in (FaultCode.NOT_SUBSCRIBED, FaultCode.UNKNOWN_CLIENT):
        message = next((one for one in params if isinstance(one, dict)), None)
        if message is None:
            code, text = 6, "Invalid client ID"
        else:
            code, text = 2, f"Client {params[1]} not subscribed to MType {message.get('samp.mtype')}"
    elif code == FaultCode.NOT_REGISTERED:
        code, text = 5, "Private-key expired or invalid."
    elif code == FaultCode.REGISTRATION_REFUSED:
        code, text = 7, "Bad secret code"
    return SAMPProxyError(code, text)


def main_hub(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what the lockfile says of the hub that clients connect to, by SAMP_HUB of `environ`.

    Raises:
        SAMPHubError: There is none.
    """
    try:
        _, lockfile = portal().run(_find(environ))
    except (HubNotFoundError, LockfileError) as error:
        raise SAMPHubError(f"Unable to find a running SAMP Hub. {error}") from error
    return {
        **lockfile.extra,
        "samp.secret": lockfile.secret,
        "samp.hub.xmlrpc.url": lockfile.url,
        "samp.profile.version": lockfile.version,
    }


async def _find(environ: Mapping[str, str] | None) -> tuple[object, Lockfile]:
    sender = RpcClient()
    try:
        return await find_hub(sender, environ=environ, ping=True)
    finally:
        await sender.close()
