"""Says once in a program what is different from astropy.samp."""

from __future__ import annotations

import logging

__all__ = ["tell_once"]

log = logging.getLogger("asyncsamp.compat")

_TEXT = (
    "asyncsamp stands here for astropy.samp and pyvo.samp. What is different: functions that are bound to "
    "messages run in threads, the next one beside one that takes long; a client comes back by itself when "
    "its hub has gone and another has started; nothing is looked up on the Internet. docs/migration.md has "
    "the rest. This is said once; logging.getLogger('asyncsamp.compat').setLevel('ERROR') keeps it away."
)

_told: list[bool] = []


def tell_once() -> None:
    """Log the differences when a program first connects, or starts a hub."""
    if not _told:
        _told.append(True)
        log.warning(_TEXT)
