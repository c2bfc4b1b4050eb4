"""Which user of this machine has the other end of a connection: Linux tells, other systems do not."""

from __future__ import annotations

import asyncio
import os
import struct
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

__all__ = ["Ends", "another_user", "user_in_table"]

_TABLES = Path("/proc/net")

_LOOKS = 3
"""How often to look: a table that changes while it is read may lack a line."""

_LINE = 400
_UID = 6
"""No line is longer, and where in it the uid stands, counted from the addresses."""

_MAPPED = b"\0" * 10 + b"\xff\xff"


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
    uid = await asyncio.to_thread(_look_up, ends)
    return None if uid is None or uid in (0, os.getuid()) else uid


def user_in_table(table: str, ends: Ends) -> int | None:
    """Return the uid that `table`, the text of /proc/net/tcp or tcp6, gives for the peer's socket."""
    for mapped in (False, True):
        # Found as a text: to take every line apart would cost 2 ms with a thousand connections.
        place = table.find(f" {_address(ends.peer, mapped)} {_address(ends.ours, mapped)} ")
        fields = table[place : place + _LINE].partition("\n")[0].split() if place >= 0 else []
        if len(fields) > _UID and fields[_UID].isdigit():
            return int(fields[_UID])
    return None


def _look_up(ends: Ends) -> int | None:
    for _ in range(_LOOKS):
        for name in ("tcp", "tcp6"):
            try:
                uid = user_in_table((_TABLES / name).read_text(encoding="ascii"), ends)
            except (OSError, ValueError):
                continue
            if uid is not None:
                return uid
    return None


def _address(end: tuple[str, int], mapped: bool) -> str:
    """Return an end as the tables spell it. A socket for IPv6 may have an IPv4 address, mapped."""
    host, port = end
    address = ip_address(host.partition("%")[0])
    packed = address.packed if isinstance(address, IPv6Address) or not mapped else _MAPPED + address.packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
