"""asyncsamp.hub.named: what a page names first is closed, however it names it (WEB-35)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp.hub.named import (
    NamedUrls,
    absolute_paths,
    canonical,
    file_itself,
    find_names,
    names_of_path,
    names_of_url,
)
from asyncsamp.values import Value, ValueMap
from asyncsamp.xmlrpc import encode_value, read_message

SITE, OTHER = "https://example.org", "https://example.com"


def names(value: Value) -> set[str]:
    return {name for found in find_names(value).values() for name in found}


@pytest.mark.parametrize(
    "spelled",
    [
        "file:///etc/passwd",
        "file:/etc/passwd",
        "FILE://localhost//etc/./x/../passwd#1",
        " file://127.0.0.1/etc/%70asswd ",
        "/etc/passwd",
        "//localhost/etc/passwd",
        "file:etc/passwd",
    ],
)
def test_a_file_has_one_canonical_spelling(spelled: str) -> None:
    assert canonical(spelled) == "file:/etc/passwd"


def test_a_server_has_one_canonical_spelling() -> None:
    assert canonical("HTTP://Host:80/%61?x=%31#f") == canonical("http://host/a?x=1")
    assert canonical("http://host") == canonical("http://host/")
    assert len({canonical(url) for url in ("http://h/a", "https://h/a", "http://h:8/a", "http://h/b")}) == 4
    assert canonical("file://elsewhere/x") != canonical("file:///x")
    assert canonical("http://[/%41") == "http://[/A"
    assert canonical("http://h:x/") == "http://h:x/"


@given(st.text("ab/.~\\-_#;!?é\x1f\u2028", max_size=12))
def test_a_word_alone_means_what_it_means_among_others(word: str) -> None:
    assert names([word]) == names([word + " "])


@given(st.text(max_size=40))
def test_any_text_has_a_canonical_spelling(text: str) -> None:
    assert isinstance(canonical(text), str)
    assert isinstance(canonical("http://" + text), str)


@pytest.mark.parametrize(
    "said",
    [
        "file:///home/u/.ssh/key.pem",
        ["deep", {"url": "/home/u/.ssh/key.pem"}],
        {"file:///home/u/.ssh/key.pem": "1"},
        {"/home/u/.ssh/key.pem": {}},
        "load file:///home/u/.ssh/key.pem, then go",
        "open(/home/u/.ssh/key.pem)",
        "x=/home/u/.ssh/key.pem;",
        "file:///home/u/.ssh/key%2Epem",
        "file:///home/u/.ssh/key%252Epem",
        quote(quote(quote("file:///home/u/.ssh/key.pem", safe=""), safe=""), safe=""),
        "load%20file:///home/u/.ssh/key.pem",
        "http://127.0.0.1:21012/translator/T?file:///home/u/.ssh/key.pem",
        "../../.ssh/key.pem",
        "./.ssh/key.pem",
        ".ssh/../.ssh/key.pem",
        "~/.ssh/key.pem",
        "~u/.ssh/key.pem",
        "key.pem",
        "load key.pem please",
        {"key.pem": ""},
        "file://elsewhere/../home/u/.ssh/key.pem",
    ],
)
def test_a_file_is_closed_however_it_is_named(said: Value) -> None:
    named = NamedUrls()
    named.add(SITE, names(said))
    for url in ("file:///home/u/.ssh/key.pem", "file:/home/u/x/../.ssh/key%2Epem"):
        assert named.closes(OTHER, names_of_url(url)), said
    assert not named.closes(OTHER, names_of_url("file:///home/u/other.pem"))


@pytest.mark.parametrize(
    "said",
    [
        "http://h/a?x=1",
        {"HTTP://H:80/%61?x=1": ""},
        "see http://h/a?x=1 there",
        "http%3A%2F%2Fh%2F%2561%3Fx%3D1",
        "https://proxy.example.org/?u=http://h/a?x=1",
    ],
)
def test_a_server_is_closed_however_it_is_named(said: Value) -> None:
    assert "http://h:80/a?x=1" in names(said)


@pytest.mark.parametrize(
    "said",
    ["10.6847", "-1e5", "plain words", "a - b", "", "%", "...", "/", {"name": "stars.fits"}, "ivo://a/b"],
)
def test_what_names_no_file_closes_none(said: Value) -> None:
    named = NamedUrls()
    named.add(SITE, names(said))
    assert not named.closes(OTHER, names_of_url("file:///home/u/stars.fits"))


def test_an_absolute_path_closes_no_other_that_ends_like_it() -> None:
    named = NamedUrls()
    named.add(SITE, names("/etc/passwd"))
    assert not named.closes(OTHER, names_of_path("/home/u/etc/passwd"))
    assert absolute_paths(names(["/etc/passwd", "x/y", "http://h/"])) == ["/etc/passwd"]


def test_what_was_named_later_does_not_count() -> None:
    named = NamedUrls()
    granted = named.moment
    named.add(SITE, [file_itself(1, 2)])
    assert not named.closes(OTHER, [file_itself(1, 2)], granted)
    assert named.closes(OTHER, [file_itself(1, 2)], named.moment)


def test_a_site_that_names_too_much_is_full_and_disturbs_no_other() -> None:
    named = NamedUrls(by_site=2)
    assert not named.add(OTHER, ["file:/theirs"])
    assert not named.add(SITE, ["file:/1", "file:/2", "file:/1"])
    assert named.add(SITE, ["file:/3"])
    assert not named.add(SITE, ["file:/4"])  # which was told already
    assert named.closes(SITE, ["file:/anything"], 0)
    assert named.closes(OTHER, ["file:/4"])
    assert not named.closes(OTHER, ["file:/anything"])
    assert named.closes("https://third.example.net", ["file:/theirs"])


def test_the_site_that_named_most_makes_room_for_others() -> None:
    named = NamedUrls(limit=3)
    named.add(SITE, ["file:/1", "file:/2"])
    named.add(OTHER, ["file:/3"])
    assert not named.add(OTHER, ["file:/4"])
    assert named.closes(SITE, ["file:/anything"])
    assert named.closes(OTHER, ["file:/3"])
    assert not named.closes(OTHER, ["file:/anything"])


@pytest.mark.parametrize("site", [SITE, ""])
def test_of_one_call_no_more_is_noted_than_a_site_may_name(site: str) -> None:
    looked_at: list[str] = []
    named = NamedUrls(by_site=3)

    def endless() -> Iterator[str]:
        while True:
            looked_at.append(f"file:/{len(looked_at) // 2}")
            yield looked_at[-1]

    assert named.add(site, endless()) == bool(site)
    assert len(looked_at) == 7
    assert named.closes(OTHER, ["file:/2"])


def test_each_name_beyond_the_bound_costs_as_much_as_the_first() -> None:
    """Far more than the bound, one by one, in the time of some hash tables; it was quadratic."""
    named = NamedUrls(by_site=200_000)
    named.add(SITE, map(str, range(200_000)))
    begun = time.process_time()
    named.add(SITE, map(str, range(200_000, 400_000)))
    assert time.process_time() - begun < 5
    assert not named.closes(OTHER, ["199999"])
    assert named.closes(OTHER, ["200000"])


def test_programs_are_never_full() -> None:
    named = NamedUrls(by_site=1)
    named.add("", ["file:/1"])
    assert not named.add("", ["file:/2"])
    assert not named.closes("", ["file:/anything"])


@given(st.text(alphabet="%25/.fileht p:~ab\0\ud800", max_size=60))
def test_any_text_is_looked_through(text: str) -> None:
    assert isinstance(names([text, {text: text}]), set)


WORDS = st.sampled_from(["name", "a.fits", "/etc/passwd", "http://h/x?y=1", "a&b.vot", "%2Ftmp", "x", ""])
NESTED = st.recursive(WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner), max_leaves=8)


@given(st.dictionaries(WORDS, NESTED))
def test_what_came_as_xml_names_what_its_values_name(params: ValueMap) -> None:
    message: ValueMap = {"samp.mtype": "table.load.fits", "samp.params": params}
    came = read_message(encode_value(message).xml.encode("ascii"))
    if came is not None:  # else it is decoded by who gets it
        assert find_names(came) == find_names(message)


@pytest.mark.parametrize("text", ["file:/" * 40_000, "%25" * 80_000, "a/" * 120_000, "a.b " * 60_000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    begun = time.process_time()
    names(text)
    assert time.process_time() - begun < 5


def test_what_any_site_named_is_closed_to_other_machines_unless_it_was_offered_before() -> None:
    named = NamedUrls(by_site=2)
    offered = named.moment
    named.add("https://a.example", ["file:/home/u/key"])
    assert named.closes_elsewhere(["file:/home/u/key"])
    assert not named.closes_elsewhere(["file:/home/u/key"], offered)
    assert not named.closes_elsewhere(["file:/home/u/table"])


def test_once_names_are_forgotten_everything_is_closed_to_other_machines() -> None:
    named = NamedUrls(by_site=2)
    assert named.add("https://a.example", ["file:/1", "file:/2", "file:/3"])
    assert named.closes_elsewhere(["file:/never-named"])
