"""A hub that comes back after a crash: `Hub(state=...)`, `--state`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    Client,
    DirectConnection,
    Hub,
    HubLostError,
    HubRunningError,
    Limits,
    Message,
    RegistrationError,
    StateError,
    ValueMap,
)
from asyncsamp._util.private_files import beside
from asyncsamp.discovery import RENEW_KEY
from asyncsamp.hub import state as state_module
from asyncsamp.hub.observer import ClientEvent
from asyncsamp.hub.state import StateFile, StateKeeper, damage
from asyncsamp.rpc import RpcClient

from ...ports import lasting_port


class HubProcess:
    """`python -m asyncsamp.hub --state`, killed and started again at will."""

    def __init__(self, folder: Path) -> None:
        self.lockfile = folder / "samp"
        self.state = folder / "state.json"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        arguments = ["--no-web-profile", "--lockfile", str(self.lockfile), "--state", str(self.state)]
        if self._process is None:  # later it knows it by its state
            arguments += ["--port", str(lasting_port())]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "asyncsamp.hub", *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(40):
            assert (await self._process.stdout.readline()).startswith(b"SAMP hub ready")

    async def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(30):
            return await self._process.wait()

    async def saved(self, text: str) -> None:
        """Return once the state file holds `text`: a hub tells nobody when it has saved."""
        async with asyncio.timeout(30):
            while not self.state.exists() or text not in await asyncio.to_thread(self.state.read_text):
                await asyncio.sleep(0.01)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubProcess]:
    process = HubProcess(tmp_path)
    await process.start()
    yield process
    if process.running:
        assert await process.end(signal.SIGTERM) == 0


@asynccontextmanager
async def two_clients(hub: HubProcess) -> AsyncIterator[tuple[Client, Client]]:
    one = Client("one", lockfile=hub.lockfile, metadata={"samp.description.text": "the first"})
    two = Client("two", lockfile=hub.lockfile)

    @two.on("test.echo")
    async def echo(message: Message) -> dict[str, object]:
        return dict(message.params)

    async with one, two:
        await one.get_clients()
        yield one, two


async def test_a_killed_hub_comes_back_with_everybody(hub: HubProcess) -> None:
    async with two_clients(hub) as (one, two):
        before = one.public_id, two.public_id
        await hub.saved("test.echo")
        await hub.end(signal.SIGKILL)
        await hub.start()
        await one.wait_registered(30)
        await two.wait_registered(30)
        assert (one.public_id, two.public_id) == before
        response = await one.call(two.public_id, "test.echo", {"text": "again"}, timeout=30)
        assert response.result == {"text": "again"}
        assert (await two.get_metadata(one.public_id))["samp.description.text"] == "the first"
        async with Client("three", lockfile=hub.lockfile) as three:
            assert three.public_id not in before  # ids are not used again (HUB-41)


async def test_open_calls_are_answered_with_an_error(hub: HubProcess) -> None:
    async with two_clients(hub) as (_, two):
        called = asyncio.Event()

        @two.on("test.never")
        async def never(message: Message) -> None:
            called.set()
            await asyncio.Event().wait()

        await two.settled()
        raw = await RawCaller.register(hub.lockfile)
        try:
            await raw.call(two.public_id, "test.never", tag="open-1")
            async with asyncio.timeout(30):
                await called.wait()
            await hub.saved("open-1")
            await hub.end(signal.SIGKILL)
            await hub.start()
            await two.wait_registered(30)
            async with asyncio.timeout(30):
                responder, tag, response = await raw.responses.get()
            assert (responder, tag) == (two.public_id, "open-1")
            assert response["samp.status"] == "samp.error"
            assert "restarted" in str(response["samp.error"])
        finally:
            await raw.close()


class RawCaller:
    """A client of no particular make: it registers once, and goes on with the key it was given."""

    def __init__(self, sender: RpcClient, url: str) -> None:
        self.responses: asyncio.Queue[tuple[str, str, ValueMap]] = asyncio.Queue()
        self._sender = sender
        self._url = url
        self._key = ""
        self._endpoint: object = None

    @classmethod
    async def register(cls, lockfile: Path) -> RawCaller:
        from asyncsamp.discovery import find_hub

        sender = RpcClient()
        _, found = await find_hub(sender, lockfile=lockfile)
        caller = cls(sender, found.url)
        registered = await sender.call(found.url, "samp.hub.register", [found.secret], timeout=30)
        assert isinstance(registered, dict)
        caller._key = str(registered["samp.private-key"])
        await caller._open_endpoint()
        return caller

    async def _open_endpoint(self) -> None:
        from asyncsamp.client.callback import CallbackEndpoint

        endpoint = CallbackEndpoint(self, self._key, host="127.0.0.1", max_body=1 << 20)
        await endpoint.start()
        self._endpoint = endpoint
        await self._operate("setXmlrpcCallback", endpoint.url)

    async def call(self, recipient: str, mtype: str, *, tag: str) -> None:
        await self._operate("call", recipient, tag, {"samp.mtype": mtype, "samp.params": {}})

    async def _operate(self, name: str, *params: object) -> object:
        return await self._sender.call(
            self._url,
            f"samp.hub.{name}",
            [self._key, *params],  # type: ignore[list-item]
            timeout=30,
        )

    async def close(self) -> None:
        from asyncsamp.client.callback import CallbackEndpoint

        await self._operate("unregister")
        assert isinstance(self._endpoint, CallbackEndpoint)
        await self._endpoint.close()
        await self._sender.close()

    def receive_notification(self, sender: str, message: object) -> None: ...

    def receive_call(self, sender: str, msg_id: str, message: object) -> None: ...

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        self.responses.put_nowait((responder, msg_tag, response))

    def connection_lost(self, reason: str) -> None: ...


async def test_who_died_with_the_hub_is_removed(hub: HubProcess) -> None:
    async with two_clients(hub) as (one, two):
        gone = Client("gone", lockfile=hub.lockfile, reconnect=False)
        gone.on("test.echo")(_ignore)
        await gone.register()
        name = gone.public_id
        await hub.saved(f'"{name}"')
        async with one.messages("samp.hub.event.unregister") as leaving:
            await hub.end(signal.SIGKILL)
            with pytest.raises(HubLostError):
                await gone.notify_all("test.echo")
            await gone.unregister()
            await hub.start()
            async with asyncio.timeout(30):
                async for message in leaving:
                    if message.params["id"] == name:
                        break
        await two.wait_registered(30)
        assert name not in await two.get_registered_clients()


async def _ignore(message: Message) -> None:
    return None


async def test_a_hub_stopped_in_order_leaves_no_state(hub: HubProcess) -> None:
    async with Client("one", lockfile=hub.lockfile, reconnect=False):
        await hub.saved('"one"')
        assert stat.S_IMODE(hub.state.stat().st_mode) == 0o600
        assert await hub.end(signal.SIGTERM) == 0
    assert not hub.state.exists()


async def test_clients_that_cannot_come_back_are_announced(tmp_path: Path) -> None:
    """A client in the process of the hub dies with it; the others are told."""
    state = tmp_path / "state.json"
    async with (
        Hub(lockfile=tmp_path / "samp", state=state) as first,
        Client("direct", connection=DirectConnection(first)) as direct,
    ):
        name = direct.public_id
        raw = await RawCaller.register(tmp_path / "samp")
        async with asyncio.timeout(30):
            while name not in (await StateFile(state).read() or {}).get("hub", {}).get("clients", {}):
                await asyncio.sleep(0.01)
        saved = state.read_bytes()
        await raw.close()
    state.write_bytes(saved)
    async with Hub(lockfile=tmp_path / "samp", state=state) as second:
        assert name not in second.engine.clients


@asynccontextmanager
async def crashed(folder: Path, *names: str) -> AsyncIterator[dict[str, str]]:
    """The state that a killed hub has left, with clients that cannot be called; gives their private keys."""
    state = folder / "state.json"
    async with Hub(lockfile=folder / "samp", state=state) as hub, AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(Client(name, lockfile=folder / "samp", reconnect=False))
        await hub.engine.saved()
        content = await asyncio.to_thread(state.read_bytes)
    await asyncio.to_thread(state.write_bytes, content)
    clients = json.loads(content)["standard"]["clients"]
    assert [callback for _, callback in clients.values()] == [None] * len(names)
    yield {client: key for client, (key, _) in clients.items()}


async def test_all_come_back_to_a_hub_that_takes_fewer_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub(lockfile=tmp_path / "samp", state=tmp_path / "state.json", limits=Limits(max_clients=2))
    async with crashed(tmp_path, "one", "two", "three") as keys, hub:
        assert list(hub.clients) == list(keys)
        assert [client.name for client in hub.clients.values()] == ["one", "two", "three"]
        assert "no more than 2: no new one gets in until some have left" in caplog.text
        with pytest.raises(RegistrationError, match="no more than 2 clients"):
            await Client("four", lockfile=tmp_path / "samp").register()
        sender = RpcClient()
        for key in list(keys.values())[:2]:
            await sender.call(hub.url, "samp.hub.unregister", [key], timeout=5)
        await sender.close()
        async with Client("four", lockfile=tmp_path / "samp"):
            pass


async def test_who_cannot_be_called_and_asks_for_nothing_has_an_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have died with the hub, and there is nothing by which that could be found out."""
    limits = Limits(restored_silence=0.01)
    hub = Hub(lockfile=tmp_path / "samp", state=tmp_path / "state.json", limits=limits)
    async with crashed(tmp_path, "silent") as keys, hub, hub.events() as events, asyncio.timeout(10):
        (silent,) = keys
        assert list(hub.clients) == [silent]
        assert await anext(events) == ClientEvent("unregistered", silent, "silent")
        assert "nothing was heard of it since the hub came back" in caplog.text


