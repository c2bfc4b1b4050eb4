"""A client without a hub: it says so, looks for one, and tells who asks when there is one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from asyncsamp import (
    Client,
    Hub,
    HubChange,
    HubLostError,
    HubNotFoundError,
    NotRegisteredError,
    RegistrationError,
)
from asyncsamp.client.hub_changes import HubChanges
from asyncsamp.values import Value

from ..cancelling import each_await
from ..connections import HASTY, LIMITS, House, turns_until
from ..odd_hub import fault, odd_hub


@pytest.fixture
def lockfile(tmp_path: Path) -> Path:
    return tmp_path / "x.samp"


def waiting(lockfile: Path, wait: bool | float) -> Client:
    return Client("client", lockfile=lockfile, wait_for_hub=wait, limits=LIMITS)


# ---- the stream


async def test_a_loss_and_a_return_are_told(house: House) -> None:
    client = await house.join("client")
    changes = client.hub_changes()
    await house.hub.shutdown()
    lost = await asyncio.wait_for(anext(changes), 10)
    assert not lost.connected
    assert lost.reason.startswith("it ")
    assert not client.registered
    await house.hub.start()
    back = await asyncio.wait_for(anext(changes), 10)
    assert (back.connected, back.reason) == (True, "")
    assert client.registered
    await client.unregister()
    assert [change async for change in changes] == []


async def test_a_hub_that_lets_the_client_go_for_good_ends_the_stream(lockfile: Path) -> None:
    async with odd_hub(lockfile) as odd, Client("client", lockfile=lockfile, limits=LIMITS) as client:
        changes = client.hub_changes()
        client.on("a.b")(_nothing)
        await client.settled()
        await odd.notify("samp.hub.disconnect", reason="go")
        assert [change.reason async for change in changes] == ["it disconnected this client: go"]


async def _nothing(message: object) -> None: ...


async def test_waiting_for_a_change_can_be_cancelled() -> None:
    changes = HubChanges()
    stream = changes.open()
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0)
        changes.tell(HubChange(connected=True, url="u"))
        assert await anext(stream) == HubChange(connected=True, url="u")


async def test_who_does_not_read_costs_little() -> None:
    changes = HubChanges()
    stream = changes.open()
    for number in range(1000):
        changes.tell(HubChange(connected=True, url=str(number)))
    changes.close()
    kept = [change.url async for change in stream]
    assert len(kept) == 100
    assert kept[-1] == "999"


# ---- what is raised meanwhile


async def test_errors_say_that_and_for_how_long_a_hub_is_looked_for(house: House) -> None:
    client, other = await house.join("client"), await house.join("other", limits=HASTY)
    other.on("a.b")(_never)
    await other.settled()
    calling = asyncio.create_task(client.call(other.public_id, "a.b"))
    await turns_until(lambda: len(other._inbox._tasks) == 1)
    changes = client.hub_changes()
    await house.hub.shutdown()
    await anext(changes)
    with pytest.raises(HubLostError, match=r"; the client has been looking for a hub for \d+\.\d s and"):
        await client.notify_all("a.b")
    with pytest.raises(HubLostError, match=r"; the client has been looking for a hub for \d+\.\d s and goes"):
        await calling


async def test_so_do_those_of_a_client_that_is_about_to_declare_itself(lockfile: Path) -> None:
    async with odd_hub(lockfile) as odd:
        client = await Client("client", lockfile=lockfile, limits=LIMITS).register()
        await odd.stop()
        with pytest.raises(
            HubLostError,
            match=r"lost during setXmlrpcCallback: .*; the client has been looking for a hub for \d+\.\d s",
        ):
            await client.get_clients()
        await client.unregister()


async def test_a_hub_that_does_not_answer_may_be_gone(lockfile: Path) -> None:
    limits = replace(LIMITS, request_timeout=4)  # registering has it as well, and the machine may stand still
    async with odd_hub(lockfile) as odd, Client("client", lockfile=lockfile, limits=limits) as client:
        odd.answers["setXmlrpcCallback"] = odd.answers["notifyAll"] = _silence
        for ask in [asyncio.ensure_future(each) for each in (client.get_clients(), client.notify_all("a.b"))]:
            with pytest.raises(HubLostError, match="; if it has gone, the client looks for a hub by itself"):
                await ask
        assert client.registered


async def _silence(params: list[Value]) -> Value:
    await asyncio.Event().wait()
    return ""


async def _never(message: object) -> None:
    await asyncio.Event().wait()


async def test_errors_of_a_client_that_does_not_look_do_not_say_it(house: House) -> None:
    client = await house.join("client", reconnect=False)
    client.on("a.b")(_nothing)
    await client.settled()
    await house.hub.shutdown()
    await turns_until(lambda: not client.registered)
    with pytest.raises(HubLostError) as raised:
        await client.notify_all("a.b")
    assert raised.value.looking is None
    assert "looking" not in str(raised.value)


# ---- waiting for the first hub


async def test_a_program_starts_without_a_hub(lockfile: Path) -> None:
    async with waiting(lockfile, True) as client:
        assert not client.registered
        assert "looking for a hub" in repr(client)
        with pytest.raises(HubNotFoundError, match=r"; the client has been looking for a hub for \d+\.\d s"):
            await client.notify_all("a.b")
        client.on("a.b")(_nothing)
        async with Hub(lockfile=lockfile, limits=LIMITS):
            await client.wait_registered(10)
            assert await client.notify_all("a.b") == []
            assert (await client.get_subscriptions(client.public_id))["a.b"] == {}
            await client.unregister()


async def test_a_program_that_never_finds_a_hub_ends(lockfile: Path) -> None:
    client = waiting(lockfile, True)
    async with client:
        pass
    with pytest.raises(NotRegisteredError):
        await client.notify_all("a.b")


async def test_a_hub_that_comes_in_time_is_waited_for(lockfile: Path) -> None:
    registering = asyncio.create_task(waiting(lockfile, 10).register())
    await asyncio.sleep(0)
    async with Hub(lockfile=lockfile, limits=LIMITS):
        client = await registering
        assert client.registered
        await client.unregister()


async def test_a_hub_that_does_not_come_in_time(lockfile: Path) -> None:
    client = waiting(lockfile, 0.1)
    with pytest.raises(HubNotFoundError, match=r"no running SAMP hub found within 0\.1 s \(looked at "):
        await client.register()
    with pytest.raises(NotRegisteredError):
        await client.notify_all("a.b")


async def test_waiting_for_the_first_hub_can_be_cancelled(lockfile: Path) -> None:
    client = waiting(lockfile, 60)
    async with asyncio.timeout(10):
        registering = asyncio.create_task(client.register())
        await turns_until(lambda: "looking" in repr(client))
        registering.cancel()
        await asyncio.wait({registering})
    assert registering.cancelled()
    assert "not registered" in repr(client)


async def test_registering_can_be_cancelled_while_there_is_a_hub(lockfile: Path) -> None:
    async with Hub(lockfile=lockfile, limits=LIMITS):
        client = waiting(lockfile, True)
        async for _ in each_await(client.register):
            assert not client.registered
        await client.unregister()


@pytest.mark.parametrize("wait", [True, 10.0])
async def test_a_hub_that_goes_while_the_client_registers_is_none_yet(
    lockfile: Path, wait: bool | float
) -> None:
    async with odd_hub(lockfile) as odd:
        odd.keeps = False
        going = asyncio.Event()

        async def hang(params: list[Value]) -> Value:
            going.set()
            await asyncio.Event().wait()
            return ""

        odd.answers["declareMetadata"] = hang
        client = waiting(lockfile, wait)
        registering = asyncio.create_task(client.register())
        await going.wait()
        port = await odd.stop()
        await turns_until(lambda: not client.registered)
        odd.answers["declareMetadata"] = ""
        await odd.start(port)
        await registering
        await client.wait_registered(10)
        await client.unregister()


async def test_a_hub_that_went_and_does_not_come_in_time(lockfile: Path) -> None:
    async with odd_hub(lockfile) as odd:

        async def go(params: list[Value]) -> Value:
            stopping = asyncio.ensure_future(odd.stop())
            await asyncio.sleep(10)
            await stopping
            return ""

        odd.answers["declareMetadata"] = go
        client = waiting(lockfile, 0.3)
        with pytest.raises(
            HubNotFoundError, match=r"no running SAMP hub found within 0\.3 s \(looked at http"
        ):
            await client.register()
        assert "not registered" in repr(client)


async def test_a_hub_that_refuses_is_not_waited_for(lockfile: Path) -> None:
    async with odd_hub(lockfile) as full:
        full.answers["register"] = fault("full")
        with pytest.raises(RegistrationError):
            await waiting(lockfile, True).register()


def test_what_is_not_a_time(lockfile: Path) -> None:
    with pytest.raises(ValueError, match="the timeout -1"):
        waiting(lockfile, -1)
