"""Where the hub's lockfile is, what it says, and putting ours there (SAMP 1.3 §4.2, §4.3, STD-50..67).

`location` knows SAMP_HUB and the home folder, `reading` what a client does, `publishing` what a hub does;
beneath them are `files`, which blocks and runs in threads, and `turns`, which keeps starting hubs apart.
"""

from __future__ import annotations

from .introduction import introduced
from .location import Location, locate, locate_multiple, web_appname
from .proof import PID_NAME, PROVE, RENEW_KEY, has_proof, make_proof
from .publishing import publish, remove_if_dead, still_ours, withdraw
from .reading import find_hub, is_alive, lockfile_owner, read_lockfile, stale_lockfile

__all__ = [
    "PID_NAME",
    "PROVE",
    "RENEW_KEY",
    "Location",
    "find_hub",
    "has_proof",
    "introduced",
    "is_alive",
    "locate",
    "locate_multiple",
    "lockfile_owner",
    "make_proof",
    "publish",
    "read_lockfile",
    "remove_if_dead",
    "stale_lockfile",
    "still_ours",
    "web_appname",
    "withdraw",
]
