"""What the benchmarks count: a loss, a double and a swap must be seen, or their figures prove nothing."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

from benchmarks import rooms
from benchmarks.bench import Bench
from benchmarks.goals import goals
from benchmarks.hubs import KINDS, HubError, HubKind, RunningHub
from benchmarks.ledger import Ledger, percentile
from benchmarks.pace import metronome
from benchmarks.rawxml import TOKEN, call, message, string, strings, token
from benchmarks.report import as_text
from benchmarks.results import Results
from benchmarks.rooms import TITLE as ROOMS
from benchmarks.rooms import by_room, measure_many, rooms_of, with_rooms
from benchmarks.workloads import Job, Outcome


def test_the_part_about_rooms_and_the_others_are_written_apart() -> None:
    others, first, second = "# All\n\ntables\n", f"{ROOMS}\n\none\n", f"{ROOMS}\n\ntwo\n"
    both = with_rooms(others, first)
    assert (both.startswith(others), rooms_of(both)) == (True, first)
    assert rooms_of(with_rooms(both, second)) == second
    assert with_rooms("# Another\n", rooms_of(both)) == f"# Another\n\n{first}"
    assert with_rooms(others, rooms_of(others)) == others


@pytest.mark.timeout(180)
async def test_rooms_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in (("MANY_CALLS", 3), ("MANY_NOTIFICATIONS", 20), ("BROADCASTS", 3), ("NEWCOMERS", 2)):
        monkeypatch.setattr(rooms, name, number)
    monkeypatch.setattr(rooms, "IDLE", 0.1)
    one = await measure_many(tmp_path, 3, by_room)
    assert (len(one.call), len(one.broadcast), len(one.newcomer), one.wrong) == (3, 3, 2, "")
    assert one.rate > 0
    assert 0 < one.met < 30


async def test_ledger_counts_what_comes_in_order() -> None:
    ledger = Ledger()
    for _ in range(3):
        ledger.receive(1, 2, ledger.send(1, 2))
    assert (ledger.received, ledger.lost, ledger.doubled, ledger.swapped) == (3, 0, 0, 0)
    assert len(ledger.latencies) == 3


async def test_the_metronome_lets_each_go_when_it_is_due_and_not_before() -> None:
    with metronome() as at:
        begun = perf_counter()
        for number in range(20):
            await at(begun + number / 1000)
            assert perf_counter() >= begun + number / 1000
        await at(begun)  # long due
        late = at(begun + 3600)
    assert not late.done()


async def test_ledger_sees_losses_doubles_and_swaps() -> None:
    ledger = Ledger()
    for _ in range(4):
        ledger.send(1, 2)
    for number in (0, 2, 1, 1):
        ledger.receive(1, 2, number)
    assert (ledger.received, ledger.lost, ledger.doubled, ledger.swapped) == (3, 1, 1, 1)


async def test_ledger_sees_what_nobody_sent() -> None:
    ledger = Ledger()
    ledger.receive(1, 2, 0)
    assert (ledger.received, ledger.strange) == (0, 1)


async def test_waiting_for_all_ends_when_nothing_comes() -> None:
    ledger = Ledger()
    ledger.send(1, 2)
    async with asyncio.timeout(30):
        await ledger.all_received(0.0)
    assert ledger.lost == 1


def test_percentile() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0], 0.99) == 2.0
    assert math.isnan(percentile([], 0.5))


def test_tokens_are_found_and_strings_read_in_any_layout() -> None:
    mark = token(1, 22, 333)
    body = call(
        "samp.client.receiveCall",
        string("k"),
        string("c1"),
        string("m7"),
        message("a.b", {"t": string(mark)}),
    )
    found = TOKEN.search(body)
    assert found is not None
    assert [int(group) for group in found.groups()] == [1, 22, 333]
    assert strings(body, 3) == ["k", "c1", "m7"]
    assert strings(body.replace(b"<value>", b"<value>\n  "), 3) == ["k", "c1", "m7"]


def test_ratio_is_of_the_same_round() -> None:
    results = Results()
    for ours, theirs in ((100, 10), (20, 4), (30, 0)):
        results.add("notify", "asyncsamp", Outcome(done=ours, seconds=1.0))
        results.add("notify", "jsamp", Outcome(done=theirs, seconds=1.0))
    assert results.ratio("notify", "asyncsamp", "jsamp") == 7.5
    met = {goal.against: goal.met for goal in goals(results) if goal.workload == "notify"}
    assert met == {"jsamp": True, "pyvo": None, "bare forwarder": None, "bare asyncio relay": None}


def test_a_lost_message_is_a_goal_not_met() -> None:
    results = Results()
    results.add("notify", "asyncsamp", Outcome(done=9, sent=10, seconds=1.0, lost=1))
    assert goals(results)[-1].met is False
    assert Outcome(lost=1, error="the hub died").wrong == "1 lost, the hub died"


def test_transfers_have_tables_and_goals() -> None:
    results = Results()
    for name, value in {
        "table path 200000 seconds": 0.2,
        "table auto 100000 seconds": 0.5,
        "naive p50 ms, asyncsamp": 2.0,
        "naive p50 ms, jsamp": 9.0,
        "topcat rows": 200_000.0,
        "topcat seconds": 1.0,
    }.items():
        results.note(name, value)
    met = {goal.workload: goal.met for goal in goals(results)}
    assert met["200,000 rows by path"] is True
    assert met["callAndWait to a naive server, p50"] is True
    assert met["2,000,000 rows x 6 to TOPCAT"] is None  # these were fewer
    text = as_text(results)
    assert "ours, a FITS file by path" in text
    assert "ours, to TOPCAT" in text
    assert "head and body separately" in text


async def test_a_hub_that_does_not_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    script = "print('no room for me'); raise SystemExit(1)"
    kind = HubKind("broken", "broken", lambda _: [sys.executable, "-c", script], lambda: "")
    hub = RunningHub(kind, tmp_path)
    with pytest.raises(HubError, match="broken ended at once: no room for me"):
        await hub.start()


async def test_a_hub_that_dies_in_the_middle_is_reported_and_started_again(tmp_path: Path) -> None:
    bench = Bench(KINDS[0], tmp_path)
    try:
        await bench.start(warm_up=10)
        job = Job("notify", seconds=15.0, patience=0.2)
        running = asyncio.create_task(bench.run(job))
        await asyncio.sleep(0)  # the order has gone to the load process
        os.kill(bench.hub.pid, signal.SIGKILL)
        outcome = await running
        assert "the hub died" in outcome.wrong
        assert outcome.seconds < 10
        outcome = await bench.run(replace(job, seconds=0.0, limit=10))
        assert (outcome.done, outcome.wrong) == (10, "")
    finally:
        await bench.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be stopped there")
async def test_a_hub_that_is_not_measured_stands_still_and_goes_on_when_it_is(tmp_path: Path) -> None:
    bench = Bench(KINDS[0], tmp_path)
    try:
        await bench.start(warm_up=10)
        bench.hub.freeze()
        os.waitid(os.P_PID, bench.hub.pid, os.WSTOPPED | os.WNOWAIT)  # returns once it stands still
        bench.hub.thaw()
        outcome = await bench.run(Job("notify", limit=10))
        assert (outcome.done, outcome.wrong) == (10, "")
    finally:
        bench.hub.freeze()  # it can be stopped all the same
        await bench.stop()


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.hubs.which", lambda name: None)
    jsamp = next(kind for kind in KINDS if kind.name == "jsamp")
    assert "apt-get install" in jsamp.missing()
