"""Sending one message to several clients at once, and gathering what they answer."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

from .. import mtypes
from .._util.hosts import is_local
from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient
from ..data.results import SendError
from ..errors import SampError
from ..interfaces import AT_ANOTHER_HUB
from ..values import ReplyError, Response
from .results import Answer, Sent

__all__ = ["Call", "deliver"]

log = logging.getLogger("asyncsamp.client")

_FORBIDDEN = re.compile(r"\b403\b")
"""The status by which a hub refuses what is not offered, in the words of any tool."""

_OPTION = "--reach-files"
_ADVICE = (
    f"if this hub does not offer its files to the room: start it (or attach) with {_OPTION} sent; "
    "in a notebook: connect(..., files='sent')"
)

Maker = Callable[[RemoteClient, str], mtypes.TypedMessage]

Call = Callable[[RemoteClient, mtypes.TypedMessage], Awaitable[Response]]


async def deliver(
    client: MessagingClient,
    recipients: list[tuple[RemoteClient, str]],
    make: Maker,
    *,
    what: str,
    timeout: float,
    call: Call | None = None,
    url: str = "",
    item_id: str = "",
) -> Sent:
    """Call each recipient with what `make` gives for it and its mtype, all at once, and return the answers.

    What `make` raises is that recipient's failure. `call` calls one; None calls it once.

    One recipient's failure is raised as it is. Of several, a failure is named in the result and
    in the log; `SendError` is raised when all failed. Cancelling is safe.
    """
    call = call or _once(client, timeout)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    _call(other, mtype, make, call, url), name=f"asyncsamp-send-{other.public_id}"
                )
                for other, mtype in recipients
            ]
    except ExceptionGroup as errors:
        if len(errors.exceptions) > 1:
            raise
        raise errors.exceptions[0] from None
    sent = Sent([task.result() for task in tasks], url=url, item_id=item_id)
    if not sent.failed:
        return sent
    if len(sent) == 1:
        (answer,) = sent.failed.values()
        assert answer.error is not None
        raise answer.error
    if len(sent.failed) == len(sent):
        raise SendError(what, sent)
    log.warning("%s did not reach all: %s", what, sent.describe_failures())
    return sent


def _once(client: MessagingClient, timeout: float) -> Call:
    async def call(other: RemoteClient, message: mtypes.TypedMessage) -> Response:
        return await client.call(other, message, timeout=timeout)

    return call


async def _call(other: RemoteClient, mtype: str, make: Maker, call: Call, url: str) -> Answer:
    public_id, name = other.public_id, other.name
    try:
        response = await call(other, make(other, mtype))
        return Answer(public_id, name, mtype, response)
    except ReplyError as error:
        return Answer(public_id, name, mtype, error.response, _advised(error, other, url))
    except SampError as error:
        return Answer(public_id, name, mtype, None, error)


def _advised(error: ReplyError, other: RemoteClient, url: str) -> ReplyError:
    """Return `error` with what to do if a client of another hub may not read what is on this machine."""
    said = error.response.errortxt
    if (
        not (AT_ANOTHER_HUB in other.metadata and is_local(url) and _FORBIDDEN.search(said))
        or _OPTION in said
    ):
        return error
    return ReplyError(error.recipient, error.response, error.name, advice=_ADVICE)
