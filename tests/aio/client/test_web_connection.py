"""asyncsamp.client.web: what the client's own suite does not show (WEB-20..24, WEB-70..73)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from asyncsamp import (
    Client,
    FaultError,
    HubNotFoundError,
    Limits,
    Message,
    RegistrationError,
    StandardConnection,
    WebConnection,
    deny_all,
)
from asyncsamp.errors import RemoteProtocolError
from asyncsamp.rpc import RpcServer, answer
from asyncsamp.values import Value, ValueMap

from ..webpage import web_hub

Pull = Callable[[int], Awaitable[Value]]


class OddHub:
    """A Web Profile whose pulls are answered by a script."""

    def __init__(self, pull: Pull) -> None:
        self.pull = pull
        self.pulls = 0
        self.calls: list[tuple[str, list[Value]]] = []
        self.called = asyncio.Event()
        self._server = RpcServer(self._handle, name="odd")

    @property
    def port(self) -> int:
        return self._server.port

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await answer(request, self._dispatch)

    async def _dispatch(self, method: str, params: list[Value]) -> Value:
        operation = method.removeprefix("samp.webhub.")
        self.calls.append((operation, params))
        self.called.set()
        if operation == "register":
            return {"samp.private-key": "key", "samp.self-id": "c1", "samp.hub-id": "hub"}
        if operation == "pullCallbacks":
            self.pulls += 1
            return await self.pull(self.pulls)
        return ""

    async def until(self, operation: str) -> list[Value]:
        """Wait until an operation is called, and return its parameters."""
        while True:
            for name, params in self.calls:
                if name == operation:
                    return params
            self.called.clear()
            await self.called.wait()


@asynccontextmanager
async def odd_hub(pull: Pull) -> AsyncIterator[OddHub]:
    hub = OddHub(pull)
    await hub._server.start()
    try:
        yield hub
    finally:
        await hub._server.close(0.1)


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.refusal: FaultError | None = None

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        self.heard.put_nowait((sender, message))

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.heard.put_nowait((sender, msg_id, message))

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        self.heard.put_nowait((responder, msg_tag, response))

    def connection_lost(self, reason: str) -> None:
        self.heard.put_nowait(reason)


def callback(method: str, *params: Value) -> Value:
    return {"samp.methodName": method, "samp.params": list(params)}


async def never(number: int) -> Value:
    return await asyncio.Event().wait() and ""


async def test_samp_hub_names_the_web_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAMP_HUB", "web-appname:my tool")
    assert isinstance(Client("x")._connection, WebConnection)
    assert isinstance(Client("x", lockfile=tmp_path / "x")._connection, StandardConnection)


async def test_the_user_is_asked_about_that_name() -> None:
    async with odd_hub(never) as hub:
        for connection, name in (
            (WebConnection("my tool", port=hub.port), "my tool"),
            (WebConnection(port=hub.port), "x"),
        ):
            hub.calls.clear()
            await connection.register("x", Receiver())
            assert await hub.until("register") == [{"samp.name": name}]
            await connection.close()


async def test_no_hub_and_no_consent(unused_tcp_port: int, tmp_path: Path) -> None:
    connection = WebConnection(port=unused_tcp_port)
    with pytest.raises(HubNotFoundError, match="Web Profile"):
        await connection.register("x", Receiver())
    assert not await connection.resume()
    async with web_hub(tmp_path, consent=deny_all) as hub:
        with pytest.raises(RegistrationError, match="did not let"):
            await WebConnection(port=hub.port).register("x", Receiver())
    assert "key" not in repr(connection)


async def test_a_hub_that_never_waits_is_asked_at_leisure() -> None:
    async def at_once(number: int) -> Value:
        return []

    async with odd_hub(at_once) as hub:
        connection = WebConnection(port=hub.port)
        await connection.register("x", Receiver())
        await connection.listen()
        clock = asyncio.get_running_loop().time
        begun = clock()
        while hub.pulls < 5:
            hub.called.clear()
            await hub.called.wait()
        assert clock() - begun > 0.3
        await connection.close()


async def test_prefixes_are_taken_off_and_nonsense_is_borne() -> None:
    message: ValueMap = {"samp.mtype": "a.b", "samp.params": {}}
    pulled: list[Value] = [
        "nonsense",
        {"samp.methodName": "receiveNotification"},
        callback("receiveNotification", "c2"),
        callback("samp.webclient.receiveNotification", "c2", message),
        callback("samp.client.receiveNotification", "c3", message),
        callback("receiveNotification", "c4", message),
    ]

    async def pull(number: int) -> Value:
        return pulled if number == 1 else await never(number)

    async with odd_hub(pull) as hub:
        receiver, connection = Receiver(), WebConnection(port=hub.port)
        await connection.register("x", receiver)
        await connection.listen()
        await connection.listen()
        assert [await receiver.heard.get() for _ in range(3)] == [
            ("c2", message),
            ("c3", message),
            ("c4", message),
        ]
        await connection.close()
        assert [name for name, _ in hub.calls].count("allowReverseCallbacks") == 1


async def test_a_call_that_is_refused_is_answered() -> None:
    async def pull(number: int) -> Value:
        message: ValueMap = {"samp.mtype": "a.b", "samp.params": {}}
        return [callback("receiveCall", "c2", "m1", message)] if number == 1 else await never(number)

    async with odd_hub(pull) as hub:
        receiver, connection = Receiver(), WebConnection(port=hub.port)
        receiver.refusal = FaultError("not now")
        await connection.register("x", receiver)
        await connection.listen()
        _, msg_id, response = await hub.until("reply")
        assert msg_id == "m1"
        assert isinstance(response, dict)
        assert response["samp.error"] == {"samp.errortxt": "not now"}
        await connection.close()


async def test_pulling_goes_on_when_a_refusal_is_answered_with_nonsense(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message: ValueMap = {"samp.mtype": "a.b", "samp.params": {}}
    pulled = [callback("receiveCall", "c2", "m1", message), callback("receiveNotification", "c2", message)]

    async def pull(number: int) -> Value:
        return [pulled[number - 1]] if number <= 2 else await never(number)

    async with odd_hub(pull) as hub:
        receiver, connection = Receiver(), WebConnection(port=hub.port)
        receiver.refusal = FaultError("not now")
        ask_hub = connection.ask_hub

        async def nonsense(operation: str, *params: Value, **options: Any) -> Value:
            answered = await ask_hub(operation, *params, **options)
            if operation == "reply":
                raise RemoteProtocolError("no methodResponse")
            return answered

        monkeypatch.setattr(connection, "ask_hub", nonsense)
        await connection.register("x", receiver)
        await connection.listen()
        assert await asyncio.wait_for(receiver.heard.get(), 30) == ("c2", message)
        await connection.close()


async def test_a_hub_that_refuses_pulls_is_lost() -> None:
    async def pull(number: int) -> Value:
        raise FaultError("no more")

    async with odd_hub(pull) as hub:
        receiver, connection = Receiver(), WebConnection(port=hub.port)
        await connection.register("x", receiver)
        await connection.listen()
        assert "no more" in await receiver.heard.get()
        await connection.close()


async def test_a_hub_whose_pulls_fail_again_and_again_is_lost() -> None:
    async def pull(number: int) -> Value:
        return "no list"

    async with odd_hub(pull) as hub:
        receiver = Receiver()
        connection = WebConnection(port=hub.port, limits=Limits(refused_pause=0.01))
        await connection.register("x", receiver)
        await connection.listen()
        assert "no list" in await receiver.heard.get()
        assert hub.pulls == 3
        await connection.close()


async def test_urls_are_translated_and_read(tmp_path: Path) -> None:
    table = tmp_path / "a b.vot"
    table.write_text("table")
    async with web_hub(tmp_path, rewrite_urls=False) as hub:
        client = Client("program", connection=WebConnection(port=hub.port))
        heard: asyncio.Queue[Message] = asyncio.Queue()

        @client.on("table.load.votable")
        async def load(message: Message) -> None:
            heard.put_nowait(message)

        async with client, Client("desktop", lockfile=hub.lockfile) as desktop:
            assert desktop.translate_url("file:///x") == "file:///x"
            await desktop.notify(client.public_id, "table.load.votable", {"url": f"file://{table}"})
            url = client.translate_url(str((await heard.get()).params["url"]))
            from aiohttp import ClientSession

            async with ClientSession() as session, session.get(url) as got:
                assert (got.status, await got.text()) == (200, "table")
