"""What the hub's core wants done outside of it, as plain frozen tuples (they are made for every message).

No I/O.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from .errors import FaultError
from .values import Content, RawMap, Value

__all__ = [
    "DeliverCall",
    "DeliverNotification",
    "DeliverResponse",
    "Delivery",
    "DeliveryError",
    "Effect",
    "FinishWait",
    "Forget",
]


class DeliverNotification(NamedTuple):
    """Hand `message` to `recipient`: receiveNotification.

    Attributes:
        recipient: Public id.
        sender: Public id.
        message: The message.
    """

    recipient: str
    sender: str
    message: Content

    def callback(self) -> tuple[str, list[Value | RawMap]]:
        """Return the client operation that it is, and its parameters: the content comes last (CLIENT-4)."""
        return "receiveNotification", [self.sender, self.message]


class DeliverCall(NamedTuple):
    """Hand `message` to `recipient`, which owes a reply to `msg_id`: receiveCall.

    Attributes:
        recipient: Public id.
        sender: Public id.
        msg_id: What the reply must name.
        message: The message.
    """

    recipient: str
    sender: str
    msg_id: str
    message: Content

    def callback(self) -> tuple[str, list[Value | RawMap]]:
        """Return the client operation that it is, and its parameters: the content comes last (CLIENT-4)."""
        return "receiveCall", [self.sender, self.msg_id, self.message]


class DeliverResponse(NamedTuple):
    """Hand `response` to `recipient`, who called with `msg_tag`: receiveResponse.

    Attributes:
        recipient: Public id.
        responder: Public id of who answers.
        msg_tag: What the recipient called with.
        response: The response.
    """

    recipient: str
    responder: str
    msg_tag: str
    response: Content

    def callback(self) -> tuple[str, list[Value | RawMap]]:
        """Return the client operation that it is, and its parameters: the content comes last (CLIENT-4)."""
        return "receiveResponse", [self.responder, self.msg_tag, self.response]


class FinishWait(NamedTuple):
    """The callAndWait `msg_id` has come to its end, with a response or an error.

    Attributes:
        msg_id: Which call.
        outcome: The response, or an error.
    """

    msg_id: str
    outcome: Content | FaultError


class Forget(NamedTuple):
    """`client` is no longer registered. With `last_words`, what waits for it is still delivered."""

    client: str
    last_words: bool


Delivery: TypeAlias = DeliverNotification | DeliverCall | DeliverResponse
Effect: TypeAlias = Delivery | FinishWait | Forget


class DeliveryError(Exception):
    """A delivery did not succeed; raised by a courier.

    Args:
        reason: Why it failed.
        gone: Whether nobody listens where the client should be. Nothing was delivered then, so that trying
            again is harmless.
    """

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        self.reason = reason
        self.gone = gone
        super().__init__(reason)
