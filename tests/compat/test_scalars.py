"""asyncsamp.compat.scalars and utils: numbers that survive, and what replies with what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncsamp.compat.scalars import outgoing, restored
from asyncsamp.compat.utils import SAMPMsgReplierWrapper
from asyncsamp.values import ValueMap

KEY = "org.asyncsamp.params"


def test_numbers_come_back_as_they_were() -> None:
    message = {"samp.mtype": "a.b", "samp.params": {"x": 1, "y": [2.5]}}
    assert restored(outgoing(message)) == message


def test_strings_need_no_copy() -> None:
    assert KEY not in outgoing({"samp.mtype": "a.b", "samp.params": {"x": "1"}})


def test_what_json_does_not_know_arrives_as_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(value: object) -> str:
        raise TypeError(value)

    monkeypatch.setattr(json, "dumps", refuse)
    assert outgoing({"samp.mtype": "a.b", "samp.params": {"x": 1}})["samp.params"] == {"x": "1"}


@pytest.mark.parametrize("typed", ["{", '{"x": 2}', '{"x": null}'])
def test_a_copy_that_says_something_else_is_not_believed(typed: str) -> None:
    message: ValueMap = {"samp.mtype": "a.b", "samp.params": {"x": "1"}, KEY: typed}
    assert restored(message) == {"samp.mtype": "a.b", "samp.params": {"x": "1"}}


class Hub:
    def __init__(self) -> None:
        self.replies: list[tuple[Any, ...]] = []

    def reply(self, *args: Any) -> None:
        self.replies.append(args)


class Client:
    def __init__(self) -> None:
        self.hub = Hub()

    def get_private_key(self) -> str:
        return "key"


def test_only_calls_with_a_result_are_answered() -> None:
    client = Client()
    seen: list[tuple[Any, ...]] = []
    wrapped = SAMPMsgReplierWrapper(client)(lambda *args: seen.append(args))
    wrapped("key", "c1", "a.b", {}, {})
    wrapped("key", "c1", None, "a.b", {}, {})
    wrapped("key", "c1", "m1", "a.b", {}, {})
    assert len(seen) == 3
    assert client.hub.replies == []
