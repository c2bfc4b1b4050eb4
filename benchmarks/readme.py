"""The headline figures in README.md and docs/explanation/speed.md, written by a whole run."""

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
_HEAD = "| workload | asyncsamp | times JSAMP's | times pyvo's |\n|---|---|---|---|"
_SPEED = re.compile(r"\| workload \| asyncsamp .*?(?=\n!\[Rates by workload)", re.DOTALL)
_BESIDE = re.compile(r"A bare aiohttp server that only forwards .*?(?=\nTo have the ratios)", re.DOTALL)
_README = re.compile(
    r"(?<=nowhere else in this file\) -->\n).*?(?=<!-- figures of speed: end -->)", re.DOTALL
)


def renew(results: Results, root: Path) -> list[Path]:
    """Write the figures of a run where they are shown; return the files, none if some are not measured."""
    rows = [_row(results, title, measure) for title, measure in _ROWS.items()]
    per_cpu = [
        results.median("notify", hub, lambda one: one.done / one.hub_cpu if one.hub_cpu else 0.0)
        for hub in ("forwarder", _OURS)
    ]
    if None in rows or None in per_cpu:
        return []
    table = "\n".join([_HEAD, *map(str, rows), ""])
    bare, hub = (_round(rate) for rate in per_cpu)
    beside = (
        f"A bare aiohttp server that only forwards each request moves {bare:,.0f} in a second of processor\n"
        f"time, the hub with all its work {hub:,.0f}.{_client(results)} With uvloop\n"
        "(the extra `fast`) it is more.\n\n"
        "All workloads, the machine and what was asked of each are in\n"
        f"[the results](../../benchmarks/RESULTS.md); {_missed(results)}\n"
    )
    readme, speed = root / "README.md", root / "docs" / "explanation" / "speed.md"
    texts = {
        readme: _replaced(readme, (_README, _sentence(results))),
        speed: _replaced(speed, (_SPEED, table), (_BESIDE, beside)),
    }
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def _replaced(file: Path, *parts: tuple[re.Pattern[str], str]) -> str:
    text = file.read_text(encoding="utf-8")
    for pattern, part in parts:
        found = pattern.search(text)
        if found is None:
            raise ValueError(f"{file.name} has no place for the figures: {pattern.pattern}")
        text = text[: found.start()] + part + text[found.end() :]
    return text


def _sentence(results: Results) -> str:
    notify, call = (f"{results.rate(what, _OURS):,.0f}" for what in ("notify", "call"))
    ratios = {
        (what, peer): f"{results.ratio(what, _OURS, peer):.1f}"
        for what in ("notify", "call")
        for peer in ("jsamp", "pyvo")
    }
    cores = results.machine["cores"]
    return (
        f"Beside other hubs, on the same load in the same run ({cores} cores, plain asyncio): {notify} "
        f"notifications a second among ten clients, {ratios['notify', 'jsamp']} times\n"
        f"as many as JSAMP's hub and {ratios['notify', 'pyvo']} times as many as pyvo's; {call} calls with "
        f"their responses, {ratios['call', 'jsamp']} and {ratios['call', 'pyvo']} times as many.\n"
    )


def _row(results: Results, title: str, measure: str) -> str | None:
    rate = results.rate(measure, _OURS)
    ratios = [results.ratio(measure, _OURS, peer) for peer in ("jsamp", "pyvo")]
    if rate is None or None in ratios:
        return None
    return f"| {title} | {rate:,.0f} | " + " | ".join(f"{ratio:.1f}" for ratio in ratios) + " |"


def _client(results: Results) -> str:
    notify, call = (results.figure(f"standard {what}") for what in ("notify", "call"))
    if notify is None or call is None:
        return ""
    exchanged = f"{notify:,.0f} notifications or {call:,.0f} calls a second"
    return f"\nTwo of our clients in one process exchange {exchanged}."


def _missed(results: Results) -> str:
    seen = [goal for goal in goals(results) if goal.met is not None]
    missed = sum(goal.met is False for goal in seen)
    if not missed:
        return f"all {len(seen)} figures are met."
    verb = "is" if missed == 1 else "are"
    return f"of {len(seen)} figures {missed} {verb} not met, and it says why."


def _round(value: float | None) -> float:
    return round(value or 0.0, -2)
