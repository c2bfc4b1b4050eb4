"""The load process: jobs come in as lines of JSON, outcomes go out as lines of JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
from typing import Any

from .crowd import Target
from .running import run
from .workloads import Job, Outcome, as_json, run_job

__all__ = ["main"]


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order: dict[str, Any] = json.loads(line)
        try:
            outcome = await run_job(Job(**order["job"]), Target(**order["target"]))
        except Exception as error:  # whatever it is, the run goes on and reports it
            outcome = Outcome(error=_reason(error))
        print(json.dumps(as_json(outcome)), flush=True)
        gc.collect()


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def main() -> None:
    """Serve until the end of the input; on uvloop where it is installed, to leave the hub the bottleneck."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.freeze()
    run(_serve(), uvloop=True)


if __name__ == "__main__":
    main()
