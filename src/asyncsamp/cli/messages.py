"""Messages: send, snoop, handle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from .._util.likeness import did_you_mean
from ..client.tracker import RemoteClient, shown
from ..data.client import Client
from ..errors import NoRecipientsError
from ..mtypes import check_mtype, check_subscription
from ..values import ERROR as FAILED
from ..values import Message, ReplyError, Response, Value, ValueMap
from .clients import who
from .commands import check_command, run_command
from .filters import parse_filter
from .output import note, safe, say, say_json, styled
from .params import parse_params
from .passing import show_end, show_message
from .running import ERROR, OK, TIMED_OUT, Identity, at_hub
from .traffic import Ended, Gap, traffic_at

__all__ = ["handle", "send", "snoop"]

_SEEN = "seen by asyncsamp snoop, which does nothing with it"
_OUTPUT = 100_000
"""Bytes of a command's output that go into an answer."""


async def send(
    identity: Identity,
    mtype: str,
    words: Sequence[str],
    to: Sequence[str],
    how: str,
    timeout: float,
    as_json: bool,
) -> int:
    """Send a message to those named or to all who subscribe; `how` is notify, call or wait."""
    check_mtype(mtype)
    params = await asyncio.to_thread(parse_params, words)
    hub, name, meta = identity
    async with at_hub(hub, name=name, meta=meta) as client:
        recipients = [await client.find(each) for each in to] or await _takers(client, mtype)
        if how == "notify":
            for other in recipients:
                await client.notify(other, mtype, params)
            _say_sent(recipients, as_json)
            return OK
        work = (_call(client, other, mtype, params, how, timeout) for other in recipients)
        answers = await asyncio.gather(*work)
    for other, answer in zip(recipients, answers, strict=True):
        _say_answer(other, answer, as_json)
    silent = any(answer is None for answer in answers)
    failed = any(answer is not None and answer.status == FAILED for answer in answers)
    return TIMED_OUT if silent else ERROR if failed else OK


async def _takers(client: Client, mtype: str) -> list[RemoteClient]:
    ids = await client.get_subscribed_clients(mtype)
    found = [other for other in await client.get_clients() if other.public_id in ids]
    if not found:
        others = client.clients.values()
        taken = {each for other in others for each in other.subscriptions}
        there = shown(others) + client.clients.alone()
        raise NoRecipientsError([mtype], there + did_you_mean(mtype, sorted(taken)))
    return found


async def _call(
    client: Client, other: RemoteClient, mtype: str, params: ValueMap, how: str, timeout: float
) -> Response | None:
    """Return the answer, or None if none came in time."""
    call = client.call_and_wait if how == "wait" else client.call
    try:
        return await call(other, mtype, params, timeout=timeout)
    except ReplyError as error:
        return error.response
    except TimeoutError:
        return None


def _say_sent(recipients: Sequence[RemoteClient], as_json: bool) -> None:
    for other in recipients:
        if as_json:
            say_json({"id": other.public_id, "name": other.name})
        else:
            say(f"sent to {who(other)}")


def _say_answer(other: RemoteClient, answer: Response | None, as_json: bool) -> None:
    if as_json:
        found = {"id": other.public_id, "name": other.name}
        say_json({**found, **(answer.to_map() if answer else {"samp.status": "timeout"})})
        return
    if answer is None:
        say(f"{who(other)}: {styled('no answer in time', 'red')}")
        return
    colour = {"samp.ok": "green", FAILED: "red"}.get(answer.status, "yellow")
    text = f" {safe(answer.errortxt)}" if answer.errortxt else ""
    say(f"{who(other)}: {styled(safe(answer.status), colour)}{text}")
    for key, value in answer.result.items():
        say(f"  {safe(key)} = {safe(_text(value), 4_000)}")


def _text(value: Value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


async def snoop(
    identity: Identity, mtypes: Sequence[str], sender: str | None, expression: str | None, count: int | None
) -> int:
    """Show what passes through the hub, until interrupted or `count` messages have come.

    A hub of another make shows nobody more than what is sent to all, or to us.
    """
    for each in mtypes:
        check_subscription(each)
    chosen = parse_filter(expression) if expression else None

    def wanted(message: Message) -> bool:
        its = message.sender_name.casefold(), message.sender.casefold()
        by = sender is None or sender.casefold() in its
        return by and (chosen is None or chosen(message, message.sender_name))

    async def acknowledge(message: Message) -> Response:
        return Response.warning({}, _SEEN)

    shown = 0
    open_calls: set[str] = set()
    async with traffic_at(identity, mtypes or ["*"], acknowledge) as traffic:
        note(f"waiting for {' '.join(mtypes) or 'messages'}; Ctrl-C ends it")
        async for item in traffic:
            if isinstance(item, Gap):
                if item.hub_lost or count is not None:
                    open_calls.clear()
            elif isinstance(item, Ended):
                if item.call in open_calls or (not item.call and item.what == "failed"):
                    open_calls.discard(item.call)
                    show_end(traffic, item)
            elif wanted(item.message) and (count is None or shown < count):
                shown += 1
                open_calls.update(item.calls if traffic.whole else ())
                show_message(traffic, item)
            if count is not None and shown >= count and not open_calls:
                break
    return OK


async def handle(identity: Identity, mtype: str, command: Sequence[str], count: int | None) -> int:
    """Run a program for each message of `mtype`, and answer with its exit code and output."""
    check_subscription(mtype)
    check_command(command)
    seen = 0
    hub, name, meta = identity
    async with at_hub(hub, name=name, meta=meta, reconnect=True) as client:
        over = asyncio.Event()

        async def run(message: Message) -> Response:
            nonlocal seen
            response = await run_command(command, message, _OUTPUT)
            said = f"{safe(message.mtype)}: exit code {safe(response.result.get('exit-code', '-'))}"
            say(said + (f" ({safe(response.errortxt)})" if response.errortxt else ""))
            seen += 1
            if count is not None and seen >= count:
                over.set()
            return response

        client.on(mtype)(run)
        await client.settled()
        note(f"waiting for {mtype}; Ctrl-C ends it")
        await over.wait()
    return OK
