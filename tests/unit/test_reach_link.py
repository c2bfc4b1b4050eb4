"""Two ends of a link over a line that loses, repeats and swaps: all arrives, once and in order."""

from __future__ import annotations

import tracemalloc
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp.errors import RemoteProtocolError
from asyncsamp.hub.profiles.reach.link import Incoming, Outgoing, Verdict
from asyncsamp.hub.profiles.reach.wire import Frame, load_payload


def outgoing(stream: str = "0a", frames: int = 10, size: int = 100_000) -> Outgoing:
    return Outgoing(stream, frames=frames, size=size)


def frame(payload: bytes) -> Frame:
    loaded = load_payload(payload)
    assert isinstance(loaded, Frame)
    return loaded


def kind_of(number: int) -> str:
    return "sync" if number == 0 else "msg"


@given(st.lists(st.sampled_from(["put", "arrive", "lose", "swap", "twice", "ack", "cut"]), max_size=60))
def test_all_arrives_once_and_in_order(steps: list[str]) -> None:
    sending, receiving = outgoing(), Incoming(max_body=10_000)
    line: deque[bytes] = deque()
    accepted = 0
    arrived: list[bytes] = []

    def arrive() -> None:
        got = frame(line.popleft())
        if receiving.admit(got) is Verdict.NEXT:
            body = receiving.join(got)
            receiving.take(got.stream, got.number)
            if body is not None:
                arrived.append(body.body)

    def cut() -> None:
        line.clear()
        line.extend(sending.unacknowledged())

    for step in steps:
        if step == "put" and sending.has_room:
            # every third body needs three frames
            body = b"%d" % accepted + b"x" * (2100 if accepted % 3 == 2 else 0)
            line.extend(sending.put(kind_of(accepted), body, 2000))
            accepted += 1
        elif step == "ack":
            sending.take_ack(receiving.taken)
        elif step == "cut":
            cut()
        elif line:
            match step:
                case "arrive":
                    arrive()
                case "lose":
                    line.popleft()
                case "swap":
                    line.rotate(1)
                case "twice":
                    line.append(line[0])
    cut()
    while line:
        arrive()
    sending.take_ack(receiving.taken)
    assert [int(body.rstrip(b"x")) for body in arrived] == list(range(accepted))
    assert sending.waiting == 0


def test_there_is_room_for_so_many_frames_and_bytes() -> None:
    sending = outgoing(frames=2)
    assert sending.has_room
    sending.put("sync", b"", 2000)
    assert sending.has_room
    sending.put("msg", b"", 2000, messages=1)
    assert not sending.has_room
    assert sending.take_ack(1)
    assert sending.has_room
    assert (sending.waiting, sending.messages_waiting) == (1, 1)
    several = outgoing(frames=20)
    several.put("msgs", b"x" * 3000, 2000, messages=19)
    assert (several.has_room, several.waiting, several.messages_waiting) == (False, 4, 19)
    assert several.take_ack(3)
    assert several.has_room
    assert not several.has_room_beside(1)
    assert several.take_ack(4)
    assert several.messages_waiting == 0
    large = outgoing(size=1000)
    large.put("sync", b"x" * 1000, 2000)
    assert not large.has_room


def test_acknowledgements_only_of_what_was_sent() -> None:
    sending = outgoing()
    sending.put("sync", b"", 2000)
    assert sending.take_ack(1)
    assert not sending.take_ack(1)
    assert not sending.take_ack(0)
    with pytest.raises(RemoteProtocolError, match="not sent"):
        sending.take_ack(2)


def test_a_new_stream_replaces_the_old_one_and_that_does_not_come_back() -> None:
    old, new, receiving = outgoing("0a"), outgoing("0b"), Incoming(max_body=100)
    first = frame(old.put("sync", b"", 2000)[0])
    second = frame(old.put("msg", b"", 2000)[0])
    assert receiving.admit(second) is Verdict.UNKNOWN
    assert receiving.admit(first) is Verdict.NEXT
    receiving.take("0a", 1)
    assert receiving.admit(frame(new.put("sync", b"", 2000)[0])) is Verdict.NEXT
    receiving.take("0a", 2)  # what was still being worked on
    assert (receiving.stream, receiving.taken) == ("0b", 0)
    assert receiving.admit(first) is Verdict.UNKNOWN
    assert receiving.stream == "0b"


def test_what_replaces_a_stream_is_known_as_such() -> None:
    old, new, receiving = outgoing("0a"), outgoing("0b"), Incoming(max_body=100)
    first, other = frame(old.put("sync", b"", 2000)[0]), frame(new.put("sync", b"", 2000)[0])
    assert not receiving.is_replaced_by(first)
    receiving.admit(first)
    assert not receiving.is_replaced_by(first)
    assert not receiving.is_replaced_by(frame(new.put("msg", b"", 2000)[0]))
    assert receiving.is_replaced_by(other)
    again = Incoming(max_body=100, former=receiving.streams)
    assert again.admit(first) is Verdict.UNKNOWN
    assert again.admit(other) is Verdict.NEXT
    assert not again.is_replaced_by(first)
    assert again.streams == ["0a", "0b"]


def test_pieces_take_no_more_memory_than_the_body_may_have() -> None:
    """However many they are: a piece may be empty, or very short."""
    receiving = Incoming(max_body=100_000)
    tracemalloc.start()
    try:
        for number in range(1, 60_001):
            body = b"%03d" % (number % 1000) if number % 2 else b""
            assert receiving.join(Frame("0a", number, "sync", True, body)) is None
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
    with pytest.raises(RemoteProtocolError, match="different kinds"):
        receiving.join(Frame("0a", 60_001, "msg", True, b""))
    with pytest.raises(RemoteProtocolError, match="more than 100000 bytes"):
        receiving.join(Frame("0a", 60_001, "sync", True, b"x" * 20_000))


def test_pieces_of_an_old_stream_are_not_joined_with_those_of_a_new_one() -> None:
    """Frames that were admitted may be joined later, when the stream has been replaced already."""
    old, new, receiving = outgoing("0a"), outgoing("0b"), Incoming(max_body=10_000)
    olds = [*old.put("sync", b"old", 2000), *old.put("msg", b"x" * 2100, 2000)]
    news = [*new.put("sync", b"n" * 2100, 2000)]
    frames = [frame(payload) for payload in [*olds[:-1], *news]]
    assert [receiving.admit(each) for each in frames] == [Verdict.NEXT] * len(frames)
    bodies = [body for each in frames if (body := receiving.join(each)) is not None]
    assert [body.body for body in bodies] == [b"old", b"n" * 2100]


def test_of_streams_that_may_begin_again_the_newest_are_remembered() -> None:
    """A peer that begins again and again, and is given up each time, must not fill the memory."""
    known: dict[str, int] = {}
    for number in range(100):
        line, receiving = outgoing(f"{number:x}"), Incoming(max_body=100, known=known)
        assert receiving.admit(frame(line.put("sync", b"", 2000)[0])) is Verdict.NEXT
        receiving.take(line.stream, 1)
        known = receiving.known
    assert list(known) == [f"{number:x}" for number in range(84, 100)]
    again = Incoming(max_body=100, known=known)
    again.admit(frame(outgoing("54").put("sync", b"", 2000)[0]))  # the one that is to go next
    for number in range(15):
        again = Incoming(max_body=100, known=again.known)
        again.admit(frame(outgoing(f"a{number}").put("sync", b"", 2000)[0]))
    assert Incoming(max_body=100, known=again.known).was_taken("54", 1)
