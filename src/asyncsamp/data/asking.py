"""Asking another client about a table that it may have taken only just now."""

from __future__ import annotations

import asyncio

from .. import mtypes
from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient, shown
from ..client.validation import MType
from ..errors import DataError
from ..values import ReplyError, Response, ValueMap

__all__ = ["NO_SUCH_TABLE", "SETTLES", "call_once_shown", "table_url"]

SETTLES = 10.0
"""Seconds after a table was taken in which "no current table", or no table of that id, may mean "not yet".

TOPCAT answers a load when it has read the table, shows it a moment later, and tells nobody of that.
"""

NO_CURRENT_TABLE, NO_SUCH_TABLE = "no current table", "no table with "
"""What TOPCAT says then, in small letters: asked for the one that it shows, and told of rows of one."""

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
    message = mtypes.TableGetStil.mtype, params
    try:
        answered = await call_once_shown(
            client, other, *message, timeout=timeout, settles=settles, lacks=NO_CURRENT_TABLE
        )
    except ReplyError as error:
        if not _says(error, NO_CURRENT_TABLE):
            raise
        raise ReplyError(error.recipient, error.response, error.name, advice=_ADVICE) from None
    return _url(other, answered)


async def call_once_shown(
    client: MessagingClient,
    other: RemoteClient,
    mtype: MType,
    params: ValueMap | None = None,
    *,
    timeout: float,
    settles: float,
    lacks: str,
) -> Response:
    """Call, and again while `other` says that it lacks a table that it may be about to show.

    Cancelling is safe.

    Args:
        client: Who calls.
        other: Who is called.
        mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
        params: The parameters.
        timeout: Seconds for each answer.
        settles: Until when, in the time of the loop, it is called again.
        lacks: What it says if it has no table, in small letters.

    Returns:
        The response.

    Raises:
        ReplyError: It lacks the table still, or answers another samp.error.
        SampError: All that `Client.call` raises, too.
    """
    clock = asyncio.get_running_loop().time
    settles = min(settles, clock() + timeout)
    pause = _FIRST_PAUSE
    while True:
        try:
            return await client.call(other, mtype, params, timeout=timeout)
        except ReplyError as error:
            if not _says(error, lacks) or clock() + pause > settles:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LAST_PAUSE)


def _says(error: ReplyError, text: str) -> bool:
    return text in error.response.errortxt.casefold()


def _url(other: RemoteClient, answered: Response) -> str:
    url = answered.result.get("url")
    if not isinstance(url, str) or not url:
        raise DataError(f"{shown([other])} gave no URL of a table")
    return url
