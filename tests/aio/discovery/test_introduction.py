"""asyncsamp.discovery.introduction: a refusal names the program of the hub that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Client, Hub
from asyncsamp.discovery import introduced, introduction, locate
from asyncsamp.errors import FaultError, HubRunningError
from asyncsamp.rpc import RpcClient
from asyncsamp.values import Value

from ..odd_hub import OddHub, odd_hub


@pytest.fixture
async def sender() -> AsyncIterator[RpcClient]:
    sender = RpcClient()
    yield sender
    await sender.close()


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddHub]:
    async with odd_hub(tmp_path / "odd.samp") as hub:
        yield hub


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer than the time that people are kept waiting for a name."""
    monkeypatch.setattr(introduction, "PATIENCE", 30.0)


async def ask(hub: OddHub, sender: RpcClient) -> HubRunningError:
    refusal = HubRunningError(str(hub.lockfile), hub.url)
    return await introduced(refusal, locate({}, hub.lockfile), sender)


async def test_a_second_hub_names_the_first_and_its_clients(tmp_path: Path) -> None:
    path = tmp_path / "x.samp"
    async with Hub(lockfile=path, label="mine") as first, Client("viewer", lockfile=path):
        with pytest.raises(HubRunningError) as caught:
            await Hub(lockfile=path).start()
        ids = [client for client in first.engine.clients if client != first.engine.hub_id]
        assert len(ids) == 1, "who asked has left"
    assert caught.value.program == "'Hub', \"asyncsamp hub 'mine'\"; its clients are 'viewer'"
    for text in (first.url, str(path), "'viewer'", "--multiple", "Hub(lockfile=...)"):
        assert text in str(caught.value)


async def test_the_names_of_clients_are_few_and_plain(odd: OddHub, sender: RpcClient) -> None:
    odd.answers["getRegisteredClients"] = [f"c{number}" for number in range(9)]
    odd.answers["getMetadata"] = {"samp.name": "a\x1b[31m\nb", "samp.description.text": ["odd"]}
    error = await ask(odd, sender)
    names = ", ".join(["'a?[31m b'"] * 5)
    assert error.program == f"'a?[31m b'; its clients are {names} and 4 more"
    assert odd.operations()[-1] == "unregister"


@pytest.mark.parametrize("answer", ["", [], {}, FaultError("wrong secret")])
async def test_a_hub_that_does_not_tell_is_refused_without(
    odd: OddHub, sender: RpcClient, answer: Value | Exception
) -> None:
    odd.answers["register"] = answer
    odd.answers["getMetadata"] = FaultError("no")
    assert (await ask(odd, sender)).program == ""


async def test_a_hub_that_is_silent_is_not_waited_for(
    odd: OddHub, sender: RpcClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introduction, "PATIENCE", 0.0)
    assert (await ask(odd, sender)).program == ""


async def test_a_lockfile_that_has_gone_or_changed_tells_nothing(odd: OddHub, sender: RpcClient) -> None:
    refusal = HubRunningError(str(odd.lockfile), "http://127.0.0.1:9/")
    for place in (odd.lockfile, odd.lockfile.with_name("none")):
        assert await introduced(refusal, locate({}, place), sender) is refusal
    assert odd.asked == []
