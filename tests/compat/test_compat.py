"""What programs written for astropy.samp do, and what they lean on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import compat as samp

Pair = tuple[samp.SAMPIntegratedClient, samp.SAMPIntegratedClient]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[samp.SAMPHubServer]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    server = samp.SAMPHubServer(web_profile=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pair(hub: samp.SAMPHubServer) -> Iterator[Pair]:
    one, two = samp.SAMPIntegratedClient(), samp.SAMPIntegratedClient(name="two")
    one.connect()
    two.connect(hub=hub, pool_size=1)
    yield one, two
    one.disconnect()
    two.disconnect()


def test_calls_and_their_answers(pair: Pair) -> None:
    one, two = pair
    reply = {"samp.status": samp.SAMP_STATUS_OK, "samp.result": {"txt": "test"}}

    def handle(private_key: str, sender: str, msg_id: str, mtype: str, params: Any, extra: Any) -> None:
        assert (private_key, sender) == (two.get_private_key(), one.get_public_id())
        two.reply(msg_id, reply)

    two.bind_receive_call("test.call", handle)
    their_id = two.get_public_id()
    assert one.call_and_wait(their_id, {"samp.mtype": "test.call", "samp.params": {}}, "5") == reply
    assert one.ecall_and_wait(their_id, "test.call", "0", a=1) == reply
    answers: queue.Queue[Any] = queue.Queue()
    one.bind_receive_response("tag", lambda key, sender, tag, response: answers.put((sender, tag, response)))
    one.ecall(their_id, "tag", "test.call")
    assert answers.get(timeout=10) == (their_id, "tag", reply)
    one.ecall_all("tag", "test.call")
    assert answers.get(timeout=10) == (their_id, "tag", reply)


def test_numbers_and_lists_arrive_as_they_were_sent(pair: Pair) -> None:
    one, two = pair
    came: queue.Queue[Any] = queue.Queue()
    two.bind_receive_notification(
        "test.*", lambda key, sender, mtype, params, extra: came.put((params, extra))
    )
    params = {"int": 1331, "float": 2.5, "list": [1, "a"], "url": ["x"]}
    one.enotify_all("test.numbers", extra_kws={"my.extra": "1"}, **params)
    assert came.get(timeout=10) == (params, {"my.extra": "1"})


def test_notifications_go_to_functions_with_five_or_six_arguments(pair: Pair) -> None:
    one, two = pair
    came: queue.Queue[Any] = queue.Queue()

    def six(key: str, sender: str, msg_id: str | None, mtype: str, params: Any, extra: Any) -> None:
        came.put((msg_id, mtype))

    two.bind_receive_message("*", six)
    one.enotify(two.get_public_id(), "test.six")
    seen = came.get(timeout=10)
    while seen[1].startswith("samp.hub."):
        seen = came.get(timeout=10)
    assert seen == (None, "test.six")
    two.unbind_receive_call("*")
    two.unbind_receive_notification("*")
    with pytest.raises(KeyError):
        two.unbind_receive_notification("*")


def test_refusals_are_proxy_errors(pair: Pair) -> None:
    one, two = pair
    with pytest.raises(samp.SAMPProxyError):
        one.enotify(two.get_public_id(), "table.load.votable")
    two.bind_receive_call("test.silent", lambda *message: None)
    with pytest.raises(samp.SAMPProxyError):
        one.ecall_and_wait(two.get_public_id(), "test.silent", "1")


def test_metadata_of_an_unnamed_client_are_empty(pair: Pair) -> None:
    one, two = pair
    assert two.get_metadata(one.get_public_id()) == {}
    assert one.get_metadata(two.get_public_id()) == {"samp.name": "two"}
    assert two.get_public_id() in one.hub.get_registered_clients(one.get_private_key())


def test_connecting_again_and_disconnecting_leave_no_client(pair: Pair) -> None:
    one, two = pair
    one.connect()
    assert one.is_connected
    assert len(two.get_registered_clients()) == 2
    one.disconnect()
    one.disconnect()
    assert not one.is_connected
    assert len(two.get_registered_clients()) == 1


def test_a_handler_that_raises_harms_nobody(pair: Pair) -> None:
    one, two = pair
    called = threading.Event()

    def fail(*message: Any) -> None:
        called.set()
        raise ValueError("mine")

    two.bind_receive_notification("test.fail", fail)
    one.enotify_all("test.fail")
    assert called.wait(10)
    assert one.ecall_and_wait(two.get_public_id(), "samp.app.ping", "5")["samp.status"] == "samp.ok"


def test_a_dead_hub_is_told_at_once(hub: samp.SAMPHubServer, pair: Pair) -> None:
    one, _ = pair
    hub.stop()
    with pytest.raises(ConnectionRefusedError):
        one.ping()
    assert not one.is_connected


def test_without_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    client = samp.SAMPIntegratedClient()
    assert not client.is_connected
    with pytest.raises(samp.SAMPHubError, match="Unable to find a running SAMP Hub"):
        client.connect()
    samp.SAMPHubServer(web_profile=False).stop()
    assert not hasattr(client, "bindReceiveCall")
    with pytest.raises(samp.SAMPClientError, match="call connect"):
        client.get_registered_clients()


def test_a_client_that_is_not_callable_calls(pair: Pair) -> None:
    client = samp.SAMPIntegratedClient(callable=False)
    client.connect()
    with pytest.raises(samp.SAMPClientError, match="not callable"):
        client.bind_receive_call("test.x", print)
    assert client.ecall_and_wait(pair[1].get_public_id(), "samp.app.ping", "5")["samp.status"] == "samp.ok"
    client.disconnect()


@pytest.mark.parametrize("fails", [False, True])
def test_a_wrapped_function_replies_with_what_it_returns_or_raises(pair: Pair, fails: bool) -> None:
    one, two = pair

    @samp.SAMPMsgReplierWrapper(two)
    def handle(key: str, sender: str, msg_id: str, mtype: str, params: Any, extra: Any) -> dict[str, str]:
        if fails:
            raise ValueError("it is wrong")
        return {"txt": "done"}

    two.bind_receive_call("test.wrapped", handle)
    response = one.ecall_and_wait(two.get_public_id(), "test.wrapped", "10")
    assert response["samp.status"] == "samp.error"
    assert ("it is wrong" if fails else "done") in response["samp.result"]["txt"]
