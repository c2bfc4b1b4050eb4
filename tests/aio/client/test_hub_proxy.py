"""asyncsamp.client.hub_proxy: who listens at the hub's port is told the key only if he is the hub."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from asyncsamp import Client, HubFaultError, HubLostError, HubNotFoundError
from asyncsamp._util.socket_table import SocketTable
from asyncsamp.discovery import PID_NAME, PROVE, RENEW_KEY, locate, lockfile_owner, make_proof
from asyncsamp.errors import FaultError
from asyncsamp.hub import Hub
from asyncsamp.rpc import RpcClient
from asyncsamp.values import Value

from ..connections import LIMITS, turns_until
from ..odd_hub import OddHub, fault, odd_hub
from ..users import LINUX, NOBODY, ROOT, nobody_listening


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[OddHub]:
    async with odd_hub(tmp_path / "odd.samp") as hub:
        yield hub


@pytest.fixture
async def client(odd: OddHub) -> AsyncIterator[Client]:
    async with Client("client", lockfile=odd.lockfile, limits=LIMITS) as client:
        yield client


async def out(client: Client) -> None:
    await turns_until(lambda: not client.registered)


# ---- another user at the port


@LINUX
@ROOT
@pytest.mark.both_loops
async def test_another_user_at_the_port_of_a_dead_hub_is_told_nothing(odd: OddHub, client: Client) -> None:
    port = await odd.stop()
    await out(client)
    async with nobody_listening(port) as stranger:
        assert await stranger.heard() == "b''"
        assert not client.registered
    await odd.start(port)
    await client.wait_registered(10)


@LINUX
@ROOT
@pytest.mark.both_loops
async def test_an_operation_on_a_new_connection_does_not_bring_the_key_to_another_user(odd: OddHub) -> None:
    """Whose hub keeps no connection learns only then that it is dead."""
    odd.keeps = False
    async with Client("client", lockfile=odd.lockfile) as client:
        port = await odd.stop()
        async with nobody_listening(port) as stranger:
            assert client.registered
            with pytest.raises(HubLostError, match=f"user {NOBODY} of this machine listens there now"):
                await client.notify_all("a.b")
            assert await stranger.heard() == "b''"
            assert not client.registered


@LINUX
@ROOT
@pytest.mark.both_loops
async def test_another_user_at_the_port_of_a_stale_lockfile_is_not_told_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "x.samp"
    async with nobody_listening() as stranger:
        path.write_text(f"samp.secret=s\nsamp.hub.xmlrpc.url=http://127.0.0.1:{stranger.port}/\n")
        with pytest.raises(HubNotFoundError, match="no hub answers at"):
            await Client("client", lockfile=path, limits=LIMITS).register()
        assert await stranger.heard() == "b''"


@LINUX
@ROOT
async def test_the_owner_of_the_lockfile_may_be_the_hub_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "asyncsamp.client")
    path = tmp_path / "x.samp"
    async with nobody_listening() as stranger:
        path.write_text(f"samp.secret=s\nsamp.hub.xmlrpc.url=http://127.0.0.1:{stranger.port}/\n")
        os.chown(path, NOBODY, -1)
        with pytest.raises(HubNotFoundError):
            await Client("client", lockfile=path, limits=LIMITS).register()
        assert (await stranger.heard()).startswith("b'POST")
    assert f"the lockfile {path} belongs to another user (uid {NOBODY})" in caplog.text
    assert await lockfile_owner(locate({}, path)) == NOBODY


async def test_whose_a_lockfile_is_may_not_be_known(tmp_path: Path) -> None:
    assert await lockfile_owner(locate({}, tmp_path / "none")) is None
    assert await lockfile_owner(locate({}, "http://127.0.0.1:9/x")) is None


# ---- where the system does not tell whose a socket is


@pytest.mark.parametrize("answer", ["", "0" * 64, ["x"], fault("no such method")])
@pytest.mark.both_loops
async def test_a_hub_that_comes_back_must_know_the_secret(
    odd: OddHub, client: Client, monkeypatch: pytest.MonkeyPatch, answer: Value | Exception
) -> None:
    monkeypatch.setattr(SocketTable, "user_who_took", lambda *_: None)
    right = odd.answers[PROVE]
    odd.answers[PROVE] = answer
    port = await odd.stop()
    await out(client)
    odd.asked.clear()
    await odd.start(port)
    await odd.until(PROVE, 2)
    assert not client.registered
    assert {operation for operation, _ in odd.asked} == {PROVE}, "the key and the secret were not sent"
    odd.answers[PROVE] = right
    await client.wait_registered(10)


async def test_at_a_hub_that_has_no_proof_the_client_registers_anew(odd: OddHub, client: Client) -> None:
    port = await odd.stop()
    await out(client)
    odd.asked.clear()
    await odd.start(port)
    text = odd.lockfile.read_text().replace(PID_NAME, "another.token")
    odd.lockfile.write_text(text)
    await client.wait_registered(10)
    assert "register" in odd.operations()
    assert PROVE not in [operation for operation, _ in odd.asked]


async def test_a_key_that_is_not_a_text_is_not_taken(odd: OddHub, client: Client) -> None:
    odd.answers[RENEW_KEY] = [""]
    port = await odd.stop()
    await out(client)
    await odd.start(port)
    await odd.until(RENEW_KEY, 2)
    assert not client.registered
    odd.answers[RENEW_KEY] = fault("not known")
    await client.wait_registered(10)
    assert odd.operations().count("register") == 2


# ---- the hub's side


async def test_the_hub_proves_itself_and_renews_keys(tmp_path: Path) -> None:
    path = tmp_path / "x.samp"
    sender = RpcClient()
    async with Hub(lockfile=path) as hub:
        secret = hub._standard.secret

        async def call(method: str, *params: Value) -> Value:
            return await sender.call(hub.url, method, list(params), timeout=10)

        assert await call(PROVE, "abc") == make_proof(secret, "abc") != make_proof(secret, "abd")
        wrong: list[list[Value]] = [[], [""], ["x" * 257], [{}], ["a", "b"]]
        for params in wrong:
            with pytest.raises(FaultError, match="a string of 1 to 256 characters"):
                await call(PROVE, *params)
        registered = await call("samp.hub.register", secret)
        assert isinstance(registered, dict)
        key = registered["samp.private-key"]
        renewed = await call(RENEW_KEY, key)
        assert renewed != key
        for method in (RENEW_KEY, "samp.hub.getRegisteredClients"):
            with pytest.raises(FaultError, match="the private key is not known"):
                await call(method, key)
        assert await call("samp.hub.getRegisteredClients", renewed) == [hub.engine.hub_id]
        await call("samp.hub.unregister", renewed)
    await sender.close()


@pytest.mark.both_loops
async def test_a_client_has_its_key_renewed_when_its_hub_comes_back(tmp_path: Path) -> None:
    """The old key stands in the state file that the hub was started from."""
    path, state = tmp_path / "x.samp", tmp_path / "state"
    async with Hub(lockfile=path, state=state, limits=LIMITS) as first:
        client = await Client("client", lockfile=path, limits=LIMITS).register()
        stream = client.messages("a.note")
        await client.settled()
        before = first._standard._keys[client.public_id]
        saved = state.read_bytes()
        text = path.read_text()
        port = first._standard.port
        first.engine.keep_state(None)
        await first._standard.stop()
        await out(client)
    state.write_bytes(saved)
    state.chmod(0o600)
    path.write_text(text)
    async with Hub(lockfile=path, state=state, port=port, limits=LIMITS) as second:
        await client.wait_registered(10)
        assert second._standard._keys[client.public_id] != before
        await second.engine.saved()
        assert before.encode() not in state.read_bytes()
        async with Client("other", lockfile=path, limits=LIMITS) as other:
            await other.notify(client.public_id, "a.note", {"n": "1"})
            assert (await anext(stream)).params == {"n": "1"}
        with pytest.raises(HubFaultError):
            await client.get_metadata("nobody")
        await client.unregister()
