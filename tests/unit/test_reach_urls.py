"""asyncsamp.hub.profiles.reach.urls: what URLs become between hubs, and who may read what."""

from __future__ import annotations

import itertools
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp.hub.named import NamedUrls, find_names
from asyncsamp.hub.profiles.reach.urls import (
    NOT_OFFERED,
    ReachUrls,
    find_marked,
    may_be_marked,
    parse_address,
)
from asyncsamp.values import Value, ValueMap
from asyncsamp.xmlrpc import encode_value, read_message

STRANGER = "reach:mallory"


class Hub:
    """The URLs of one hub, with a port of its own."""

    ports = itertools.count(40001)

    def __init__(self, member: str, *, offers: bool = True, max_offered: int = 100) -> None:
        self.name = f"{member}.0123abcd"
        self.base = f"http://127.0.0.1:{next(self.ports)}"
        self.named = NamedUrls()
        self.paths: list[tuple[str, list[str]]] = []
        tokens = (f"{member}{number:05}".ljust(22, "x") for number in itertools.count())
        self.urls = ReachUrls(
            self.name,
            self.base,
            self.named,
            new_token=lambda: next(tokens),
            host_names=("Desk", "desk.example.org"),
            offers=offers,
            note_paths=lambda site, paths: self.paths.append((site, paths)),
            max_offered=max_offered,
        )

    def sends(self, value: Value, *, trusted: bool = True) -> Value:
        return self.urls.outgoing(value, trusted=trusted)

    def gets(self, value: Value, *, site: str = "") -> Value:
        return self.urls.incoming(value, site=site)

    def may_read(self, text: Value) -> bool:
        """Whether this hub lets anybody read what it sent as `text`."""
        assert isinstance(text, str)
        assert text.startswith(f"reach:{self.name}/")
        offer = self.urls.offered(text.split("/")[1])
        return offer is not None and offer.moment is not None


LOCAL = [
    "file:///home/u/m31.fits",
    "file:/t.vot",
    "file://localhost/a b.vot",
    "FILE:///50%25.vot",
    "file:///a%231.vot",
    "file:///a#1.vot",
    "file:///x?y.vot",
    "file:///\u00fc\u4e2d.vot",
    "file:///multi.fits#2",
    "http://127.0.0.1:2525/abc/t.vot?a=1&b=%26#row",
    "http://localhost/",
    "https://[::1]:8443/x",
    "http://desk:1234/x.vot",
    "http://DESK.example.org/x.vot",
    "http://127.1:80/x",
    "http://2130706433/x",
    "http://0x7f.0.0.1/x",
    "http:///x",
    "http:\\\\127.0.0.1\\x",
    "http://\uff11\uff12\uff17.0.0.1/x",
    "http://ip6-localhost/x",
    "http://localhost./x",
    "http://[broken/x",
    "jar:file:/x.jar!/t.vot",
    "ftp://127.0.0.1/x",
    " file:///t.vot",
    "\x01file:///t.vot",
    "url:file:///t.vot",
    " URL:url: http://localhost:8888/",
    "netdoc:///t.vot",
    "http://a@127.0.0.1/x",
]

ELSEWHERE = [
    "http://archive.example.org/t.vot",
    "https://10.0.0.1/t.vot",
    "ivo://x/y",
    "mailto:a@b",
    "not a URL: file:///x",
    "",
    "file",
    "https://archive.example.org/?" + "x" * 9000,
    "x" * 9000,
]

LONG = [
    "file:///etc/passwd#" + "x" * 9000,
    "http://127.0.0.1:8888/api?" + "x" * 9000,
    "http://" + "x" * 9000 + "@localhost/",
    " " * 9000 + "file:///etc/passwd",
    "netdoc:///etc/passwd#" + "x" * 9000,
]


@pytest.mark.parametrize("url", LOCAL)
def test_a_local_url_comes_back_as_the_text_that_it_was(url: str) -> None:
    """A -> B -> A and A -> B -> C -> A."""
    a, b, c = Hub("a"), Hub("b"), Hub("c")
    sent = a.sends(url)
    assert isinstance(sent, str)
    assert sent.startswith(f"reach:{a.name}/")
    assert "home" not in sent
    at_b = b.gets(sent)
    assert isinstance(at_b, str)
    assert at_b.startswith(f"{b.base}/{a.name}/")
    assert b.sends(at_b) == sent
    assert a.gets(b.sends(at_b)) == url
    at_c = c.gets(b.sends(at_b))
    assert isinstance(at_c, str)
    assert at_c.startswith(f"{c.base}/{a.name}/")
    assert a.gets(c.sends(at_c)) == url
    assert a.sends(url) == sent  # the same for all, and always


