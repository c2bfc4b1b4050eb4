"""SAMPMsgReplierWrapper: a function's result, or its error, becomes the reply. No I/O."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from .constants import SAMP_STATUS_ERROR

__all__ = ["SAMPMsgReplierWrapper"]

_CALL = 6
"""Arguments of a function that takes calls; the third is the message id, None for a notification."""


class SAMPMsgReplierWrapper:
    """Decorate a function that is bound to calls, so that what it returns, or raises, is sent as reply.

    As in astropy.samp, both go with the status samp.error, and nothing is sent for an empty result.
    """

    def __init__(self, cli: Any) -> None:
        self.cli = cli

    def __call__(self, f: Callable[..., Any]) -> Callable[..., None]:
        def wrapped(*args: Any) -> None:
            if len(args) < _CALL or args[2] is None:
                f(*args)
                return
            try:
                result = f(*args)
            except Exception:
                result = {"txt": traceback.format_exc()}
            if result:
                reply = {"samp.status": SAMP_STATUS_ERROR, "samp.result": result}
                self.cli.hub.reply(self.cli.get_private_key(), args[2], reply)

        return wrapped