async def test_who_asks_for_something_stays(tmp_path: Path) -> None:
    hub = Hub(lockfile=tmp_path / "samp", state=tmp_path / "state.json")
    async with crashed(tmp_path, "silent", "asks", "resumes") as keys, hub:
        _, asks, resumes = keys
        sender = RpcClient()
        await sender.call(hub.url, "samp.hub.getRegisteredClients", [keys[asks]], timeout=5)
        await sender.call(hub.url, RENEW_KEY, [keys[resumes]], timeout=5)
        await sender.close()
        hub.engine._remove_unheard()
        assert list(hub.clients) == [asks, resumes]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not what a hub has written"),
        (b"[1]", "not what a hub of this version has written"),
        (b'{"format": 99}', "not what a hub of this version has written"),
        (b'{"format": 1}', "its content is damaged"),
        (b'{"format": 1, "standard": {}, "hub": {}}', "its content is damaged"),
        (b"[" * 100_000, "not what a hub has written"),
    ],
)
async def test_a_damaged_state_says_so(tmp_path: Path, content: bytes, reason: str) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(content)
    hub = Hub(lockfile=tmp_path / "samp", state=state)
    with pytest.raises(StateError, match=reason) as caught:
        await hub.start()
    assert caught.value.path == str(state)
    assert "remove it, or name another one" in str(caught.value)
    assert not (tmp_path / "samp").exists()