@pytest.mark.parametrize("text", ELSEWHERE)
def test_anything_else_crosses_as_it_is(text: str) -> None:
    a, b = Hub("a"), Hub("b")
    assert a.sends(text) == text
    assert b.gets(text) == text


@given(
    st.recursive(
        st.text() | st.sampled_from(LOCAL),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_comes_back_as_it_was(value: Value) -> None:
    a, b = Hub("a"), Hub("b")
    assert a.gets(b.sends(b.gets(a.sends(value)))) == value


@given(
    st.dictionaries(st.text("a.: "), st.sampled_from(LOCAL) | st.text() | st.lists(st.sampled_from(LOCAL)))
)
def test_no_url_is_overlooked_in_what_is_not_decoded(params: ValueMap) -> None:
    came = read_message(encode_value({"samp.mtype": "a.b", "samp.params": params}).xml.encode("ascii"))
    if came is not None and find_marked(params):
        assert may_be_marked(came.xml)


def test_urls_at_any_depth_and_not_within_texts() -> None:
    a = Hub("a")
    value: Value = {"url": LOCAL[0], "deep": [{"x": [LOCAL[0]]}], LOCAL[0]: "key", "text": f"see {LOCAL[0]}"}
    sent = a.sends(value)
    assert isinstance(sent, dict)
    capability = sent["url"]
    assert sent == {
        "url": capability,
        "deep": [{"x": [capability]}],
        LOCAL[0]: "key",
        "text": f"see {LOCAL[0]}",
    }


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file:///d/a b.vot", "a%20b.vot"),
        ("file:///d/a%20b.vot", "a%20b.vot"),
        ("file:///d/a%231.vot", "a%231.vot"),
        ("file:///d/m.fits#2", "m.fits#2"),
        ("file:///d/x?y.vot", "x%3Fy.vot"),
        ("file:///d/\u00fc.vot", "%C3%BC.vot"),
        ("http://127.0.0.1:1/d/t.vot?token=secret", "t.vot"),
        ("http://127.0.0.1:1/", "data"),
    ],
)
def test_a_capability_ends_with_the_name(url: str, name: str) -> None:
    assert str(Hub("a").sends(url)).rpartition("/")[2] == name


def test_a_tool_may_spell_the_url_differently() -> None:
    a, b = Hub("a"), Hub("b")
    url = "file:///d/a b&c.vot"
    at_b = str(b.gets(a.sends(url)))
    for spelled in (
        at_b.replace("%20", " "),
        at_b.replace("127.0.0.1", "localhost"),
        at_b.replace("%26", "&"),
        at_b.replace("http:", "HTTP:"),
    ):
        assert b.sends(spelled) == a.sends(url)
        assert a.gets(b.sends(spelled)) == url


@pytest.mark.parametrize("url", LOCAL)
def test_a_raw_local_url_from_outside_is_replaced(url: str) -> None:
    b = Hub("b")
    assert b.gets({"url": url}) == {"url": b.base + NOT_OFFERED}


@pytest.mark.parametrize("url", LONG)
def test_a_long_local_url_means_nothing_anywhere_else(url: str) -> None:
    a, b = Hub("a"), Hub("b")
    assert b.gets({"url": url}) == {"url": b.base + NOT_OFFERED}
    assert b.gets(a.sends({"url": url})) == {"url": b.base + NOT_OFFERED}
    assert a.urls.offered("a00000".ljust(22, "x")) is None


def test_a_long_text_that_only_looks_like_a_capability_crosses_as_it_is() -> None:
    a, b = Hub("a"), Hub("b")
    text = "reach:" + "x" * 9000
    assert b.gets(a.sends(text)) == text
    assert b.gets(text) == b.base + NOT_OFFERED


@pytest.mark.parametrize("url", ["url:file:///t.vot", "netdoc:///t.vot"])
def test_a_spelling_that_only_java_reads_is_not_offered(url: str) -> None:
    a = Hub("a")
    assert a.sends(url) != url
    offer = a.urls.offered("a00000".ljust(22, "x"))
    assert offer is not None
    assert offer.moment is None or url.startswith("netdoc")  # which nobody here reads


def test_much_white_space_is_looked_through_at_once() -> None:
    begun = time.process_time()
    for text in (" " * 500_000, "url:" * 200_000, " url:" * 100_000, "url:" + " " * 500_000):
        assert Hub("a").sends(text) == text
    assert time.process_time() - begun < 5


def test_what_is_not_offered_stays_so_when_it_is_passed_on() -> None:
    b, c = Hub("b"), Hub("c")
    sent = b.sends(b.gets("file:///x"))
    assert c.gets(sent) == c.base + NOT_OFFERED


