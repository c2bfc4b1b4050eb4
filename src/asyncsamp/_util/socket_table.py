"""What the system itself knows of TCP sockets: who listens, and whose the other end of a connection is.

Linux tells it (/proc/net/tcp and tcp6), without a packet to anybody; other systems do not.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Ends",
    "another_user",
    "another_user_listens",
    "listening_users",
    "nobody_listens",
    "user_in_table",
]

_TABLES = Path("/proc/net")

_LOOKS = 3
"""How often to look: a table that changes while it is read may lack a line."""

_LINE = 400
_UID = 6
"""No line is longer, and where in it the uid stands, counted from the addresses."""

_MAPPED = b"\0" * 10 + b"\xff\xff"
_ANY = ("0.0.0.0", "::")  # noqa: S104 - read in a table, not bound

_LISTENING = "00000000:0000 0A "
_LISTENING_6 = "00000000000000000000000000000000:0000 0A "
"""What follows the address of a socket that listens: no peer, and the state."""


class Ends(NamedTuple):
    """The addresses and ports of a TCP connection, as its socket has them."""

    peer: tuple[str, int]
    ours: tuple[str, int]


async def another_user(ends: Ends | None) -> int | None:
    """Return the uid of the user at the other end, if it is certain that it is neither ours nor root's.

    None also where it cannot be found out. Root may do anything without our leave, and on some systems
    it is root who passes on what a browser sends. Cancelling is safe.
    """
    if ends is None:
        return None
    return _foreign(await asyncio.to_thread(_connected_user, ends))


async def another_user_listens(ends: Ends) -> int | None:
    """Return the uid of who listens where a new connection of ours went, if it is another user's.

    That is certain for a connection within this machine. Who listens is asked first: the table shows
    a connection as root's until its server accepts it. None also where it cannot be found out. Root
    counts as ourselves. Cancelling is safe.

    Args:
        ends: The connection, already open: whoever takes the port afterwards does not get it.
    """
    return await asyncio.to_thread(_another_user_listens, ends)


async def nobody_listens(host: str, port: int) -> bool | None:
    """Return whether no socket of this machine listens at an address; None if the system does not tell.

    Args:
        host: An address of this machine, as a number.
        port: The TCP port.
    """
    users = await asyncio.to_thread(_listening_users, host, port)
    return None if users is None else not users


def user_in_table(table: str, ends: Ends) -> int | None:
    """Return the uid that `table`, the text of /proc/net/tcp or tcp6, gives for the peer's socket."""
    for mapped in (False, True):
        # Found as a text: to take every line apart would cost 2 ms with a thousand connections.
        found = _users(table, f" {_address(ends.peer, mapped)} {_address(ends.ours, mapped)} ")
        for uid in found:
            return uid
    return None


def listening_users(table: str, host: str, port: int) -> set[int]:
    """Return the uids of those who get a connection to an address, by `table`: /proc/net/tcp and tcp6.

    A socket that is bound to the very address gets it before one that is bound to all addresses.
    """
    version = ip_address(host.partition("%")[0]).version
    spelled = [(host, False), (_ANY[0], False), (host, True), (_ANY[1], False)]
    if version != 4:
        spelled = [(host, False), (_ANY[1], False)]
    for address, mapped in spelled:
        name = _address((address, port), mapped)
        users = set(_users(table, f" {name} {_LISTENING if len(name) < len(_LISTENING) else _LISTENING_6}"))
        if users:
            return users
    return set()


def _users(table: str, beginning: str) -> Iterator[int]:
    place = table.find(beginning)
    while place >= 0:
        fields = table[place : place + _LINE].partition("\n")[0].split()
        if len(fields) > _UID and fields[_UID].isdigit():
            yield int(fields[_UID])
        place = table.find(beginning, place + 1)


def _foreign(uid: int | None) -> int | None:
    return None if uid is None or uid in (0, os.getuid()) else uid


def _connected_user(ends: Ends) -> int | None:
    for _ in range(_LOOKS):
        for table in _tables():
            uid = user_in_table(table, ends)
            if uid is not None:
                return uid
    return None


def _another_user_listens(ends: Ends) -> int | None:
    users = _listening_users(*ends.peer)
    if users is None:
        return None
    if not users:  # it listens no more, but may have accepted ours
        return _foreign(_connected_user(ends))
    return next((uid for uid in users if _foreign(uid) is not None), None)


def _listening_users(host: str, port: int) -> set[int] | None:
    for _ in range(_LOOKS):
        tables = list(_tables())
        if not tables:
            return None
        users = listening_users("".join(tables), host, port)
        if users:
            return users
    return set()


def _tables() -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        try:
            yield (_TABLES / name).read_text(encoding="ascii")
        except (OSError, ValueError):
            continue


def _address(end: tuple[str, int], mapped: bool) -> str:
    """Return an end as the tables spell it. A socket for IPv6 may have an IPv4 address, mapped."""
    host, port = end
    address = ip_address(host.partition("%")[0])
    packed = address.packed if isinstance(address, IPv6Address) or not mapped else _MAPPED + address.packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
