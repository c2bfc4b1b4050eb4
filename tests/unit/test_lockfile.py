"""asyncsamp.lockfile: the text of a lockfile (STD-53..58, TOL-14)."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from asyncsamp.errors import LocalProtocolError, LockfileError
from asyncsamp.lockfile import Lockfile, parse_lockfile, render_lockfile

URL = "http://127.0.0.1:8001/xmlrpc"
PLAIN = f"samp.secret=abc\nsamp.hub.xmlrpc.url={URL}\nsamp.profile.version=1.3\n"


def test_a_file_as_usually_written() -> None:
    text = f"# SAMP lockfile\n# Required keys:\n{PLAIN}# Extras:\norg.example.hub.pid=4711\n"
    assert parse_lockfile(text) == Lockfile("abc", URL, "1.3", {"org.example.hub.pid": "4711"})


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("final", [True, False])
def test_every_line_end_with_and_without_the_last(eol: str, final: bool) -> None:
    text = PLAIN.replace("\n", eol)
    assert parse_lockfile(text if final else text.removesuffix(eol)) == Lockfile("abc", URL, "1.3")


def test_what_ends_no_line_does_not_end_one() -> None:
    """Form feed, NEL and line separator are no EOL, so the value is odd and its token is left out."""
    for odd in "\x0b\x0c\x1c\x85\u2028":
        assert parse_lockfile(f"{PLAIN}x.y=1{odd}samp.secret=other").secret == "abc"


def test_odd_lines_and_tokens_are_ignored() -> None:
    odd = "\n\n   \nnonsense\n=x\n# samp.secret=no\nbad name=1\nx.label=\u00e4\nhub.impl=some.Class\n!\n"
    assert parse_lockfile(odd + PLAIN).extra == {"hub.impl": "some.Class"}


def test_split_at_the_first_equals_sign() -> None:
    text = PLAIN.replace("abc", "a=b==") + "x=1=2"
    assert parse_lockfile(text).secret == "a=b=="
    assert parse_lockfile(text).extra == {"x": "1=2"}


def test_blanks_around_are_trimmed_and_inside_kept() -> None:
    lockfile = parse_lockfile(
        f"samp.secret = a b \t\n samp.hub.xmlrpc.url={URL}  \nsamp.profile.version= 1.2\t"
    )
    assert lockfile == Lockfile("a b", URL, "1.2")


def test_a_byte_order_mark_hides_nothing() -> None:
    assert parse_lockfile("\ufeff" + PLAIN).secret == "abc"


@pytest.mark.parametrize("version", ["1.11", "1.2", "1.3", "2.0"])
def test_any_version_is_taken(version: str) -> None:
    assert parse_lockfile(PLAIN.replace("1.3", version)).version == version


def test_a_missing_version_is_empty() -> None:
    assert parse_lockfile(PLAIN.replace("samp.profile.version=1.3\n", "")).version == ""


def test_the_last_of_two_values_counts() -> None:
    assert parse_lockfile(PLAIN + "samp.secret=later").secret == "later"


def test_backslashes_in_the_url_are_dropped() -> None:
    text = f"samp.secret=a\\b\nsamp.hub.xmlrpc.url={URL}".replace(":", "\\:")
    assert parse_lockfile(text) == Lockfile("a\\b", URL, "")


@pytest.mark.parametrize("missing", ["samp.secret", "samp.hub.xmlrpc.url"])
def test_a_missing_token_is_named(missing: str) -> None:
    text = "".join(line for line in PLAIN.splitlines(True) if not line.startswith(missing))
    with pytest.raises(LockfileError) as caught:
        parse_lockfile(text, "/home/me/.samp")
    assert str(caught.value) == (
        f"cannot use the SAMP lockfile /home/me/.samp: it has no {missing}; is it the lockfile of a SAMP hub?"
    )
    assert (caught.value.path, caught.value.line) == ("/home/me/.samp", 0)


def test_an_empty_secret_is_refused_with_its_line() -> None:
    with pytest.raises(LockfileError, match=r"lockfile, line 2: samp\.secret is empty") as caught:
        parse_lockfile("#\n" + PLAIN.replace("abc", "  "))
    assert caught.value.line == 2


@pytest.mark.parametrize("name", ["samp.secret", "samp.hub.xmlrpc.url", "samp.profile.version"])
def test_a_required_value_beyond_ascii_is_refused_without_showing_it(name: str) -> None:
    with pytest.raises(LockfileError) as caught:
        parse_lockfile(f"{PLAIN}{name}=g\u00e4heim")
    assert caught.value.line == 4
    assert caught.value.reason == f"the value of {name} is not plain ASCII text"


BAD_URLS = [
    "",
    "x",
    "/xmlrpc",
    "ftp://127.0.0.1/",
    "https://127.0.0.1/",
    "http:///xmlrpc",
    "http://:80/",
    "http://[::1/",
    "http://127.0.0.1:x/",
    "http://127.0.0.1:70000/",
    "http://127.0.0.1:0/",
    "http://a b/",
    "http://a\x7f/",
    "file:///tmp/x",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_with_its_line(url: str) -> None:
    with pytest.raises(LockfileError, match=r"line 2: .*not of the form http://HOST:PORT/PATH") as caught:
        parse_lockfile(f"samp.secret=abc\nsamp.hub.xmlrpc.url={url}")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "url", [URL, "http://localhost/", "HTTP://h:1", "http://[::1]:8001/", "http://h.example:1/a?b"]
)
def test_any_http_url_with_a_host_is_taken(url: str) -> None:
    assert parse_lockfile(f"samp.secret=abc\nsamp.hub.xmlrpc.url={url}").url == url


def test_the_secret_is_not_in_the_repr() -> None:
    assert "hush" not in repr(Lockfile("hush", URL))
    assert repr(Lockfile("hush", URL)) == f"Lockfile(url='{URL}', version='1.3', extra={{}})"


def test_equal_lockfiles_have_equal_hashes() -> None:
    assert hash(Lockfile("a", URL, extra={"x": "1"})) == hash(Lockfile("a", URL, extra={"x": "1"}))


def test_rendered_text() -> None:
    text = render_lockfile(Lockfile("abc", URL, extra={"hub.label": "my hub"}))
    assert text == (
        "# SAMP lockfile of a Standard Profile hub, written by asyncsamp\n"
        f"samp.secret=abc\nsamp.hub.xmlrpc.url={URL}\nsamp.profile.version=1.3\nhub.label=my hub\n"
    )


def test_an_empty_version_is_left_out() -> None:
    assert "version" not in render_lockfile(Lockfile("abc", URL, ""))


@pytest.mark.parametrize(
    ("lockfile", "text"),
    [
        (Lockfile("", URL), "empty samp.secret"),
        (Lockfile("a=", URL), "samp.secret in a lockfile must not hold '='"),
        (Lockfile("a\nb", URL), "samp.secret in a lockfile must be printable ASCII on one line"),
        (Lockfile("a ", URL), "samp.secret in a lockfile must not begin or end with a blank"),
        (Lockfile("a", URL + "?a=b"), "samp.hub.xmlrpc.url in a lockfile must not hold '='"),
        (Lockfile("a", "http:///x"), "must be http://HOST:PORT/PATH, not 'http:///x'"),
        (Lockfile("a", "http://h\\x/"), "must be http://HOST:PORT/PATH"),
        (Lockfile("a", URL, "1\r3"), "samp.profile.version in a lockfile must be printable"),
        (Lockfile("a", URL, extra={"a b": "1"}), "token 'a b' may have only letters"),
        (Lockfile("a", URL, extra={"": "1"}), "token '' may have only letters"),
        (Lockfile("a", URL, extra={"#x": "1"}), "token '#x' may have only letters"),
        (Lockfile("a", URL, extra={"hub.label": "caf\u00e9"}), "hub.label in a lockfile must be printable"),
        (Lockfile("a", URL, extra={"samp.secret": "1"}), "must not hold the name of a required"),
        (Lockfile("a", URL, extra={"x.SAMP.Secret": "1"}), "must not hold the name of a required"),
        (Lockfile("a", URL, extra={"x": "the samp.hub.xmlrpc.url"}), "must not hold the name of a required"),
    ],
)
def test_what_cannot_be_held_is_refused(lockfile: Lockfile, text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        render_lockfile(lockfile)
    assert text in str(caught.value)


def test_a_refused_secret_is_not_shown() -> None:
    with pytest.raises(LocalProtocolError) as caught:
        render_lockfile(Lockfile("hush=hush", URL))
    assert "hush" not in str(caught.value)


FRAGMENTS = st.sampled_from(
    [
        "samp.secret",
        "samp.hub.xmlrpc.url",
        "samp.profile.version",
        "=",
        "\n",
        "\r",
        "#",
        " ",
        "\\",
        URL,
        "http://",
        "[",
        ":",
        "x",
    ]
)


@given(st.one_of(st.text(), st.lists(st.one_of(FRAGMENTS, st.text(max_size=3))).map("".join)))
@example("samp.secret=x\nsamp.hub.xmlrpc.url=http://[\n")
@example("samp.secret=x\nsamp.hub.xmlrpc.url=http://h:\u0661/\n")
def test_any_text_gives_a_lockfile_or_a_lockfile_error(text: str) -> None:
    try:
        lockfile = parse_lockfile(text)
    except LockfileError:
        return
    assert lockfile.secret
    assert lockfile.url.lower().startswith("http://")


NAMES = st.text(string.ascii_letters + string.digits + "._-", min_size=1)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7F))


@given(
    st.builds(
        Lockfile,
        VALUES,
        st.builds("http://h:{}/{}".format, st.integers(1, 65535), VALUES),
        VALUES,
        st.dictionaries(NAMES, VALUES),
    )
)
def test_what_is_rendered_is_read_back(lockfile: Lockfile) -> None:
    try:
        text = render_lockfile(lockfile)
    except LocalProtocolError:
        assume(False)
    assert parse_lockfile(text) == lockfile
    lines = text.split("\n")
    assert lines[0].startswith("#")
    assert lines[-1] == ""
    assert all(line.startswith("#") or line.count("=") == 1 for line in lines[:-1])


@given(
    st.text(string.ascii_letters + string.digits + "_- .", min_size=1).map(str.strip).filter(bool),
    st.dictionaries(NAMES, VALUES),
)
def test_what_is_read_from_plain_tokens_can_be_rendered(secret: str, extra: dict[str, str]) -> None:
    plain = {name: "v" for name in extra if "samp." not in name.casefold()}
    assume("samp." not in secret.casefold())
    lockfile = Lockfile(secret, URL, "1.3", plain)
    assert parse_lockfile(render_lockfile(lockfile)) == lockfile
