"""Recording messages into a file, and playing them back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..client.tracker import RemoteClient
from ..data.client import Client
from ..errors import HubFaultError, SampError
from ..recording import Answers, Recording, own_mtypes, read_recording
from ..values import Message, ReplyError, Response
from .output import note, safe, say
from .running import OK, at_hub
from .traffic import WAITING, Ended, Gap, Seen, answered, traffic_at

__all__ = ["play", "record", "replay"]

_SEEN = Response.warning({}, "recorded by asyncsamp, which does nothing with it")
_OWN = ("samp.hub.", "samp.app.ping")


async def record(hub: str | None, path: Path, of: str | None, count: int | None) -> int:
    """Write what passes through the hub into `path` until interrupted, with the answers.

    A file that holds something already is refused. It is made once there is something to record from.
    A hub of another make shows nobody more than what is sent to all, or to us. With `of` we stand before
    that client, in any hub, under the name "NAME (recorded)": what is sent to us goes on to it, and what it
    answers goes back and into the file.
    """
    await asyncio.to_thread(_check_free, path)
    with _cancelled_by_signals():
        await (_record_all(hub, path, count) if of is None else _record_of(hub, path, of, count))
    return OK


def _check_free(path: Path) -> None:
    """Raise FileExistsError if the file holds something already. Blocking."""
    if path.is_file() and path.stat().st_size:
        raise FileExistsError(errno.EEXIST, "holds something already; record into another file", str(path))


@contextlib.contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, which comes when the terminal is closed, end the block as Ctrl-C does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    taken = []
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) == signal.SIG_IGN:  # as under nohup
            continue
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, task.cancel)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _recorder_into(path: Path) -> AsyncIterator[_Recorder]:
    """Open the file, which is complete at the end of the block."""
    # "a": what another program has written meanwhile stays.
    with await asyncio.to_thread(path.open, "a", encoding="utf-8") as file:
        recorder = _Recorder(file)
        note(f"recording into {safe(path)}; Ctrl-C ends it")
        try:
            yield recorder
        finally:
            await asyncio.shield(asyncio.to_thread(recorder.flush))
            note(f"{recorder.written} messages are in {safe(path)}")


async def _record_all(hub: str | None, path: Path, count: int | None) -> None:
    async def answer(message: Message) -> Response:
        return _SEEN

    open_calls: set[str] = set()
    async with (
        traffic_at((hub, "asyncsamp record", ()), ["*"], answer) as traffic,
        _recorder_into(path) as recorder,
    ):
        recorder.clients(traffic.client.clients.values())
        try:
            async for item in traffic:
                if isinstance(item, Gap):
                    if item.hub_lost or count is not None:
                        open_calls.clear()
                elif isinstance(item, Ended):
                    if item.call in open_calls:
                        open_calls.discard(item.call)
                        recorder.end(item)
                elif not item.message.mtype.startswith(_OWN) and (count is None or recorder.written < count):
                    open_calls.update(item.calls if traffic.whole else ())
                    recorder.message(item, [] if item.to_all else [traffic.name(to) or to for to in item.to])
                if count is not None and recorder.written >= count and not open_calls:
                    return
        finally:
            recorder.clients(traffic.client.clients.values())


async def _record_of(hub: str | None, path: Path, of: str, count: int | None) -> None:
    async with at_hub(hub, name=f"{of} (recorded)", reconnect=True) as client:
        behind = _Behind(client, await client.find(of))
        clients = await client.get_clients()
        async with _recorder_into(path) as recorder:
            recorder.clients(clients)
            await _record_before(client, behind, recorder, count)


async def _record_before(client: Client, behind: _Behind, recorder: _Recorder, count: int | None) -> None:
    """Pass on what is sent to us, and write it with the answer, before the caller has that."""
    mtypes = [mtype for mtype in behind.client.subscriptions if not mtype.startswith("samp.")]

    def write(message: Message, response: Response | None) -> None:
        calls = {} if message.msg_id is None else {message.msg_id: behind.client.public_id}
        recorder.clients([behind.client])
        recorder.message(Seen(message, time.time(), calls=calls, answer=response))

    async def answer(message: Message) -> Response:
        response = await behind.call(message)
        with contextlib.suppress(OSError):  # which ends the recording below, and is nothing to the caller
            write(message, response)
        return response

    async for message in answered(client, mtypes, answer, limit=WAITING):
        if message.msg_id is None:
            await behind.notify(message)
            write(message, None)
        recorder.check()
        if count is not None and recorder.written >= count:
            return


class _Behind:
    """The client before which we stand. It is found again, by its name, when it or the hub has gone."""

    def __init__(self, us: Client, client: RemoteClient) -> None:
        self._us = us
        self.client = client

    async def call(self, message: Message) -> Response:
        try:
            return await self._us.call(await self._there(), message.mtype, message.params)
        except ReplyError as error:
            return error.response
        except SampError as error:
            return Response.failure(str(error))

    async def notify(self, message: Message) -> None:
        try:
            await self._us.notify(await self._there(), message.mtype, message.params)
        except SampError as error:
            note(f"{safe(message.mtype)} was not passed on: {safe(error)}")

    async def _there(self) -> RemoteClient:
        if not self.client.registered:
            self.client = await self._us.find(self.client.name)
        return self.client


class _Recorder:
    """Writes lines. The file's own buffer makes a write cheap, so that it is done in the loop.

    What is in the buffer goes into the file when the loop has done what is due: once for a burst.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._due = False
        self._failure: OSError | None = None
        self._begun = time.time()
        self._clients: dict[str, dict[str, Any]] = {}
        self.written = 0
        self._line({"asyncsamp": 1})

    def clients(self, others: Iterable[RemoteClient]) -> None:
        """Write those who are not written yet, or are different now."""
        for other in others:
            described = {"id": other.public_id, "name": other.name, "metadata": dict(other.metadata)}
            described |= {"subscriptions": dict(other.subscriptions)}
            if self._clients.get(other.public_id) != described:
                self._clients[other.public_id] = described
                self._line({"client": described})

    def message(self, seen: Seen, to: Sequence[str] = ()) -> None:
        """Write a message; `to` are the names of its recipients if it was not for all."""
        message = seen.message
        line: dict[str, Any] = {"t": self._since(seen.time), "sender": message.sender}
        line |= {"name": message.sender_name, "call": bool(seen.calls)}
        line |= {"mtype": message.mtype, "params": message.params}
        if to:
            line["to"] = list(to)
        if seen.calls:
            line["calls"] = seen.calls
        if seen.answer is not None:
            line["answer"] = seen.answer.to_map()
        self._line(line)
        self.written += 1

    def end(self, ended: Ended) -> None:
        """Write what a call was answered; nothing if it was not."""
        if ended.response is not None:
            told = {"t": self._since(ended.time), "answers": ended.call, "by": ended.by}
            self._line(told | {"answer": ended.response.to_map()})

    def flush(self) -> None:
        self._file.flush()

    def check(self) -> None:
        """Raise `OSError` if a line could not be written."""
        if self._failure is not None:
            raise self._failure

    def _since(self, moment: float) -> float:
        return round(max(0.0, moment - self._begun), 6)

    def _line(self, value: object) -> None:
        self.check()
        self._file.write(json.dumps(value) + "\n")
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._flush_burst)

    def _flush_burst(self) -> None:
        self._due = False
        try:
            if not self._file.closed:
                self._file.flush()
        except OSError as error:
            self._failure = error  # raised by the next line


