"""asyncsamp.client.router: which handler and which streams a message is for (MTYPE-1..9, TOL-22)."""

from __future__ import annotations

import pytest

from asyncsamp.client.router import Router
from asyncsamp.errors import LocalProtocolError


@pytest.fixture
def router() -> Router[str, str]:
    return Router()


def test_an_empty_router_is_false_and_takes_nothing(router: Router[str, str]) -> None:
    assert not router
    assert router.handler("a.b") is None
    assert router.streams("a.b") == []
    assert router.all_streams() == []
    assert router.subscriptions() == {}


@pytest.mark.parametrize(
    ("mtype", "wanted"),
    [
        ("table.load.votable", "exact"),
        ("table.load.fits", "load"),
        ("table.load.a.b", "load"),
        ("table.load", "table"),
        ("table.loadx", "table"),
        ("table", "all"),
        ("Table.load.votable", "all"),
    ],
)
def test_the_most_specific_handler_has_the_message(router: Router[str, str], mtype: str, wanted: str) -> None:
    """MTYPE-3, MTYPE-5, MTYPE-9: JSAMP takes `table.load` and `table.loadx` for `table.load.*`."""
    for pattern, name in [
        ("*", "all"),
        ("table.load.votable", "exact"),
        ("table.*", "table"),
        ("table.load.*", "load"),
    ]:
        router.set_handler(pattern, name, {})
    assert router.handler(mtype) == wanted


def test_a_second_handler_replaces_the_first(router: Router[str, str]) -> None:
    router.set_handler("a.b", "one", {"x": "1"})
    router.set_handler("a.b", "two", {})
    assert router.handler("a.b") == "two"
    assert router.subscriptions() == {"a.b": {}}


@pytest.mark.parametrize("pattern", ["", "a.*.b", "a*", ".a", "a b", "a..b", "*.a", "ä"])
def test_what_is_no_subscription_is_refused(router: Router[str, str], pattern: str) -> None:
    with pytest.raises(LocalProtocolError, match="is not a valid subscription"):
        router.set_handler(pattern, "x", {})
    with pytest.raises(LocalProtocolError, match="is not a valid subscription"):
        router.add_stream("s", ["a.b", pattern])
    assert not router


def test_handlers_are_removed_all_or_none(router: Router[str, str]) -> None:
    router.set_handler("a.b", "one", {})
    router.set_handler("c.d", "two", {})
    with pytest.raises(KeyError, match=r"there is no handler of 'x\.y'"):
        router.remove_handlers(["a.b", "x.y"])
    assert router.handler("a.b") == "one"
    router.remove_handlers(["a.b", "a.b"])
    assert router.handler("a.b") is None
    assert router.subscriptions() == {"c.d": {}}
    router.remove_handlers(["c.d"])
    assert not router


def test_every_stream_that_matches_has_the_message_once(router: Router[str, str]) -> None:
    router.add_stream("one", ["a.*", "a.b"])
    router.add_stream("two", ["*"])
    router.add_stream("three", ["c.d"])
    assert router
    assert router.streams("a.b") == ["one", "two"]
    assert router.all_streams() == ["one", "two", "three"]
    router.remove_stream("one")
    router.remove_stream("one")
    assert router.streams("a.b") == ["two"]


def test_wildcards_are_declared_with_the_names_that_they_take(router: Router[str, str]) -> None:
    """TOL-22: DS9's hub and menus know no wildcards."""
    router.add_stream("one", ["spectrum.*"])
    router.set_handler("bibcode.*", "x", {})
    declared = router.subscriptions(own=["samp.app.ping"])
    assert declared == {
        "samp.app.ping": {},
        "spectrum.*": {},
        "spectrum.load.ssa-generic": {},
        "bibcode.*": {},
        "bibcode.load": {},
    }


def test_the_most_specific_annotation_is_declared(router: Router[str, str]) -> None:
    """MTYPE-9, for the spelled-out names too, in whatever order they were given."""
    router.add_stream("one", ["table.load.fits"])
    router.set_handler("table.load.votable", "x", {"from": "exact"})
    router.set_handler("table.load.*", "x", {"from": "load"})
    router.set_handler("*", "x", {"from": "all"})
    router.set_handler("samp.app.ping", "x", {"from": "ping"})
    declared = router.subscriptions(own=["samp.app.ping"])
    assert declared["table.load.votable"] == {"from": "exact"}
    assert declared["table.load.fits"] == declared["table.load.*"] == {"from": "load"}
    assert declared["coord.pointAt.sky"] == declared["*"] == {"from": "all"}
    assert declared["samp.app.ping"] == {"from": "ping"}
