"""Clients as a notebook shows them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlsplit

from ..mtypes import HUB_EVENTS
from ..values import Value

__all__ = ["clients_table", "one_client"]

_SAID_BY_ALL = {*HUB_EVENTS, "samp.app.ping", "samp.hub.disconnect", "samp.msg.progress"}
_SHOWN = 12

Row = tuple[str, Mapping[str, Value], Mapping[str, Value]]
"""Public id, metadata and subscriptions."""


def clients_table(rows: Iterable[Row]) -> str:
    """Return a table of clients: icon, name, id, and what each takes."""
    head = "<tr><th></th><th>name</th><th>id</th><th>takes</th></tr>"
    lines = "".join(_line(*row) for row in rows)
    return f"<table>{head}{lines}</table>" if lines else "<i>no other clients</i>"


def one_client(title: str, state: str, row: Row | None) -> str:
    """Return one client with its state."""
    head = f"<b>{escape(title)}</b> <i>{escape(state)}</i>"
    return head if row is None else f"{head}{clients_table([row])}"


def _line(public_id: str, metadata: Mapping[str, Value], subscriptions: Mapping[str, Value]) -> str:
    takes = sorted(mtype for mtype in subscriptions if mtype not in _SAID_BY_ALL)
    more = f" and {len(takes) - _SHOWN} more" if len(takes) > _SHOWN else ""
    shown = ", ".join(takes[:_SHOWN])
    title = escape(_text(metadata, "samp.description.text"), quote=True)
    cells = (
        _icon(_text(metadata, "samp.icon.url")),
        escape(_text(metadata, "samp.name")),
        f"<code>{escape(public_id)}</code>",
        escape(shown + more),
    )
    return f'<tr title="{title}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _icon(url: str) -> str:
    try:
        shown = urlsplit(url).scheme in ("http", "https")  # nothing that could run, nor a local file
    except ValueError:
        shown = False
    return f'<img src="{escape(url, quote=True)}" width="24" height="24" alt="">' if shown else ""


def _text(metadata: Mapping[str, Value], key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""
