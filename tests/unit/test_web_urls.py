"""asyncsamp.hub.profiles.web.urls: which URLs a page may read, and what they look like to it (WEB-30..36)."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp._util.hosts import is_local
from asyncsamp.hub.named import NamedUrls, find_names, names_of_url
from asyncsamp.hub.profiles.web.urls import WebUrls
from asyncsamp.hub.texts import find_urls, replace_texts
from asyncsamp.values import Value

TRANSLATOR = "http://127.0.0.1:21012/translator/TOKEN?"
ORIGIN = "https://archive.example.org"


def urls_of_page(origin: str = ORIGIN, **options: int | bool) -> WebUrls:
    return WebUrls(TRANSLATOR, origin, NamedUrls(), **options)  # type: ignore[arg-type]


def name(urls: WebUrls, *texts: Value) -> dict[str, str]:
    table, first = urls.from_page(find_names(list(texts)))
    urls.close(first)
    return table


def closed(named: NamedUrls, url: str, site: str = "https://elsewhere.example.com") -> bool:
    return named.closes(site, names_of_url(url))


def test_urls_are_found_at_any_depth() -> None:
    value: Value = {
        "a": ["x", {"b": "file:///t", "c": [["http://h/1"]]}],
        "d": "HTTPS://h",
        "e": "see http://h",
    }
    assert sorted(find_urls(value)) == ["HTTPS://h", "file:///t", "http://h/1"]
    assert find_urls("file:/t") == ["file:/t"]
    assert find_urls(["ftp://h/", "mailto:a", "http:", "http://h/" + "x" * 9000]) == []


def test_texts_are_replaced_at_any_depth_and_nothing_is_changed_in_place() -> None:
    value: Value = {"a": ["x", {"b": "x"}], "x": "y"}
    assert replace_texts(value, {"x": "z"}) == {"a": ["z", {"b": "z"}], "x": "y"}
    assert value == {"a": ["x", {"b": "x"}], "x": "y"}


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("file:///t", True),
        ("FILE:/t", True),
        ("http://localhost/", True),
        ("https://a.localhost:1/", True),
        ("http://127.1.2.3:80/", True),
        ("http://[::1]/", True),
        ("http://[::1%25lo]/", True),
        ("http://0.0.0.0:80/", True),
        ("http://[::]/", True),
        ("http://[::ffff:127.0.0.1]/", True),
        ("http://[::ffff:0:0]/", True),
        ("http://h/", False),
        ("http://127.example.org/", False),
        ("http://192.0.2.1/", False),
        ("http://[::ffff:192.0.2.1]/", False),
        ("http://[2001:db8::1]/", False),
        ("http://localhost.example.org/", False),
        ("http://[/", False),
        ("http:", False),
    ],
)
def test_what_is_local(url: str, local: bool) -> None:
    assert is_local(url) is local


def test_only_what_was_sent_can_be_read() -> None:
    urls = urls_of_page()
    assert urls.resolve("file:///t") is None
    urls.to_page(["file:///t"])
    assert urls.resolve("file:///t") == "file:///t"
    assert urls.resolve("file:///t2") is None
    assert "file:///t" in urls


@given(st.text(min_size=1, max_size=30))
def test_every_spelling_leads_to_the_url(text: str) -> None:
    url = "file:///" + text
    urls = urls_of_page()
    table = urls.to_page([url])
    assert urls.resolve(quote(url, safe="", errors="surrogatepass")) == url or max(text) >= "\ud800"
    assert table[url].startswith(TRANSLATOR)
    assert urls.resolve(table[url].removeprefix(TRANSLATOR)) == url
    assert urls.from_page({table[url]: []}) == ({table[url]: url}, set())


def test_what_browsers_make_of_it_leads_to_the_url() -> None:
    for url, as_sent in (
        ("file:///a b'c.vot", "file:///a%20b%27c.vot"),
        ("http://h/?a=1&b=%20+", "http://h/?a=1&b=%20+"),
        ("http://h/t#row1", "http://h/t"),
        (" http://h/a\tb\n", "http://h/ab"),
        ("http://h/\u00fc", "http://h/%C3%BC"),
    ):
        urls = urls_of_page()
        urls.to_page([url])
        assert urls.resolve(as_sent) == url


def test_the_exact_url_goes_before_another_spelling_of_another() -> None:
    urls = urls_of_page()
    urls.to_page(["file:///a b", "file:///a%20b"])
    assert urls.resolve("file:///a%20b") == "file:///a%20b"
    table = urls.to_page(["file:///a b"])
    assert urls.from_page({table["file:///a b"]: []})[0] == {table["file:///a b"]: "file:///a b"}


def test_a_translated_url_may_be_translated_again() -> None:
    urls = urls_of_page()
    (seen,) = urls.to_page(["file:///a b"]).values()
    for asked in (
        seen,
        quote(seen, safe=""),
        TRANSLATOR + seen,
        TRANSLATOR.replace("127.0.0.1", "localhost") + seen,
    ):
        assert urls.resolve(asked) == "file:///a b"
    assert urls.resolve(TRANSLATOR * 9 + seen) is None
    assert urls.resolve(seen.replace("TOKEN", "OTHER")) is None


def test_only_local_urls_are_rewritten() -> None:
    urls = urls_of_page("http://localhost:8000")
    sent = ["file:///t", "http://127.0.0.1:1/t", "https://h/t", "http://localhost:8000/own", TRANSLATOR + "x"]
    assert set(urls.to_page(sent)) == {"file:///t", "http://127.0.0.1:1/t"}
    assert urls.resolve("https://h/t") == "https://h/t"
    assert urls.resolve("http://localhost:8000/own") is None
    assert urls_of_page(rewrite=False).to_page(sent) == {}


def test_what_the_page_names_first_is_closed_to_all() -> None:
    named = NamedUrls()
    one, two = WebUrls(TRANSLATOR, ORIGIN, named), WebUrls(TRANSLATOR, "", named)
    assert name(one, {"url": "file:///etc/passwd", "script": "load http://h/x", "file": "/etc/hosts"}) == {}
    for url in ("file:///etc/passwd", "file://localhost/etc/passwd", "http://h/x", "file:/etc/hosts"):
        assert closed(named, url)
        for page in (one, two):
            assert page.to_page([url]) == {}
            assert page.resolve(url) is None


def test_what_the_page_was_sent_before_stays_open() -> None:
    named = NamedUrls()
    one, two = WebUrls(TRANSLATOR, ORIGIN, named), WebUrls(TRANSLATOR, "", named)
    table = one.to_page(["file:///t", "http://h/t"])
    assert name(one, table["file:///t"], "http://h/t") == {table["file:///t"]: "file:///t"}
    assert two.to_page(["file:///t", "http://h/t"])
    assert two.resolve("http://h/t") == "http://h/t"
    one.to_page(["file:///a b"])
    name(one, "file:///a b")
    assert not closed(named, "file:///a")


def test_a_page_may_name_what_is_its_own() -> None:
    named = NamedUrls()
    one, two = WebUrls(TRANSLATOR, ORIGIN, named), WebUrls(TRANSLATOR, "", named)
    name(one, f"{ORIGIN}/t.vot")
    two.to_page([f"{ORIGIN}/t.vot"])
    assert two.resolve(f"{ORIGIN}/t.vot") is not None


def test_a_translated_url_that_was_never_sent_names_what_it_hides() -> None:
    urls = urls_of_page()
    assert name(urls, TRANSLATOR + "file:///etc/passwd") == {}
    urls.to_page(["file:///etc/passwd"])
    assert urls.resolve("file:///etc/passwd") is None


def test_what_can_be_read_is_bounded() -> None:
    urls = urls_of_page(max_urls=2)
    urls.to_page(["file:///1", "file:///2"])
    urls.to_page(["file:///1"])
    urls.to_page(["file:///3 x#y"])
    assert [urls.resolve(f"file:///{n}") for n in (1, 2)] == ["file:///1", None]
    urls.to_page(["file:///4", "file:///5"])
    assert urls.resolve("file:///3%20x") is None


def test_a_page_from_a_file_owns_no_file() -> None:
    named = NamedUrls()
    page = WebUrls(TRANSLATOR, "file://", named)
    name(page, "file:///etc/passwd")
    assert closed(named, "file:///etc/passwd")
    assert page.to_page(["file:///t"]) != {}
