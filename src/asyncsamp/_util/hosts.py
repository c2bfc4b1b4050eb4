"""Is this host this machine? One place for what are three questions, which must not be mixed up.

- `reaches_this_machine`: does a connection to that host end here, however it is spelled? To be asked before
  something is kept away from this machine.
- `is_local_host` (of a URL: `is_local`): does it say so in one of the usual spellings? To be asked before
  a URL is treated as one of this machine. What reaches this machine without saying so is hiding it.
- `host_header_is_ours`: may a request name the host that it is for like this? A web page of somebody else,
  whose name was made to point here (DNS rebinding), names that host.

No I/O, so names are never looked up: the caller passes what this machine is called.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

__all__ = [
    "address_of",
    "host_header_is_ours",
    "is_below_localhost",
    "is_local",
    "is_local_host",
    "is_loopback_number",
    "looks_like_number",
    "number_of",
    "own_names",
    "reaches_this_machine",
    "url_host",
]

Address = IPv4Address | IPv6Address

_HEADER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::([0-9]{0,5}))?")
_HTTP_PORT = "80"
_PART = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def reaches_this_machine(host: str, names: Collection[str] = ()) -> bool:
    """Return whether who connects to `host` is connected to this machine.

    That are the loopback addresses, and the unspecified ones, 0.0.0.0 and ::, by which systems mean the same;
    as IPv4 within IPv6, too, and in every spelling that systems read (127.1, 0x7f.1, 2130706433);
    localhost and what is below it; and `names`. A final dot changes nothing.

    Args:
        host: A host as it stands in a URL, without brackets.
        names: What this machine is called, in small letters.
    """
    name = _plain_text(host)
    if name in names or name == "localhost" or name.endswith(".localhost"):
        return True
    address = address_of(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def is_local_host(host: str, names: Collection[str] = ()) -> bool:
    """Return whether `host` names this machine for all to see.

    That are localhost and what is below it, `names`, and the numbers of `reaches_this_machine` in the
    spelling of RFC 4291 and of four decimal parts.

    Args:
        host: A host as it stands in a URL, without brackets, in small letters.
        names: What this machine is called, in small letters.
    """
    if host == "localhost" or host.endswith(".localhost") or host in names:
        return True
    address = number_of(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def host_header_is_ours(
    header: str,
    names: Collection[str],
    *,
    port: int | None = None,
    any_loopback: bool = False,
    reached: str = "",
) -> bool:
    """Return whether a request with this Host header is meant for a server of ours.

    Args:
        header: The value of the header: a host, which may have a port.
        names: Hosts that are right, in small letters, IPv6 addresses in brackets.
        port: The port that must be named; a header without one means 80. None: any.
        any_loopback: Whether each address of the loopback is right, besides `names`, and each host
            in `names` may end in a dot and be spelled otherwise, if it is a number.
        reached: With `any_loopback`: the address that the request came to, which is right, too.
    """
    match = _HEADER.fullmatch(header.strip())
    if match is None:
        return False
    if port is not None and (_HTTP_PORT if match[2] is None else match[2]) != str(port):
        return False
    host = match[1].lower()
    if host in names:
        return True
    if not any_loopback:
        return False
    host = host.removesuffix(".")
    address = None if "%" in host else number_of(host.strip("[]"))
    if address is None:
        return host in names
    return address.is_loopback or str(address) in names or address == number_of(reached)


def is_local(url: str) -> bool:
    """Return whether `url` means a file, or a server on this machine as `is_local_host` tells."""
    scheme = url.partition(":")[0].lower()
    if scheme == "file":
        return True
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_local_host(host)


def own_names(hostname: str) -> frozenset[str]:
    """Return what a machine is called in its own network: its name, its first part, and that with .local."""
    name = hostname.lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local"}) if short else frozenset()


def is_below_localhost(host: str) -> bool:
    """Return whether `host` is a name below localhost: loopback by RFC 6761, which not every system heeds."""
    return _plain_text(host).endswith(".localhost")


def is_loopback_number(host: str) -> bool:
    """Return whether `host` is a loopback address in its usual spelling, so that nothing is looked up."""
    address = number_of(host)
    return address is not None and address.is_loopback


def looks_like_number(host: str) -> bool:
    """Return whether some system may read `host` as an IPv4 address, whatever address that is."""
    parts = [part for part in _plain_text(host).split(".") if part]
    return bool(parts) and all(_PART.fullmatch(part) for part in parts)


@lru_cache(maxsize=256)  # a registration asks three times, and nearly always for 127.0.0.1
def number_of(host: str) -> Address | None:
    """Return the address that `host` is in its usual spelling; None for names and anything else.

    A zone is dropped, and IPv4 within IPv6 (::ffff:127.0.0.1) is IPv4.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def address_of(host: str) -> Address | None:
    """Return the address that `host` is in any spelling that systems read; None for names.

    They read IPv4 addresses of one to four parts, each decimal, octal (0177) or hexadecimal (0x7f), of which
    the last fills what is left (inet_aton).
    """
    return number_of(host) or _unusual_number(host)


def url_host(host: str) -> str:
    """Return how a server that listens at `host` is called in a URL; the loopback, if it is all addresses."""
    address = address_of(host)
    if not host or (address is not None and address.is_unspecified):
        return "[::1]" if isinstance(address, IPv6Address) else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _plain_text(host: str) -> str:
    """Return `host` as resolvers read it: no final dot; wide digits, dots and letters as ASCII."""
    return unicodedata.normalize("NFKC", host).replace("\u3002", ".").lower().removesuffix(".")


def _unusual_number(host: str) -> IPv4Address | None:
    parts = host.split(".")
    if len(parts) > 4 or not all(_PART.fullmatch(part) for part in parts):
        return None
    try:
        *first, last = (_part(part) for part in parts)
    except ValueError:  # an 8 or 9 in an octal number
        return None
    value = 0
    for part in first:
        if part > 255:
            return None
        value = value << 8 | part
    left = 8 * (4 - len(first))
    return IPv4Address(value << left | last) if last < 1 << left else None


def _part(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)
