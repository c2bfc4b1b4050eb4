"""Names beside ids: to send to, in what comes, in texts of errors."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    Client,
    HubFaultError,
    Message,
    ReplyError,
    Response,
    UnknownClientError,
    WaitTimeoutError,
)
from asyncsamp.values import Value

from ..connections import LIMITS, House, turns_until
from ..odd_hub import fault, odd_hub


async def topcat(house: House, name: str = "TOPCAT") -> Client:
    """Let a client in that answers "a.b" with the name of who asks, and "a.no" with an error."""
    client = await house.join(name)

    @client.on("a.b")
    async def answer(message: Message) -> Mapping[str, object]:
        return {"sender": message.sender_name}

    @client.on("a.no")
    async def refuse(message: Message) -> Response:
        return Response.failure("no table")

    await client.settled()
    return client


@pytest.mark.parametrize("name", ["TOPCAT", "topcat"])
async def test_every_operation_takes_a_name(house: House, name: str) -> None:
    there, client = await topcat(house), await house.join("client")
    pings = there.messages("a.ping")
    await there.settled()
    await client.notify(name, "a.ping")
    assert (await anext(pings)).sender_name == "client"
    assert (await client.call(name, "a.b")).result == {"sender": "client"}
    assert (await client.call_and_wait(name, "a.b")).result == {"sender": "client"}
    assert (await client.get_metadata(name))["samp.name"] == "TOPCAT"
    assert "a.b" in await client.get_subscriptions(name)


async def test_sending_to_a_name_does_not_make_the_client_listen(house: House) -> None:
    there, client = await topcat(house), await house.join("client")
    await client.notify("topcat", "a.b")
    assert (await client.call_and_wait("topcat", "a.b")).ok
    assert await there.get_subscriptions("client") == {}


async def test_who_listens_looks_a_name_up_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere each question goes by the user's browser."""
    await topcat(house)
    connection, asked = house.connection(), list[str]()
    ask = connection.ask_hub

    def ask_hub(operation: str, *params: Value, timeout: float | None = None) -> Coroutine[Any, Any, Value]:
        asked.append(operation)
        return ask(operation, *params, timeout=timeout)

    monkeypatch.setattr(connection, "ask_hub", ask_hub)
    client = await house.join("client", connection=connection)
    async with client.messages("a.ping"):
        await client.call_and_wait("topcat", "a.b")
        before = len(asked)
        await client.call_and_wait("topcat", "a.b")
        assert [each for each in asked[before:] if each != "pullCallbacks"] == ["callAndWait"]


async def test_a_name_is_looked_up_anew_when_its_client_has_come_again(house: House) -> None:
    first, client = await topcat(house), await house.join("client")
    await client.find("topcat")
    await first.unregister()
    await topcat(house)
    for _ in range(2):
        assert (await client.call("topcat", "a.b")).ok


async def test_what_ds9_is_called_finds_it(house: House) -> None:
    ds9, client = await topcat(house, "SAOImageDS9"), await house.join("client")
    assert (await client.find("ds9")).public_id == ds9.public_id
    assert (await client.find("DS9")).name == "SAOImageDS9"
    assert (await client.call("ds9", "a.b")).ok


async def test_a_name_that_several_have(house: House) -> None:
    one, two, client = await topcat(house), await topcat(house), await house.join("client")
    wanted = f"2 clients are named 'topcat': {one.public_id}, {two.public_id}; use a public id"
    for _ in range(2):
        with pytest.raises(UnknownClientError) as raised:
            await client.call("topcat", "a.b")
        assert str(raised.value) == wanted
        await client.get_clients()  # known without a question then


async def test_a_name_that_a_second_client_has_by_now(house: House) -> None:
    one, client = await topcat(house), await house.join("client")
    assert (await client.call("topcat", "a.b")).ok  # from now on it hears who comes
    two = await topcat(house)
    await turns_until(lambda: two.public_id in client.clients and client.clients[two.public_id].name)
    wanted = f"2 clients are named 'topcat': {one.public_id}, {two.public_id}; use a public id"
    for ask in (client.get_metadata, client.get_subscriptions):
        with pytest.raises(UnknownClientError, match=wanted):
            await ask("topcat")
    with pytest.raises(UnknownClientError, match=wanted):
        await client.call("topcat", "a.b")


