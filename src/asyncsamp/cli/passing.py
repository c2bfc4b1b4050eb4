"""Messages and their answers as `snoop` shows them: coloured on a terminal, lines of JSON when piped."""

from __future__ import annotations

import json
import time
from typing import Any

from .._util.foreign_text import listed
from ..values import ERROR as FAILED
from ..values import Value
from .output import on_terminal, safe, say, say_json, styled
from .traffic import Ended, Seen, Traffic

__all__ = ["show_end", "show_message"]


def show_message(traffic: Traffic, seen: Seen) -> None:
    """Show a message, with whom it is for, as far as the hub tells that."""
    message = seen.message
    kind = "call" if seen.calls else "notification"
    if not on_terminal():
        found = {"time": seen.time, "kind": kind, "sender": message.sender, "name": message.sender_name}
        told: dict[str, Any] = {**found, "mtype": message.mtype, "params": message.params}
        if seen.to:
            ids = {to: call for call, to in seen.calls.items()}
            told["to"] = [_recipient(traffic, to, ids.get(to)) for to in _others(traffic, seen)]
        if seen.answer is not None:
            told["answer"] = seen.answer.errortxt
        say_json(told)
        return
    sender = f"{safe(message.sender_name) or '-'} ({safe(message.sender)})"
    to = listed(_who(traffic, each) for each in _others(traffic, seen))
    addressed = f" to {to}" if to else ""
    say(f"{_clock(seen.time)} {styled(safe(message.mtype), 'cyan')} {kind} from {sender}{addressed}")
    _show_values(message.params)


def show_end(traffic: Traffic, ended: Ended) -> None:
    """Show how a call has ended, or that a notification could not be delivered."""
    response = ended.response
    if not on_terminal():
        told = {"time": ended.time, "kind": ended.what, "call": ended.call, "mtype": ended.mtype}
        told |= {"sender": ended.sender, "by": _recipient(traffic, ended.by, None), "seconds": ended.seconds}
        say_json(told | ({"response": response.to_map()} if response is not None else {"error": ended.error}))
        return
    head = f"{_clock(ended.time)} {styled(safe(ended.mtype), 'cyan')}"
    after = f"after {ended.seconds * 1000:.1f} ms"
    by = _who(traffic, ended.by)
    if response is None:
        say(
            f"{head} {styled(ended.what, 'red')} at {by} {after}"
            + (f": {safe(ended.error)}" if ended.error else "")
        )
        return
    colour = {"samp.ok": "green", FAILED: "red"}.get(response.status, "yellow")
    text = f" {safe(response.errortxt)}" if response.errortxt else ""
    say(f"{head} answered by {by} {after}: {styled(safe(response.status), colour)}{text}")
    _show_values(response.result)


def _others(traffic: Traffic, seen: Seen) -> list[str]:
    """Return the recipients, without ourselves unless nobody else is one."""
    return [to for to in seen.to if to != traffic.client.public_id] or seen.to


def _recipient(traffic: Traffic, public_id: str, call: str | None) -> dict[str, str]:
    found = {"id": public_id, "name": traffic.name(public_id)}
    return found if call is None else {**found, "call": call}


def _who(traffic: Traffic, public_id: str) -> str:
    return f"{safe(traffic.name(public_id)) or '-'} ({safe(public_id)})"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def _show_values(values: dict[str, Value]) -> None:
    for key, value in values.items():
        say(f"    {safe(key)} = {safe(value if isinstance(value, str) else json.dumps(value))}")
