"""Which messages are harmless enough for strangers, and to whom (WEB-60..62). No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from ..mtypes import check_subscription, keys_for, matches
from ..values import ValueMap

__all__ = ["WEB_MTYPES", "MTypeLimits"]

WEB_MTYPES = (
    "samp.app.*",
    "samp.msg.progress",
    "table.*",
    "image.*",
    "coord.*",
    "spectrum.*",
    "bibcode.*",
    "voresource.*",
    "coverage.*",
)
"""What JSAMP lets web clients send: nothing that runs commands or tells of the machine (WEB-60)."""

_HARMLESS = ("x-samp.mostly-harmless", "samp.mostly-harmless")


class MTypeLimits:
    """A list of mtypes, wildcards included, that web clients may send.

    A recipient may say otherwise by the annotation `x-samp.mostly-harmless` of its subscription: "1"
    takes from web clients what is not on the list, "0" does not take what is (WEB-62).

    Raises `LocalProtocolError` for what is neither a valid mtype nor a wildcard.
    """

    def __init__(self, allowed: Iterable[str] = WEB_MTYPES) -> None:
        self._allowed = frozenset(check_subscription(pattern) for pattern in allowed)

    def may_send(self, mtype: str, annotation: ValueMap) -> bool:
        """Whether a web client may send `mtype` to a client that subscribes to it with `annotation`."""
        harmless = _harmless(annotation)
        if harmless is None:
            return any(key in self._allowed for key in keys_for(mtype))
        return harmless

    def visible(self, subscriptions: ValueMap) -> ValueMap:
        """Return the part of a client's subscriptions that a web client can use (WEB-61).

        A wildcard wider than the list is shown as the part of the list that it covers, so that a client
        that subscribes to everything is not taken for one that takes nothing.
        """
        narrowed: ValueMap = {}
        kept: ValueMap = {}
        for key, value in sorted(subscriptions.items(), key=lambda item: -len(item[0])):
            annotation = value if isinstance(value, dict) else {}
            harmless = _harmless(annotation)
            if harmless or (harmless is None and self._covers(key)):
                kept[key] = value
            elif harmless is None and key.endswith("*"):
                for pattern in self._allowed:
                    if matches(key, pattern.replace("*", "x")):
                        narrowed.setdefault(pattern, value)
        hidden = {key for key in subscriptions if key not in kept}
        return {**{key: value for key, value in narrowed.items() if key not in hidden}, **kept}

    def _covers(self, key: str) -> bool:
        """Whether every mtype that `key` takes is on the list."""
        wider = key.endswith("*")
        patterns = list(keys_for(key.replace("*", "x")))[1 if wider else 0 :]
        return any(pattern in self._allowed for pattern in patterns)


def _harmless(annotation: ValueMap) -> bool | None:
    for key in _HARMLESS:
        value = annotation.get(key)
        if isinstance(value, str) and value in ("0", "1"):
            return value == "1"
    return None