async def test_a_state_file_is_no_link_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "real").write_text('{"format": 1}')
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("link", "."):
        with pytest.raises(StateError):
            await StateFile(tmp_path / name).read()


async def test_a_write_that_fails_leaves_the_old_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = StateFile(tmp_path / "folder" / "state.json")
    file.path.parent.mkdir()
    await file.write({"standard": {}})
    state = {"n": 0}
    keeper = StateKeeper(file, lambda: dict(state), 0.0)
    file.path.parent.rename(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="cannot be written"):
        await file.write({"n": 1})
    keeper.changed()
    task = keeper._task
    assert task is not None
    async with asyncio.timeout(30):
        await task
    await keeper.close()
    assert [record.levelname for record in caplog.records if "come back" in record.message] == ["ERROR"]
    left = tmp_path / "elsewhere" / "state.json"
    assert json.loads(left.read_text()) == {"format": 1, "standard": {}}


async def test_a_hub_goes_on_when_the_system_gives_no_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(lockfile=tmp_path / "samp", state=tmp_path / "state")
    async with hub, Client("client", connection=DirectConnection(hub)) as client, asyncio.timeout(30):
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "to_thread", no_thread)
            await client.declare_metadata({"x": "1"})
        await client.declare_metadata({"x": "2"})
        assert '"x":"2"' in await asyncio.to_thread((tmp_path / "state").read_text)
    assert [record.levelname for record in caplog.records if "come back" in record.message] == ["ERROR"]


async def no_thread(*given: object) -> object:
    raise RuntimeError("can't start new thread")


