"""The figures that the hub must show, and whether it does; ratios within one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .results import Results

__all__ = ["Goal", "goals"]

PLAIN, UVLOOP = "asyncsamp", "asyncsamp-uvloop"


class Goal(NamedTuple):
    """One line of the table: what, against what, what is asked, what was seen, whether that is enough."""

    workload: str
    against: str
    asked: str
    seen: str
    met: bool | None


def _least(workload: str, against: str, least: float, seen: float | None, unit: str = "x") -> Goal:
    if seen is None:
        return Goal(workload, against, f"at least {least:g}{unit}", "not measured", None)
    return Goal(workload, against, f"at least {least:g}{unit}", f"{seen:,.2f}{unit}", seen >= least)


def _most(workload: str, against: str, most: float, seen: float | None, unit: str = "x") -> Goal:
    if seen is None:
        return Goal(workload, against, f"at most {most:g}{unit}", "not measured", None)
    return Goal(workload, against, f"at most {most:g}{unit}", f"{seen:,.3g}{unit}", seen <= most)


_PEERS = (
    # measure, peer, plain asyncio, uvloop
    ("notify", "jsamp", 4.0, 5.0),
    ("notify", "pyvo", 8.0, 10.0),
    ("callAndWait", "jsamp", 3.5, 4.0),
    ("call", "jsamp", 4.0, 5.0),
    ("broadcast to 100", "jsamp", 4.0, 6.0),
    ("register", "jsamp", 2.0, 2.0),
)


def goals(results: Results) -> list[Goal]:
    """Return every line of the table."""
    return [
        *_against_peers(results),
        *_against_limit(results),
        *_of_sizes(results),
        *_of_clients(results),
        *_of_tables(results),
        *_against_ourselves(results),
    ]


def _against_peers(results: Results) -> Iterator[Goal]:
    for measure, peer, plain, uvloop in _PEERS:
        yield _least(measure, peer, plain, results.ratio(measure, PLAIN, peer))
        yield _least(f"{measure} (uvloop)", peer, uvloop, results.ratio(measure, UVLOOP, peer))
    quarter = results.ratio("notify, 1/4 load", PLAIN, "jsamp", lambda outcome: outcome.p99)
    yield _most("p99 of notify at a quarter of full load", "jsamp", 0.25, quarter)


def _against_limit(results: Results) -> Iterator[Goal]:
    yield _least("notify", "bare forwarder", 0.85, results.ratio("notify", PLAIN, "forwarder"))
    yield _least("notify (uvloop)", "bare forwarder", 1.0, results.ratio("notify", UVLOOP, "forwarder"))


def _of_sizes(results: Results) -> Iterator[Goal]:
    yield _least("notify", "bare asyncio relay", 0.45, results.ratio("notify", PLAIN, "relay"))
    yield _least("notify 10 kB", "bare forwarder", 1.6, results.ratio("notify 10 kB", PLAIN, "forwarder"))
    yield _least("notify 1 MB", "bare forwarder", 0.7, results.ratio("notify 1 MB", PLAIN, "forwarder"))
    for measure, least in (("notify 1 MB", 2.5), ("notify 10 MB", 4.0), ("notify 100,000 rows", 4.0)):
        yield _least(measure, "jsamp", least, results.ratio(measure, PLAIN, "jsamp"))
    equal = results.ratio("notify, equal load", PLAIN, "jsamp", lambda outcome: outcome.p99)
    yield _most("p99 of notify at equal load", "jsamp", 0.25, equal)


def _of_clients(results: Results) -> Iterator[Goal]:
    figure = results.figure
    yield _least("our Client, notify", "", 7_000.0, figure("standard notify"), "/s")
    yield _least("our Client, call", "", 5_000.0, figure("standard call"), "/s")
    yield _least("WebConnection, call", "", 4_000.0, figure("web call"), "/s")
    yield _most("callAndWait to a naive server, p50", "", 3.0, figure("naive p50 ms, asyncsamp"), " ms")
    yield _most("callAll of 50 to four naive clients", "", 1.0, figure("naive burst s, asyncsamp"), " s")
    yield _most("1 MB to 100: memory above idle", "", 20.0, figure("broadcast MB"), " MB")


def _of_tables(results: Results) -> Iterator[Goal]:
    figure = results.figure
    whole = (figure("topcat rows") or 0) >= 2_000_000
    seconds, memory = (figure(f"topcat {what}") if whole else None for what in ("seconds", "sender MB"))
    yield _most("2,000,000 rows x 6 to TOPCAT", "", 4.0, seconds, " s")
    yield _most("2,000,000 rows x 6 to TOPCAT, memory", "", 500.0, memory, " MB")
    yield _most("200,000 rows by path", "", 0.4, figure("table path 200000 seconds"), " s")
    stall = figure("table auto 1000000 stall ms")
    yield _most("a million rows come in: longest stall", "", 50.0, stall, " ms")


def _against_ourselves(results: Results) -> Iterator[Goal]:
    many, ten = results.rate("notify, 1,000 clients", PLAIN), results.rate("notify", PLAIN)
    yield _least("rate with 1,000 clients / with 10", "itself", 0.8, many / ten if many and ten else None)
    figure = results.figure
    yield _least("rate after the soak / at its start", "itself", 0.95, figure("soak rate ratio"))
    yield _most("memory growth in the soak", "itself", 5.0, figure("soak growth %"), " %")
    yield _most("memory for each idle client", "", 40.0, figure("idle client kB"), " kB")
    yield _most("10 MB relayed: longest stall", "", 50.0, figure("stall ms"), " ms")
    dropin, pyvo = figure("compat call"), figure("pyvo call")
    whole = figure("pyvo at pyvo's hub call")
    yield _least("drop-in client, call", "pyvo's client", 2.0, dropin / pyvo if dropin and pyvo else None)
    together = dropin / whole if dropin and whole else None
    yield _least("drop-in clients and our hub, call", "pyvo's and its hub", 4.0, together)
    yield _least("DirectConnection call and reply", "", 20_000.0, figure("bare direct call"), "/s")
    ready, imported = figure("ready s"), figure("import aiohttp s")
    late = ready - imported if ready and imported else None
    yield _most("hub ready, beyond import aiohttp", "", 0.3, late, " s")
    yield _faultless(results)


def _faultless(results: Results) -> Goal:
    sent, wrong = map(sum, zip(results.messages(PLAIN), results.messages(UVLOOP), strict=True))
    label = "losses, doubles, swaps, in messages"
    enough: Callable[[], bool | None] = lambda: None if not wrong and sent < 1_000_000 else not wrong  # noqa: E731
    return Goal(label, "", "0 in 1,000,000", f"{wrong} in {sent:,}", enough())
