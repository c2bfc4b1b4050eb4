"""What the system itself knows of TCP sockets: who listens, who has the other end, and what he has not read.

Linux tells it, without a packet to anybody; other systems do not. The kernel is asked for one socket over
netlink (sock_diag(7)): that takes some 10 us, and as many to open the netlink socket first. To read
/proc/net/tcp takes 10 ms on a machine with much memory, however few sockets there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

from .hosts import is_loopback_number, number_of

__all__ = ["Ends", "SocketTable", "another_user", "user_in_table"]

_TABLES = Path("/proc/net")

_LOOKS = 3
"""How often to look: a table that changes while it is read may lack a line."""

_LINE = 400
_UID = 6
"""No line is longer, and where in it the uid stands, counted from the addresses."""

_MAPPED = b"\0" * 10 + b"\xff\xff"

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST = 1  # NLM_F_REQUEST
_ERROR = 2  # NLMSG_ERROR
_HEADER = struct.Struct("=IHHII")
_PORTS = struct.Struct("!HH")
_NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)  # any interface, and any cookie
_ASKED: dict[int, bytes] = {
    family: struct.pack(
        "=IHHIIBBBBI", 72, _BY_FAMILY, _REQUEST, 0, 0, family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF
    )
    for family in (socket.AF_INET, socket.AF_INET6)
}
"""How a question begins: a message of 72 bytes, for TCP, in any state."""

_QUEUES_AND_UID = struct.Struct("=III")
_QUEUES_AT = 16 + 4 + 48 + 4
"""Where in the answer they stand: after the header, four bytes, the socket's id, and a number."""

_LISTEN = 10
_NO_SUCH_SOCKET = 2  # ENOENT


class Ends(NamedTuple):
    """The addresses and ports of a TCP connection, as its socket has them."""

    peer: tuple[str, int]
    ours: tuple[str, int]

    @property
    def within_machine(self) -> bool:
        """Whether both ends are certain to be on this machine."""
        return self.peer[0] == self.ours[0] or is_loopback_number(self.peer[0])


async def another_user(ends: Ends | None) -> int | None:
    """Return the uid of the user at the other end, if it is certain that it is neither ours nor root's.

    None also where it cannot be found out. Root may do anything without our leave, and on some systems
    it is root who passes on what a browser sends. Cancelling is safe.
    """
    if ends is None:
        return None
    try:
        with contextlib.closing(SocketTable()) as table:
            uid = table.connected_user(ends)
    except OSError:  # it may not be asked, as in some sandboxes
        uid = await asyncio.to_thread(_look_up, ends)
    return None if uid is None or uid in (0, os.getuid()) else uid


class SocketTable:
    """The kernel's table of TCP sockets, asked over one netlink socket that is kept until `close`.

    It is opened for the first question. To be used in one thread only.
    """

    def __init__(self) -> None:
        self._kernel: socket.socket | None = None

    def listening_user(self, host: str, port: int) -> int | None:
        """Return the uid of who would get a connection to an address of this machine; None: nobody listens.

        Raises OSError if the system does not tell.

        Args:
            host: An address of this machine, as a number.
            port: The TCP port.
        """
        found = self._find((host, port), None)
        return None if found is None or found.state != _LISTEN else found.uid

    def connected_user(self, ends: Ends) -> int | None:
        """Return the uid of who has the other end of a connection; None if that has no socket any more.

        Raises OSError if the system does not tell.
        """
        found = self._find(ends.peer, ends.ours)
        return None if found is None or found.state == _LISTEN else found.uid

    def user_who_took(self, ends: Ends) -> int | None:
        """Return the uid of who has the other end of a connection of ours that is new.

        Who listens is asked first: a connection counts as root's until its server accepts it. None where it
        cannot be found out.

        Args:
            ends: The connection, already open: whoever takes the port afterwards does not get it.
        """
        try:
            user = self.listening_user(*ends.peer)
            return self.connected_user(ends) if user is None else user
        except OSError:
            return None

    def is_unread(self, ends: Ends) -> bool:
        """Return whether who has the other end of a connection has not yet read all that was sent on it.

        Also while nobody has accepted it. Raises OSError if the system does not tell.

        Args:
            ends: The connection, both of whose ends are on this machine.
        """
        theirs = self._find(ends.peer, ends.ours)
        if theirs is not None and theirs.state != _LISTEN and theirs.unread:
            return True
        ours = self._find(ends.ours, ends.peer)
        return ours is not None and ours.state != _LISTEN and ours.unsent > 0

    def close(self) -> None:
        """Close the netlink socket. May be called again; another question opens a new one."""
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None

    def _find(self, local: tuple[str, int], remote: tuple[str, int] | None) -> _Found | None:
        """Return the socket at `local` that gets what comes from `remote`, or whatever listens there.

        None if there is none. Raises OSError if the system does not tell.
        """
        if sys.platform != "linux":
            raise OSError("only Linux tells whose a socket is")
        family, here = _packed(local[0])
        there = bytes(16) if remote is None else _packed(remote[0])[1]
        ports = _PORTS.pack(local[1], 0 if remote is None else remote[1])
        return _read_answer(self._ask(_ASKED[family] + ports + here + there + _NO_COOKIE))

    def _ask(self, question: bytes) -> bytes:
        try:
            if self._kernel is None:
                self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG)
                self._kernel.setblocking(False)  # the answer is there when the question has been sent
            self._kernel.send(question)
            return self._kernel.recv(4096)
        except BaseException:
            self.close()  # with an answer that may still be in it, and would be taken for that of the next
            raise


def user_in_table(table: str, ends: Ends) -> int | None:
    """Return the uid that `table`, the text of /proc/net/tcp or tcp6, gives for the peer's socket."""
    for mapped in (False, True):
        # Found as a text: to take every line apart would cost 2 ms with a thousand connections.
        place = table.find(f" {_address(ends.peer, mapped)} {_address(ends.ours, mapped)} ")
        fields = table[place : place + _LINE].partition("\n")[0].split() if place >= 0 else []
        if len(fields) > _UID and fields[_UID].isdigit():
            return int(fields[_UID])
    return None


class _Found(NamedTuple):
    state: int
    unread: int  # bytes that came; where somebody listens, connections to be accepted
    unsent: int  # bytes that the other end does not have yet
    uid: int


def _read_answer(answer: bytes) -> _Found | None:
    if _HEADER.unpack_from(answer)[1] == _ERROR:
        number = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if number == _NO_SUCH_SOCKET:
            return None
        raise OSError(number, os.strerror(number))
    return _Found(answer[_HEADER.size + 1], *_QUEUES_AND_UID.unpack_from(answer, _QUEUES_AT))


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


@lru_cache(maxsize=256)
def _packed(host: str) -> tuple[int, bytes]:
    """Return family and 16 bytes of an address; of IPv4, where a socket for IPv6 has it mapped."""
    address = number_of(host)
    if address is None:
        raise ValueError(f"{host!r} is not an address")
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return family, address.packed.ljust(16, b"\0")


def _address(end: tuple[str, int], mapped: bool) -> str:
    """Return an end as the tables spell it. A socket for IPv6 may have an IPv4 address, mapped."""
    host, port = end
    address = ip_address(host.partition("%")[0])
    packed = address.packed if isinstance(address, IPv6Address) or not mapped else _MAPPED + address.packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
