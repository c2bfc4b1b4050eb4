"""Plots of a run for the docs, as SVG: rates by workload, rate and p99 by number of clients and by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt

from .hubs import KINDS
from .results import Results

__all__ = ["plot_all", "plot_rooms"]

_COLOURS = {
    "asyncsamp": "#0b6e4f",
    "asyncsamp-uvloop": "#1fb58f",
    "jsamp": "#c8553d",
    "pyvo": "#e0a458",
    "forwarder": "#8d99ae",
    "forwarder-uvloop": "#c3cad6",
    "relay": "#4a5568",
    "relay-uvloop": "#718096",
}
_TITLES = {kind.name: kind.title for kind in KINDS}
_RATES = (
    "notify",
    "call",
    "callAndWait",
    "broadcast to 10",
    "broadcast to 100",
    "broadcast to 500",
    "register",
)
_CLIENTS = {10: "notify", 100: "notify, 100 clients", 1_000: "notify, 1,000 clients"}
_SIZES = {
    100: "notify",
    10_000: "notify 10 kB",
    100_000: "notify 100 kB",
    1_000_000: "notify 1 MB",
    10_000_000: "notify 10 MB",
}
_ROOMS = {"a room": "#0b6e4f", "JSAMP's bridge": "#c8553d"}
_WAYS = {"auto": "#0b6e4f", "votable": "#1fb58f", "path": "#8d99ae", "pyvo": "#e0a458"}


def plot_all(results: Results, folder: Path) -> list[Path]:
    """Write the plots for which there are figures; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "asyncsamp", "font.size": 9, "axes.spines.top": False})
    plots = {
        "rates.svg": _rates(results),
        "clients.svg": _lines(results, _CLIENTS, "registered clients"),
        "tables.svg": _tables(results),
        "sizes.svg": _lines(results, _SIZES, "bytes in the message"),
    }
    files = []
    for name, figure in plots.items():
        if figure is not None:
            figure.savefig(folder / name, metadata={"Date": None})
            plt.close(figure)
            files.append(folder / name)
    return files


def plot_rooms(many: Mapping[str, Mapping[str, Mapping[int, float]]], folder: Path) -> Path:
    """Write the plot of rooms, by way, figure and number of hubs; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "asyncsamp", "font.size": 9, "axes.spines.top": False})
    titles = list(next(iter(many.values()))) if many else []
    figure, all_axes = plt.subplots(1, max(1, len(titles)), figsize=(9, 3.0), layout="constrained")
    for axes, title in zip(all_axes, titles, strict=True):
        for way, colour in _ROOMS.items():
            _line(axes, sorted(many.get(way, {}).get(title, {}).items()), colour, way)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("hubs")
        axes.set_title(title, fontsize=9)
        axes.grid(visible=True, alpha=0.3)
    if titles:
        all_axes[0].legend(fontsize=7, frameon=False)
    file = folder / "rooms.svg"
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
    return file


def _rates(results: Results) -> Any:
    measures = [name for name in _RATES if name in results.outcomes]
    if not measures:
        return None
    figure, axes = plt.subplots(figsize=(8, 0.9 + 0.75 * len(measures)), layout="constrained")
    hubs = [name for name in _COLOURS if any(results.rate(measure, name) for measure in measures)]
    height = 0.8 / len(hubs)
    for place, hub in enumerate(hubs):
        rates = [results.rate(measure, hub) or 0.0 for measure in measures]
        ys = [row + place * height for row in range(len(measures))]
        bars = axes.barh(ys, rates, height, color=_COLOURS[hub], label=_TITLES[hub])
        axes.bar_label(bars, [f"{rate:,.0f}" if rate else "" for rate in rates], padding=2, fontsize=6)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(measures))], measures)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("a second (messages, calls, deliveries, registrations)")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.12), ncols=3, frameon=False)
    return figure


def _lines(results: Results, measures: dict[int, str], label: str) -> Any:
    known = {x: name for x, name in measures.items() if name in results.outcomes}
    if len(known) < 2:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for hub, colour in _COLOURS.items():
        rates = [(x, results.rate(name, hub)) for x, name in known.items()]
        p99s = [(x, results.median(name, hub, lambda one: one.p99 * 1000)) for x, name in known.items()]
        _line(left, rates, colour, _TITLES[hub])
        _line(right, p99s, colour, _TITLES[hub])
    left.set_ylabel("notifications a second")
    right.set_ylabel("p99, ms")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.grid(visible=True, alpha=0.3)
    left.legend(fontsize=7, frameon=False)
    return figure


def _tables(results: Results) -> Any:
    sizes = sorted({int(name.split()[2]) for name in results.figures if name.startswith("table ")})
    if len(sizes) < 2:
        return None
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for way, colour in _WAYS.items():
        rates = []
        for rows in sizes:
            seconds = results.figure(f"table {way} {rows} seconds")
            rates.append((rows, rows / seconds if seconds else None))
        _line(axes, rates, colour, way)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("rows of the table")
    axes.set_ylabel("rows a second, until the receiver has them")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, frameon=False)
    return figure


def _line(axes: Any, points: Sequence[tuple[int, float | None]], colour: str, title: str) -> None:
    seen = [(x, y) for x, y in points if y]
    if len(seen) > 1:
        axes.plot([x for x, _ in seen], [y for _, y in seen], "o-", color=colour, label=title, markersize=4)
