"""Large values that cross are searched for names and URLs in threads, and replaced all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import Message
from asyncsamp.hub.profiles.reach import context, urls
from asyncsamp.rpc import is_large
from asyncsamp.values import Value, ValueMap

from ..nats_server import PATIENCE
from .rooms import open_room, until

WORDS: list[Value] = [f"{number:x}/" for number in range(10_000)]
TEXT = "x" * 300_000


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What has been done with large values, and whether in the thread of the loop."""
    done: list[tuple[str, bool]] = []
    loop = threading.current_thread()

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(value: Value, *arguments: object) -> object:
            if is_large(value):
                done.append((name, threading.current_thread() is loop))
            return function(value, *arguments)

        return run

    for name in ("find_marked", "find_names", "replace_texts"):
        function = watched(name, getattr(urls, name))
        for module in (urls, context):
            monkeypatch.setattr(module, name, function, raising=False)
    return done


@pytest.mark.timeout(150)
@pytest.mark.alone
async def test_large_values_are_searched_in_threads(searched: list[tuple[str, bool]], tmp_path: Path) -> None:
    async with open_room(tmp_path) as room:
        here, there = await room.join("here"), await room.join("there")
        tool, sender = await there.client("tool"), await here.client("sender")
        heard: list[ValueMap] = []

        @tool.on("test.large")
        async def answer(message: Message) -> ValueMap:
            heard.append(message.params)
            return {"words": WORDS, "url": "file:///answer"}

        await tool.settled()
        seen = await sender.find("tool @there", timeout=PATIENCE)
        await until(lambda: seen.subscribes("test.large"))
        assert not searched
        got = await sender.call(seen, "test.large", {"words": WORDS, "url": "file:///x"}, timeout=PATIENCE)
        assert heard[0]["words"] == got.result["words"] == WORDS
        assert all(str(values["url"]).startswith("http://127.0.0.1:") for values in (*heard, got.result))
        names = ("find_marked", "replace_texts", "find_names", "find_marked", "replace_texts")
        assert sorted(searched) == sorted((name, False) for name in 2 * names)
        searched.clear()
        await tool.declare_metadata({"large.text": TEXT, "large.url": "file:///y"})
        await until(lambda: "large.url" in seen.metadata)
        assert str(seen.metadata["large.url"]).startswith("http://127.0.0.1:")
        assert ("find_names", False) in searched
        assert ("find_names", True) not in searched
