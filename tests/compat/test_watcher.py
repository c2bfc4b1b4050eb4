"""The thread that looks for another hub goes on whatever a look ends with."""

from __future__ import annotations

import threading
from xmlrpc.client import Fault

import pytest

from asyncsamp.compat import SAMPClientError, SAMPHubError
from asyncsamp.compat.watcher import Watcher
from asyncsamp.errors import RemoteProtocolError


@pytest.mark.parametrize(
    "error",
    [
        OSError("x"),
        SAMPHubError("x"),
        KeyError("samp.secret"),
        SAMPClientError("x"),
        RemoteProtocolError("x"),
        Fault(1, "x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_look_that_fails_is_not_the_last(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    class Looker:
        def __init__(self) -> None:
            self.looks = 0
            self.twice = threading.Event()

        def look(self) -> None:
            self.looks += 1
            if self.looks == 2:
                self.twice.set()
            raise error

    looker = Looker()
    caplog.set_level("INFO", logger="asyncsamp.client")
    watcher = Watcher(looker.look, 0.01)
    try:
        assert looker.twice.wait(30)
    finally:
        watcher.stop()
    assert "a client cannot come back yet: " in caplog.text
