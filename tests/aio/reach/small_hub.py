"""A hub that has joined a room and keeps little for a client, in its own process: LOCKFILE URL OUTBOX."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from asyncsamp import Hub, Limits
from asyncsamp.hub.profiles.reach.invitation import invitation_of_url
from asyncsamp.hub.profiles.reach.profile import Reach


async def main(lockfile: Path, url: str, outbox: int) -> None:
    """Run it until the process is ended."""
    reach = Reach(invitation_of_url(url), label=lockfile.stem, mtypes=None)
    limits = Limits(outbox=outbox, reach_window=outbox // 2)
    async with Hub(lockfile=lockfile, profiles=[reach], limits=limits):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
