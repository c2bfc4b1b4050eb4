"""A `WebProfileDialog` decides whether a page may register; safe XML-RPC."""

from __future__ import annotations

import queue
import threading
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from asyncsamp.compat import SAMP_ICON, SAMPHubServer, SAMPXXEServerProxy, WebProfileDialog, safe_xmlrpc_loads
from asyncsamp.compat.standard_profile import ThreadingXMLRPCServer
from asyncsamp.compat.web_profile import web_profile_text_dialog

BOMB = '<!DOCTYPE x [<!ENTITY e "x">]><methodCall><methodName>&e;</methodName></methodCall>'


class Dialog(WebProfileDialog):
    def __init__(self, answers: list[bool]) -> None:
        self.answers = answers
        self.shown: list[tuple[Any, ...]] = []
        self.end = threading.Event()

    def show_dialog(self, *args: Any) -> None:
        self.shown.append(args)
        (self.consent if self.answers.pop(0) else self.reject)()

    def poll(self) -> None:  # as a GUI's timer would
        while not self.end.wait(0.01):
            self.handle_queue()


@pytest.fixture
def dialog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dialog]:
    monkeypatch.setenv("HOME", str(tmp_path))
    shown = Dialog([True, False])
    shown.handle_queue()  # nothing before the hub starts
    shown.consent()
    gui = threading.Thread(target=shown.poll)
    gui.start()
    yield shown
    shown.end.set()
    gui.join()


def test_a_dialog_lets_pages_in_or_not(dialog: Dialog, tmp_path: Path) -> None:
    hub = SAMPHubServer(web_profile_dialog=dialog, lockfile=str(tmp_path / "lock"), web_port=0)
    hub.start()
    with SAMPXXEServerProxy(f"http://127.0.0.1:{hub.web_port}/") as page:
        register: Any = page.samp.webhub.register
        assert "samp.private-key" in register({"samp.name": "page"})
        dialog.consent()  # nobody asks
        with pytest.raises(xmlrpc.client.Fault, match="did not let"):
            register({"samp.name": "page"})
    hub.stop()
    name, details, client, origin = dialog.shown[0]
    assert (name, details, client[0], origin) == ("page", {"samp.name": "page"}, "127.0.0.1", "unknown")


def test_a_dialog_must_show_something() -> None:
    with pytest.raises(NotImplementedError, match="needs a method show_dialog"):
        WebProfileDialog().show_dialog("page", {}, ("127.0.0.1", 0), "origin")


@pytest.mark.parametrize(("typed", "allowed"), [("YES", True), ("no", False)])
def test_the_terminal_is_asked(typed: str, allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: typed)
    answers: queue.Queue[bool] = queue.Queue()
    web_profile_text_dialog(({"samp.name": "page"}, ("127.0.0.1", 1), "http://x.org"), answers)
    assert answers.get_nowait() is allowed


def test_entities_are_refused() -> None:
    assert safe_xmlrpc_loads(xmlrpc.client.dumps((1, "a"), "m")) == ((1, "a"), "m")
    with pytest.raises(ValueError, match="DTD"):
        safe_xmlrpc_loads(BOMB)


def test_a_server_of_the_standard_library_refuses_entities() -> None:
    server = ThreadingXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda x: x, "same")
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    url = "http://{}:{}".format(*server.server_address)
    with SAMPXXEServerProxy(url, allow_none=True) as proxy:
        assert proxy.same("x") == "x"
        with urlopen(f"{url}/samp/icon") as icon:
            assert icon.read() == SAMP_ICON
        with pytest.raises(OSError, match="404"), urlopen(f"{url}/other"):
            pass
        with pytest.raises(OSError, match="500"), urlopen(f"{url}/RPC2", BOMB.encode()):
            pass
    server.shutdown()
    serving.join()
    server.server_close()