async def test_a_name_that_nobody_has(house: House) -> None:
    there, client = await topcat(house), await house.join("client")
    with pytest.raises(
        UnknownClientError, match=rf"named 'ds9' .*; there are: .*'TOPCAT' \({there.public_id}\)"
    ):
        await client.notify("ds9", "a.b")
    gone = there.public_id
    await there.unregister()
    with pytest.raises(UnknownClientError, match=f"no client named '{gone}' is registered"):
        await client.notify(gone, "a.b")


async def test_a_name_that_is_misspelt(house: House) -> None:
    await topcat(house)
    client = await house.join("client")
    for send in (client.notify, client.call, client.call_and_wait):
        with pytest.raises(UnknownClientError, match=r"named 'topcta' is .*; did you mean 'TOPCAT'\?$"):
            await send("topcta", "a.b")
    with pytest.raises(UnknownClientError, match=r"'topcta' came within 2 s; .*; did you mean 'TOPCAT'"):
        await client.find("topcta", timeout=2)


async def test_the_name_of_the_client_itself(house: House) -> None:
    client = await house.join("me")
    for ask in (
        client.call("Me", "samp.app.ping"),
        client.notify("me", "samp.app.ping"),
        client.find("me"),
        client.send_table({"a": [1]}, "me"),
    ):
        with pytest.raises(UnknownClientError) as caught:
            await ask
        assert "is the name of this client itself, and of no other; there are: 'Hub' (" in str(caught.value)
        assert str(caught.value).endswith(f"; itself it is by its public id, {client.public_id!r}")
    assert (await client.call(client.public_id, "samp.app.ping")).ok


async def test_a_public_id_is_itself(house: House) -> None:
    """Also that of the hub, of the client itself, and of one that has the name of another's id."""
    there, client = await topcat(house), await house.join("client")
    await house.join(there.public_id)
    assert (await client.get_metadata(there.public_id))["samp.name"] == "TOPCAT"
    assert (await client.get_metadata(client.public_id))["samp.name"] == "client"
    assert "samp.name" in await client.get_metadata(client.hub_id)
    for own, said in ((client.public_id, "cannot be called"), (client.hub_id, "does not subscribe to 'a.b'")):
        with pytest.raises(HubFaultError, match=said):
            await client.notify(own, "a.b")


async def test_a_live_view_of_who_has_left(house: House) -> None:
    there, client = await topcat(house), await house.join("client")
    view = await client.find("topcat")
    await there.unregister()
    await turns_until(lambda: not view.registered)
    with pytest.raises(UnknownClientError):
        await client.call(view, "a.b")


async def test_errors_say_the_name(house: House) -> None:
    there, client = await topcat(house), await house.join("client")
    for send in (client.call, client.call_and_wait):
        for to in ("topcat", there.public_id):
            with pytest.raises(ReplyError) as raised:
                await send(to, "a.no")
            assert str(raised.value) == f"TOPCAT ({there.public_id}) answered samp.error: no table"
            assert (raised.value.recipient, raised.value.name) == (there.public_id, "TOPCAT")


async def test_a_name_that_is_meant_to_harm_is_made_harmless(house: House) -> None:
    name = "TOP\x1b[2J\nCAT"
    there, client = await topcat(house, "TOPCAT"), await house.join("client")
    await there.declare_metadata({"samp.name": name.replace("\x1b", "\t") + "x" * 80})
    with pytest.raises(ReplyError) as raised:
        await client.call(there.public_id, "a.no")
    text = str(raised.value)
    assert text.isprintable()
    assert text.startswith("TOP [2J CATxxx")
    assert len(text) < 110


# ---- hubs of others


