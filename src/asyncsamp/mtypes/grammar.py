"""MType grammar, subscriptions and their wildcards (SAMP 1.3 §3.7, §6.1). No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeVar

from ..errors import LocalProtocolError

__all__ = [
    "HUB_EVENTS",
    "annotation_key",
    "check_mtype",
    "check_subscription",
    "is_mtype",
    "is_subscription",
    "keys_for",
    "lookup",
    "matches",
    "spelled_out",
]

T = TypeVar("T")

_MTYPE = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")
_SUBSCRIPTION = re.compile(r"\*|[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*(\.\*)?")

HUB_EVENTS = (
    "samp.hub.event.shutdown",
    "samp.hub.event.register",
    "samp.hub.event.unregister",
    "samp.hub.event.metadata",
    "samp.hub.event.subscriptions",
)
"""What the hub tells every subscriber (MTYPE-20..24)."""

_WELL_KNOWN = (
    *HUB_EVENTS,
    "samp.hub.disconnect",
    "samp.app.ping",
    "samp.app.status",
    "samp.app.event.shutdown",
    "samp.msg.progress",
    "table.load.votable",
    "table.load.fits",
    "table.load.cdf",
    "table.load.pds4",
    "table.load.parquet",
    "table.load.stil",
    "table.get.stil",
    "table.highlight.row",
    "table.select.rowList",
    "image.load.fits",
    "coord.pointAt.sky",
    "coord.get.sky",
    "coverage.load.moc.fits",
    "coverage.load.moc.ascii",
    "spectrum.load.ssa-generic",
    "client.env.get",
    "bibcode.load",
    "voresource.loadlist",
    "voresource.loadlist.cone",
    "voresource.loadlist.siap",
    "voresource.loadlist.ssap",
    "voresource.loadlist.tap",
    "voresource.loadlist.vospace",
    "script.aladin.send",
    "ds9.set",
    "ds9.get",
    "ds9.restricted-set",
    "ds9.restricted-get",
)


def is_mtype(text: str) -> bool:
    """Return whether `text` is an MType as a message may bear it (MTYPE-1).

    Args:
        text: What may be one.
    """
    return _MTYPE.fullmatch(text) is not None


def is_subscription(text: str) -> bool:
    """Return whether `text` may be a subscription key: an MType, `*`, or an MType and `.*` (MTYPE-2).

    Args:
        text: What may be one.
    """
    return _SUBSCRIPTION.fullmatch(text) is not None


def check_mtype(text: str) -> str:
    """Return `text` if it is an MType (MTYPE-1).

    Args:
        text: What may be one.

    Raises:
        LocalProtocolError: If it is not.
    """
    if isinstance(text, str) and is_mtype(text):
        return text
    wildcard = "; wildcards are for subscriptions only" if "*" in str(text) else ""
    raise LocalProtocolError(
        f"{text!r} is not a valid mtype: "
        f"expected names of letters, digits, '-' and '_' joined by dots{wildcard}"
    )


def check_subscription(text: str) -> str:
    """Return `text` if it may be a subscription key (MTYPE-2).

    Args:
        text: What may be one.

    Raises:
        LocalProtocolError: If it may not.
    """
    if isinstance(text, str) and is_subscription(text):
        return text
    raise LocalProtocolError(
        f"{text!r} is not a valid subscription: expected an mtype, or an mtype and '.*' at its end, or '*'"
    )


@lru_cache(maxsize=256)  # asked with each message and event, of a few dozen mtypes
def keys_for(mtype: str) -> tuple[str, ...]:
    """Return the subscription keys that match `mtype`, the most specific first (MTYPE-3, MTYPE-9).

    Args:
        mtype: The mtype of a message.
    """
    keys = [mtype]
    head = mtype
    while (dot := head.rfind(".")) >= 0:
        head = head[:dot]
        keys.append(head + ".*")
    return (*keys, "*")


def matches(subscription: str, mtype: str) -> bool:
    """Return whether a message of `mtype` is meant by the key `subscription` (MTYPE-3..5).

    `table.load.*` takes `table.load.votable`, not `table.load` and not `table.loadx`.

    Args:
        subscription: A key of subscriptions.
        mtype: The mtype of a message.
    """
    if subscription == "*":
        return True
    if subscription.endswith(".*"):
        return mtype.startswith(subscription[:-1])
    return subscription == mtype


def annotation_key(subscriptions: Mapping[str, object], mtype: str) -> str | None:
    """Return the most specific key of `subscriptions` that matches `mtype`, None if none does (MTYPE-9).

    Args:
        subscriptions: What a client has declared.
        mtype: The mtype of a message.
    """
    return next((key for key in keys_for(mtype) if key in subscriptions), None)


def lookup(subscriptions: Mapping[str, T], mtype: str) -> T | None:
    """Return what the most specific matching key of `subscriptions` maps to, None if none matches.

    Args:
        subscriptions: What belongs to each key.
        mtype: The mtype of a message.
    """
    key = annotation_key(subscriptions, mtype)
    return None if key is None else subscriptions[key]


def spelled_out(subscription: str) -> tuple[str, ...]:
    """Return `subscription` and, if it is a wildcard, the well-known mtypes that it takes.

    DS9's hub and menus know no wildcards (TOL-22), so exact names are declared beside them.

    Args:
        subscription: A key of subscriptions.
    """
    if not subscription.endswith("*"):
        return (subscription,)
    return (subscription, *(mtype for mtype in _WELL_KNOWN if matches(subscription, mtype)))