async def replay(hub: str | None, path: Path, speed: float, as_name: str | None) -> int:
    """Send what was recorded, at `speed` times the original pace (0: at once), or play a client's part."""
    recording = await asyncio.to_thread(read_recording, path)
    if as_name is not None:
        return await _play_part(hub, recording, as_name)
    async with at_hub(hub, name="asyncsamp replay") as client:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        missing = 0
        first = recording.messages[0]["t"] if recording.messages else 0.0
        for message in recording.messages:
            if speed:
                await asyncio.sleep(begun + (message["t"] - first) / speed - loop.time())
            missing += await _send_again(client, message)
    say(f"sent {len(recording.messages) - missing} messages")
    if missing:
        note(f"{missing} were for clients that are not there, or do not take them")
    return OK


async def _send_again(client: Client, message: dict[str, Any]) -> bool:
    """Send a message to whom it was for; return whether nobody of them takes it."""
    mtype, params = message["mtype"], message["params"]
    if not message.get("to"):
        await client.notify_all(mtype, params)
        return False
    sent = False
    for name in message["to"]:
        with contextlib.suppress(HubFaultError):
            await client.notify(name, mtype, params)
            sent = True
    return not sent


async def _play_part(hub: str | None, recording: Recording, name: str) -> int:
    part = recording.of(name)
    async with at_hub(hub, name=str(part["name"]), reconnect=True) as client:
        await play(client, recording, name, told=lambda message: say(f"{safe(message.mtype)} answered"))
        note(f"playing {safe(part['name'])}; Ctrl-C ends it")
        await asyncio.Event().wait()
    return OK


async def play(
    client: Client, recording: Recording, name: str, told: Callable[[Message], object] | None = None
) -> None:
    """Let `client` declare what the recorded client `name` did, and answer as that did."""
    part = recording.of(name)
    answers = Answers(recording, name)

    async def answer(message: Message) -> Response:
        if told is not None:
            told(message)
        return answers(message)

    await client.declare_metadata(part.get("metadata", {}))
    mtypes = own_mtypes(part["subscriptions"])
    if mtypes:
        client.on(*mtypes)(answer)
    await client.settled()
