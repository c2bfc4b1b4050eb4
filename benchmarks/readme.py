"""The headline figures in README.md, written by a whole run: everything from their table to the plot."""

from __future__ import annotations

import re
from pathlib import Path

from .goals import goals
from .results import Results

__all__ = ["renew"]

_OURS = "asyncsamp"
_ROWS = {
    "notifications, 10 clients": "notify",
    "calls with their responses": "call",
    "callAndWait": "callAndWait",
    "broadcast to 100, deliveries": "broadcast to 100",
    "register, declare, unregister": "register",
}
_PART = re.compile(r"\| workload \| asyncsamp, a second .*?(?=!\[Rates by workload\])", re.DOTALL)

_TEXT = """\
| workload | asyncsamp, a second | JSAMP | pyvo |
|---|---|---|---|
{rows}

A bare aiohttp server that only forwards each request moves {bare:,.0f} in a second of processor time,
the hub with all its work {hub:,.0f}.{client}
To have the ratios of your machine, in some minutes:

    pip install -e '.[bench]' && apt-get install -y --no-install-recommends jsamp
    python -m benchmarks --quick

All workloads, the machine and what was asked of each are in
[benchmarks/RESULTS.md](benchmarks/RESULTS.md); {missed}

"""


def renew(results: Results, readme: Path) -> bool:
    """Write the figures of a run into README.md; return whether it has all that is shown there."""
    rows = [_row(results, title, measure) for title, measure in _ROWS.items()]
    per_cpu = [
        results.median("notify", hub, lambda one: one.done / one.hub_cpu if one.hub_cpu else 0.0)
        for hub in ("forwarder", _OURS)
    ]
    text = readme.read_text(encoding="utf-8")
    if None in rows or None in per_cpu or _PART.search(text) is None:
        return False
    part = _TEXT.format(
        rows="\n".join(map(str, rows)),
        bare=_round(per_cpu[0]),
        hub=_round(per_cpu[1]),
        client=_client(results),
        missed=_missed(results),
    )
    readme.write_text(_PART.sub(lambda _: part, text), encoding="utf-8")
    return True


def _row(results: Results, title: str, measure: str) -> str | None:
    rate = results.rate(measure, _OURS)
    ratios = [results.ratio(measure, _OURS, peer) for peer in ("jsamp", "pyvo")]
    if rate is None or None in ratios:
        return None
    return f"| {title} | {rate:,.0f} | " + " | ".join(f"{ratio:.1f} x" for ratio in ratios) + " |"


def _client(results: Results) -> str:
    notify, call = (results.figure(f"standard {what}") for what in ("notify", "call"))
    if notify is None or call is None:
        return ""
    exchanged = f"{notify:,.0f} notifications or {call:,.0f} calls a second"
    return f" Two of our clients in one process exchange\n{exchanged}."


def _missed(results: Results) -> str:
    seen = [goal for goal in goals(results) if goal.met is not None]
    missed = sum(goal.met is False for goal in seen)
    if not missed:
        return f"all {len(seen)} figures are met."
    verb = "is" if missed == 1 else "are"
    return f"of {len(seen)} figures {missed} {verb} not met, and it says why."


def _round(value: float | None) -> float:
    return round(value or 0.0, -2)
