"""The subjects of a room. Who speaks stands first in each, so that the server's permissions prove it.

A hub is two tokens, MEMBER.INCARNATION: its account, and eight digits of this start.

| subject | what is published there by HUB |
|---|---|
| samp.ROOM.HUB.here | that it is here |
| samp.ROOM.HUB.bye | that it leaves |
| samp.ROOM.HUB.to.PEER | frames and acknowledgements |
| samp.ROOM.HUB.refused.PEER | nothing: the server says there that nobody listens at PEER's |
| samp.ROOM.HUB.get.OWNER | it wants to read something of OWNER's |
| samp.ROOM.HUB.answer.PEER.NUMBER | what PEER waits for: pieces, or how far a reader is |

No I/O.
"""

from __future__ import annotations

import re

__all__ = ["Subjects", "is_hub", "member_of", "peer_of", "permissions", "speaker_of"]

_HUB = re.compile(r"[A-Za-z0-9_-]{1,64}\.[0-9a-f]{8}")

_NUMBER = re.compile(r"[0-9a-f]{1,64}")


class Subjects:
    """The subjects that one hub uses.

    Args:
        room: The name of the room.
        hub: What the room calls the hub: member and incarnation.
    """

    def __init__(self, room: str, hub: str) -> None:
        self.room = room
        self._room = f"samp.{room}"
        self.hub = hub
        self.here = f"{self._room}.{hub}.here"
        self.bye = f"{self._room}.{hub}.bye"
        self.all_here = f"{self._room}.*.*.here"
        self.all_bye = f"{self._room}.*.*.bye"
        self.all_frames = f"{self._room}.*.*.to.{hub}"
        self.all_refused = f"{self._room}.{hub}.refused.*.*"
        self.all_asked = f"{self._room}.*.*.get.{hub}"

    def frames(self, peer: str) -> str:
        """Return where `peer` gets frames of ours."""
        return f"{self._room}.{self.hub}.to.{peer}"

    def refused(self, peer: str) -> str:
        """Return where the server says that nobody listens at `peer`'s."""
        return f"{self._room}.{self.hub}.refused.{peer}"

    def ask(self, owner: str) -> str:
        """Return where `owner` is asked for what it has offered."""
        return f"{self._room}.{self.hub}.get.{owner}"

    def answer_of(self, speaker: str, number: str) -> str:
        """Return where we wait for what `speaker` alone may say; `number` is not to be guessed."""
        return f"{self._room}.{speaker}.answer.{self.hub}.{number}"

    def is_answer_to(self, peer: str, subject: str) -> bool:
        """Return whether `subject`, which `peer` names, is one where it waits for us."""
        prefix, _, number = subject.rpartition(".")
        return prefix == f"{self._room}.{self.hub}.answer.{peer}" and _NUMBER.fullmatch(number) is not None


def permissions(room: str, member: str) -> tuple[list[str], list[str]]:
    """Return the subjects to which a member may publish, and to which it may listen."""
    base = f"samp.{room}"
    everybody = [f"{base}.*.*.here", f"{base}.*.*.bye"]
    own = [f"{base}.*.*.{what}.{member}.>" for what in ("to", "get", "answer")]
    return [f"{base}.{member}.>"], [*everybody, *own, f"{base}.{member}.*.refused.>"]


def is_hub(name: str) -> bool:
    """Return whether a hub may be called so: member and incarnation."""
    return _HUB.fullmatch(name) is not None


def speaker_of(subject: str) -> str:
    """Return who has published."""
    return ".".join(subject.split(".")[2:4])


def peer_of(subject: str) -> str:
    """Return at whose place nobody listens, by the subject where the server says so."""
    return ".".join(subject.split(".")[-2:])


def member_of(hub: str) -> str:
    """Return whose hub it is."""
    return hub.partition(".")[0]
