"""What programs written for astropy.samp do, and what they lean on."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import compat as samp

from ..ports import lasting_port

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
    assert one.call_and_wait(their_id, {"samp.mtype": "test.call", "samp.params": {}}, "30") == reply
    assert one.ecall_and_wait(their_id, "test.call", "0", a=1) == reply
    answers: queue.Queue[Any] = queue.Queue()
    one.bind_receive_response("tag", lambda key, sender, tag, response: answers.put((sender, tag, response)))
    one.ecall(their_id, "tag", "test.call")
    assert answers.get(timeout=30) == (their_id, "tag", reply)
    one.ecall_all("tag", "test.call")
    assert answers.get(timeout=30) == (their_id, "tag", reply)


def test_numbers_and_lists_arrive_as_they_were_sent(pair: Pair) -> None:
    one, two = pair
    came: queue.Queue[Any] = queue.Queue()
    two.bind_receive_notification(
        "test.*", lambda key, sender, mtype, params, extra: came.put((params, extra))
    )
    params = {"int": 1331, "float": 2.5, "list": [1, "a"], "url": ["x"]}
    one.enotify_all("test.numbers", extra_kws={"my.extra": "1"}, **params)
    assert came.get(timeout=30) == (params, {"my.extra": "1"})


def test_notifications_go_to_functions_with_five_or_six_arguments(pair: Pair) -> None:
    one, two = pair
    came: queue.Queue[Any] = queue.Queue()

    def six(key: str, sender: str, msg_id: str | None, mtype: str, params: Any, extra: Any) -> None:
        came.put((msg_id, mtype))

    two.bind_receive_message("*", six)
    one.enotify(two.get_public_id(), "test.six")
    seen = came.get(timeout=30)
    while seen[1].startswith("samp.hub."):
        seen = came.get(timeout=30)
    assert seen == (None, "test.six")
    two.unbind_receive_call("*")
    two.unbind_receive_notification("*")
    with pytest.raises(KeyError):
        two.unbind_receive_notification("*")


def test_what_comes_between_two_bindings_of_one_mtype_is_for_both(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The subscription is that of the calls; programs bind notifications in the next statement."""
    one, two = pair
    arrived = threading.Event()
    taken: queue.Queue[str] = queue.Queue()
    handed_on = two.client.receive_notification

    def noting(*given: Any) -> str:
        arrived.set()
        return str(handed_on(*given))

    monkeypatch.setattr(two.client, "receive_notification", noting)
    two.bind_receive_call("x.*", lambda *given: None)
    one.enotify_all("x.y")
    assert arrived.wait(30)
    two.bind_receive_notification("x.*", lambda key, sender, mtype, params, extra: taken.put(mtype))
    assert taken.get(timeout=30) == "x.y"
    two.unbind_receive_notification("x.*")
    two.receive_notification(two.get_private_key(), "c9", {"samp.mtype": "x.y"})
    assert taken.empty()


def test_refusals_are_proxy_errors(pair: Pair) -> None:
    one, two = pair
    text = f"Client {two.get_public_id()} not subscribed to MType table.load.votable"
    for send in (one.enotify, partial(one.ecall_and_wait, timeout="1"), partial(one.ecall, msg_tag="tag")):
        with pytest.raises(samp.SAMPProxyError) as refused:
            send(two.get_public_id(), mtype="table.load.votable")
        assert (refused.value.faultCode, refused.value.faultString) == (2, text)
    two.bind_receive_call("test.silent", lambda *message: None)
    with pytest.raises(samp.SAMPProxyError) as refused:
        one.ecall_and_wait(two.get_public_id(), "test.silent", "0.5")
    assert (refused.value.faultCode, refused.value.faultString) == (1, "Timeout expired!")
    assert type(refused.value) is samp.SAMPProxyError
    with pytest.raises(samp.SAMPProxyError, match="Invalid client ID"):
        one.get_metadata("c99")
    with pytest.raises(samp.SAMPProxyError, match="Private-key expired or invalid"):
        one.hub.get_registered_clients("key")
    with pytest.raises(samp.SAMPProxyError, match="Bad secret code"):
        one.hub.register("secret")
    with pytest.warns(samp.SAMPWarning, match=r"none takes test\.nobody"):
        assert one.enotify_all("test.nobody") == []


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
    assert not [each for each in threading.enumerate() if each.name == "asyncsamp-compat-watcher"][1:]
    assert len(two.get_registered_clients()) == 1


