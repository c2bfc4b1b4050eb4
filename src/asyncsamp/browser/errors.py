"""What the page says when it could not do what it was asked for, in words for its user. No I/O."""

from __future__ import annotations

__all__ = ["explain"]

_TEXTS = {
    "denied": (
        "the browser does not let this page reach your own computer: click the icon left of the address, "
        "allow 'Apps on device' (or 'Local network access'), and try again; a page in an iframe needs "
        'allow="loopback-network" on it'
    ),
    "no-hub": (
        "no SAMP hub with a Web Profile answers at localhost:21012 on the computer where your browser "
        "runs: start one there with: python -m asyncsamp.hub (or start TOPCAT with its internal hub)"
    ),
    "unreachable": (
        "the page could not reach localhost:21012 on the computer where your browser runs. Either no SAMP "
        "hub runs there (start one with: python -m asyncsamp.hub), or the browser has not been allowed to "
        "reach your own computer (its question stands left of the address)"
    ),
    "safari": (
        "Safari lets no page of https reach localhost: open this page in Chrome, Edge or Firefox, on the "
        "computer where your tools run"
    ),
    "refused": "the page reaches the hub at localhost:21012 and nothing else",
    "no-page": (
        "no page is connected: keep the notebook open in your browser, and run the cell again if it was "
        "closed"
    ),
    "left": "the page was closed, or loaded again, before it had an answer",
}


def explain(kind: str, text: str = "") -> str:
    """Return what happened and what to do.

    Args:
        kind: What the page calls it.
        text: What it adds; it counts where the kind is not known.
    """
    return _TEXTS.get(kind) or text[:300] or "the page could not do it"
