"""The Standard Profile as a stranger on a socket meets it (SAMP 1.3 §4; STD-1..46, STD-68)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import Hub, Limits, xmlrpc
from asyncsamp.errors import FaultCode
from asyncsamp.hub.profiles.standard import StandardProfile
from asyncsamp.values import Value, ValueMap

from ..callees import Callee
from ..connections import turns_until
from ..raw import answered, call, ping_works, port_of, post, register, stranger
from ..users import LINUX, ROOT, nobody_listening
from ..wire import Conversation, ScriptedServer, connect, http_answer, result_body

LIMITS = Limits(
    refused_pause=0.001,
    vigil_interval=0.01,
    shutdown_patience=0.1,
    delivery_timeout=5,
    registration_burst=2000,
)
OK: ValueMap = {"samp.status": "samp.ok", "samp.result": {}}
NOTE: ValueMap = {"samp.mtype": "test.note", "samp.params": {"x": "1"}}


RIGHT: dict[str, list[Value]] = {
    "declareMetadata": [{"samp.name": "x"}],
    "getMetadata": ["hub"],
    "declareSubscriptions": [{"a.b": {}}],
    "getSubscriptions": ["hub"],
    "getRegisteredClients": [],
    "getSubscribedClients": ["samp.app.ping"],
    "notify": ["hub", {"samp.mtype": "samp.app.ping"}],
    "notifyAll": [{"samp.mtype": "samp.app.ping"}],
    "call": ["hub", "tag", {"samp.mtype": "samp.app.ping"}],
    "callAll": ["tag", {"samp.mtype": "samp.app.ping"}],
    "callAndWait": ["hub", {"samp.mtype": "samp.app.ping"}, "5"],
    "setXmlrpcCallback": ["http://127.0.0.1:9/"],
    "unregister": [],
}
"""Right parameters of each method of STD-12..25, after the private key; reply needs a call first."""

RESULTS: dict[str, Value] = {
    "getMetadata": {"samp.name": "Hub", "samp.description.text": "asyncsamp hub"},
    "getSubscriptions": {"samp.app.ping": {}, "samp.query.by-meta": {}, "x-samp.query.by-meta": {}},
    "getRegisteredClients": ["hub"],
    "getSubscribedClients": {"hub": {}},
    "notifyAll": ["hub"],
    "callAndWait": OK,
}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with Hub(lockfile=tmp_path / "x.samp", limits=LIMITS) as hub:
        yield hub


@pytest.fixture
async def callee() -> AsyncIterator[Callee]:
    async with Callee() as callee:
        yield callee


async def secret_of(hub: Hub) -> str:
    assert hub.lockfile is not None
    text = await asyncio.to_thread(hub.lockfile.read_text)
    return text.partition("samp.secret=")[2].split()[0]


async def asked(hub: Hub, method: str, *params: Value) -> Value | xmlrpc.Fault:
    return await said(hub, xmlrpc.dump_call(method, params))


async def said(hub: Hub, body: bytes) -> Value | xmlrpc.Fault:
    """Return the answer to a request with this body; it is HTTP 200, also when it is a fault (STD-7)."""
    status, answer = await stranger(hub, post(body))
    assert status == 200
    return xmlrpc.load_response(answer)


async def fault(hub: Hub, method: str, *params: Value) -> xmlrpc.Fault:
    answer = await asked(hub, method, *params)
    assert isinstance(answer, xmlrpc.Fault)
    assert "Traceback" not in answer.text
    assert "Error" not in answer.text
    return answer


class TestPing:
    @pytest.mark.parametrize("params", [[], ["k-none"], ["", "x"], [{}]])
    async def test_anybody_may_with_or_without_a_key(self, hub: Hub, params: list[Value]) -> None:
        assert await asked(hub, "samp.hub.ping", *params) == ""  # STD-10, TOL-5

    async def test_without_params_at_all(self, hub: Hub) -> None:  # TOL-2: Aladin's
        assert (await said(hub, b"<methodCall><methodName>samp.hub.ping</methodName></methodCall>")) == ""

    @pytest.mark.parametrize("path", ["/", "/RPC2", "/xmlrpc", "/xmlrpc/", "/RPC2/"])
    async def test_on_each_path(self, hub: Hub, path: str) -> None:  # STD-42, TOL-3
        request = post(xmlrpc.dump_call("samp.hub.ping", [])).replace(b"/xmlrpc", path.encode(), 1)
        assert (await stranger(hub, request))[0] == 200


class TestRegister:
    async def test_it_returns_ids_and_a_key(self, hub: Hub) -> None:  # STD-11, HUB-20
        registered = await asked(hub, "samp.hub.register", await secret_of(hub))
        assert isinstance(registered, dict)
        assert set(registered) == {"samp.private-key", "samp.self-id", "samp.hub-id"}
        assert (registered["samp.self-id"], registered["samp.hub-id"]) == ("c1", "hub")

    async def test_keys_are_long_and_never_used_again(self, hub: Hub) -> None:  # HUB-71, HUB-72
        keys = set()
        for _ in range(8):
            key, _ = await register(hub)
            await call(hub, "unregister", key)
            keys.add(key)
        assert len(keys) == 8
        assert min(map(len, keys)) >= 32
        assert all(key.replace("-", "").replace("_", "").isalnum() for key in keys)

    @pytest.mark.parametrize("secret", ["", "wrong", "0" * 32, "é"])
    async def test_a_wrong_secret_is_refused_without_a_hint(self, hub: Hub, secret: str) -> None:  # STD-68
        refused = await fault(hub, "samp.hub.register", secret)
        assert refused == xmlrpc.Fault(
            FaultCode.REGISTRATION_REFUSED, "wrong secret; read the lockfile again"
        )
        assert hub.engine.clients == []

    @pytest.mark.parametrize("params", [[], ["a", "b"], [{}], [["a"]]])
    async def test_anything_but_a_secret_is_a_fault(self, hub: Hub, params: list[Value]) -> None:
        refused = await fault(hub, "samp.hub.register", *params)
        assert refused.code == FaultCode.BAD_PARAMETERS
        assert refused.text == "register takes one parameter, the secret, a string"

    async def test_a_full_hub_refuses(self, tmp_path: Path) -> None:
        async with Hub(lockfile=tmp_path / "y.samp", limits=replace(LIMITS, max_clients=1)) as hub:
            await register(hub)
            refused = await fault(hub, "samp.hub.register", await secret_of(hub))
            assert refused.code == FaultCode.REGISTRATION_REFUSED


class TestMethods:
    """Each method of STD-12..25 with right parameters, and each with wrong ones."""

    @pytest.mark.parametrize("method", RIGHT)
    async def test_right_parameters(self, hub: Hub, method: str) -> None:
        key, _ = await register(hub)
        result = await call(hub, method, key, *RIGHT[method])
        if method == "call":
            assert isinstance(result, str)
            assert result.startswith("m")
        elif method == "callAll":
            assert isinstance(result, dict)
            assert list(result) == ["hub"]
        else:
            assert result == RESULTS.get(method, "")  # STD-6

    @pytest.mark.parametrize("method", RIGHT)
    async def test_too_many_too_few_or_of_a_wrong_type(self, hub: Hub, method: str) -> None:  # STD-34
        key, _ = await register(hub)
        right = RIGHT[method]
        wrong: list[list[Value]] = [[*right, "more"]]
        if right:
            wrong += [right[:-1], [["list"], *right[1:]]]
        for params in wrong:
            refused = await fault(hub, f"samp.hub.{method}", key, *params)
            assert refused.code == FaultCode.BAD_PARAMETERS
            assert method in refused.text
            assert key not in refused.text
        assert await call(hub, method, key, *right) is not None

    @pytest.mark.parametrize("method", [*RIGHT, "reply"])
    async def test_without_a_key_or_with_a_wrong_one(self, hub: Hub, method: str) -> None:  # HUB-40, STD-4
        right = RIGHT.get(method, ["m1", OK])
        keys: list[Value] = ["", "k-none", ["k"], {}]
        for wrong in keys:
            refused = await fault(hub, f"samp.hub.{method}", wrong, *right)
            assert refused.code == FaultCode.NOT_REGISTERED
            assert refused.text == "the private key is not known, or not any more; register again"
        refused = await fault(hub, f"samp.hub.{method}")
        assert refused.code == FaultCode.BAD_PARAMETERS
        assert refused.text == f"{method} takes the private key as its first parameter"

    @pytest.mark.parametrize(
        "method",
        [
            "samp.hub.fly",
            "samp.hub.",
            "samp.hub",
            "ping",
            "samp.webhub.ping",
            "samp.hub.x.ping",
            "samp.hub.Ping",
            "samp.client.receiveCall",
            "system.listMethods",
            "x" * 10_000,
        ],
    )
    async def test_an_unknown_method_is_a_fault_with_and_without_a_key(self, hub: Hub, method: str) -> None:
        key, _ = await register(hub)
        attempts: list[list[Value]] = [[], [key], ["wrong"]]
        for params in attempts:
            refused = await fault(hub, method, *params)
            assert refused.code == FaultCode.UNKNOWN_METHOD
            assert len(refused.text) < 150

    async def test_a_key_is_dead_once_the_client_has_left(self, hub: Hub) -> None:  # HUB-21, TOL-10
        key, _ = await register(hub)
        await call(hub, "unregister", key)
        for method in ("unregister", "getRegisteredClients"):
            assert (await fault(hub, f"samp.hub.{method}", key)).code == FaultCode.NOT_REGISTERED

    async def test_another_clients_id_is_no_key(self, hub: Hub) -> None:  # HUB-71
        _, client = await register(hub)
        assert (await fault(hub, "samp.hub.unregister", client)).code == FaultCode.NOT_REGISTERED
        assert hub.engine.clients == [client]


class TestBadRequests:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"nonsense",
            b"<methodCall><methodName>samp.hub.ping</methodName>",
            b"<methodCall/>",
            b"<methodCall><methodName></methodName></methodCall>",
            b"<html></html>",
            b"\xff\xfe\x00",
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><methodCall><methodName>&e;</methodName>'
            b"</methodCall>",
        ],
    )
    async def test_what_is_no_call_is_a_fault_and_the_hub_goes_on(self, hub: Hub, body: bytes) -> None:
        key, _ = await register(hub)
        refused = await said(hub, body)
        assert isinstance(refused, xmlrpc.Fault)
        assert refused.code == FaultCode.MALFORMED
        assert "root:" not in refused.text
        assert await call(hub, "getRegisteredClients", key) == ["hub"]

    async def test_a_get_is_refused(self, hub: Hub) -> None:  # STD-40
        assert (await stranger(hub, b"GET /xmlrpc HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 405
        await ping_works(hub)

    async def test_another_path_is_not_found(self, hub: Hub) -> None:
        request = post(xmlrpc.dump_call("samp.hub.ping", [])).replace(b"/xmlrpc", b"/etc/passwd", 1)
        assert (await stranger(hub, request))[0] == 404

    async def test_a_body_that_is_too_large_is_refused(self, tmp_path: Path) -> None:
        async with Hub(lockfile=tmp_path / "y.samp", limits=replace(LIMITS, max_body=2000)) as hub:
            key, _ = await register(hub)
            large = xmlrpc.dump_call("samp.hub.declareMetadata", [key, {"x": "x" * 3000}])
            assert (await stranger(hub, post(large)))[0] == 413
            assert await call(hub, "getMetadata", key, "c1") == {}

    async def test_a_connection_that_just_ends_is_no_trouble(self, hub: Hub) -> None:
        async with connect(port_of(hub)) as (_, writer):
            writer.write(post(b"<methodCall>", length=100))
        await ping_works(hub)

    async def test_a_client_may_speak_http_1_0(self, hub: Hub) -> None:  # STD-43, TOL-3
        request = post(xmlrpc.dump_call("samp.hub.ping", []), version="1.0")
        assert (await stranger(hub, request))[0] == 200


class TestCallback:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "nonsense",
            "https://127.0.0.1:1/xmlrpc",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "http://",
            "http:///xmlrpc",
            "http://127.0.0.1:x/",
            "http://127.0.0.1:99999/",
            "http://user:word@127.0.0.1:1/",
            "http://[::1/",
            "http://127.0.0.1:1/a b",
            "//127.0.0.1:1/",
        ],
    )
    async def test_a_url_that_cannot_be_posted_to_is_refused(self, hub: Hub, url: str) -> None:
        key, _ = await register(hub)
        refused = await fault(hub, "samp.hub.setXmlrpcCallback", key, url)
        assert refused.code == FaultCode.BAD_PARAMETERS
        assert refused.text.startswith("the callback URL is not of the form http://HOST:PORT/PATH: ")
        assert "word" not in refused.text
        await call(hub, "declareSubscriptions", key, {"test.note": {}})
        assert await call(hub, "getSubscribedClients", (await register(hub))[0], "test.note") == {}

    async def test_a_long_one_too(self, hub: Hub) -> None:
        key, _ = await register(hub)
        url = "http://127.0.0.1:1/" + "x" * 2000
        refused = await fault(hub, "samp.hub.setXmlrpcCallback", key, url)
        assert refused.text == "the callback URL is longer than 2000 characters"

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://localhost:9/x?y=z", " http://[::1]:9/ "])
    async def test_others_are_taken(self, hub: Hub, url: str) -> None:  # TOL-4
        key, _ = await register(hub)
        assert await call(hub, "setXmlrpcCallback", key, url) == ""

    async def test_one_off_this_machine_is_taken_with_a_warning(
        self, hub: Hub, caplog: pytest.LogCaptureFixture
    ) -> None:
        key, client = await register(hub)
        await call(hub, "setXmlrpcCallback", key, "http://192.0.2.1:9/secret-path")
        assert f"client {client} is called back at an address that may be off this machine" in caplog.text
        assert "secret-path" not in caplog.text

    async def test_a_second_one_takes_the_place_of_the_first(self, hub: Hub, callee: Callee) -> None:
        async with Callee() as other:  # TOL-10, STD-13
            key, client = await register(hub, other.url, **{"test.note": {}})
            await call(hub, "setXmlrpcCallback", key, callee.url)
            await call(hub, "notify", key, client, NOTE)
            await callee.until(1)
            assert other.received == []

    async def test_the_url_is_used_as_it_is(self, hub: Hub, callee: Callee) -> None:  # STD-41, TOL-4
        for url, path in ((f"http://127.0.0.1:{callee.port}", "/"), (callee.url, "/hidden-path")):
            key, client = await register(hub, url, **{"test.note": {}})
            await call(hub, "notify", key, client, NOTE)
            await callee.until(len(callee.received) + 1)
            assert callee.paths[-1] == path


class TestDeliveries:
    async def test_each_kind_bears_the_key_the_other_party_and_its_own(
        self, hub: Hub, callee: Callee
    ) -> None:
        one, one_id = await register(hub, callee.url, **{"test.note": {}})  # STD-5, STD-30..33
        two, two_id = await register(hub)
        await call(hub, "notify", two, one_id, NOTE)
        msg_id = await call(hub, "call", two, one_id, "tag", NOTE)
        await call(hub, "call", one, one_id, "own tag", NOTE)
        received = await callee.until(3)
        own_id = str(received[2][1][2])
        await call(hub, "reply", one, own_id, OK)
        await callee.until(4)
        assert received == [
            ("samp.client.receiveNotification", [one, two_id, NOTE]),
            ("samp.client.receiveCall", [one, two_id, str(msg_id), NOTE]),
            ("samp.client.receiveCall", [one, one_id, own_id, NOTE]),
            ("samp.client.receiveResponse", [one, one_id, "own tag", OK]),
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "  two  ",
            "\t\n",
            "a\n\nb",
            "\r",
            "\r\n",
            "<&>\"']]>",
            "é ñ",
            "漢字",
            "\U0001f52d",
            "&#13;",
        ],
    )
    async def test_every_text_survives_and_is_ascii_on_the_wire(
        self, hub: Hub, callee: Callee, text: str
    ) -> None:  # DATA-5, DATA-6, STD-46
        one, one_id = await register(hub, callee.url, **{"test.note": {}})
        params: Value = {text: text, "list": [text, {text: [text]}]}
        message: ValueMap = {"samp.mtype": "test.note", "samp.params": params, "x.more": text}
        await call(hub, "notify", one, one_id, message)
        received = await callee.until(1)
        assert received[0][1][2] == message
        assert callee.bodies[0].isascii()
        assert b"\n\n" not in callee.bodies[0]
        await call(hub, "declareMetadata", one, {text: text})
        assert await call(hub, "getMetadata", one, one_id) == {text: text}

    @pytest.mark.parametrize("tag", ["", " ", "a:b", "<tag>", "é\n", "x" * 10_000])
    async def test_any_tag_comes_back_as_it_was(self, hub: Hub, callee: Callee, tag: str) -> None:  # MSG-25
        one, one_id = await register(hub, callee.url, **{"test.note": {}})
        msg_id = await call(hub, "call", one, one_id, tag, NOTE)
        await callee.until(1)
        await call(hub, "reply", one, str(msg_id), {"samp.status": "odd", "": ["x"]})
        received = await callee.until(2)
        assert received[1][1][2:] == [tag, {"samp.status": "odd", "": ["x"]}]

    async def test_a_broadcast_is_the_same_for_all(self, hub: Hub, callee: Callee) -> None:
        clients = [await register(hub, callee.url, **{"test.note": {}}) for _ in range(5)]
        sender, sender_id = await register(hub)
        await call(hub, "notifyAll", sender, NOTE)
        received = await callee.until(5)
        assert sorted(str(params[0]) for _, params in received) == sorted(key for key, _ in clients)
        assert all(params[1:] == [sender_id, NOTE] for _, params in received)

    async def test_two_broadcasts_at_once_do_not_mix(self, hub: Hub, callee: Callee) -> None:
        for _ in range(4):
            await register(hub, callee.url, **{"test.note": {}})
        senders = [await register(hub) for _ in range(6)]
        large = "x" * 300_000  # coded in a thread
        messages: list[ValueMap] = [
            {"samp.mtype": "test.note", "samp.params": {"from": client, "large": large}}
            for _, client in senders
        ]
        sending = zip(senders, messages, strict=True)
        await asyncio.gather(*(call(hub, "notifyAll", key, message) for (key, _), message in sending))
        received = await callee.until(24)
        for _, params in received:
            message = params[2]
            assert isinstance(message, dict)
            inside = message["samp.params"]
            assert isinstance(inside, dict)
            assert inside["from"] == params[1]

    async def test_other_scalars_than_strings_become_strings(self, hub: Hub, callee: Callee) -> None:  # TOL-1
        one, one_id = await register(hub, callee.url, **{"test.note": {}})
        params = xmlrpc.dump_call("samp.hub.notify", [one, one_id, {**NOTE, "samp.params": {"n": "NUMBER"}}])
        number = b"<int>5</int>"
        assert await said(hub, params.replace(b"<string>NUMBER</string>", number)) == ""
        received = await callee.until(1)
        assert received[0][1][2] == {"samp.mtype": "test.note", "samp.params": {"n": "5"}}
        assert b"<int>" not in callee.bodies[0]

    async def test_a_timeout_may_be_an_int(self, hub: Hub) -> None:  # TOL-1
        one, _ = await register(hub)
        body = xmlrpc.dump_call("samp.hub.callAndWait", [one, "hub", {"samp.mtype": "samp.app.ping"}, "TIME"])
        assert await said(hub, body.replace(b"<string>TIME</string>", b"<i4>5</i4>")) == OK

    async def test_subscriptions_before_the_callback_count_once_it_is_there(
        self, hub: Hub, callee: Callee
    ) -> None:  # TOL-8
        one, one_id = await register(hub, "", **{"test.note": {}})
        refused = await fault(hub, "samp.hub.notify", one, one_id, NOTE)
        assert refused.code == FaultCode.NOT_SUBSCRIBED
        await call(hub, "setXmlrpcCallback", one, callee.url)
        await call(hub, "notify", one, one_id, NOTE)
        await callee.until(1)

    async def test_a_recipient_that_hangs_holds_up_nobody(self, hub: Hub, callee: Callee) -> None:  # MSG-38
        hanging = asyncio.Event()

        async def answer(method: str, params: list[Value]) -> bytes:
            await hanging.wait()
            return xmlrpc.dump_response("")

        async with Callee() as other:
            callee.answer = answer
            _, one_id = await register(hub, callee.url, **{"test.note": {}})
            _, two_id = await register(hub, other.url, **{"test.note": {}})
            sender, _ = await register(hub)
            assert await call(hub, "notifyAll", sender, NOTE) == [one_id, two_id]
            await callee.until(1)
            await other.until(1)
            hanging.set()


class TestWhoListens:
    """A callback port goes to whoever binds it once its client has died."""

    @LINUX
    @ROOT
    @pytest.mark.both_loops
    async def test_another_user_at_the_port_of_a_dead_client_gets_nothing(self, hub: Hub) -> None:
        async with Callee() as callee:
            _, client = await register(hub, callee.url, **{"test.note": {}})
            port = callee.port
        sender, _ = await register(hub)
        async with nobody_listening(port) as stranger:
            refused = await fault(hub, "samp.hub.callAndWait", sender, client, NOTE, "5")
            heard = await stranger.heard()
        assert refused.code == FaultCode.RECIPIENT_LOST
        assert "its callback port now belongs to another user of this machine" in refused.text
        assert heard == "b''"
        assert hub.engine.clients == ["c2"]

    @LINUX
    @ROOT
    async def test_who_registered_as_another_user_is_served(self, hub: Hub) -> None:
        async with nobody_listening() as stranger:
            url = f"http://127.0.0.1:{stranger.port}/"
            _, client = await register(hub, url, **{"test.note": {}})
            sender, _ = await register(hub)
            await call(hub, "notify", sender, client, NOTE)
            assert "samp.client.receiveNotification" in await stranger.heard()

    @LINUX
    async def test_who_owes_an_answer_is_not_touched(self, hub: Hub) -> None:
        connections: list[bytes] = []

        async def script(conversation: Conversation) -> None:
            connections.append(await conversation.request())
            await conversation.say(http_answer(result_body(""), "Connection: close"))

        async with ScriptedServer(script) as server:
            _, client = await register(hub, server.url, **{"test.note": {}})
            sender, _ = await register(hub)
            refused = await fault(hub, "samp.hub.callAndWait", sender, client, NOTE, "0.5")
        assert refused.code == FaultCode.TIMEOUT
        assert [b"receiveCall" in body for body in connections] == [True]
        assert client in hub.engine.clients


class TestFailures:
    """What is not taken ends the call at once, and neither key nor path gets anywhere (HUB-60, HUB-71)."""

    async def outcome(self, hub: Hub, callback: str) -> tuple[xmlrpc.Fault, str]:
        """Return with what a callAndWait to this callback ends, and the key of its client."""
        key, client = await register(hub, callback, **{"test.note": {}})
        sender, _ = await register(hub)
        refused = await fault(hub, "samp.hub.callAndWait", sender, client, NOTE, "0")
        assert refused.code == FaultCode.RECIPIENT_LOST
        assert key not in refused.text
        assert "hidden-path" not in refused.text
        assert refused.text.startswith(f"client {client!r}: ")
        assert not hub.engine._waits
        assert not hub.engine._core._pending
        return refused, key

    @pytest.fixture(autouse=True)
    def _no_path_in_the_log(self, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        yield
        assert "hidden-path" not in caplog.text

    async def test_a_fault(self, hub: Hub, callee: Callee, caplog: pytest.LogCaptureFixture) -> None:
        callee.answers(xmlrpc.dump_fault(7, "no\nsuch\tthing"))
        refused, _ = await self.outcome(hub, callee.url)
        assert refused.text == "client 'c1': did not take the call: it answered with a fault: no such thing"
        assert "client c1 did not take a message: it answered with a fault: no such thing" in caplog.text
        assert hub.engine.clients == ["c1", "c2"]

    async def test_a_fault_that_names_the_key(self, hub: Hub, callee: Callee) -> None:
        async def answer(method: str, params: list[Value]) -> bytes:
            return xmlrpc.dump_fault(5, f"bad key {params[0]}, {params[0]}" + "x" * 1000)

        callee.answer = answer
        refused, _ = await self.outcome(hub, callee.url)
        assert "bad key (its key), (its key)xxx" in refused.text
        assert len(refused.text) < 300

    async def test_a_result_that_looks_like_a_fault_is_taken(self, hub: Hub, callee: Callee) -> None:
        callee.answers(xmlrpc.dump_response("").replace(b"</string>", b"&lt;<!--<fault>--></string>"))
        key, client = await register(hub, callee.url, **{"test.note": {}})
        msg_id = await call(hub, "call", key, client, "t", NOTE)
        await callee.until(1)
        assert await call(hub, "reply", key, str(msg_id), OK) == ""

    @pytest.mark.parametrize("answer", [b"", b"OK", b"<methodRespons", b"<html>hidden-path</html>"])
    async def test_nonsense(self, hub: Hub, callee: Callee, answer: bytes) -> None:
        callee.answers(answer)
        refused, _ = await self.outcome(hub, callee.url)
        assert "did not take the call: its answer cannot be understood: " in refused.text

    async def test_an_http_error(self, hub: Hub) -> None:
        async def script(conversation: Conversation) -> None:
            await conversation.request()
            await conversation.say(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

        async with ScriptedServer(script) as server:
            refused, _ = await self.outcome(hub, server.url.replace("/xmlrpc", "/hidden-path"))
        assert "HTTP 500 Oops" in refused.text

    async def test_a_connection_that_just_ends(self, hub: Hub) -> None:
        requests: list[bytes] = []

        async def script(conversation: Conversation) -> None:
            if body := await conversation.request():  # else only a look whether it is there
                requests.append(body)

        async with ScriptedServer(script) as server:
            refused, _ = await self.outcome(hub, server.url.replace("/xmlrpc", "/hidden-path"))
            assert len(requests) == 1  # it may have been acted on, so it is not sent again
        assert "before the answer was complete" in refused.text

    async def test_one_that_never_answers(self, tmp_path: Path, callee: Callee) -> None:
        hanging = asyncio.Event()

        async def answer(method: str, params: list[Value]) -> bytes:
            await hanging.wait()
            return b""

        callee.answer = answer
        limits = replace(LIMITS, delivery_timeout=0.5)
        async with Hub(lockfile=tmp_path / "y.samp", limits=limits) as hub:
            refused, _ = await self.outcome(hub, callee.url)
            assert "did not answer in time" in refused.text
            assert hub.engine.clients == ["c1", "c2"]  # HUB-46: not after one slow answer
        hanging.set()

    async def test_nobody_there_any_more(self, hub: Hub, callee: Callee) -> None:
        watcher, _ = await register(hub, callee.url, **{"samp.hub.event.unregister": {}})
        async with Callee() as gone:
            url = gone.url
        key, client = await register(hub, url, **{"test.note": {}})
        refused = await fault(hub, "samp.hub.callAndWait", watcher, client, NOTE, "0")
        assert (
            refused.text == f"client {client!r}: left before it answered (nobody listens at its callback URL)"
        )
        assert (await fault(hub, "samp.hub.unregister", key)).code == FaultCode.NOT_REGISTERED
        received = await callee.until(1)
        left: ValueMap = {"samp.mtype": "samp.hub.event.unregister", "samp.params": {"id": client}}
        assert received[0][1][1:] == ["hub", left]

    async def test_one_that_dies_with_a_call_it_took(self, hub: Hub, callee: Callee) -> None:  # HUB-60
        _, client = await register(hub, callee.url, **{"test.note": {}})
        sender, _ = await register(hub)
        waiting = asyncio.ensure_future(fault(hub, "samp.hub.callAndWait", sender, client, NOTE, "0"))
        await callee.until(1)
        await callee.close()
        assert (await waiting).code == FaultCode.RECIPIENT_LOST
        assert hub.engine.clients == ["c2"]

    async def test_a_caller_that_vanishes_frees_its_memory(self, hub: Hub, callee: Callee) -> None:
        _, client = await register(hub, callee.url, **{"test.note": {}})
        sender, _ = await register(hub)
        body = xmlrpc.dump_call("samp.hub.callAndWait", [sender, client, NOTE, "0"])
        async with connect(port_of(hub)) as (_, writer):
            writer.write(post(body))
            await callee.until(1)
            assert hub.engine._waits
        await turns_until(lambda: not hub.engine._waits and not hub.engine._core._pending)

    async def test_a_timeout_is_a_fault(self, hub: Hub, callee: Callee) -> None:  # HUB-32, MSG-28
        _, client = await register(hub, callee.url, **{"test.note": {}})
        sender, _ = await register(hub)
        refused = await fault(hub, "samp.hub.callAndWait", sender, client, NOTE, "0.05")
        assert refused == xmlrpc.Fault(FaultCode.TIMEOUT, f"client {client!r} did not answer within 0.05 s")


class TestLife:
    async def test_before_it_starts_there_is_no_url(self) -> None:
        profile = StandardProfile(port=4711)
        assert profile.port == 4711
        with pytest.raises(RuntimeError, match="no URL before it is started"):
            _ = profile.url
        await profile.stop()

    async def test_stopped_it_has_no_secret_and_no_keys(self, tmp_path: Path) -> None:
        hub = Hub(lockfile=tmp_path / "y.samp", limits=LIMITS)
        async with hub:
            await register(hub)
            assert hub._standard.secret == await secret_of(hub)
        profile = hub._standard
        assert (profile.secret, profile._clients, profile._keys, profile._callbacks) == ("", {}, {}, {})

    async def test_several_requests_go_over_one_connection(self, hub: Hub) -> None:
        async with connect(port_of(hub)) as (reader, writer):
            for _ in range(3):
                writer.write(post(xmlrpc.dump_call("samp.hub.ping", [])))
                assert (await answered(reader))[0] == 200

    async def test_an_error_of_ours_says_nothing_of_itself(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        key, _ = await register(hub)

        async def begin(*_: object) -> Value:
            raise ZeroDivisionError("very secret")

        monkeypatch.setattr(hub.engine, "begin", begin)
        refused = await fault(hub, "samp.hub.getRegisteredClients", key)
        assert refused == xmlrpc.Fault(FaultCode.INTERNAL, "internal error in the hub")
        assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]

    async def test_who_has_no_callback_counts_as_there(self, hub: Hub) -> None:
        _, client = await register(hub)
        assert await hub._standard.is_alive(client)


@LINUX
async def test_who_reads_nothing_for_long_gets_all_in_order_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several requests on as many connections would be read in any order."""
    asked, often = 0, asyncio.Event()

    def has_unread(profile: StandardProfile, client: str) -> bool:
        nonlocal asked
        asked += 1
        if asked > 5:
            often.set()
        return ask(profile, client)

    ask = StandardProfile.has_unread
    monkeypatch.setattr(StandardProfile, "has_unread", has_unread)
    limits = replace(LIMITS, delivery_patience=0.01)
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        async with Hub(lockfile=tmp_path / "hub.samp", limits=limits) as hub, asyncio.timeout(30):
            key, client = await register(hub)
            url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
            await call(hub, "setXmlrpcCallback", key, url)
            await call(hub, "declareSubscriptions", key, {"test.*": {}})
            sender, _ = await register(hub)
            for number in range(9):
                await call(
                    hub, "notify", sender, client, {"samp.mtype": f"test.n{number}", "samp.params": {}}
                )
            await often.wait()
            peer, _ = await loop.sock_accept(listening)
            with pytest.raises(BlockingIOError):
                listening.accept()
            reader, writer = await asyncio.open_connection(sock=peer)
            for number in range(9):
                request = await Conversation(1, reader, writer).request()
                assert f"test.n{number}<".encode() in request
                writer.write(http_answer(result_body(""), "Connection: keep-alive"))
            writer.close()