def test_a_handler_that_raises_harms_nobody(pair: Pair) -> None:
    one, two = pair
    called = threading.Event()

    def fail(*message: Any) -> None:
        called.set()
        raise ValueError("mine")

    two.bind_receive_notification("test.fail", fail)
    one.enotify_all("test.fail")
    assert called.wait(30)
    assert one.ecall_and_wait(two.get_public_id(), "samp.app.ping", "30")["samp.status"] == "samp.ok"


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
    one, two = pair
    assert client.ecall_and_wait(two.get_public_id(), "samp.app.ping", "30")["samp.status"] == "samp.ok"
    came: queue.Queue[Any] = queue.Queue()
    two.bind_receive_call("test.x", lambda key, sender, msg_id, *more: came.put((sender, msg_id)))
    msg_id = client.ecall(two.get_public_id(), "tag", "test.x", n=1)
    sender, its_id = came.get(timeout=30)
    assert sender == client.get_public_id()
    assert its_id == msg_id
    two.ereply(its_id, samp.SAMP_STATUS_OK, result={})  # which nobody gets
    assert one.ping() is not None
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
    response = one.ecall_and_wait(two.get_public_id(), "test.wrapped", "30")
    assert response["samp.status"] == "samp.error"
    assert ("it is wrong" if fails else "done") in response["samp.result"]["txt"]


def test_what_is_sent_before_leaving_arrives(pair: Pair) -> None:
    one, two = pair
    came: queue.Queue[Any] = queue.Queue()
    two.bind_receive_notification("test.last", lambda key, sender, mtype, params, extra: came.put(params))
    for number in range(20):
        one.enotify_all("test.last", n=number)
    one.disconnect()
    assert sorted(came.get(timeout=30)["n"] for _ in range(20)) == list(range(20))


def test_the_hub_is_a_client_whose_id_says_so(pair: Pair) -> None:
    one, two = pair
    others = one.get_registered_clients()
    (hub_id,) = set(others) - {two.get_public_id()}
    assert "hub" in hub_id
    assert two.get_public_id().startswith("c")
    assert one.ecall_and_wait(hub_id, "samp.app.ping", "30")["samp.status"] == "samp.ok"


DOOMED = """
from asyncsamp import compat
client = compat.SAMPIntegratedClient("doomed")
client.connect()
client.bind_receive_call("test.x", print)
print(client.get_public_id(), flush=True)
input()
"""


