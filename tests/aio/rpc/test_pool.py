"""URLs that requests can go to, and what is said of the others (STD-41)."""

from __future__ import annotations

import pytest

from asyncsamp.errors import LocalProtocolError
from asyncsamp.rpc import PeerError, check_url
from asyncsamp.rpc.errors import PeerTimeoutError, origin
from asyncsamp.rpc.pool import PeerPool


@pytest.mark.parametrize(
    ("url", "host", "port", "start"),
    [
        (
            "http://127.0.0.1:4711/xmlrpc",
            "127.0.0.1",
            4711,
            "POST /xmlrpc HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n",
        ),
        ("http://dev.example.org:46041", "dev.example.org", 46041, "POST / HTTP/1.1\r\nHost: dev.example"),
        ("http://[::1]:80/a/b?c=d", "::1", 80, "POST /a/b?c=d HTTP/1.1\r\nHost: [::1]:80\r\n"),
        ("HTTP://LocalHost/#part", "localhost", 80, "POST / HTTP/1.1\r\nHost: LocalHost\r\n"),
        ("http://a_b?x", "a_b", 80, "POST /?x HTTP/1.1\r\nHost: a_b\r\n"),
    ],
)
def test_a_url_becomes_an_address_and_the_head_of_a_request(
    url: str, host: str, port: int, start: str
) -> None:
    pool = PeerPool(url)
    assert (pool.host, pool.port) == (host, port)
    assert pool.head.decode().startswith(start)
    assert pool.head.endswith(b"\r\nContent-Type: text/xml\r\nContent-Length: ")
    assert check_url(url) == (host, port)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://127.0.0.1/secret", "'https://127.0.0.1' cannot be reached: only http:// URLs are"),
        ("file:///tmp/x", "only http://"),
        ("127.0.0.1:80", "only http://"),
        ("", "only http://"),
        ("http://", "names no host"),
        ("http:///path", "names no host"),
        ("http://user:word@host/", "'http://host' names no host"),
        ("http://a b/", "names no host"),
        ("http://\u00fcml\u00e4ut/", "names no host"),
        ("http://\u212aelvin/", "names no host"),
        ("http://host:0/", "names no host"),
        ("http://host:65536/secret", "is not a URL"),
        ("http://host:port/secret", "is not a URL"),
        ("http://[::1/", "is not a URL"),
        ("http://host/a b", "has characters that no URL may have"),
        ("http://host/\u00fc", "has characters that no URL may have"),
        ("http://host/a\r\nX: y", "has characters that no URL may have"),
        ("http://host/a\n", "has characters that no URL may have"),
        (" http://host/", "no URL may have"),
    ],
)
def test_other_urls_are_refused_and_their_paths_not_told(url: str, says: str) -> None:
    with pytest.raises(LocalProtocolError) as refused:
        check_url(url)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "word" not in str(refused.value)


def test_errors_name_the_peer_and_no_path() -> None:
    error = PeerTimeoutError("http://me:word@127.0.0.1:80/secret?secret", "it did not answer", sent=True)
    assert str(error) == "http://127.0.0.1:80: it did not answer"
    assert (error.url[-6:], error.sent) == ("secret", True)
    assert isinstance(error, PeerError)
    assert isinstance(error, TimeoutError)
    assert origin("nonsense") == "nonsense"
