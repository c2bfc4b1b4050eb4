"""Recordings of messages: a file of JSON lines.

The first line is `{"asyncsamp": 1}`. The others are `{"client": ...}`, a client as it was there, and
`{"t": SECONDS, "sender": ID, "mtype": ..., "params": ..., "to": [NAME, ...], "calls": {MSG-ID: ID, ...}}`, a
message: `to` is left out if it was for all, and `calls` says who was called by which msg-id.
`{"answers": MSG-ID, "by": ID, "answer": ...}` is the response map to a call, which `replay --as` gives again.
With `--of` it stands in the line of the message, as `answer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._util.foreign_text import listed, quoted
from .errors import DataError
from .values import Message, Response, ValueMap

__all__ = ["Answers", "Recording", "own_mtypes", "read_recording"]


@dataclass(slots=True)
class Recording:
    """What a file of `asyncsamp record` holds.

    Attributes:
        clients: The clients, by id.
        messages: The messages, in order.
    """

    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)

    def of(self, name: str) -> dict[str, Any]:
        """Return the client of that name or id.

        Args:
            name: A name or id.

        Raises:
            DataError: There is none; it names those there are.
        """
        for public_id, client in self.clients.items():
            if name.casefold() in (public_id.casefold(), str(client.get("name", "")).casefold()):
                return client
        there = listed(quoted(str(client.get("name", ""))) for client in self.clients.values())
        raise DataError(f"the recording has no client {name!r}; it has: {there or 'none'}")


def read_recording(path: Path) -> Recording:
    """Return what a file holds. Blocking.

    Args:
        path: The file.

    Raises:
        DataError: It is not a recording; the line is named.
        OSError: It cannot be read.
    """
    try:
        return _read(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a recording: it is not a text in UTF-8 ({error.reason})") from None


def _read(path: Path) -> Recording:
    found = Recording()
    calls: dict[str, dict[str, Any]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                value = json.loads(line)
                if number == 1 and value["asyncsamp"] != 1:
                    raise ValueError("another version")
                if "client" in value:
                    found.clients[value["client"]["id"]] = value["client"]
                elif "mtype" in value:
                    found.messages.append(_checked(value))
                    calls.update(dict.fromkeys(value.get("calls", ()), found.messages[-1]))
                elif "answers" in value and value["answers"] in calls:
                    calls[value["answers"]].setdefault("answers", {})[value["by"]] = value["answer"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise DataError(f"{path}, line {number} is not a line of a recording ({error})") from None
    return found


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(value["mtype"], str) or not isinstance(value["params"], dict):
        raise ValueError("mtype and params are not a text and a map")
    return {**value, "t": float(value["t"])}


def own_mtypes(subscriptions: Iterable[str]) -> list[str]:
    """Return the mtypes that are a client's own, without what every client takes.

    Args:
        subscriptions: All that a client takes.
    """
    return [mtype for mtype in subscriptions if not mtype.startswith("samp.")]


class Answers:
    """Answers messages as a recorded client did.

    A call is answered as the recorded one of the same mtype and parameters (a table-id or URL may differ), in
    order; the last answer is given again. Without a recorded answer it is samp.error, saying so.

    Args:
        recording: What was recorded.
        name: The name or id of the client.
    """

    def __init__(self, recording: Recording, name: str) -> None:
        its_id = recording.of(name)["id"]
        self._answers = [
            {**message, "answer": answer}
            for message in recording.messages
            if (answer := message.get("answers", {}).get(its_id, message.get("answer")))
        ]
        self._given: dict[str, int] = {}

    def __call__(self, message: Message) -> Response:
        same = [each for each in self._answers if each["mtype"] == message.mtype]
        exact = [each for each in same if each["params"] == message.params]
        alike = [each for each in same if _like(each["params"]) == _like(message.params)]
        chosen = exact or alike or same
        if not chosen:
            return Response.failure(f"the recording has no answer to {message.mtype}")
        key = message.mtype if chosen is same else json.dumps([message.mtype, _like(message.params)])
        number = self._given.get(key, 0)
        self._given[key] = number + 1
        return Response.from_map(chosen[min(number, len(chosen) - 1)]["answer"])


def _like(params: ValueMap) -> ValueMap:
    """Return what of the parameters does not differ from one run to the next."""
    return {key: value for key, value in params.items() if key not in ("url", "table-id", "image-id")}
