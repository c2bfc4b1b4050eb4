"""Recording messages into a file, and playing them back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from ..client.tracker import RemoteClient
from ..data.client import Client
from ..errors import HubFaultError, SampError
from ..recording import Answers, Recording, own_mtypes, read_recording
from ..values import Message, ReplyError, Response
from .output import note, safe, say
from .running import OK, at_hub
from .traffic import WAITING, Ended, Seen, answered, traffic_at

__all__ = ["play", "record", "replay"]

_SEEN = Response.warning({}, "recorded by asyncsamp, which does nothing with it")
_OWN = ("samp.hub.", "samp.app.ping")


async def record(hub: str | None, path: Path, of: str | None, count: int | None) -> int:
    """Write what passes through the hub into `path` until interrupted, with the answers.

    A hub of another make shows nobody more than what is sent to all, or to us. With `of` we stand before
    that client, in any hub, under the name "NAME (recorded)": what is sent to us goes on to it, and what it
    answers goes back and into the file.
    """
    with await asyncio.to_thread(path.open, "w", encoding="utf-8") as file:
        recorder = _Recorder(file)
        try:
            await (
                _record_all(hub, recorder, path, count)
                if of is None
                else _record_of(hub, recorder, path, of, count)
            )
        finally:
            await asyncio.shield(asyncio.to_thread(recorder.flush))
            note(f"{recorder.written} messages are in {safe(path)}")
    return OK


async def _record_all(hub: str | None, recorder: _Recorder, path: Path, count: int | None) -> None:
    async def answer(message: Message) -> Response:
        return _SEEN

    open_calls: set[str] = set()
    async with traffic_at((hub, "asyncsamp record", ()), ["*"], answer) as traffic:
        recorder.clients(traffic.client.clients.values())
        note(f"recording into {safe(path)}; Ctrl-C ends it")
        try:
            async for item in traffic:
                if isinstance(item, Ended):
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


async def _record_of(hub: str | None, recorder: _Recorder, path: Path, of: str, count: int | None) -> None:
    async with at_hub(hub, name=f"{of} (recorded)", reconnect=True) as client:
        behind = await client.find(of)
        recorder.clients(await client.get_clients())
        note(f"recording into {safe(path)}; Ctrl-C ends it")
        mtypes = [mtype for mtype in behind.subscriptions if not mtype.startswith("samp.")]
        answers: dict[str, Response] = {}

        async def answer(message: Message) -> Response:
            answers[message.msg_id or ""] = response = await _pass_on(client, behind, message)
            return response

        async for message in answered(client, mtypes, answer, limit=WAITING):
            if message.msg_id is None:
                await client.notify(behind, message.mtype, message.params)
            known = answers.pop(message.msg_id or "", None)
            calls = {} if message.msg_id is None else {message.msg_id: behind.public_id}
            recorder.message(Seen(message, time.time(), calls=calls, answer=known))
            if count is not None and recorder.written >= count:
                return


async def _pass_on(client: Client, behind: RemoteClient, message: Message) -> Response:
    try:
        return await client.call(behind, message.mtype, message.params)
    except ReplyError as error:
        return error.response
    except SampError as error:
        return Response.failure(str(error))


class _Recorder:
    """Writes lines. The file's own buffer makes a write cheap, so that it is done in the loop."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
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

    def _since(self, moment: float) -> float:
        return round(max(0.0, moment - self._begun), 6)

    def _line(self, value: object) -> None:
        self._file.write(json.dumps(value) + "\n")


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
