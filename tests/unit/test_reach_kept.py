"""What is kept of a peer's messages: in order, bounded in number and bytes, and each body counted once."""

from __future__ import annotations

from asyncsamp.hub.profiles.reach.kept import Kept, Load
from asyncsamp.hub.profiles.reach.proxies import Proxy
from asyncsamp.values import ValueMap

ONE, OTHER = Proxy("c8", "r8"), Proxy("c9", "r9")


def message(text: str = "") -> ValueMap:
    return {"samp.mtype": "test.note", "samp.params": {"text": text}}


def put(kept: Kept, client: str, content: ValueMap, load: Load | None = None, *, proxy: Proxy = ONE) -> bool:
    """Put a message in if there is room for it."""
    kept.begin(client)
    if kept.has_room(client):
        kept.put(client, proxy, None, content, load or Load(len(str(content))))
        return True
    return False


def test_it_comes_out_in_order_for_each_client() -> None:
    kept = Kept(10, 1_000_000)
    for number in range(3):
        put(kept, "c1", message(f"a{number}"))
        put(kept, "c2", message(f"b{number}"))
    for number in range(3):
        first = kept.first("c1")
        assert first is not None
        assert (first.proxy, first.message) == (ONE, message(f"a{number}"))
        kept.drop_first("c1")
    assert kept.first("c1") is None
    assert "c1" in kept
    kept.end("c1")
    assert "c1" not in kept
    assert "c2" in kept


def test_so_many_messages_are_kept_for_one_client_and_so_many_bytes_for_all() -> None:
    kept = Kept(10, 100_000)
    assert [put(kept, "c1", message()) for _ in range(12)] == [True] * 10 + [False] * 2
    assert put(kept, "c2", message("x" * 30_000))
    assert put(kept, "c3", message("x" * 30_000))
    assert not put(kept, "c2", message())
    kept.drop_first("c3")
    assert put(kept, "c2", message())


def test_what_is_large_only_where_a_sample_does_not_look_counts_by_its_body() -> None:
    kept = Kept(10, 100_000)
    content: ValueMap = {"samp.params": {"list": [["", "x" * 1000][number % 2] for number in range(150)]}}
    for _ in range(3):
        put(kept, "c1", content, Load(75_000))
    assert not kept.has_room("c1")


def test_a_message_to_several_clients_counts_once() -> None:
    kept = Kept(10, 100_000)
    large, load = message("x" * 40_000), Load(40_000)
    for number in range(10):
        assert put(kept, f"c{number}", large, load)
    for number in range(9):
        kept.drop_first(f"c{number}")
    put(kept, "c1", message("x" * 10_000))
    assert not put(kept, "c1", message())
    kept.drop_first("c9")
    assert put(kept, "c1", message("x" * 30_000))


def test_many_recipients_count_also_if_the_message_is_small() -> None:
    kept = Kept(1000, 100_000)
    load, content = Load(10), message()
    assert not all(put(kept, f"c{number}", content, load) for number in range(1000))


def test_it_knows_of_whom_something_is_kept() -> None:
    kept = Kept(10, 100_000)
    put(kept, "c1", message())
    put(kept, "c1", message(), proxy=OTHER)
    put(kept, "c2", message(), proxy=OTHER)
    assert kept.has_of("r8")
    kept.drop_first("c1")
    assert not kept.has_of("r8")
    kept.drop_first("c1")
    assert kept.has_of("r9")
    kept.clear()
    assert not kept.has_of("r9")
    assert "c2" not in kept
    assert put(kept, "c2", message("x" * 30_000))
