"""How a hub that comes back shows that it is the one of the lockfile: it knows the secret. No I/O.

An extension of ours to the Standard Profile, beside the methods of `samp.hub`. A client that has lost its
hub asks `PROVE` with a text that nobody has seen before, and sends its private key only to a hub that
answers rightly; then it has the key replaced by `RENEW_KEY`, as the old one stood in the hub's state file.
Clients of other makes ask neither. At a hub that has neither, by its lockfile, a client registers anew.
"""

from __future__ import annotations

import hmac

from ..lockfile import Lockfile

__all__ = ["PID_NAME", "PROVE", "RENEW_KEY", "has_proof", "make_proof"]

PROVE = "org.asyncsamp.hub.prove"
"""Takes a text of 1 to 256 characters; returns `make_proof` of it. Needs no key."""

RENEW_KEY = "org.asyncsamp.hub.renewKey"
"""Takes the private key; returns the one that counts from now on."""


PID_NAME = "org.asyncsamp.hub.pid"
"""Stands in the lockfile of a hub that has both; its value is the number of the hub's process."""


def has_proof(lockfile: Lockfile) -> bool:
    """Return whether the hub that wrote the lockfile can show that it knows the secret.

    Args:
        lockfile: What the lockfile says.
    """
    return PID_NAME in lockfile.extra


def make_proof(secret: str, challenge: str) -> str:
    """Return what only somebody who knows `secret` can say to `challenge`: HMAC-SHA256 in hexadecimal.

    Args:
        secret: The secret of the lockfile.
        challenge: What the hub is asked with.
    """
    return hmac.new(secret.encode(), f"{PROVE}:{challenge}".encode(), "sha256").hexdigest()
