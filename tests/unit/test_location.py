"""asyncsamp.discovery.location: SAMP_HUB and the home folder (STD-50..52, STD-67, TOL-14)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp.discovery import Location, locate, locate_multiple, web_appname
from asyncsamp.errors import LockfileError

HOME = {"HOME": "/home/me"}


def test_without_the_variable_it_is_in_the_home_folder() -> None:
    assert locate(HOME) == Location("", Path("/home/me/.samp"), "/home/me/.samp")


@pytest.mark.parametrize("value", ["", "  ", "\t"])
def test_a_blank_variable_counts_as_unset(value: str) -> None:
    assert locate({**HOME, "SAMP_HUB": value}).path == Path("/home/me/.samp")


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMP_HUB", "std-lockurl:file:///tmp/x.samp")
    assert locate().path == Path("/tmp/x.samp")
    monkeypatch.setenv("SAMP_HUB", "web-appname:Test")
    assert web_appname() == "Test"
    monkeypatch.setenv("HOME", "/home/other")
    assert locate_multiple("7").path == Path("/home/other/.samp-1/samp-hub-7")


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"USERPROFILE": r"C:\Users\me", "HOME": "/c/Users/me"}, r"C:\Users\me"),
        ({"HOMEDRIVE": "D:", "HOMEPATH": r"\me"}, r"D:\me"),
        ({"USERPROFILE": "", "HOMEDRIVE": "D:", "HOMEPATH": r"\me"}, r"D:\me"),
    ],
)
def test_the_windows_home(environ: dict[str, str], home: str) -> None:
    assert locate(environ, windows=True).path == Path(home) / ".samp"


def test_without_a_home_variable_the_account_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/account"))
    assert locate({}).path == Path("/home/account/.samp")


def test_an_account_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(LockfileError, match="there is no home folder; set HOME or SAMP_HUB"):
        locate({})


FILE_URLS = [
    ("file:///tmp/x.samp", "/tmp/x.samp"),
    ("file://localhost/tmp/x.samp", "/tmp/x.samp"),
    ("file://LOCALHOST/tmp/x.samp", "/tmp/x.samp"),
    ("file://127.0.0.1/tmp/x.samp", "/tmp/x.samp"),
    ("file://localhost//tmp/x.samp", "/tmp/x.samp"),
    ("file:////tmp/x.samp", "/tmp/x.samp"),
    ("file:/tmp/x.samp", "/tmp/x.samp"),
    ("FILE:///tmp/x.samp", "/tmp/x.samp"),
    ("file:///tmp/my%20files/x%2By.samp", "/tmp/my files/x+y.samp"),
    ("file:///tmp/my files/x+y.samp", "/tmp/my files/x+y.samp"),
    ("file:///tmp/caf%C3%A9/x", "/tmp/caf\u00e9/x"),
    ("file:///tmp/caf\u00e9/x", "/tmp/caf\u00e9/x"),
    ("file:///tmp/%FF", "/tmp/" + os.fsdecode(b"\xff")),
    ("file:///tmp/a%2Fb?c=d#e", "/tmp/a/b?c=d#e"),
    ("file:///C:/x", "/C:/x"),
]


@pytest.mark.parametrize("before", ["std-lockurl:", "STD-LOCKURL:", ""])
@pytest.mark.parametrize(("url", "path"), FILE_URLS)
def test_file_urls(before: str, url: str, path: str) -> None:
    found = locate({"SAMP_HUB": before + url}, windows=False)
    assert found == Location("", Path(path), f"{path}, named by SAMP_HUB")
    assert locate({}, before + url, windows=False).path == Path(path)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///C:/Users/me/x.samp", "C:/Users/me/x.samp"),
        ("file:///c|/x.samp", "c:/x.samp"),
        ("file:/C:/x.samp", "C:/x.samp"),
        ("file:C:/x.samp", "C:/x.samp"),
        ("file://C:/x.samp", "C:/x.samp"),
        ("file://localhost/C:/x.samp", "C:/x.samp"),
        ("file:///C%3A/my%20files/x.samp", "C:/my files/x.samp"),
        (r"file:///C:\x.samp", r"C:\x.samp"),
        ("file://server/share/x.samp", "//server/share/x.samp"),
        ("file:////server/share/x.samp", "//server/share/x.samp"),
        (r"C:\x.samp", r"C:\x.samp"),
        ("C:/x.samp", "C:/x.samp"),
    ],
)
def test_windows_spellings(url: str, path: str) -> None:
    assert locate({"SAMP_HUB": f"std-lockurl:{url}"}, windows=True).path == Path(path)
    assert locate({"SAMP_HUB": url}, windows=True).path == Path(path)


@pytest.mark.parametrize("value", ["/tmp/a:b/x.samp", "std-lockurl:/tmp/a:b/x.samp", "  /tmp/a:b/x.samp "])
def test_a_bare_path_is_tolerated(value: str) -> None:
    assert locate({"SAMP_HUB": value}, windows=False).path == Path("/tmp/a:b/x.samp")


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate({}, "x.samp").path == tmp_path / "x.samp"
    assert locate({}, Path("x.samp")).path == tmp_path / "x.samp"
    assert locate({"SAMP_HUB": "std-lockurl:file:x.samp"}).path == tmp_path / "x.samp"


def test_the_tilde_is_the_home_folder() -> None:
    assert locate(HOME, "~/x.samp").path == Path("/home/me/x.samp")
    assert locate({**HOME, "SAMP_HUB": "~/x.samp"}).path == Path("/home/me/x.samp")
    assert locate({"USERPROFILE": r"C:\me"}, r"~\x.samp", windows=True).path == Path(r"C:\me") / "x.samp"


def test_the_argument_wins_over_the_variable() -> None:
    environ = {**HOME, "SAMP_HUB": "std-lockurl:file:///tmp/x.samp"}
    assert locate(environ, "/tmp/other").path == Path("/tmp/other")
    assert locate({"SAMP_HUB": "foo:bar"}, Path("/tmp/other")) == Location(
        "", Path("/tmp/other"), "/tmp/other"
    )


def test_an_argument_with_a_colon_is_a_file() -> None:
    assert locate({}, "/tmp/web:8080").path == Path("/tmp/web:8080")
    path = locate({}, "my:hub").path
    assert path is not None
    assert path.name == "my:hub"
    assert locate({}, Path("file:/x")).path == Path.cwd() / "file:" / "x"


@pytest.mark.parametrize(
    "url", ["http://h.example/x.samp", "https://h.example:8443/x", "HTTP://127.0.0.1:80/x"]
)
def test_http_urls(url: str) -> None:
    assert locate({"SAMP_HUB": f"std-lockurl:{url}"}) == Location(url, None, f"{url}, named by SAMP_HUB")
    assert locate({}, url) == Location(url, None, url)


def test_passwords_of_a_url_are_shown_nowhere() -> None:
    found = locate({"SAMP_HUB": "std-lockurl:http://me:hush@h.example/x?key=hush#hush"})
    assert found.url == "http://me:hush@h.example/x?key=hush#hush"
    assert found.place == "http://h.example/x"
    assert "hush" not in repr(found)
    assert "hush" not in str(found)


@pytest.mark.parametrize("value", ["std-lockurl:http:///x", "std-lockurl:http://[::1/x", "http:"])
def test_an_http_url_without_a_host_is_refused(value: str) -> None:
    with pytest.raises(LockfileError, match="it is not an http URL with a host"):
        locate({"SAMP_HUB": value})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            "foo:bar",
            "SAMP_HUB=foo:bar: asyncsamp knows nothing of 'foo'; unset SAMP_HUB to use ~/.samp, or set it to",
        ),
        ("jsamp-class:org.x.Hub", "SAMP_HUB=jsamp-class:org.x.Hub: asyncsamp knows nothing of 'jsamp-class'"),
        ("std-lockurl:ftp://me:hush@h/x", "SAMP_HUB=std-lockurl:ftp://h/x: asyncsamp knows nothing of 'ftp'"),
        (
            "web-appname:Test",
            "SAMP_HUB=web-appname:Test: it names the Web Profile, which has no lockfile; unset",
        ),
        ("std-lockurl:", "'std-lockurl:': it names no file"),
        ("std-lockurl:file:", "'std-lockurl:file:': it names no file"),
        ("file://localhost", "'file://localhost': it names no file"),
        ("file:///tmp/%00x", "'file:///tmp/%00x': it names no file"),
        (
            "file://h.example/x",
            "it is on another machine, 'h.example'; give a file of this one or an http URL",
        ),
    ],
)
def test_what_is_no_place_is_refused(value: str, text: str) -> None:
    with pytest.raises(LockfileError) as caught:
        locate({"SAMP_HUB": value}, windows=False)
    assert text in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(LockfileError, match="it names no file"):
        locate({}, "file:///\ud800")


@given(st.text(), st.booleans())
def test_any_value_gives_a_location_or_a_lockfile_error(value: str, windows: bool) -> None:
    try:
        found = locate({"SAMP_HUB": value, **HOME}, windows=windows)
    except LockfileError:
        return
    assert (found.path is None) == bool(found.url)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("web-appname:Test", "Test"),
        (" Web-Appname: My App ", "My App"),
        ("web-appname:", None),
        ("std-lockurl:file:///x", None),
        ("", None),
    ],
)
def test_web_appname(value: str, name: str | None) -> None:
    assert web_appname({"SAMP_HUB": value}) == name


def test_several_hubs_of_a_user() -> None:
    environ = {**HOME, "SAMP_HUB": "std-lockurl:file:///tmp/x"}
    path = Path("/home/me/.samp-1/samp-hub-7a")
    assert locate_multiple("7a", environ) == Location("", path, str(path))


@pytest.mark.parametrize("name", ["", "a/b", "..\\x", "a b", "\n"])
def test_a_name_that_is_no_part_of_a_file_name(name: str) -> None:
    with pytest.raises(LockfileError, match="the name of a hub's lockfile may have only letters"):
        locate_multiple(name, HOME)
