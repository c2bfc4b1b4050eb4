"""The command `attach`: the clients of a hub that runs already, in a room."""

from __future__ import annotations

import argparse
import asyncio
import sys

from .._util.signals import stop_on_signals
from ..discovery import locate
from ..errors import LocalProtocolError
from ..hub.engine import HubEngine
from ..hub.profiles.reach.profile import Reach
from ..hub.reach_options import add_reach_options, reach_profiles
from ..limits import Limits
from .foreign_hub import ForeignHub
from .serve import Commands

__all__ = ["add_command"]

_CONNECTED = 2.0
"""Seconds for a connection to the room's server before it is said that there is none yet."""

_NO_FILES = (
    "The room is your own, but which of that hub's clients are web pages is not known here: "
    "for files to follow, attach with --reach-files sent."
)


def add_command(commands: Commands) -> None:
    """Add `attach`."""
    parser = commands.add_parser(
        "attach", help="join the clients of a hub that runs already, such as TOPCAT's, to a room"
    )
    parser.add_argument("--lockfile", help="where that hub is found (default: as SAMP_HUB says, or ~/.samp)")
    add_reach_options(parser)
    parser.set_defaults(run=_attach)


async def _attach(options: argparse.Namespace) -> int:
    if options.join is None:
        raise LocalProtocolError("say which room by --join FILE|URL")
    # Which of that hub's clients are web pages is not known: no file follows without being asked for.
    unasked = options.reach_files is None
    options.reach_files = options.reach_files or "none"
    (reach,) = await asyncio.to_thread(reach_profiles, options)
    engine = HubEngine(Limits(), {"samp.name": "asyncsamp reach"})
    path = locate(lockfile=options.lockfile).path
    if path is not None:
        engine.own_files.add(str(path))
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_on_signals(loop, stopped)
    await reach.start(engine)
    print(*reach.terms, sep="\n", flush=True)
    if unasked and reach.invitation.own:
        print(_NO_FILES, flush=True)
    serving = loop.create_task(_serve(engine, reach, options.lockfile), name="asyncsamp-attach")
    waiting = loop.create_task(stopped.wait(), name="asyncsamp-attach-stop")
    try:
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
    finally:
        for task in (serving, waiting):
            task.cancel()
        await asyncio.wait((serving, waiting))
        await reach.stop()
        await engine.shut_down(tell=False)
    return 0


async def _serve(engine: HubEngine, reach: Reach, lockfile: str | None) -> None:
    room = reach.invitation.room

    def attached(url: str) -> None:
        when = "are" if reach.connected else "will be, as soon as there is a connection,"
        print(
            f"the clients of the hub at {url} {when} in the room {room}; Ctrl-C takes them out.", flush=True
        )

    def lost(reason: str) -> None:
        print(f"{reason}; it is looked for again and again", file=sys.stderr, flush=True)

    await reach.let_in(_CONNECTED)
    await ForeignHub(engine, room=room, lockfile=lockfile).serve(attached, lost)
