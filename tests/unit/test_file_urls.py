"""What a file URL means, in every spelling (MTYPE-72)."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp._util import file_urls

from .test_layers import MODULES, parsed


def likeliest(url: str) -> str:
    return file_urls.parse(url, windows=False).paths[0]


@pytest.mark.parametrize(
    "url",
    [
        "file:///tmp/a%20b.vot",
        "file://localhost/tmp/a%20b.vot",
        "file://localhost//tmp/a%20b.vot",
        "file://LOCALHOST/tmp/a b.vot",
        "file://127.0.0.1/tmp/a b.vot",
        "file://[::1]/tmp/a b.vot",
        "file:///tmp/a b.vot",
        "file:/tmp/a b.vot",
        "FILE:///tmp/a b.vot",
        " file:///tmp/a b.vot\n",
        "file://tmp/a b.vot",
        "file:////tmp/a b.vot",
    ],
)
def test_every_spelling_of_a_file_url(url: str) -> None:
    assert file_urls.is_file_url(url)
    assert likeliest(url) == "/tmp/a b.vot"


def test_characters_that_mean_something_in_other_urls() -> None:
    assert likeliest("file:///tmp/a?b#c") == "/tmp/a?b#c"


def test_what_stands_before_a_fragment_is_a_candidate() -> None:
    """The hub left the fragment out, the client kept it: each failed for files that the other read."""
    assert file_urls.parse("file:///t/a%20b.fits#1").paths == (
        "/t/a b.fits#1",
        "/t/a%20b.fits#1",
        "/t/a b.fits",
        "/t/a%20b.fits",
    )


def test_a_percent_sign_that_was_not_encoded_is_a_candidate() -> None:
    assert file_urls.parse("file:///t/50%20").paths == ("/t/50 ", "/t/50%20")


def test_another_host_is_told_and_taken_for_a_folder() -> None:
    """The hub read nothing from `file://tmp/x`, the client `/tmp/x`, and a lockfile must not be guessed."""
    assert file_urls.parse("file://tmp/x", windows=False) == file_urls.FileUrl("tmp", ("/tmp/x",))
    assert file_urls.parse("file://localhost/x").host == ""
    assert file_urls.parse("file:////tmp/x").host == ""


@pytest.mark.parametrize(
    "url", ["file:", "file://", "file://localhost", "file:///%00", "file:///a\0b", "file:///\ud800"]
)
def test_urls_that_name_no_file(url: str) -> None:
    assert file_urls.parse(url).paths == ()


def test_bytes_that_are_not_utf_8_go_there_and_back() -> None:
    assert likeliest("file:///%FF") == "/\udcff"
    assert file_urls.make("/\udcff a") == "file:///%FF%20a"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/x y", "C:/x y"),
        ("file:///c|/x", "c:/x"),
        ("file://C:/x", "C:/x"),
        ("file:C:/x", "C:/x"),
        ("file://server/share/x", "//server/share/x"),
    ],
)
def test_windows(url: str, path: str) -> None:
    assert file_urls.parse(url, windows=True).paths[0] == path


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("C:\\x y\\a#b", "file:///C:/x%20y/a%23b"),
        ("//server/share/x", "file://server/share/x"),
        ("\\\\server\\share\\x", "file://server/share/x"),
    ],
)
def test_made_on_windows(path: str, url: str) -> None:
    assert file_urls.make(path, windows=True) == url
    assert file_urls.parse(url, windows=True).paths[0] == path.replace("\\", "/")


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for path in file_urls.parse("file:" + text, windows=False).paths:
        assert path.startswith("/")
        assert "\0" not in path


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_path_comes_back(name: str) -> None:
    path = "/" + name.lstrip("/")
    assert likeliest(file_urls.make(path)) == path


def spelled(tree: ast.Module) -> Iterator[str]:
    """Yield what a module does with file URLs by itself."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(attr="as_uri" | "from_uri" | "url2pathname" as name)
                | ast.alias(name="url2pathname" as name)
            ):
                yield name
            case ast.Call(func=ast.Attribute(attr="startswith"), args=[ast.Constant(value=str(text))]):
                if text.lower().startswith("file:"):
                    yield text
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]) if text.lower().startswith(
                "file:/"
            ):
                yield text


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"_util.file_urls"}))
def test_nobody_else_reads_or_makes_file_urls(module: str) -> None:
    # `named` calls what a page named "file:/path": a key of its own, not a URL.
    assert [text for text in spelled(parsed(module)) if (module, text) != ("hub.named", "file:/")] == []


def test_one_who_does_is_found() -> None:
    source = 'x.startswith("FILE:"); f"file://{x}"; x.as_uri(); from urllib.request import url2pathname'
    assert sorted(spelled(ast.parse(source))) == ["FILE:", "as_uri", "file://", "url2pathname"]


@pytest.mark.parametrize("url", ["ftp://h/x", "relative", "", "data:,x", "/file:/x"])
def test_other_schemes(url: str) -> None:
    assert not file_urls.is_file_url(url)
