"""Which handler and which streams a message is for (SAMP 1.3 §3.7). No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from ..mtypes import check_subscription, lookup, matches, spelled_out
from ..values import ValueMap

__all__ = ["Router"]

H = TypeVar("H")
S = TypeVar("S")


class Router(Generic[H, S]):
    """Handlers and streams by mtype pattern, and the subscriptions that they make.

    A message goes to one handler, that of the most specific pattern (MTYPE-9), since a
    call has one reply; and to every stream that matches.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, H] = {}
        self._annotations: dict[str, ValueMap] = {}
        self._streams: dict[S, tuple[str, ...]] = {}

    def set_handler(self, pattern: str, handler: H, annotation: ValueMap) -> None:
        """Let `handler` have what matches `pattern`, in place of an earlier one for the same pattern.

        Raises `LocalProtocolError` if `pattern` is not a valid subscription (MTYPE-2).
        """
        self._handlers[check_subscription(pattern)] = handler
        self._annotations[pattern] = annotation

    def remove_handlers(self, patterns: Iterable[str]) -> None:
        """Take the handlers of `patterns` away. Raises KeyError, and takes none, if one has no handler."""
        for pattern in patterns:
            if pattern not in self._handlers:
                raise KeyError(f"there is no handler of {pattern!r}")
        for pattern in patterns:
            self._handlers.pop(pattern, None)
            self._annotations.pop(pattern, None)

    def add_stream(self, stream: S, patterns: Iterable[str]) -> None:
        """Let `stream` have what matches one of `patterns`. Raises `LocalProtocolError` as above."""
        self._streams[stream] = tuple(check_subscription(pattern) for pattern in patterns)

    def remove_stream(self, stream: S) -> None:
        """Take `stream` away; nothing if it is not there."""
        self._streams.pop(stream, None)

    def handler(self, mtype: str) -> H | None:
        """Return the handler for a message of `mtype`."""
        return lookup(self._handlers, mtype)

    def streams(self, mtype: str) -> list[S]:
        """Return the streams for a message of `mtype`."""
        return [
            stream
            for stream, patterns in self._streams.items()
            if any(matches(pattern, mtype) for pattern in patterns)
        ]

    def all_streams(self) -> list[S]:
        """Return every stream."""
        return list(self._streams)

    def __bool__(self) -> bool:
        return bool(self._handlers or self._streams)

    def subscriptions(self, own: Iterable[str] = ()) -> ValueMap:
        """Return what to declare: the patterns, with exact names beside wildcards (TOL-22), and `own`."""
        declared: dict[str, ValueMap] = {mtype: {} for mtype in own}
        for patterns in self._streams.values():
            for pattern in patterns:
                declared.update(_spelled(pattern, {}))
        # The most specific last, so that its annotation wins (MTYPE-9).
        for pattern in sorted(self._annotations, key=_specificity):
            declared.update(_spelled(pattern, self._annotations[pattern]))
        return dict(declared)


def _specificity(pattern: str) -> tuple[bool, int]:
    return not pattern.endswith("*"), pattern.count(".")


def _spelled(pattern: str, annotation: ValueMap) -> Mapping[str, ValueMap]:
    return dict.fromkeys(spelled_out(pattern), annotation)
