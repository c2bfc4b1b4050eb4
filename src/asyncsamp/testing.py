"""A pytest plug-in: a hub, a client and scripted peers, so that an application is tested without TOPCAT.

In `conftest.py`:

    pytest_plugins = ["asyncsamp.testing"]

Fixtures:

- `samp_hub`: a hub of the test's own. SAMP_HUB names it, so that all clients of the test find it, those in
  other processes too.
- `samp_client`: a synchronous client at that hub, named "test".
- `samp_peer`: makes scripted peers, `samp_peer("topcat", {"table.load.votable": {}})`.
- `samp_replay`: makes peers that play a part of what `asyncsamp record --of` recorded; needs no extra.

The hub runs in a thread, so that tests may be plain functions or coroutines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from ._util import file_urls
from .recording import Answers, own_mtypes, read_recording
from .sync import Client, Hub
from .values import Message, Response

__all__ = ["ScriptedPeer", "samp_client", "samp_hub", "samp_peer", "samp_replay"]

Answer: TypeAlias = (
    "Mapping[str, object] | Response | Callable[[Message], Mapping[str, object] | Response | None]"
)
"""What a scripted peer answers: a result, a whole response, or a function of the message."""


class ScriptedPeer:
    """A client that answers by a script, and remembers what came.

    Attributes:
        client: The client itself, to send from.
        received: The messages that came, in order.

    Args:
        client: The client that answers, registered or not.
        script: What it answers to which mtype.
    """

    def __init__(self, client: Client, script: Mapping[str, Answer]) -> None:
        self.client = client
        self.received: list[Message] = []
        for mtype, answer in script.items():
            client.on(mtype)(self._answering(answer))
        client.settled()

    def _answering(self, answer: Answer) -> Callable[[Message], Mapping[str, object] | Response | None]:
        def handle(message: Message) -> Mapping[str, object] | Response | None:
            self.received.append(message)
            return answer(message) if callable(answer) else answer

        return handle


@pytest.fixture
def samp_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of the test's own, named by SAMP_HUB until the test ends."""
    lockfile = tmp_path / "samp-hub" / ".samp"
    lockfile.parent.mkdir()
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{file_urls.make(str(lockfile))}")
    with Hub(lockfile=lockfile) as hub:
        yield hub


@pytest.fixture
def samp_client(samp_hub: Hub) -> Iterator[Client]:
    """A client at the hub of the test."""
    with Client("test", lockfile=samp_hub.lockfile) as client:
        yield client


@pytest.fixture
def samp_peer(samp_hub: Hub) -> Iterator[Callable[[str, Mapping[str, Answer]], ScriptedPeer]]:
    """A function that makes a scripted peer of a name and a map of mtypes to answers."""
    with ExitStack() as stack:

        def make(name: str, script: Mapping[str, Answer]) -> ScriptedPeer:
            client = stack.enter_context(Client(name, lockfile=samp_hub.lockfile))
            return ScriptedPeer(client, script)

        yield make


@pytest.fixture
def samp_replay(samp_hub: Hub) -> Iterator[Callable[[str | Path, str], ScriptedPeer]]:
    """A function that makes a peer of a recording and the name of the client whose part it plays."""
    with ExitStack() as stack:

        def make(path: str | Path, name: str) -> ScriptedPeer:
            recording = read_recording(Path(path))
            part = recording.of(name)
            metadata = part.get("metadata", {})
            client = Client(str(part["name"]), metadata=metadata, lockfile=samp_hub.lockfile)
            stack.enter_context(client)
            answer = Answers(recording, name)
            return ScriptedPeer(client, dict.fromkeys(own_mtypes(part["subscriptions"]), answer))

        yield make
