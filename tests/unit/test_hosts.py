"""Is this host this machine? The three questions, and that none lets through what it should not."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsamp._util.hosts import (
    address_of,
    host_header_is_ours,
    is_below_localhost,
    is_local_host,
    is_loopback_number,
    looks_like_number,
    number_of,
    own_names,
    reaches_this_machine,
    url_host,
)

NAMES = {"desk.example.org"}

# host, whether it reaches this machine, whether it says so
HOSTS = [
    ("127.0.0.1", True, True),
    ("127.255.255.254", True, True),
    ("::1", True, True),
    ("0:0:0:0:0:0:0:1", True, True),
    ("::1%lo", True, True),
    ("::ffff:127.0.0.1", True, True),
    ("::ffff:7f00:1", True, True),
    ("0.0.0.0", True, True),
    ("::", True, True),
    ("::ffff:0.0.0.0", True, True),
    ("localhost", True, True),
    ("page.localhost", True, True),
    ("desk.example.org", True, True),
    # Hidden: what a URL must not get for itself, and what must be kept away all the same.
    ("127.1", True, False),
    ("127.0.1", True, False),
    ("0x7f.1", True, False),
    ("0X7F.0.0.1", True, False),
    ("0x7f000001", True, False),
    ("2130706433", True, False),
    ("0177.0.0.1", True, False),
    ("017700000001", True, False),
    ("00000177.1", True, False),
    ("0", True, False),
    ("0x", True, False),
    ("127.0.0.1.", True, False),
    ("localhost.", True, False),
    ("LOCALHOST", True, False),
    ("page.localhost.", True, False),
    ("Desk.Example.org.", True, False),
    ("\uff11\uff12\uff17.0.0.1", True, False),
    ("127\u30020\uff0e0\uff611", True, False),
    ("\uff4cocalhost", True, False),
    # Elsewhere.
    ("", False, False),
    (".", False, False),
    ("10.0.0.1", False, False),
    ("128.0.0.1", False, False),
    ("126.1", False, False),
    ("2147483648", False, False),
    ("4294967296", False, False),
    ("127.0.0.0.1", False, False),
    ("127.0.0.256", False, False),
    ("127.0.65536", False, False),
    ("256.1", False, False),
    ("089.1", False, False),
    ("127..1", False, False),
    ("-127.1", False, False),
    ("+127.1", False, False),
    ("0x7g.1", False, False),
    ("1_27.0.0.1", False, False),
    ("::2", False, False),
    ("fe80::1%lo", False, False),
    ("::127.0.0.1", False, False),
    ("64:ff9b::7f00:1", False, False),
    ("localhost.example.org", False, False),
    ("notlocalhost", False, False),
    ("desk", False, False),
    ("127.0.0.1.example.org", False, False),
]


@pytest.mark.parametrize(("host", "reaches", "says"), HOSTS)
def test_what_reaches_this_machine_and_what_says_so(host: str, reaches: bool, says: bool) -> None:
    assert reaches_this_machine(host, NAMES) is reaches
    assert is_local_host(host, NAMES) is says


@given(st.text(alphabet="0127xf.:[]%lochst \u3002\uff11", max_size=20) | st.ip_addresses().map(str))
def test_whatever_says_that_it_is_this_machine_reaches_it(host: str) -> None:
    assert reaches_this_machine(host) or not is_local_host(host)


@st.composite
def spelled(draw: st.DrawFn, addresses: st.SearchStrategy[int]) -> tuple[int, str]:
    """An IPv4 address in one of the spellings that inet_aton reads."""
    number, count = draw(addresses), draw(st.integers(1, 4))
    first = [number >> 8 * (3 - place) & 255 for place in range(count - 1)]
    parts = [*first, number & (1 << 8 * (5 - count)) - 1]
    forms = draw(
        st.lists(st.sampled_from(["{}", "{:#x}", "{:#X}", "0{:o}", "000{:o}"]), min_size=4, max_size=4)
    )
    return number, ".".join(form.format(part) for form, part in zip(forms, parts, strict=False))


@given(spelled(st.integers(127 << 24, (128 << 24) - 1)))
def test_the_loopback_in_any_spelling_reaches_this_machine(address: tuple[int, str]) -> None:
    number, host = address
    assert reaches_this_machine(host)
    assert reaches_this_machine(host + ".")
    assert address_of(host) == IPv4Address(number)
    assert looks_like_number(host)


@given(spelled(st.integers(1, (1 << 32) - 1)))
def test_other_addresses_in_any_spelling_do_not(address: tuple[int, str]) -> None:
    number, host = address
    assert reaches_this_machine(host) is (number >> 24 == 127)


@given(st.from_regex(r"(0x|0X|0)?[0-9a-fA-F]{0,5}(\.(0x|0X|0)?[0-9a-fA-F]{1,5}){0,3}", fullmatch=True))
def test_what_the_system_takes_for_an_address_is_seen(host: str) -> None:
    try:
        meant = socket.inet_aton(host)
    except (OSError, UnicodeError):
        return
    assert looks_like_number(host)
    assert address_of(host) == IPv4Address(meant)


HUB = {"localhost", "127.0.0.1", "desk.example.org"}

# Host header, whether it is right for any loopback, whether it is right for the names alone at port 21012
HEADERS = [
    ("127.0.0.1:21012", True, True),
    ("LocalHost:21012", True, True),
    (" desk.example.org:21012\t", True, True),
    ("127.0.0.1", True, False),
    ("localhost:", True, False),
    ("localhost:80", True, False),
    ("localhost:02101", True, False),
    ("localhost.:21012", True, False),
    ("127.1.2.3:21012", True, False),
    ("[::1]:21012", True, False),
    ("[::ffff:127.0.0.1]:21012", True, False),
    ("192.0.2.7:21012", True, False),  # where the request came to
    # What a name that was made to point here, or a careless proxy, might say.
    ("", False, False),
    ("evil.example:21012", False, False),
    ("page.localhost:21012", False, False),
    ("localhost.evil.example:21012", False, False),
    ("127.0.0.1.evil.example:21012", False, False),
    ("evil.example:80:21012", False, False),
    ("evil@localhost:21012", False, False),
    ("localhost@evil:21012", False, False),
    ("localhost:21012.evil.example", False, False),
    ("localhost:21012, evil.example", False, False),
    ("localhost/:21012", False, False),
    ("0.0.0.0:21012", False, False),
    ("[::]:21012", False, False),
    ("127.1:21012", False, False),
    ("2130706433:21012", False, False),
    ("0x7f.0.0.1:21012", False, False),
    ("127.0.0.1%lo:21012", False, False),
    ("::1:21012", False, False),
    ("[::1", False, False),
    ("[localhost]:21012", False, False),
    ("localhost..:21012", False, False),
    ("192.0.2.8:21012", False, False),
]


@pytest.mark.parametrize(("header", "program", "page"), HEADERS)
def test_how_a_request_may_name_its_host(header: str, program: bool, page: bool) -> None:
    assert host_header_is_ours(header, HUB, any_loopback=True, reached="192.0.2.7") is program
    assert host_header_is_ours(header, HUB, port=21012) is page


def test_a_header_without_a_port_means_80() -> None:
    assert host_header_is_ours("localhost", HUB, port=80)
    assert host_header_is_ours("[::1]", {"[::1]"}, port=80)
    assert not host_header_is_ours("[::1]", {"[::1]"}, port=21012)


def test_listening_at_an_address_is_to_be_called_by_it() -> None:
    assert host_header_is_ours("[2001:DB8::0:1]", {"2001:db8::1"}, any_loopback=True)
    assert host_header_is_ours("0.0.0.0", {"0.0.0.0"}, any_loopback=True)
    assert host_header_is_ours("192.0.2.7", (), any_loopback=True, reached="::ffff:192.0.2.7")
    assert host_header_is_ours("[fe80::1]", (), any_loopback=True, reached="fe80::1%eth0")


@given(st.text(max_size=30) | st.from_regex(r"[a-z0-9.\-]{1,12}(:[0-9]{1,5})?", fullmatch=True))
def test_a_host_is_ours_only_by_a_name_or_an_address(header: str) -> None:
    if host_header_is_ours(header, HUB, port=21012):
        assert header.strip().lower() in {f"{name}:21012" for name in HUB}
    if host_header_is_ours(header, HUB, any_loopback=True):
        host = header.strip().lower().partition(":")[0].removesuffix(".")
        assert header.startswith("[") or host in HUB or IPv4Address(host).is_loopback


def test_what_a_machine_is_called() -> None:
    assert own_names("Desk.example.org") == {"desk.example.org", "desk", "desk.local"}
    assert own_names("desk") == {"desk", "desk.local"}
    assert own_names("") == own_names(".example.org") == frozenset()


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        *(("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::1%lo", True)),
        *(
            ("10.0.0.1", False),
            ("fe80::1%eth0", False),
            ("localhost", False),
            ("127.1", False),
            ("0.0.0.0", False),
        ),
    ],
)
def test_a_loopback_number_needs_no_look_up(host: str, is_it: bool) -> None:
    assert is_loopback_number(host) is is_it


def test_numbers_and_names() -> None:
    assert str(number_of("::ffff:10.0.0.1")) == "10.0.0.1"
    assert number_of("127.1") is None
    assert address_of("desk") is None
    assert looks_like_number("089.1")
    assert looks_like_number("1.2.3.4.5")
    assert looks_like_number("..1")
    assert not any(looks_like_number(host) for host in ("", ".", "desk", "1.2.x", "::1", "a1.2"))
    assert is_below_localhost("Page.localhost.")
    assert not is_below_localhost("localhost")


@pytest.mark.parametrize(
    ("listens", "called"),
    [
        *(("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]")),
        *(("::0", "[::1]"), ("0:0:0:0:0:0:0:0", "[::1]"), ("::ffff:0.0.0.0", "127.0.0.1")),
        *(("0", "127.0.0.1"), ("192.0.2.7", "192.0.2.7"), ("desk", "desk"), ("fe80::2", "[fe80::2]")),
    ],
)
def test_what_a_server_is_called_in_a_url(listens: str, called: str) -> None:
    assert url_host(listens) == called
