"""Looking for no garbage where much is made at once."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from asyncsamp._util.garbage import uncollected

MANY = "[" + ",".join(["[]"] * 200_000) + "]"


@contextmanager
def counted() -> Iterator[list[int]]:
    """Count how often garbage is looked for."""
    generations: list[int] = []

    def note(phase: str, about: dict[str, int]) -> None:
        generations.append(about["generation"])

    gc.callbacks.append(note)
    try:
        yield generations
    finally:
        gc.callbacks.remove(note)


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("text", [MANY, MANY[:-1]], ids=["whole", "cut"])
def test_many_lists_are_made_without_looking_and_the_collector_is_as_before(wanted: bool, text: str) -> None:
    before = gc.isenabled()
    (gc.enable if wanted else gc.disable)()
    try:
        with counted() as generations:
            try:
                with uncollected():
                    json.loads(text)
            except ValueError:
                assert text != MANY
        assert gc.isenabled() is wanted
    finally:
        (gc.enable if before else gc.disable)()
    assert len(generations) < 20


def test_two_at_once_do_not_leave_the_collector_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ends when the second has just seen that the collector is off."""
    is_enabled, disable, seen = gc.isenabled, gc.disable, threading.Event()

    def ask() -> bool:
        enabled = is_enabled()
        if threading.current_thread() is second:
            seen.set()
            first.join(0.5)
        return enabled

    def turn_off() -> None:
        disable()
        if threading.current_thread() is first:
            second.start()
            seen.wait(0.2)  # in vain: it has to wait

    def work() -> None:
        with uncollected():
            pass

    first, second = threading.Thread(target=work), threading.Thread(target=work)
    assert is_enabled()
    monkeypatch.setattr(gc, "isenabled", ask)
    monkeypatch.setattr(gc, "disable", turn_off)
    first.start()
    first.join()
    second.join()
    assert is_enabled()
