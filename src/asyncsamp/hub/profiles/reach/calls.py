"""The open calls of a peer's clients, by their id here and there. No I/O."""

from __future__ import annotations

from ....values import ValueMap

__all__ = ["PROGRESS", "OpenCalls"]

PROGRESS = "samp.msg.progress"
"""The one mtype whose params have an id of a call: of who called, as the responder's hub knows it."""


class OpenCalls:
    """Which id here a call of a peer has, for the one message that names it: samp.msg.progress.

    Calls that nobody ever answers must not pile up: of more than `most` the oldest are forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._theirs: dict[str, str] = {}
        self._ours: dict[str, str] = {}

    def opened(self, ours: str, theirs: str) -> None:
        """A call that the peer knows as `theirs` is `ours` here."""
        while len(self._theirs) >= self._most:
            oldest = next(iter(self._theirs))
            self._ours.pop(self._theirs.pop(oldest), None)
        self._theirs[ours] = theirs
        self._ours[theirs] = ours

    def answered(self, theirs: str) -> None:
        """The call has been answered."""
        ours = self._ours.pop(theirs, None)
        if ours is not None:
            self._theirs.pop(ours, None)

    def theirs(self, ours: str) -> str | None:
        """Return how the peer knows the call that is `ours` here; None if the peer has not made it."""
        return self._theirs.get(ours)

    def renamed(self, message: ValueMap) -> ValueMap:
        """Return a message that tells of the progress of a call, with the id by which the peer knows it."""
        params = message.get("samp.params")
        theirs = self.theirs(str(params.get("msgid"))) if isinstance(params, dict) else None
        if theirs is None or not isinstance(params, dict):
            return message
        return {**message, "samp.params": {**params, "msgid": theirs}}
