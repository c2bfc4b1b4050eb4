"""Tables from client to client: how long until the receiver has it, its longest stall, and its memory.

`python -m benchmarks.tables WAY ROWS LOCKFILE` prints a line of JSON; run as a child process. WAY is
"auto", "votable" or "path" (ours), "pyvo" (its `send_table_to`), or "topcat", which is started for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import re
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from shutil import which
from time import perf_counter
from typing import Any

from asyncsamp import Client

__all__ = ["WAYS", "topcat_is_missing"]

WAYS = ("auto", "votable", "path", "pyvo")
_BEAT = 0.001
_START = 120.0
"""Seconds that TOPCAT has to start."""


def topcat_is_missing() -> bool:
    """Whether the real TOPCAT cannot be started here."""
    return which("topcat") is None or which("xvfb-run") is None


def make_table(rows: int) -> Any:
    """Return a table of six columns: four of numbers, one of truths, one of texts."""
    numpy = importlib.import_module("numpy")
    numbers = numpy.random.default_rng(1)
    columns = {name: numbers.random(rows) for name in ("ra", "dec", "mag")}
    names = numpy.char.add("s", numpy.arange(rows).astype("U7"))
    columns |= {"id": numpy.arange(rows), "good": numbers.random(rows) > 0.5, "name": names}
    return importlib.import_module("astropy.table").Table(columns)


class _Pulse:
    """Notes the longest stall of the loop."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        while True:
            before = perf_counter()
            await asyncio.sleep(_BEAT)
            self.longest = max(self.longest, perf_counter() - before - _BEAT)


def _begin_peak() -> float:
    """Let the peak of memory begin anew; return the megabytes that are taken now. Linux."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _peak()
    return _memory("VmRSS")


def _peak() -> float:
    """Return the most megabytes that were taken since `_begin_peak`."""
    return _memory("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _memory(name: str) -> float:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


async def _receive(lockfile: str, rows: int, sender: list[str]) -> dict[str, float]:
    """Let another process send, and take the table here, so that stall and memory are the receiver's."""
    pulse = _Pulse()
    # What is imported late is not the table's.
    importlib.import_module("asyncsamp.data.formats.table_read").read_table(_small())
    async with Client("receiver", lockfile=lockfile) as client, client.tables() as tables:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.tables", *sender),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdin is not None
        await process.stdout.readline()  # it has its table, and is registered
        before = _begin_peak()
        beating = asyncio.create_task(pulse.beat())
        begun = perf_counter()
        process.stdin.write(b"go\n")
        async with asyncio.timeout(300):
            table = await anext(tables)
        taken = perf_counter() - begun
        beating.cancel()
        assert len(table) == rows, f"{len(table)} rows came, not {rows}"
        said = await process.stdout.readline()
        await process.wait()
    sent: dict[str, float] = json.loads(said)
    memory = {"receiver MB": _peak() - before, "sender MB": sent["MB"]}
    return {"seconds": taken, "stall ms": 1000 * pulse.longest, **memory}


def _small() -> bytes:
    write = importlib.import_module("asyncsamp.data.formats.table_write").write_fits
    data: bytes = write(make_table(3))
    return data


@contextlib.asynccontextmanager
async def _our_sender(lockfile: str) -> AsyncIterator[Client]:
    async with Client("sender", lockfile=lockfile) as client:
        yield client


async def _send(way: str, rows: int, lockfile: str) -> None:
    """Send one table when a line comes in; print the memory that it took."""
    table = make_table(rows)
    if way == "pyvo":
        await asyncio.to_thread(_send_by_pyvo, table, lockfile)
        return
    async with _our_sender(lockfile) as client:
        with tempfile.TemporaryDirectory() as folder:
            data: Any = table
            if way == "path":
                data = Path(folder, "table.fits")
                table.write(data)
            before = await _ready()
            await client.send_table(
                data, "receiver", format="votable" if way == "votable" else "auto", timeout=300
            )
            print(json.dumps({"MB": _peak() - before}), flush=True)


async def _ready() -> float:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return _begin_peak()


def _send_by_pyvo(table: Any, lockfile: str) -> None:
    samp = importlib.import_module("pyvo.samp")
    samp.conf.use_internet = False
    os.environ["SAMP_HUB"] = f"std-lockurl:file://{lockfile}"
    with samp.connection(client_name="sender") as connection:
        print("ready", flush=True)
        sys.stdin.readline()
        before = _begin_peak()
        samp.send_table_to(connection, table, client_name="receiver")
        print(json.dumps({"MB": _peak() - before}), flush=True)
        # Its file lives as long as it does.
        connection.call_and_wait(
            _id_of(connection, "receiver"), {"samp.mtype": "samp.app.ping", "samp.params": {}}, "60"
        )


def _id_of(connection: Any, name: str) -> str:
    for client in connection.get_registered_clients():
        if connection.get_metadata(client).get("samp.name") == name:
            return str(client)
    raise LookupError(name)


async def _to_topcat(rows: int, lockfile: str) -> dict[str, float]:
    """Start TOPCAT, and send it a table; it answers when it lists it.

    What it needs by itself is seen from the same table as a plain FITS file, of which it gets the path only.
    """
    table = make_table(rows)
    with tempfile.TemporaryDirectory() as folder:
        variables = {"SAMP_HUB": f"std-lockurl:file://{lockfile}", "HOME": folder}
        topcat = await asyncio.create_subprocess_exec(
            *("xvfb-run", "-a", "topcat", f"-J-Duser.home={folder}"),
            env=os.environ | variables,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with _our_sender(lockfile) as client:
                await client.find("topcat", timeout=_START)
                await client.send_table(make_table(1_000), "topcat", timeout=60)  # it has read its first one
                before, begun = _begin_peak(), perf_counter()
                await client.send_table(table, "topcat", timeout=300)
                taken, peak = perf_counter() - begun, _peak()
                path = Path(folder, "table.fits")
                table.write(path)
                begun = perf_counter()
                await client.send_table(path, "topcat", timeout=300)
                alone = perf_counter() - begun
                return {"seconds": taken, "sender MB": peak - before, "own seconds": alone}
        finally:
            os.killpg(topcat.pid, 15)
            await topcat.wait()


def main() -> None:
    """Measure one transfer, or be its sender."""
    way, rows, lockfile = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if sys.argv[4:] == ["send"]:
        asyncio.run(_send(way, rows, lockfile))
    elif way == "topcat":
        print(json.dumps(asyncio.run(_to_topcat(rows, lockfile))))
    else:
        print(json.dumps(asyncio.run(_receive(lockfile, rows, [way, str(rows), lockfile, "send"]))))


if __name__ == "__main__":
    main()
