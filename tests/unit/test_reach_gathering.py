"""Messages that go to a peer together: in their order, no later than they must, and no more than fit."""

from __future__ import annotations

import asyncio

from asyncsamp.hub.profiles.reach.gathering import Gathering
from asyncsamp.hub.profiles.reach.wire import Messages, Several, dump_message, load_item
from asyncsamp.values import ValueMap


class Line:
    """What is sent, frame by frame."""

    def __init__(self) -> None:
        self.frames: list[list[Messages]] = []
        self.gathering = Gathering(self._take)
        self.sent = asyncio.Event()

    def _take(self, kind: str, body: bytes, count: int) -> None:
        item = load_item(kind, body)
        assert isinstance(item, Messages | Several)
        self.frames.append([item] if isinstance(item, Messages) else item.messages)
        assert len(self.frames[-1]) == count
        self.sent.set()

    def add(self, text: str, msg_id: str | None = None, *, size: int = 0) -> None:
        self.say(message(text, size), "c9", msg_id)

    def say(self, content: ValueMap, remote: str, msg_id: str | None = None) -> None:
        self.gathering.add("c1", content, dump_message(content), remote, msg_id)

    def texts(self) -> list[list[str]]:
        return [[text_of(each) for each in frame] for frame in self.frames]

    async def turn(self) -> None:
        """Let what goes in this turn of the loop go."""
        await asyncio.sleep(0)

    async def until_sent(self) -> None:
        self.sent.clear()
        async with asyncio.timeout(10):
            await self.sent.wait()


def message(text: str, size: int = 0) -> ValueMap:
    return {"samp.mtype": "a.b", "samp.params": {"text": text, "more": "x" * size}}


def text_of(sent: Messages) -> str:
    assert isinstance(sent.message, dict)
    params = sent.message["samp.params"]
    assert isinstance(params, dict)
    return str(params["text"])


async def test_what_comes_alone_goes_at_once_and_the_next_ones_together() -> None:
    line = Line()
    line.add("1")
    assert line.texts() == []
    await line.turn()
    assert line.texts() == [["1"]]
    line.add("2")
    await line.turn()
    line.add("3")
    await line.turn()
    assert (line.texts(), len(line.gathering)) == ([["1"]], 2)
    await line.until_sent()
    assert (line.texts(), len(line.gathering)) == ([["1"], ["2", "3"]], 0)


async def test_a_call_goes_at_once_and_takes_along_what_waits() -> None:
    line = Line()
    line.add("1")
    await line.turn()
    line.add("2")
    line.add("3", "m3")
    await line.turn()
    assert line.texts() == [["1"], ["2", "3"]]
    assert [each.recipients for each in line.frames[1]] == [[("c9", None)], [("c9", "m3")]]


async def test_the_same_message_to_several_goes_once() -> None:
    line, one = Line(), message("1")
    for remote, msg_id in (("c7", "m7"), ("c8", None), ("c9", "m9")):
        line.say(one, remote, msg_id)
    line.say(one, "c7", "m10")  # to the same one again: it gets it again
    await line.turn()
    [frame] = line.frames
    assert [each.recipients for each in frame] == [
        [("c7", "m7"), ("c8", None), ("c9", "m9")],
        [("c7", "m10")],
    ]


async def test_no_more_go_together_than_fit() -> None:
    line = Line()
    for number in range(250):
        line.add(str(number))
    line.add("long", size=60_000)
    line.add("longer", size=100_000)
    line.add("short")
    await line.turn()
    assert [len(frame) for frame in line.frames[:4]] == [100, 100, 51, 1]
    assert line.texts()[2][-2:] == ["249", "long"]
    line.gathering.flush()
    assert line.texts()[3:] == [["longer"], ["short"]]
    assert [text for texts in line.texts()[:3] for text in texts] == [*map(str, range(250)), "long"]


async def test_what_is_dropped_does_not_go() -> None:
    line = Line()
    line.add("1")
    line.gathering.drop()
    line.gathering.flush()
    await line.turn()
    assert (line.frames, len(line.gathering)) == ([], 0)
