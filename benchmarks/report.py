"""Tables: on the terminal, and as Markdown in RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence

from .goals import Goal, goals
from .hubs import KINDS
from .reasons import REASONS
from .results import Results

__all__ = ["as_markdown", "as_text"]

_MARKS = {True: "yes", False: "**no**", None: "not measured"}
_PLOTS = {
    "Workloads (medians of the rounds)": {
        "rates": "Rates by workload, for each hub",
        "sizes": "Notifications a second by the size of a message, for each hub",
        "clients": "Notifications a second by the number of clients, for each hub",
    },
    "Tables of six columns, from client to client": {
        "tables": "Seconds until a table has come, by its rows, for each way"
    },
}
"""What `plots` draws, by the title of the table that it belongs to."""

_TITLES = {kind.name: kind.title for kind in KINDS}


def as_text(results: Results) -> str:
    """Return the tables for a terminal."""
    parts = []
    for title, header, rows in _tables(results):
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        lines = [_line(header, widths), "  ".join("-" * width for width in widths)]
        parts.append("\n".join([f"== {title}", *lines, *(_line(row, widths) for row in rows)]))
    return "\n\n".join(parts).replace("**", "")


def as_markdown(results: Results, command: str) -> str:
    """Return RESULTS.md."""
    parts = [
        "# What the hubs did, side by side\n",
        f"Written by `{command}`; ratios are medians of the rounds of one run.\n"
        "`benchmarks/VERSUS.md` has this version beside an earlier one, turn by turn.\n",
        "\n".join(f"- {name}: {value}" for name, value in results.machine.items()) + "\n",
    ]
    for title, header, rows in _tables(results):
        lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
        for file, what in _PLOTS.get(title, {}).items():
            parts.append(f"![{what}](../docs/benchmarks/{file}.svg)\n")
    if reasons := _reasons(results):
        parts.append("## What is not met, and why\n\n" + "\n".join(reasons) + "\n")
    if results.missing:
        parts.append(
            "Not measured: " + "; ".join(f"{hub} ({how})" for hub, how in results.missing.items()) + "\n"
        )
    return "\n".join(parts)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


_Table = tuple[str, list[str], list[list[str]]]


def _tables(results: Results) -> list[_Table]:
    tables = [
        _goals(results),
        _workloads(results),
        _clients(results),
        _transfers(results),
        _naive(results),
        _dbus(results),
        _troubles(results),
    ]
    return [table for table in tables if table[2]]


def _goals(results: Results) -> _Table:
    rows = [[goal.workload, goal.against, goal.asked, goal.seen, _MARKS[goal.met]] for goal in goals(results)]
    return "The figures to show", ["workload", "against", "asked", "seen", "met"], rows


def _reasons(results: Results) -> list[str]:
    """Return a line for each figure that is not met, with what its profile says."""
    missed = [goal for goal in goals(results) if goal.met is False]
    return [
        f"- {_named(goal)}: {goal.seen}. "
        + (REASONS.get(_named(goal)) or REASONS.get(goal.workload, "No profile has been made of it yet."))
        for goal in missed
    ]


def _named(goal: Goal) -> str:
    return f"{goal.workload}, against {goal.against}" if goal.against else goal.workload


def _workloads(results: Results) -> _Table:
    header = ["workload", "hub", "rate /s", "p50 ms", "p99 ms", "per hub CPU s", "peak MB", "wrong"]
    rows = []
    for measure, hubs in results.outcomes.items():
        for hub, outcomes in hubs.items():
            figures = [
                results.median(measure, hub, what)
                for what in (
                    lambda one: one.rate,
                    lambda one: one.p50 * 1000,
                    lambda one: one.p99 * 1000,
                    lambda one: one.done / one.hub_cpu if one.hub_cpu else 0.0,
                    lambda one: one.hub_peak,
                )
            ]
            wrong = "; ".join(dict.fromkeys(one.wrong for one in outcomes if one.wrong))
            cells = [_number(figure) for figure in figures]
            rows.append([measure, _TITLES.get(hub, hub), *cells, wrong[:200] or "-"])
    return "Workloads (medians of the rounds)", header, rows


def _clients(results: Results) -> _Table:
    rows = []
    for name in ("standard", "web", "direct", "bare direct", "pyvo", "compat", "pyvo at pyvo's hub"):
        figures = [results.figure(f"{name} {workload}") for workload in ("notify", "call")]
        if any(figures):
            rows.append([name, *(_number(figure) for figure in figures)])
    return "Client libraries, a second, at our hub", ["connection", "notify", "call"], rows


_TRANSFER = ("seconds", "stall ms", "receiver MB", "sender MB")
_WAYS = {
    "auto": "ours",
    "votable": "ours, as VOTable",
    "path": "ours, a FITS file by path",
    "pyvo": "pyvo's send_table_to",
}


def _transfers(results: Results) -> _Table:
    sizes = sorted({int(name.split()[2]) for name in results.figures if name.startswith("table ")})
    rows = []
    for size in sizes:
        for way, title in _WAYS.items():
            figures = [results.figure(f"table {way} {size} {what}") for what in _TRANSFER]
            if any(figures):
                rows.append([f"{size:,}", title, *map(_number, figures)])
    if (length := results.figure("topcat rows")) is not None:
        figures = [results.figure(f"topcat {what}") for what in _TRANSFER]
        rows.append([f"{length:,.0f}", "ours, to TOPCAT", *map(_number, figures)])
        alone = _number(results.figure("topcat own seconds"))
        rows.append([f"{length:,.0f}", "a FITS file by path, to TOPCAT", alone, "-", "-", "-"])
    header = ["rows", "way", "seconds", "longest stall ms", "receiver MB", "sender MB"]
    return "Tables of six columns, from client to client", header, rows


def _naive(results: Results) -> _Table:
    rows = []
    for hub in ("asyncsamp", "jsamp"):
        figures = [results.figure(f"naive {what}, {hub}") for what in ("p50 ms", "burst s")]
        if any(figures):
            rows.append([_TITLES[hub], *map(_number, figures)])
    header = ["hub", "callAndWait every 10 ms, p50 ms", "callAll of 50 to four, s"]
    return "Clients that write head and body separately (http.server)", header, rows


def _dbus(results: Results) -> _Table:
    rows = []
    for what, like in (("notify", "without an answer"), ("call", "with an answer")):
        figures = [results.figure(f"dbus {name}") for name in (what, f"{what} per CPU s")]
        if any(figures):
            rows.append([f"method calls {like}", *map(_number, figures)])
    header = ["dbus-daemon, 100 bytes from client to client", "rate /s", "per daemon CPU s"]
    return "What a desktop's own bus does", header, rows


def _troubles(results: Results) -> _Table:
    return "What went wrong", ["what"], [[text] for text in results.trouble]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
