"""Recording messages into a file, and playing them back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from ..client.tracker import RemoteClient
from ..data.client import Client
from ..errors import SampError
from ..recording import Answers, Recording, own_mtypes, read_recording
from ..values import Message, ReplyError, Response
from .clients import named
from .messages import answered
from .output import note, safe, say
from .running import OK, at_hub

__all__ = ["play", "record", "replay"]

WAITING = 1_000_000
"""Messages that may wait to be written: more than a minute at 10,000 a second."""

_SEEN = Response.warning({}, "recorded by asyncsamp, which does nothing with it")
_OWN = ("samp.hub.", "samp.app.ping")


async def record(hub: str | None, path: Path, of: str | None, count: int | None) -> int:
    """Write what is sent to all, or to us, into `path` until interrupted.

    With `of` we stand before that client, under the name "NAME (recorded)": what is sent to us goes on to
    it, and what it answers goes back and into the file.
    """
    with await asyncio.to_thread(path.open, "w", encoding="utf-8") as file:
        recorder = _Recorder(file)
        name = "asyncsamp record" if of is None else f"{of} (recorded)"
        async with at_hub(hub, name=name, reconnect=True) as client:
            behind = None if of is None else await named(client, of)
            recorder.clients(await client.get_clients())
            mtypes = (
                ["*"] if behind is None else [m for m in behind.subscriptions if not m.startswith("samp.")]
            )
            note(f"recording into {safe(path)}; Ctrl-C ends it")
            try:
                await _record(client, behind, mtypes, recorder, count)
            finally:
                await asyncio.shield(asyncio.to_thread(recorder.flush))
                note(f"{recorder.written} messages are in {safe(path)}")
    return OK


async def _record(
    client: Client, behind: RemoteClient | None, mtypes: Sequence[str], recorder: _Recorder, count: int | None
) -> None:
    answers: dict[str, Response] = {}

    async def answer(message: Message) -> Response:
        if behind is None:
            return _SEEN
        answers[message.msg_id or ""] = response = await _pass_on(client, behind, message)
        return response

    async for message in answered(client, mtypes, answer, limit=WAITING):
        if behind is None and message.mtype.startswith(_OWN):
            continue
        if behind is not None and message.msg_id is None:
            await client.notify(behind, message.mtype, message.params)
        known = answers.pop(message.msg_id or "", None)
        recorder.message(message, message.sender_name, known)
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
        self._begun = time.monotonic()
        self.written = 0
        self._line({"asyncsamp": 1})

    def clients(self, others: list[RemoteClient]) -> None:
        for other in others:
            described = {"id": other.public_id, "name": other.name, "metadata": dict(other.metadata)}
            self._line({"client": {**described, "subscriptions": dict(other.subscriptions)}})

    def message(self, message: Message, name: str, answer: Response | None) -> None:
        line: dict[str, Any] = {"t": round(time.monotonic() - self._begun, 6), "sender": message.sender}
        line |= {"name": name, "call": message.msg_id is not None}
        line |= {"mtype": message.mtype, "params": message.params}
        if answer is not None:
            line["answer"] = answer.to_map()
        self._line(line)
        self.written += 1

    def flush(self) -> None:
        self._file.flush()

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
        first = recording.messages[0]["t"] if recording.messages else 0.0
        for message in recording.messages:
            if speed:
                await asyncio.sleep(begun + (message["t"] - first) / speed - loop.time())
            await client.notify_all(message["mtype"], message["params"])
    say(f"sent {len(recording.messages)} messages")
    return OK


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
    answers = Answers(recording)

    async def answer(message: Message) -> Response:
        if told is not None:
            told(message)
        return answers(message)

    await client.declare_metadata(part.get("metadata", {}))
    mtypes = own_mtypes(part["subscriptions"])
    if mtypes:
        client.on(*mtypes)(answer)
    await client.settled()
