"""Asking another client for the table that it shows, which it may have taken only just now."""

from __future__ import annotations

import asyncio

from .. import mtypes
from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient, shown
from ..errors import DataError
from ..values import ReplyError, Response, ValueMap

__all__ = ["SETTLES", "table_url"]

SETTLES = 10.0
"""Seconds after a table was taken in which "no current table" may mean "not yet".

TOPCAT answers a load when it has read the table, shows it a moment later, and tells nobody of that.
"""

_FIRST_PAUSE = 0.05
_LAST_PAUSE = 0.5
"""Seconds between two questions; each is a message to a program that is at work."""

_ADVICE = "click one in its list of tables, or send one first"


async def table_url(
    client: MessagingClient, other: RemoteClient, params: ValueMap, *, timeout: float, settles: float
) -> str:
    """Return the URL of the table that `other` shows. Cancelling is safe.

    Args:
        client: Who asks.
        other: Who is asked.
        params: Those of table.get.stil.
        timeout: Seconds for each answer.
        settles: Until when, in the time of the loop, it is asked again if it has no table.

    Raises:
        ReplyError: It has none, or cannot give it; the text says what to do.
        DataError: It gave no URL.
    """
    clock = asyncio.get_running_loop().time
    settles = min(settles, clock() + timeout)
    pause = _FIRST_PAUSE
    while True:
        try:
            return _url(other, await client.call(other, mtypes.TableGetStil.mtype, params, timeout=timeout))
        except ReplyError as error:
            if "no current table" not in error.response.errortxt.casefold():
                raise
            if clock() + pause > settles:
                raise ReplyError(error.recipient, error.response, error.name, advice=_ADVICE) from None
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LAST_PAUSE)


def _url(other: RemoteClient, answered: Response) -> str:
    url = answered.result.get("url")
    if not isinstance(url, str) or not url:
        raise DataError(f"{shown([other])} gave no URL of a table")
    return url
