"""MTypes, subscriptions and their wildcards (MTYPE-1..9, TOL-20, TOL-22)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsamp.errors import LocalProtocolError
from asyncsamp.mtypes import (
    HUB_EVENTS,
    annotation_key,
    check_mtype,
    check_subscription,
    is_mtype,
    is_subscription,
    keys_for,
    lookup,
    matches,
    spelled_out,
)

from ..effort import examples

quick = settings(max_examples=examples(100), deadline=None)

# Few letters, so that what is drawn often matches.
atoms = st.text("ab-", min_size=1, max_size=2)
mtypes = st.lists(atoms, min_size=1, max_size=4).map(".".join)
subscriptions = st.one_of(st.just("*"), mtypes, mtypes.map(lambda mtype: mtype + ".*"))

GOOD = ["a", "table.load.votable", "x-samp.a_B.9", "1", "-", "spectrum.load.ssa-generic"]
BAD = ["", ".", "a.", ".a", "a..b", "a b", "a.*.b", "a*", "*a", "**", "*.a", "a.b*", "a.b.*."]
BAD += ["é", "a\n", "a/b", "a:b"]
WILD = ["*", "a.*", "table.load.*"]


@pytest.mark.parametrize("text", GOOD)
def test_an_mtype_is_accepted(text: str) -> None:
    assert is_mtype(text)
    assert is_subscription(text)
    assert check_mtype(text) == text
    assert check_subscription(text) == text


@pytest.mark.parametrize("text", WILD)
def test_a_wildcard_is_a_subscription_and_no_mtype(text: str) -> None:
    assert not is_mtype(text)
    assert is_subscription(text)
    assert check_subscription(text) == text
    with pytest.raises(LocalProtocolError) as caught:
        check_mtype(text)
    assert str(caught.value) == (
        f"{text!r} is not a valid mtype: expected names of letters, digits, '-' and '_' joined by dots"
        "; wildcards are for subscriptions only"
    )


@pytest.mark.parametrize("text", BAD)
def test_neither_mtype_nor_subscription(text: str) -> None:
    assert not is_mtype(text)
    assert not is_subscription(text)
    with pytest.raises(LocalProtocolError, match="is not a valid mtype: expected names of letters"):
        check_mtype(text)
    with pytest.raises(LocalProtocolError) as caught:
        check_subscription(text)
    assert str(caught.value) == (
        f"{text!r} is not a valid subscription: expected an mtype, or an mtype and '.*' at its end, or '*'"
    )


@pytest.mark.parametrize("thing", [None, 5, b"a.b", ["a"]])
def test_what_is_no_text_is_no_mtype(thing: Any) -> None:
    with pytest.raises(LocalProtocolError, match="is not a valid mtype"):
        check_mtype(thing)
    with pytest.raises(LocalProtocolError, match="is not a valid subscription"):
        check_subscription(thing)


@quick
@given(st.text("ab.*-_ é\n", max_size=8))
def test_the_grammar_is_that_of_the_standard(text: str) -> None:
    mtype = re.fullmatch(r"([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+", text)
    wild = re.fullmatch(r"\*|([A-Za-z0-9_-]+\.)+\*", text)
    assert is_mtype(text) == bool(mtype)
    assert is_subscription(text) == bool(mtype or wild)


@pytest.mark.parametrize(
    ("subscription", "mtype", "expected"),
    [
        ("file.event.*", "file.event.load", True),
        ("file.event.*", "file.event.a.b", True),
        ("file.event.*", "file.event", False),
        ("file.event.*", "file.eventual", False),
        ("table.load.*", "table.loadx", False),
        ("table.load.*", "table.loadx.a", False),
        ("*", "anything", True),
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.b", "A.b", False),
        ("A.*", "a.b", False),
    ],
)
def test_matching(subscription: str, mtype: str, expected: bool) -> None:
    assert matches(subscription, mtype) is expected


@quick
@given(subscriptions, mtypes)
def test_matching_agrees_with_a_regular_expression(subscription: str, mtype: str) -> None:
    pattern = re.escape(subscription).replace(r"\*", ".+")
    expected = re.fullmatch(pattern, mtype) is not None
    assert matches(subscription, mtype) == expected
    assert (subscription in keys_for(mtype)) == expected


def test_keys_from_the_most_specific_to_the_least() -> None:
    assert list(keys_for("a.b.c")) == ["a.b.c", "a.b.*", "a.*", "*"]
    assert list(keys_for("a")) == ["a", "*"]


@quick
@given(st.lists(subscriptions, max_size=6), mtypes)
def test_the_annotation_is_that_of_the_most_specific_key(keys: list[str], mtype: str) -> None:
    declared = {key: {"of": key} for key in keys}
    matching = [key for key in declared if matches(key, mtype)]
    found = annotation_key(declared, mtype)
    assert (found is None) == (not matching)
    assert lookup(declared, mtype) == (None if found is None else {"of": found})
    if matching:
        assert found in matching
        # An exact key, else the wildcard with most atoms, else "*": all of them prefixes of the mtype.
        assert len(str(found)) == max(len(key) for key in matching) or found == mtype


def test_lookup_tells_an_empty_annotation_from_no_subscription() -> None:
    assert lookup({"a.*": {}}, "a.b") == {}
    assert lookup({"a.*": {}}, "b.b") is None
    assert annotation_key({"*": {}, "a.*": {}, "a.b": {}}, "a.b") == "a.b"
    assert annotation_key({"*": {}, "a.*": {}}, "a.b") == "a.*"
    assert annotation_key({"*": {}}, "a.b") == "*"


def test_a_wildcard_is_spelled_out_for_ds9() -> None:
    assert spelled_out("table.load.votable") == ("table.load.votable",)
    loads = spelled_out("table.load.*")
    assert loads[0] == "table.load.*"
    assert {"table.load.votable", "table.load.fits"} <= set(loads[1:])
    assert all(mtype.startswith("table.load.") for mtype in loads[1:])
    assert set(spelled_out("samp.hub.event.*")[1:]) == set(HUB_EVENTS)
    assert set(HUB_EVENTS) < set(spelled_out("*"))
    assert spelled_out("nothing.known.*") == ("nothing.known.*",)


@quick
@given(subscriptions)
def test_what_is_spelled_out_is_matched_and_can_be_sent(subscription: str) -> None:
    for key in (subscription, "samp.*", "*", "x.*"):
        first, *names = spelled_out(key)
        assert first == key
        assert all(is_mtype(name) and matches(key, name) for name in names)