def test_a_notification_to_a_dead_client_is_refused(pair: Pair) -> None:
    one, _ = pair
    gone = threading.Event()
    one.bind_receive_notification("samp.hub.event.unregister", lambda *message: gone.set())
    with subprocess.Popen(
        [sys.executable, "-c", DOOMED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as doomed:
        assert doomed.stdout is not None
        its_id = doomed.stdout.readline().strip()
        one.enotify(its_id, "samp.app.ping")
        doomed.kill()
    with pytest.raises((samp.SAMPProxyError, TimeoutError)):
        one.ecall_and_wait(its_id, "samp.app.ping", "30")
    assert gone.wait(30)
    with pytest.raises(samp.SAMPProxyError, match="not subscribed"):
        one.enotify(its_id, "samp.app.ping")


def test_a_client_comes_back_to_the_next_hub(
    hub: samp.SAMPHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.compat.integrated_client._CHECK_INTERVAL", 0.05)
    client = samp.SAMPIntegratedClient("faithful", metadata={"x.y": "1"})
    client.connect()
    called = threading.Event()
    client.bind_receive_notification("test.again", lambda *message: called.set())
    client.declare_subscriptions({"test.beside": {}})
    hub.stop()
    assert not client.is_connected
    assert not client.hub.is_connected
    following = samp.SAMPHubServer(web_profile=False)
    following.start()
    other = samp.SAMPIntegratedClient("other")
    other.connect()
    there = threading.Event()
    other.bind_receive_notification("samp.hub.event.metadata", lambda *message: there.set())
    if not other.get_subscribed_clients("test.again"):
        assert there.wait(30)
    assert there.wait(30) or client.is_connected
    assert other.get_metadata(client.get_public_id()) == {"samp.name": "faithful", "x.y": "1"}
    assert {"test.again", "test.beside"} <= set(other.get_subscriptions(client.get_public_id()))
    other.enotify_all("test.again")
    assert called.wait(30)
    for each in (client, other):
        each.disconnect()
    following.stop()


def test_who_is_put_out_by_its_hub_stays_out(
    hub: samp.SAMPHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsamp.compat.integrated_client._CHECK_INTERVAL", 0.01)
    client, other = samp.SAMPIntegratedClient("out"), samp.SAMPIntegratedClient("other")
    client.connect()
    other.connect()
    client.hub.unregister(client.get_private_key())
    client._look_after()
    client._look_after()
    assert not client.is_connected
    assert len(other.get_registered_clients()) == 1
    client.disconnect()
    other.disconnect()


def test_a_hub_has_the_secret_and_the_port_that_are_given(tmp_path: Path) -> None:
    port = lasting_port()
    hub = samp.SAMPHubServer(secret="mine", port=port, lockfile=str(tmp_path / "hub"), web_profile=False)
    hub.start()
    url = f"http://127.0.0.1:{port}/xmlrpc"
    client = samp.SAMPIntegratedClient()
    client.connect(hub_params={"samp.secret": "mine", "samp.hub.xmlrpc.url": url})
    assert client.is_connected
    client.disconnect()
    hub.stop()


def busy_with_a_long_one(
    client: samp.SAMPIntegratedClient, seconds: float
) -> tuple[queue.Queue[int], threading.Event]:
    """Have a client handle test.long until the event, so many seconds at most, and queue each n of test.n."""
    came: queue.Queue[int] = queue.Queue()
    release = threading.Event()
    client.bind_receive_notification("test.long", lambda *message: release.wait(seconds))
    client.bind_receive_notification(
        "test.n", lambda key, sender, mtype, params, extra: came.put(params["n"])
    )
    return came, release


def test_messages_are_handled_in_order_beside_one_that_takes_long(pair: Pair) -> None:
    one, two = pair
    came, release = busy_with_a_long_one(two, 60)
    one.enotify_all("test.long")
    one.enotify_all("test.n", n=-1)
    assert came.get(timeout=30) == -1
    release.set()
    for number in range(50):
        one.enotify_all("test.n", n=number)
    assert [came.get(timeout=30) for _ in range(50)] == list(range(50))


def test_many_messages_make_few_threads(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the hub keeps what a client is too slow for."""
    monkeypatch.setattr("asyncsamp.compat.handler_threads._TURN", 3600.0)
    one, two = pair
    came, release = busy_with_a_long_one(two, 30)
    one.enotify_all("test.long")
    for number in range(120):
        one.enotify_all("test.n", n=number)
    handling = [each for each in threading.enumerate() if each.name == "asyncsamp-compat-handler"]
    assert len(handling) == 1
    release.set()
    assert [came.get(timeout=30) for _ in range(120)] == list(range(120))


def test_a_function_waits_for_the_response_to_a_call_of_its_own(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though there are no more threads than those that wait."""
    monkeypatch.setattr("asyncsamp.compat.handler_threads._TURN", 0.01)
    one, two = pair
    two.client._endpoint._receiver._threads._most = 1
    answered = threading.Event()
    done = threading.Event()

    def handle(*message: Any) -> None:
        two.ecall(one.get_public_id(), "tag", "samp.app.ping")
        assert answered.wait(30)
        done.set()

    two.bind_receive_response("tag", lambda *message: answered.set())
    two.bind_receive_notification("test.x", handle)
    one.enotify_all("test.x")
    assert done.wait(30)


def test_functions_that_cannot_work_are_told(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    one, two = pair

    async def wrong(*message: Any) -> None: ...

    with pytest.raises(TypeError, match=r"'async def'.*asyncsamp\.Client"):
        two.bind_receive_call("test.x", wrong)
    two.bind_receive_notification("test.few", lambda key: None)
    after = threading.Event()
    two.bind_receive_notification("test.after", lambda *message: after.set())
    one.enotify_all("test.few")
    one.enotify_all("test.after")
    assert after.wait(30)
    assert "positional argument" in caplog.text


def test_a_hub_that_is_killed_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    command = [sys.executable, "-m", "asyncsamp.hub", "--no-web-profile"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        hub.stdout.readline()
        one, two = samp.SAMPIntegratedClient("one"), samp.SAMPIntegratedClient("two")
        one.connect()
        two.connect()
        two.bind_receive_call("test.silent", lambda *message: hub.kill())
        with pytest.raises(ConnectionError):
            one.ecall_and_wait(two.get_public_id(), "test.silent", "0")
    assert not two.is_connected
    with pytest.raises((samp.SAMPHubError, OSError)):
        two.enotify_all("test.x")
    one.disconnect()
    two.disconnect()
    with pytest.raises(samp.SAMPHubError, match="not connected"):
        one.ping()


def test_connecting_a_hundred_times_leaves_no_thread_and_no_file(hub: samp.SAMPHubServer) -> None:
    def once() -> None:
        client = samp.SAMPIntegratedClient("again")
        client.connect()
        client.bind_receive_call("test.x", print)
        client.disconnect()

    def left() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    def soon(threads: int, files: int) -> tuple[int, int]:
        """What is left once it is no more than that: the hub closes its ends a little later."""
        end = time.monotonic() + 30
        while (now := left())[0] > threads or now[1] > files:
            if time.monotonic() > end:
                break
            time.sleep(0.01)
        return now

    once()
    threads, files = left()
    for _ in range(100):
        once()
    now = soon(threads + 1, files + 3)
    assert now[0] <= threads + 1
    assert now[1] <= files + 3


@pytest.mark.parametrize("wrong", [{"metadata": {"author.name": "M\u00fcller"}}, {"addr": "192.0.2.7"}])
def test_a_client_that_could_not_connect_is_not_left_at_the_hub(
    hub: samp.SAMPHubServer, pair: Pair, wrong: dict[str, Any]
) -> None:
    client = samp.SAMPIntegratedClient(name="ghost", **wrong)
    before = pair[0].get_registered_clients()
    with pytest.raises(Exception, match=r"author\.name|192\.0\.2\.7|assign"):
        client.connect(hub=hub)
    assert pair[0].get_registered_clients() == before
    assert not client.is_connected
    client.disconnect()