async def test_changes_are_saved_once_for_many(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")
    snapshots: list[int] = []

    def snapshot() -> dict[str, int]:
        snapshots.append(1)
        return {"count": len(snapshots)}

    keeper = StateKeeper(file, snapshot, 0.0)
    for _ in range(1000):
        keeper.changed()
    task = keeper._task
    assert task is not None
    async with asyncio.timeout(30):
        await task
    assert len(snapshots) == 1
    keeper.changed()
    await keeper.close()  # lets a write under way end, and begins none
    assert await file.read() == {"format": 1, "count": 1}


async def test_saved_returns_once_all_changes_are_in_the_file(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "state.json")
    state = {"n": 0}
    keeper = StateKeeper(file, lambda: dict(state), 3600.0)  # the pause gives way to who waits
    await keeper.saved()
    for number in range(1, 4):
        state["n"] = number
        keeper.changed()
        async with asyncio.timeout(30):
            await keeper.saved()
        assert await file.read() == {"format": 1, "n": number}
    await keeper.close()


async def test_a_client_whose_hub_forgot_it_registers_anew(tmp_path: Path) -> None:
    """Without a state the same port answers, but knows nobody: resume() says no, and register does it."""
    hub = Hub(lockfile=tmp_path / "samp")
    await hub.start()
    port = int(hub.url.rpartition(":")[2].partition("/")[0])
    async with Client("one", lockfile=tmp_path / "samp") as client:
        await client.get_clients()
        await hub.shutdown()
        async with Hub(lockfile=tmp_path / "samp", port=port):
            await client.wait_registered(30)
            response = await client.call(client.public_id, "samp.app.ping", timeout=30)
            assert response.ok


async def test_a_second_hub_on_the_same_state_does_not_speak_to_the_clients_of_the_first(
    hub: HubProcess, capfd: pytest.CaptureFixture[str]
) -> None:
    async with two_clients(hub) as (one, two), two.messages("samp.hub.event.shutdown") as news:
        await hub.saved("test.echo")
        second = Hub(lockfile=hub.lockfile, state=hub.state)
        with pytest.raises(HubRunningError):
            await second.start()
        response = await one.call(two.public_id, "test.echo", {"still": "here"}, timeout=30)
        assert response.result == {"still": "here"}
        assert len(news) == 0
        assert hub.state.exists()


async def test_nor_at_another_port_does_it_take_the_lockfile_or_end_open_calls(hub: HubProcess) -> None:
    async with two_clients(hub) as (_, two):
        called, go = asyncio.Event(), asyncio.Event()

        @two.on("test.slow")
        async def slow(message: Message) -> None:
            called.set()
            await go.wait()

        await two.settled()
        raw = await RawCaller.register(hub.lockfile)
        try:
            await raw.call(two.public_id, "test.slow", tag="open-2")
            async with asyncio.timeout(30):
                await called.wait()
            await hub.saved("open-2")
            before = await asyncio.to_thread(hub.lockfile.read_text)
            with pytest.raises(HubRunningError):
                await Hub(lockfile=hub.lockfile, state=hub.state, port=lasting_port()).start()
            assert await asyncio.to_thread(hub.lockfile.read_text) == before
            go.set()
            async with asyncio.timeout(30):
                _, tag, response = await raw.responses.get()
            assert (tag, response["samp.status"]) == ("open-2", "samp.ok")
        finally:
            await raw.close()


async def test_the_port_of_the_last_run_is_taken(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with Hub(lockfile=tmp_path / "samp", state=state) as first:
        async with asyncio.timeout(30):
            await first.engine.saved()
        saved = await asyncio.to_thread(state.read_bytes)
        port = int(first.url.rpartition(":")[2].partition("/")[0])
    await asyncio.to_thread(state.write_bytes, saved)
    with socket.create_server(("127.0.0.1", port)):
        hub = Hub(lockfile=tmp_path / "samp", state=state)
        for _ in range(2):
            with pytest.raises(StateError, match=f"the port of the last run, {port}, is taken") as caught:
                await hub.start()
            assert f"stop what has it, or remove {state} to begin anew" in str(caught.value)
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}"):  # the user's own choice
            await Hub(lockfile=tmp_path / "samp", state=state, port=port).start()
    async with hub:
        assert f":{port}/" in hub.url


# ---- what the file may be


SOUND: dict[str, Any] = {
    "format": 1,
    "standard": {"secret": "s", "port": 1024, "clients": {"c1": ["k-1", "http://127.0.0.1:9/"]}},
    "hub": {
        "last_client": 1,
        "clients": {"c1": {"callable": True, "metadata": {"a": ["b"]}, "subscriptions": {"a.b": {}}}},
        "calls": [],
    },
}


def changed(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Return `SOUND` with another value in one place."""
    state: dict[str, Any] = json.loads(json.dumps(SOUND))
    place = state
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return state


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("standard", "port"), 99999, "'99999' is not a valid port"),
        (("standard", "port"), "80", "'80' is not a valid port"),
        (("standard", "port"), True, "'True' is not a valid port"),
        (("standard", "secret"), 5, "the secret is not a text"),
        (("standard", "secret"), "", "the secret is not a text"),
        (("standard", "clients"), [], "the clients are not a map"),
        (("standard", "clients", "c1"), "k-1", "the client 'c1' has wrong types"),
        (("standard", "clients", "c1"), [1, None], "the client 'c1' has wrong types"),
        (("standard", "clients", "c1"), ["k-1", 1], "the client 'c1' has wrong types"),
        (("hub", "clients"), None, "the clients are not a map"),
        (("hub", "clients", "c1"), [], "the client 'c1' has wrong types"),
        (("hub", "clients", "c1", "callable"), "yes", "the client 'c1' has wrong types"),
        (("hub", "clients", "c1", "metadata"), {"a": {"b": [1]}}, "the client 'c1' has wrong types"),
        (("hub", "clients", "c1", "subscriptions"), "a.b", "the client 'c1' has wrong types"),
        (("hub",), 1, "it lacks the clients"),
    ],
)
async def test_a_state_of_wrong_types_says_which(
    tmp_path: Path, path: tuple[str, ...], value: object, reason: str
) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps(changed(path, value)))
    with pytest.raises(StateError) as caught:
        await Hub(lockfile=tmp_path / "samp", state=state).start()
    assert f"its content is damaged: {reason}" in str(caught.value) or reason in caught.value.reason
    assert damage(SOUND) == ""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o666, 0o620])
async def test_a_state_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps(SOUND))
    state.chmod(mode)
    with pytest.raises(StateError, match=f"other users can write to it \\(mode {mode:04o}\\); remove it, or"):
        await Hub(lockfile=tmp_path / "samp", state=state).start()


async def test_what_is_too_large_to_be_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = StateFile(tmp_path / "state.json")
    await file.write(changed(("hub", "last_client"), 2))
    before = file.path.read_bytes()
    monkeypatch.setattr(state_module, "MAX_STATE", len(before))
    assert await file.read() == changed(("hub", "last_client"), 2)
    with pytest.raises(StateError, match="look for a client with very large metadata"):
        await file.write(changed(("hub", "last_client"), 10))
    assert file.path.read_bytes() == before


async def test_only_clients_that_changed_are_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StateFile(tmp_path / "state.json")
    encoded: list[object] = []
    real = json.JSONEncoder.iterencode

    def counted(coder: json.JSONEncoder, value: object, _one_shot: bool = False) -> Iterator[str]:
        encoded.append(value)
        return real(coder, value, _one_shot)

    monkeypatch.setattr(json.JSONEncoder, "iterencode", counted)
    clients = {f"c{number}": dict(SOUND["hub"]["clients"]["c1"]) for number in range(3)}
    for changes in (3, 0, 1):
        del encoded[:]
        for client in list(clients)[:changes]:
            clients[client] = {**clients[client], "metadata": {"new": str(changes)}}
        await file.write(changed(("hub", "clients"), {}) | {"hub": {"clients": clients, "calls": []}})
        assert sum(isinstance(value, dict) and "callable" in value for value in encoded) == changes
    del clients["c0"]
    await file.write({"hub": {"clients": clients}})
    assert await file.read() == {"format": 1, "hub": {"clients": clients}}


@pytest.mark.both_loops
async def test_the_loop_goes_on_while_a_large_state_is_encoded(tmp_path: Path) -> None:
    metadata = {f"x.{number}": "value" for number in range(1_000_000)}
    state = {"hub": {"clients": {"c1": {"callable": False, "metadata": metadata, "subscriptions": {}}}}}
    writing = asyncio.ensure_future(StateFile(tmp_path / "state.json").write(state))
    turns = 0
    while not writing.done():
        turns += 1
        await asyncio.sleep(0.001)
    await writing
    assert turns > 10, "json.dumps would leave two or three"


@pytest.mark.both_loops
async def test_what_a_killed_hub_left_is_removed(tmp_path: Path) -> None:
    """Killed between writing and renaming, it leaves a file with all keys."""
    script = (
        "import os, signal; from pathlib import Path; from asyncsamp._util import private_files as files;"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        f"files.replace_private(Path({str(tmp_path / 'state')!r}), b'k-1')"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == -signal.SIGKILL
    [left] = tmp_path.iterdir()
    assert left.read_bytes() == b"k-1"
    own, other = beside(tmp_path / "x"), tmp_path / f".asyncsamp-{os.getppid()}-00000000-00000000.tmp"
    earlier = tmp_path / f".asyncsamp-{os.getpid()}-00000000-00000000.tmp"
    foreign = tmp_path / ".asyncsamp-mine.tmp"
    for path in (own, other, earlier, foreign):
        path.touch()
    assert await StateFile(tmp_path / "state").read() is None
    assert set(tmp_path.iterdir()) == {own, other, foreign}
    other.unlink()
    left.touch()
    async with Hub(lockfile=tmp_path / "samp"):
        assert not left.exists()
