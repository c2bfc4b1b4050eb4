"""What the system tells of sockets: real ones, and those of another user."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncsamp._util.socket_table import Ends, SocketTable, another_user

from ..users import LINUX, NOBODY, ROOT, nobody_listening

pytestmark = LINUX


@pytest.fixture
def table() -> Iterator[SocketTable]:
    with contextlib.closing(SocketTable()) as table:
        yield table


@contextlib.contextmanager
def listener(host: str, *, only_6: bool = False) -> Iterator[int]:
    """Listen at `host` and give the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_6)
        listening.bind((host, 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("bound", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "::1"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_who_listens_is_told_without_a_connection(table: SocketTable, bound: str, asked: str) -> None:
    with listener(bound) as port:
        assert table.listening_user(asked, port) == os.getuid()
    assert table.listening_user(asked, port) is None


def test_another_address_or_protocol_is_not_listened_at(table: SocketTable) -> None:
    with listener("127.0.0.1") as port:
        assert table.listening_user("127.0.0.2", port) is None
        assert table.listening_user("::1", port) is None
    with listener("::", only_6=True) as port:
        assert table.listening_user("127.0.0.1", port) is None


def test_a_connection_that_nobody_listens_for_any_more_has_an_owner(table: SocketTable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        taken, _ = server.accept()
    with client, taken:
        ends = Ends(client.getpeername(), client.getsockname())
        assert ends.within_machine
        assert table.listening_user(*ends.peer) is None
        assert table.user_who_took(ends) == os.getuid()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_tells_what_the_other_end_has_not_read(table: SocketTable, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        client = socket.create_connection(server.getsockname()[:2])
        ends = Ends(client.getpeername()[:2], client.getsockname()[:2])
        with client:
            assert not table.is_unread(ends)
            client.sendall(b"12")  # nobody has accepted it
            assert table.is_unread(ends)
            taken, _ = server.accept()
            with taken:
                assert table.is_unread(ends)
                assert taken.recv(1) == b"1"
                assert table.is_unread(ends)
                assert taken.recv(1) == b"2"
                assert not table.is_unread(ends)
                client.setblocking(False)
                sent = 0
                with contextlib.suppress(BlockingIOError):
                    while True:  # more than it has room for
                        sent += client.send(bytes(1 << 20))
                assert table.is_unread(ends)
                while sent:
                    sent -= len(taken.recv(1 << 20))
                assert not table.is_unread(ends)
        assert not table.is_unread(ends)


def test_where_the_system_does_not_tell_it_is_not_known(
    table: SocketTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "other")
    with pytest.raises(OSError, match="only Linux"):
        table.listening_user("127.0.0.1", 1)
    assert table.user_who_took(Ends(("127.0.0.1", 1), ("127.0.0.1", 2))) is None


def test_one_socket_serves_for_all_questions(table: SocketTable) -> None:
    def used() -> set[str]:
        found = set()
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # of the listing itself
                found.add(str(descriptor.readlink()))
        return found

    before = used()
    table.listening_user("127.0.0.1", 1)
    opened = used() - before
    assert len(opened) == 1
    with listener("127.0.0.1") as port:
        for _ in range(100):
            assert table.listening_user("127.0.0.1", port) == os.getuid()
            assert table.listening_user("::1", port) is None
    assert used() - before == opened
    table.close()
    assert used() == before


def test_an_answer_that_was_not_waited_for_is_not_taken_for_the_next(
    table: SocketTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Ctrl-C comes between question and answer."""

    with listener("127.0.0.1") as port:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", InterruptedSocket)
            with pytest.raises(KeyboardInterrupt):
                table.listening_user("127.0.0.1", port)
        assert table.listening_user("127.0.0.2", port) is None


class InterruptedSocket(socket.socket):
    """A socket at which the user loses patience."""

    def recv(self, *_: object) -> bytes:
        raise KeyboardInterrupt


@ROOT
async def test_who_listens_may_be_another_user(table: SocketTable) -> None:
    async with nobody_listening() as stranger:
        assert table.listening_user("127.0.0.1", stranger.port) == NOBODY
        with socket.create_connection(("127.0.0.1", stranger.port)) as client:
            assert table.user_who_took(Ends(client.getpeername(), client.getsockname())) == NOBODY


@ROOT
async def test_where_the_kernel_may_not_be_asked_its_table_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError("no netlink here")

    with socket.create_server(("127.0.0.1", 0)) as server:
        program = "import encodings.idna, os, socket, sys; os.setuid(int(sys.argv[2]));"
        program += "s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print(flush=True);"
        program += "sys.stdin.read()"
        command = [sys.executable, "-I", "-c", program, str(server.getsockname()[1]), str(NOBODY)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            taken, _ = server.accept()
            assert child.stdout is not None
            child.stdout.readline()
            with taken:
                ends = Ends(taken.getpeername(), taken.getsockname())
                assert await another_user(ends) == NOBODY
                monkeypatch.setattr(SocketTable, "connected_user", denied)
                assert await another_user(ends) == NOBODY
            child.communicate()
