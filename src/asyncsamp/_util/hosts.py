"""Whether a URL or an address means this machine. No I/O."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

__all__ = ["is_local", "is_local_address", "is_local_host"]


def is_local(url: str) -> bool:
    """Whether `url` means a file, or a server on this machine."""
    scheme = url.partition(":")[0].lower()
    if scheme == "file":
        return True
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return is_local_host(host)


def is_local_host(host: str) -> bool:
    """Whether `host`, a name or an address, means this machine by what is written."""
    return host == "localhost" or host.endswith(".localhost") or is_local_address(host)


def is_local_address(host: str) -> bool:
    """Whether `host` is an IP address by which a program reaches its own machine.

    0.0.0.0 and :: are none, but whoever connects to them is connected to the loopback address.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_unspecified
