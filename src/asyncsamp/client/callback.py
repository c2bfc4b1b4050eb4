"""The client's own XML-RPC endpoint, which the hub calls back (SAMP 1.3 §4.2, STD-30..32)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter

from ..errors import FaultCode, FaultError
from ..interfaces import Receiver
from ..rpc import XmlRpcServer
from ..rpc.endpoint import Result
from ..values import Value

__all__ = ["CallbackEndpoint", "receive"]


class CallbackEndpoint:
    """A server on a free port that hands what the hub says to a `Receiver`.

    Args:
        receiver: Who gets it.
        private_key: What the hub shows.
        host: Where it listens.
        max_body: Bytes of one request.
        room: Returns what is to be awaited before the hub is answered, None for nothing: a hub that waits
            sends less.
    """

    def __init__(
        self,
        receiver: Receiver,
        private_key: str,
        *,
        host: str,
        max_body: int,
        room: Callable[[], Awaitable[None] | None] = lambda: None,
    ) -> None:
        self._receiver = receiver
        self._room = room
        self._keys = [private_key.encode()]
        self._server = XmlRpcServer(
            self._dispatch, self._knows_key, host=host, max_body=max_body, name="callback", owner="the client"
        )

    @property
    def url(self) -> str:
        """What to give to setXmlrpcCallback."""
        return self._server.url

    def renew_key(self, private_key: str) -> None:
        """Take a new key; the old one counts until the new one is used, as a delivery may be on its way."""
        self._keys = [self._keys[-1], private_key.encode()]

    async def start(self) -> None:
        """Bind and serve. Raises OSError if the host cannot be bound."""
        await self._server.start()

    async def close(self) -> None:
        """Close the server, within a second or so."""
        await self._server.close()

    def _knows_key(self, begun: bytes) -> bool:
        plain = begun.replace(b"\0", b"")  # UTF-16 is XML too
        return any(key in plain for key in self._keys)

    def _dispatch(self, method: str, params: list[Value]) -> Result | Awaitable[Result]:
        prefix, _, operation = method.rpartition(".")
        if prefix != "samp.client":
            raise FaultError(f"there is no method {method!r}", code=FaultCode.UNKNOWN_METHOD)
        key = params[0] if params else ""
        if not isinstance(key, str) or not self._is_ours(key.encode()):
            raise FaultError(
                "this is not the private key of this client", code=FaultCode.NOT_REGISTERED
            )  # CLIENT-6
        receive(self._receiver, operation, params[1:])
        room = self._room()
        return "" if room is None else _answer_after(room)

    def _is_ours(self, key: bytes) -> bool:
        if secrets.compare_digest(key, self._keys[-1]):
            del self._keys[:-1]
            return True
        return len(self._keys) > 1 and secrets.compare_digest(key, self._keys[0])


async def _answer_after(room: Awaitable[None]) -> str:
    await room
    return ""


_TAKERS: dict[str, tuple[Callable[[Receiver], Callable[..., None]], tuple[type, ...]]] = {
    "receiveNotification": (attrgetter("receive_notification"), (str, dict)),
    "receiveCall": (attrgetter("receive_call"), (str, str, dict)),
    "receiveResponse": (attrgetter("receive_response"), (str, str, dict)),
}
"""Who takes a callback of the standard, and the types of its parameters (CLIENT-4)."""


def receive(receiver: Receiver, operation: str, params: Sequence[Value]) -> None:
    """Hand one callback to `receiver`, by the standard name of its operation (CLIENT-4).

    Raises `FaultError` if there is no such operation, or its parameters are wrong.
    """
    if operation not in _TAKERS:
        raise FaultError(f"there is no method {operation!r}", code=FaultCode.UNKNOWN_METHOD)
    taker, kinds = _TAKERS[operation]
    if tuple(map(type, params)) != kinds:
        raise FaultError(f"{operation}: wrong parameters", code=FaultCode.BAD_PARAMETERS)
    taker(receiver)(*params)
