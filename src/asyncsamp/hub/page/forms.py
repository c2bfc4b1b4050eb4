"""The mtypes that the page has a form for, with their parameters. No I/O."""

from __future__ import annotations

import re
from typing import Any

from ...mtypes.typed import TypedMessage, parameters

__all__ = ["forms"]

_RULE = re.compile(r" \([A-Z]+-[0-9]+\)")
"""Which rule a docstring follows; not for users."""


def forms() -> list[dict[str, Any]]:
    """Return the mtypes of `asyncsamp.mtypes` that a client may send, as the page gets them."""
    from ...mtypes import common  # only here: it takes a tenth of the time that a hub needs to start

    kinds = (getattr(common, name) for name in common.__all__)
    return [_form(kind) for kind in kinds if not kind.mtype.startswith("samp.hub.")]


def _form(kind: type[TypedMessage]) -> dict[str, Any]:
    return {
        "mtype": kind.mtype,
        "about": _RULE.sub("", (kind.__doc__ or "").partition("\n")[0]).replace("`", ""),
        "params": [
            {"name": one.name, "kind": one.kind, "required": one.required} for one in parameters(kind)
        ],
    }
