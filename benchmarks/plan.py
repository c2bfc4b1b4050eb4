"""What is measured: workloads, sizes, crowds, in how many rounds of how long."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .workloads import Job

__all__ = ["Measure", "Plan", "full", "quick"]

_ALL = ("asyncsamp", "asyncsamp-uvloop", "jsamp", "pyvo")
_LIMITS = ("forwarder", "forwarder-uvloop", "relay", "relay-uvloop")
_WITH_LIMIT = (*_ALL, *_LIMITS)
_FAST = ("asyncsamp", "asyncsamp-uvloop", "jsamp")
"""Without pyvo, whose hub needs minutes to let a thousand clients come and go, and for large messages, and
seconds to end any measurement; and without the forwarder, since aiohttp's server refuses more than 1 MiB
unless it is told otherwise."""


_PACED = 3
"""How much longer a paced measurement lasts."""


@dataclass(frozen=True)
class Measure:
    """One row of the table: a job, and the hubs that do it.

    If it is paced, by `part` of the full notify load of the hub itself, or of the hub `of` for all of them.
    """

    name: str
    job: Job
    hubs: tuple[str, ...] = _ALL
    part: float = 0.0
    of: str = ""


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    measures: tuple[Measure, ...]
    rounds: int
    seconds_outside: float
    """Seconds for each measurement of a client library."""
    soak: float = 0.0
    """Seconds."""
    idle_clients: int = 1_000
    table_rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    topcat_rows: int = 2_000_000


_BASIC = (
    Measure("notify", Job("notify"), _WITH_LIMIT),
    Measure("notify, 1/4 load", Job("notify"), _FAST, part=0.25),
    Measure("notify, equal load", Job("notify"), _FAST, part=0.25, of="jsamp"),
    Measure("call", Job("call")),
    Measure("callAndWait", Job("callAndWait")),
    Measure("broadcast to 100", Job("broadcast", clients=100)),
    Measure("register", Job("register")),
)

_FURTHER = (
    Measure("broadcast to 10", Job("broadcast", clients=10), _FAST),
    Measure("broadcast to 500", Job("broadcast", clients=500), _FAST),
    Measure("notify 10 kB", Job("notify", size=10_000), _WITH_LIMIT),
    Measure("notify 100 kB", Job("notify", size=100_000, clients=4, active=4), (*_FAST, *_LIMITS)),
    Measure("notify 1 MB", Job("notify", size=1_000_000, clients=2, active=2), _WITH_LIMIT),
    Measure("notify 10 MB", Job("notify", size=10_000_000, clients=2, active=1, patience=30.0), _FAST),
    Measure("notify 100,000 rows", Job("notify", rows=100_000, clients=2, active=1, patience=30.0), _FAST),
    Measure("notify, 100 clients", Job("notify", clients=100), _FAST),
    Measure("notify, 1,000 clients", Job("notify", clients=1_000), _FAST),
)


_BRIEF = ("asyncsamp", "jsamp", "forwarder")
_BRIEF_SIZES = ("notify 10 kB", "notify 1 MB", "notify 100,000 rows")


def full(soak: float) -> Plan:
    """Return the plan of a whole run, with `soak` seconds of soak."""
    return Plan(_lasting((*_BASIC, *_FURTHER), 1.2), rounds=3, seconds_outside=1.0, soak=soak)


def quick() -> Plan:
    """Return the plan of a run of some minutes."""
    # pyvo's hub takes seconds to end each of them.
    brief = tuple(replace(m, hubs=_FAST) if m.name != "notify" else m for m in _BASIC)
    sizes = tuple(replace(m, hubs=_BRIEF) for m in _FURTHER if m.name in _BRIEF_SIZES)
    plan = Plan(_lasting((*brief, *sizes), 0.5), rounds=3, seconds_outside=0.3)
    return replace(plan, table_rows=(10_000, 100_000), topcat_rows=200_000)


def _lasting(measures: tuple[Measure, ...], seconds: float) -> tuple[Measure, ...]:
    return tuple(replace(measure, job=_job(measure, seconds)) for measure in measures)


def _job(measure: Measure, seconds: float) -> Job:
    # At a part of a slow hub's load there are few messages, of which the slowest hundredth is looked for.
    factor = _PACED if measure.part else 1
    return replace(measure.job, seconds=factor * seconds, patience=max(2.0, measure.job.patience))
