"""What a run has seen, and how it is kept."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from .stillness import describe_stillness
from .workloads import Outcome

__all__ = ["Results", "describe_machine"]


@dataclass
class Results:
    """Outcomes by measure and hub, one for each round; other figures by name."""

    machine: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, dict[str, list[Outcome]]] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    def add(self, measure: str, hub: str, outcome: Outcome) -> None:
        """Keep one outcome."""
        self.outcomes.setdefault(measure, {}).setdefault(hub, []).append(outcome)

    def note(self, figure: str, value: float) -> None:
        """Keep one figure."""
        self.figures.setdefault(figure, []).append(value)

    def median(self, measure: str, hub: str, what: Callable[[Outcome], float]) -> float | None:
        """Return the median over the rounds that ended well, None if there are none."""
        values = [what(one) for one in self.outcomes.get(measure, {}).get(hub, []) if one.done]
        return statistics.median(values) if values else None

    def rate(self, measure: str, hub: str) -> float | None:
        """Return the median rate."""
        return self.median(measure, hub, lambda outcome: outcome.rate)

    def figure(self, name: str) -> float | None:
        """Return the median of a figure."""
        values = self.figures.get(name)
        return statistics.median(values) if values else None

    def ratio(
        self,
        measure: str,
        ours: str,
        theirs: str,
        what: Callable[[Outcome], float] = lambda outcome: outcome.rate,
    ) -> float | None:
        """Return the median, over the rounds, of ours to theirs: both of a round saw the same machine."""
        rounds = zip(
            self.outcomes.get(measure, {}).get(ours, []),
            self.outcomes.get(measure, {}).get(theirs, []),
            strict=False,
        )
        values = [what(one) / what(other) for one, other in rounds if one.done and other.done and what(other)]
        return statistics.median(values) if values else None

    def messages(self, hub: str) -> tuple[int, int]:
        """Return how many messages a hub was given in all, and how many were lost, doubled or swapped."""
        outcomes = [one for hubs in self.outcomes.values() for one in hubs.get(hub, [])]
        return sum(one.sent for one in outcomes), sum(
            one.lost + one.doubled + one.swapped + one.strange for one in outcomes
        )

    def take_soak(self, saved: dict[str, Any]) -> None:
        """Take the figures of the soak from what `to_json` returned for another run."""
        self.figures |= {name: values for name, values in saved["figures"].items() if "soak" in name}
        for hub, outcomes in saved["outcomes"].get("soak", {}).items():
            for outcome in outcomes:
                self.add("soak", hub, Outcome(**outcome))
        self.machine["soak"] = f"{saved['machine']['date']}, {len(self.figures['soak MB'])} pieces of 15 s"

    def to_json(self) -> dict[str, object]:
        """Return everything, for a file."""
        return asdict(self)


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on."""
    versions = {}
    for package in ("asyncsamp", "aiohttp", "uvloop", "pyvo"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "system": platform.platform(),
        "Python": sys.version.split()[0],
        **versions,
        "JSAMP": _jsamp(),
        "asyncsamp's settings": "the defaults, but as many registrations at once as clients ask for",
        "load at start": _load(),
        "stillness": describe_stillness(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def _jsamp() -> str:
    try:
        printed = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", "jsamp"], capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        return "unknown"
    return printed or "not installed"
