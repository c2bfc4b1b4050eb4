"""What is done when the interpreter ends, and what is not."""

from __future__ import annotations

import os
import socket
import threading
from functools import partial
from pathlib import Path

import pytest

from asyncsamp._util import at_exit
from asyncsamp.discovery.files import take_away
from asyncsamp.lockfile import Lockfile, render_lockfile


class Owner:
    """A client or a hub."""


@pytest.fixture
def server() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.settimeout(30)
    return made


def one_request(server: socket.socket) -> str:
    """Take one request and answer it."""
    got: list[str] = []

    def take() -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(30)
            data = b""
            while not data.endswith(b"</methodCall>\n"):
                data += connection.recv(65536)
            got.append(data.decode())
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=take)
    thread.start()
    at_exit._at_exit()
    thread.join(5)
    return got[0]


def test_a_client_that_is_left_says_goodbye(server: socket.socket) -> None:
    owner = Owner()
    with server:
        at_exit.unregister_at_exit(owner, f"http://127.0.0.1:{server.getsockname()[1]}/xmlrpc", "key")
        request = one_request(server)
    at_exit.forget(owner)
    assert request.startswith("POST /xmlrpc HTTP/1.1\r\n")
    assert "samp.hub.unregister" in request
    assert "key" in request


def test_those_who_left_and_forks_say_nothing(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with server:
        server.settimeout(0.01)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/xmlrpc"
        gone, forgotten, forked = Owner(), Owner(), Owner()
        for owner in (gone, forgotten, forked):
            at_exit.unregister_at_exit(owner, url, "key")
        at_exit.forget(forgotten)
        del gone, owner
        monkeypatch.setattr(os, "getpid", lambda: -1)
        at_exit._at_exit()
        monkeypatch.undo()
        at_exit.forget(forked)
        at_exit._at_exit()
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_hub_that_is_not_there_is_nobodys_business() -> None:
    owner = Owner()
    at_exit.unregister_at_exit(owner, "http://127.0.0.1:1/xmlrpc", "key")
    at_exit._at_exit()
    at_exit.forget(owner)


def test_a_hubs_lockfile_is_taken_away_and_its_own_clients_are_silent(
    tmp_path: Path, server: socket.socket
) -> None:
    with server:
        server.settimeout(0.01)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/xmlrpc"
        lockfile = Lockfile("secret", url)
        path = tmp_path / "samp"
        path.write_bytes(data if isinstance(data := render_lockfile(lockfile), bytes) else data.encode())
        hub, client = Owner(), Owner()
        at_exit.withdraw_at_exit(hub, url, partial(take_away, path, lockfile))
        at_exit.unregister_at_exit(client, url, "key")
        at_exit._at_exit()
        assert not path.exists()
        at_exit._at_exit()  # nothing left to take away
        with pytest.raises(TimeoutError):
            server.accept()
        at_exit.forget(hub)
        at_exit.forget(client)
