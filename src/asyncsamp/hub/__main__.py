"""`python -m asyncsamp.hub`: a hub for the whole session."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import secrets
import shlex
import sys
import webbrowser
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from .._util.signals import stop_on_signals
from ..discovery import locate, locate_multiple
from ..errors import HubRunningError, SampError
from .hub import Hub
from .options import OptionParser, port, seconds
from .page import HubPage, PageConsent
from .page.desktop import ask
from .profiles.web import Permissions, TerminalConsent, default_path
from .reach_options import add_reach_options, reach_profiles, spoken_options
from .web_options import add_web_options, manage_origins, web_profiles

__all__ = ["main"]

_LEVELS = ("critical", "error", "warning", "info", "debug", "off")


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(
        prog="python -m asyncsamp.hub",
        description="Run a SAMP hub until it is interrupted (Ctrl-C, SIGINT or SIGTERM).",
        epilog="Without --lockfile the environment variable SAMP_HUB decides, and then ~/.samp.",
    )
    add = parser.add_argument
    add("--lockfile", metavar="FILE", help="where to publish the hub")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--port", type=port, default=0, help="port of the Standard Profile (default: any that is free)")
    add("--label", default="", help="a name for this hub, to tell several apart")
    add("--multiple", action="store_true", help="publish under ~/.samp-1/, beside other hubs of this user")
    add(
        "--timeout",
        type=seconds,
        default=0.0,
        metavar="S",
        help="stop after S seconds in which no client did anything",
    )
    add(
        "--client-timeout",
        type=seconds,
        default=0.0,
        metavar="S",
        help="remove a client after S seconds in which it did nothing",
    )
    add("--state", metavar="FILE", help="keep registrations in FILE, to come back with them after a crash")
    add(
        "--page",
        action=argparse.BooleanOptionalAction,
        help="serve a page that shows clients and messages, and print its link (default: on a terminal)",
    )
    add("--open", action="store_true", help="open that page in the browser")
    add("--log-level", type=str.lower, choices=_LEVELS, default="warning", help="(default: %(default)s)")
    add("--version", action="version", version=f"asyncsamp {__version__}")
    add_web_options(parser)
    add_reach_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a hub; return the exit code: 0 stopped, 1 could not start, 2 wrong arguments."""
    arguments = _parser().parse_args(argv)
    if arguments.web_origins is not None:
        return manage_origins(arguments.web_origins)
    _set_up_logging(arguments.log_level)
    if _wants_page(arguments) and isinstance(arguments.web_consent, TerminalConsent):
        arguments.web_consent = PageConsent(arguments.web_consent, desktop=ask)
    permissions = Permissions(default_path())
    try:
        arguments.rooms = reach_profiles(arguments)
        hub = _make_hub(arguments, permissions)
        _run(_serve(hub, arguments, permissions))
    except SampError as error:
        if isinstance(error, HubRunningError) and arguments.join is not None:
            attach = _attach_command(arguments)
            error = HubRunningError(error.lockfile, error.url, error.program, attach=attach)
        print(f"asyncsamp.hub: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # says itself what cannot be listened on
        print(f"asyncsamp.hub: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _attach_command(arguments: argparse.Namespace) -> str:
    command = ["python", "-m", "asyncsamp.reach", "attach", *spoken_options(arguments)]
    if arguments.reach_files is None and any(room.offers_files for room in arguments.rooms):
        command += ["--reach-files", "sent"]  # which `attach` does not take from the invitation
    if arguments.lockfile is not None:
        command += ["--lockfile", arguments.lockfile]
    return shlex.join(command)


def _set_up_logging(level: str) -> None:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncsamp").setLevel(logging.CRITICAL + 1 if level == "off" else level.upper())


def _make_hub(arguments: argparse.Namespace, permissions: Permissions) -> Hub:
    return Hub(
        lockfile=_lockfile(arguments),
        host=arguments.host,
        port=arguments.port,
        label=arguments.label,
        profiles=[*web_profiles(arguments, permissions), *arguments.rooms],
        timeout=arguments.timeout,
        client_timeout=arguments.client_timeout,
        state=arguments.state,
        permissions=permissions,
    )


def _lockfile(arguments: argparse.Namespace) -> str | Path | None:
    if arguments.lockfile is not None:
        return str(arguments.lockfile)
    if not arguments.multiple:
        return None
    if os.environ.get("SAMP_HUB"):
        # SAMP_HUB names one place; several hubs there would shut each other out.
        return locate().path
    return locate_multiple(secrets.token_hex(4)).path


async def _serve(hub: Hub, arguments: argparse.Namespace, permissions: Permissions) -> None:
    """Run the hub until it stops or a signal comes, which may be before it has started."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    handled = stop_on_signals(loop, stop)
    serving = loop.create_task(_run_hub(hub, arguments, permissions), name="asyncsamp-serve")
    signalled = loop.create_task(stop.wait(), name="asyncsamp-signal")
    try:
        await asyncio.wait((serving, signalled), return_when=asyncio.FIRST_COMPLETED)
        signalled.cancel()
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


async def _run_hub(hub: Hub, arguments: argparse.Namespace, permissions: Permissions) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(hub)
        print(f"SAMP hub ready at {hub.url}, lockfile {hub.lockfile}", flush=True)
        for room in arguments.rooms:
            print(*room.terms, sep="\n", flush=True)
        if _wants_page(arguments):
            consent = arguments.web_consent if isinstance(arguments.web_consent, PageConsent) else None
            state = None if arguments.state is None else f"{arguments.state}.page"
            page = HubPage(hub, consent=consent, store=permissions, state=state)
            await stack.enter_async_context(page)
            link = page.new_link()
            print(f"Hub's page, by a link that works once: {link}", flush=True)
            if arguments.open:
                await asyncio.to_thread(webbrowser.open, link)
        await hub.serve_forever()


def _wants_page(arguments: argparse.Namespace) -> bool:
    if arguments.page is not None or arguments.open:
        return bool(arguments.page or arguments.open)
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is installed (the extra `fast`); None means asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