@pytest.mark.parametrize(
    "text",
    [
        "reach:",
        "reach:=file:///etc/passwd",
        "reach:=http://127.0.0.1:631/",
        "reach:a.0123abcd/short/x",
        "reach:../../x",
        "reach:a.0123abcd/" + "x" * 22 + "/../../etc",
        "reach:a.0123abcd/" + "x" * 22 + "?q",
        "reach:a.0123ABCD/" + "x" * 22 + "/n",
        "reach:a/b/c",
    ],
)
def test_a_capability_that_is_none_leads_nowhere(text: str) -> None:
    b = Hub("b")
    got = b.gets(text)
    assert isinstance(got, str)
    rest = got.removeprefix(b.base)
    assert rest == NOT_OFFERED or parse_address(rest[1:]) is not None
    assert "/../" not in got


def test_a_client_cannot_make_a_capability_by_its_text() -> None:
    a, b = Hub("a"), Hub("b")
    url = "file:///d/t.vot"
    capability = str(a.sends(url))
    sent = b.sends(capability)
    assert sent == f"reach:={capability}"
    assert a.gets(sent) == capability


def test_the_capability_of_an_earlier_start_is_not_taken_for_ours() -> None:
    a = Hub("a")
    capability = str(a.sends("file:///t.vot"))
    earlier = capability.replace("0123abcd", "ffffffff")
    assert a.gets(earlier) == earlier.replace("reach:", a.base + "/", 1)


def test_only_what_a_trusted_client_sends_can_be_read() -> None:
    a = Hub("a")
    url = "file:///d/t.vot"
    sent = a.sends(url, trusted=False)
    assert not a.may_read(sent)
    assert a.sends(url) == sent
    assert a.may_read(sent)
    assert a.sends(url, trusted=False) == sent
    assert a.may_read(sent)


def test_without_leave_nothing_can_be_read_but_its_name_is_kept() -> None:
    a, b = Hub("a", offers=False), Hub("b")
    url = "file:///d/t.vot"
    sent = a.sends(url)
    assert not a.may_read(sent)
    assert a.gets(b.sends(b.gets(sent))) == url


def test_what_a_page_named_first_is_not_offered_when_a_tool_repeats_it() -> None:
    a = Hub("a")
    names = {name for meant in find_names({"x": "see ../u/key.txt"}).values() for name in meant}
    a.named.add("https://page.example", names)
    assert not a.may_read(a.sends("file:///home/u/key.txt"))
    assert a.may_read(a.sends("file:///home/u/table.vot"))


def test_what_was_offered_before_a_page_names_it_stays_offered() -> None:
    a = Hub("a")
    sent = a.sends("file:///home/u/t.vot")
    a.named.add("https://page.example", ["file:/home/u/t.vot"])
    assert a.may_read(sent)
    assert a.may_read(a.sends("file:///home/u/t.vot"))


@pytest.mark.parametrize(
    "named",
    [
        "file:///home/u/key",
        "/home/u/key",
        {"file:///home/u/key": "a key of a map"},
        "open /home/u/key, please",
        quote("file:///home/u/key", safe=""),
    ],
)
def test_what_another_member_names_is_not_offered_when_a_tool_repeats_it(named: Value) -> None:
    a = Hub("a")
    a.gets({"deep": [named]}, site=STRANGER)
    assert not a.may_read(a.sends("file:///home/u/key"))


def test_what_comes_back_from_another_member_is_not_taken_for_named_by_it() -> None:
    a, b = Hub("a"), Hub("b")
    url = "file:///home/u/t.vot"
    back = b.sends({"url": b.gets(a.sends(url))})
    assert a.gets(back, site=STRANGER) == {"url": url}
    assert a.may_read(a.sends(url))
    assert a.paths == []


def test_the_paths_that_a_stranger_named_are_told() -> None:
    a = Hub("a")
    a.gets(["/home/u/link", "file:///b"], site=STRANGER)
    ((site, paths),) = a.paths
    assert (site, sorted(paths)) == (STRANGER, ["/b", "/home/u/link"])


def test_a_member_that_is_trusted_names_what_it_likes() -> None:
    a = Hub("a")
    a.gets("/home/u/key", site="")
    assert a.may_read(a.sends("file:///home/u/key"))


def test_the_least_recently_mentioned_is_forgotten() -> None:
    a = Hub("a", max_offered=2)
    first, second = a.sends("file:///1"), a.sends("file:///2")
    a.sends("file:///1")
    a.sends("file:///3")
    assert a.may_read(first)
    assert a.gets(first) == "file:///1"
    assert not a.may_read(second)
    assert a.gets(second) == str(second).replace("reach:", f"{a.base}/")
