"""What the core wants done, and how a courier says that it was not."""

from __future__ import annotations

from asyncsamp.delivery import DeliverCall, DeliverNotification, DeliverResponse, DeliveryError
from asyncsamp.values import ValueMap

CONTENT: ValueMap = {"samp.mtype": "a.b", "samp.params": {}}


def test_each_delivery_begins_with_its_recipient_and_ends_with_its_content() -> None:
    deliveries = (
        DeliverNotification("c1", "c2", CONTENT),
        DeliverCall("c1", "c2", "m1", CONTENT),
        DeliverResponse("c1", "c2", "tag", CONTENT),
    )
    for delivery in deliveries:
        assert delivery.recipient == delivery[0] == "c1"
        assert delivery[1] == "c2"
        assert delivery[-1] is CONTENT


def test_each_delivery_says_which_client_operation_it_is() -> None:
    assert DeliverNotification("c1", "c2", CONTENT).callback() == ("receiveNotification", ["c2", CONTENT])
    assert DeliverCall("c1", "c2", "m1", CONTENT).callback() == ("receiveCall", ["c2", "m1", CONTENT])
    assert DeliverResponse("c1", "c2", "tag", CONTENT).callback() == (
        "receiveResponse",
        ["c2", "tag", CONTENT],
    )


def test_a_failure_has_a_reason_and_says_whether_the_client_is_gone() -> None:
    error = DeliveryError("it sulks")
    assert (error.reason, error.gone, str(error)) == ("it sulks", False, "it sulks")
    assert DeliveryError("nobody listens", gone=True).gone