@pytest.mark.parametrize("code", [0, 1])
async def test_a_hub_that_has_no_code_for_an_unknown_client(tmp_path: Path, code: int) -> None:
    names: dict[str, Value] = {"cli#2": "TOPCAT", "cli#3": "other"}

    def notify(params: list[Value]) -> Value:
        if params[1] == "cli#2":
            return ""
        raise fault(f"{params[1]} is not there, or does not subscribe", code)

    async with odd_hub(tmp_path / "x") as odd, Client("c", lockfile=tmp_path / "x", limits=LIMITS) as client:
        odd.answers["notify"] = notify
        odd.answers["getRegisteredClients"] = [*names]
        odd.answers["getMetadata"] = lambda params: {"samp.name": names[str(params[1])]}
        await client.notify("topcat", "a.b")
        with pytest.raises(HubFaultError, match="cli#3 is not there, or does not subscribe") as raised:
            await client.notify("cli#3", "a.b")
        assert type(raised.value) is HubFaultError
        with pytest.raises(UnknownClientError, match=r"'aladin' .* there are: 'TOPCAT' \(cli#2\), 'other'"):
            await client.notify("aladin", "a.b")
        assert "setXmlrpcCallback" not in odd.operations()


# ---- what comes in


async def test_a_stream_and_a_handler_say_who_sends(house: House) -> None:
    receiver, sender = await house.join("receiver"), await house.join("sender")
    named: asyncio.Queue[Message] = asyncio.Queue()
    receiver.on("a.b")(named.put)
    async with receiver.messages("a.c") as stream, asyncio.timeout(10):
        await sender.notify("receiver", "a.b")
        await sender.notify("receiver", "a.c")
        assert (await named.get()).sender_name == "sender"
        assert (await anext(stream)).sender_name == "sender"
        await receiver.notify(receiver.public_id, "a.c")
        assert (await anext(stream)).sender_name == "receiver"
        await sender.declare_metadata({"samp.name": "renamed"})
        await turns_until(lambda: receiver.clients[sender.public_id].name == "renamed")
        await sender.notify("receiver", "a.c")
        assert (await anext(stream)).sender_name == "renamed"


async def test_who_has_a_name_is_never_shown_without_it(house: House) -> None:
    """Also to a client that hears of it for the first time by its subscriptions."""
    old, client = await house.join("old"), await house.join("client")
    client.on("a.b")(_nothing)
    await client.settled()
    old.on("a.c")(_nothing)
    seen: list[str] = []

    def there() -> bool:
        seen.extend(found.name for found in client.clients.values())
        return old.public_id in client.clients

    await turns_until(there)
    new = await house.join("new")
    await turns_until(lambda: there() and new.public_id in client.clients)
    assert set(seen) == {"old", "new"}


async def _nothing(message: object) -> None: ...


async def test_who_was_asked_for_its_name_only_is_asked_for_the_rest(house: House) -> None:
    """By whoever looks for others after it has got a message."""
    sender = await house.join("sender")
    sender.on("c.d")(_nothing)
    await sender.settled()
    client = await house.join("client")
    heard = asyncio.Event()

    @client.on("a.b")
    async def hear(message: Message) -> None:
        heard.set()

    await client.settled()
    await sender.notify(client.public_id, "a.b")
    await heard.wait()
    assert (await client.find("sender")).subscribes("c.d")


# ---- waits that end


async def test_waits_that_are_over_say_what_did_not_come(house: House) -> None:
    client = await house.join("client")
    nobody = "nobody else is there: start the tool that is to send it"
    with pytest.raises(WaitTimeoutError, match=rf"^no table came within 0\.01 s; {nobody}$"):
        await client.receive_table(timeout=0.01)
    there = await topcat(house)
    with pytest.raises(WaitTimeoutError) as raised:
        await client.receive_image(timeout=0)
    assert str(raised.value) == (
        f"no image came within 0 s; there are: 'TOPCAT' ({there.public_id}); send it to 'client' from there, "
        "or give a larger timeout"
    )
    assert (raised.value.timeout, isinstance(raised.value, TimeoutError)) == (0, True)
    changes = client.hub_changes()
    await house.hub.shutdown()
    await anext(changes)
    with pytest.raises(WaitTimeoutError) as raised:
        await client.wait_registered(0.02)
    assert str(raised.value) == (
        "the client 'client' found no hub within 0.02 s; it goes on looking; start one with: "
        "python -m asyncsamp.hub"
    )


async def test_a_time_that_is_not_one(house: House) -> None:
    client = await house.join("client")
    wrong: Any = "soon"
    with pytest.raises(ValueError, match="the timeout 'soon'"):
        await client.receive_table(timeout=wrong)
