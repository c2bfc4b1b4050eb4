"""asyncsamp.hub.mtype_limits: what web clients may send, and what they see of others (WEB-60..62)."""

from __future__ import annotations

import pytest

from asyncsamp import LocalProtocolError
from asyncsamp.hub.mtype_limits import WEB_MTYPES, MTypeLimits
from asyncsamp.values import Value, ValueMap

LIMITS = MTypeLimits()


@pytest.mark.parametrize(
    "mtype", ["table.load.votable", "table.x", "samp.app.ping", "samp.msg.progress", "coord.pointAt.sky"]
)
def test_what_is_on_the_list_may_be_sent(mtype: str) -> None:
    assert LIMITS.may_send(mtype, {})


@pytest.mark.parametrize(
    "mtype",
    [
        "script.aladin.send",
        "ds9.set",
        "client.env.get",
        "table",
        "tablex.load",
        "samp.msg",
        "samp.msg.progress.x",
    ],
)
def test_what_is_not_on_the_list_may_not(mtype: str) -> None:
    assert not LIMITS.may_send(mtype, {})


@pytest.mark.parametrize("key", ["x-samp.mostly-harmless", "samp.mostly-harmless"])
def test_the_recipient_knows_better(key: str) -> None:
    assert LIMITS.may_send("ds9.set", {key: "1"})
    assert not LIMITS.may_send("table.load.votable", {key: "0"})
    nonsensical: list[Value] = ["", "yes", "2", ["1"]]
    for nonsense in nonsensical:
        assert LIMITS.may_send("table.load.votable", {key: nonsense})
        assert not LIMITS.may_send("ds9.set", {key: nonsense})


def test_hidden_subscriptions_are_hidden() -> None:
    assert LIMITS.visible({"table.load.votable": {"a": "1"}, "ds9.set": {}, "script.*": {}}) == {
        "table.load.votable": {"a": "1"}
    }


def test_annotations_decide_what_is_visible() -> None:
    harmless: ValueMap = {"x-samp.mostly-harmless": "1"}
    harmful: ValueMap = {"x-samp.mostly-harmless": "0"}
    declared: ValueMap = {
        "ds9.set": harmless,
        "table.load.votable": harmful,
        "*": harmful,
        "script.*": harmless,
    }
    assert LIMITS.visible(declared) == {"ds9.set": harmless, "script.*": harmless}


def test_who_takes_everything_is_shown_with_what_may_be_sent() -> None:
    assert LIMITS.visible({"*": {"n": "1"}}) == {mtype: {"n": "1"} for mtype in WEB_MTYPES}
    assert LIMITS.visible({"samp.*": {}}) == {"samp.app.*": {}, "samp.msg.progress": {}}
    assert LIMITS.visible({"samp.msg.*": {}}) == {"samp.msg.progress": {}}
    assert LIMITS.visible({"samp.msg.progress.*": {}}) == {}
    assert LIMITS.visible({"table.*": {}, "table.load.*": {}}) == {"table.*": {}, "table.load.*": {}}


def test_the_more_specific_subscription_wins() -> None:
    general: ValueMap = {"n": "general"}
    special: ValueMap = {"n": "special"}
    seen = LIMITS.visible({"*": general, "samp.*": special, "coord.*": special})
    assert seen["samp.app.*"] == seen["coord.*"] == special
    assert seen["table.*"] == general
    harmful: ValueMap = {"x-samp.mostly-harmless": "0"}
    assert "coord.*" not in LIMITS.visible({"*": general, "coord.*": harmful})


def test_an_annotation_that_is_no_map_says_nothing() -> None:
    assert LIMITS.visible({"table.*": "odd", "ds9.set": "odd"}) == {"table.*": "odd"}


def test_a_list_of_everything() -> None:
    limits = MTypeLimits(["*"])
    assert limits.may_send("ds9.set", {})
    assert limits.visible({"*": {}, "ds9.set": {}}) == {"*": {}, "ds9.set": {}}


def test_a_list_of_nonsense_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="is not a valid subscription"):
        MTypeLimits(["table.*.load"])
