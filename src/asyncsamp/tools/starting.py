"""Starting a tool, detached from this process, and waiting until it is registered and answers a ping."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from .. import mtypes
from .._util import file_urls
from ..client.messaging import MessagingClient
from ..client.tracker import RemoteClient
from ..discovery import Location
from ..errors import HubFaultError, ToolError
from ..values import ReplyError
from .output import Output
from .registry import ALADIN_JARS, Tool
from .running import running

__all__ = ["HUB_TIMEOUT", "MARK", "StartedTool", "start", "start_hub"]

log = logging.getLogger("asyncsamp.tools")

_PING_TIMEOUT = 5.0
"""Seconds for a tool to answer a ping; it may be busy drawing its windows, and is asked again."""

_READY_TIMEOUT = 2.0
"""Seconds for a tool to answer that it can be used: Aladin says nothing to what comes too early."""

MARK = "ASYNCSAMP_STARTED"
"""The variable by which a started tool is told from another of its name, if it answers client.env.get."""

HUB_TIMEOUT = 20.0
"""Seconds for a hub to start: half a second, on a busy machine more."""

_HUB = Tool(
    "the hub",
    "Hub",
    (sys.executable,),
    # -P: no module comes from the current folder, which may be one of downloads.
    ("-P", "-m", "asyncsamp.hub", "--web-consent", "deny", "--timeout", str(24 * 3600)),
)

_LOOK_INTERVAL = 0.1
"""Seconds between two looks whether the tool has died. Its registration is not waited for in this way."""


class StartedTool:
    """A tool that was started and has not registered yet.

    Args:
        tool: Which tool.
        process: Its process.
        output: Where it writes.
        mark: The value of `MARK` in its environment, which no process has but its own.

    Attributes:
        tool: Which tool.
        pid: The number of its process.
        mark: As above.
        registered: Whether a client of its name has come since it was started.
    """

    def __init__(self, tool: Tool, process: subprocess.Popen[bytes], output: Output, mark: str) -> None:
        self.tool = tool
        self.pid = process.pid
        self.mark = mark
        self.registered = False
        self._process = process
        self._output = output

    @property
    def died(self) -> bool:
        """Whether it has failed. A launcher that ends with 0 has handed over to another process. Blocking."""
        self._output.bound()
        return self._process.poll() not in (None, 0)

    def give_up(self, reason: str) -> ToolError:
        """Return the error that says why it did not start. Blocking.

        Args:
            reason: What happened, as what follows the name of the tool.
        """
        said = self._output.last_words()
        return ToolError(f"{self.tool.name} {reason}" + (f"; it said:\n{said}" if said else ""))

    def close(self) -> None:
        """Let go of it; it goes on running, as the user's own. Blocking."""
        running.look_after(self._process, self._output)


async def start(client: MessagingClient, tool: Tool, location: Location, *, timeout: float) -> RemoteClient:
    """Start `tool` for the hub at `location` and return it once it has registered and answers a ping.

    The tool is detached: it has its own session and outlives this process. It is run without a shell,
    and its command is only what this package or the user's tools.toml says.

    Args:
        client: A client that is registered with the same hub.
        tool: What to start.
        location: Where the lockfile of the hub is, which becomes SAMP_HUB of the tool.
        timeout: Seconds for the tool to be ready.

    Returns:
        The tool as a client.

    Raises:
        ToolError: It is not installed, dies while starting (with its last lines), or is not ready in time.

    If it is cancelled the tool may have been started, and goes on.
    """
    before = {other.public_id for other in await client.get_clients()}
    started = await asyncio.to_thread(_launch, tool, location)
    try:
        async with asyncio.timeout(timeout):
            return await _ready(client, started, before)
    except TimeoutError:
        missing = "was not ready" if started.registered else "did not register"
        raise await asyncio.to_thread(
            started.give_up, f"was started (pid {started.pid}) but {missing} within {timeout:g} s"
        ) from None
    finally:
        await asyncio.to_thread(started.close)


async def start_hub(
    location: Location, is_there: Callable[[], Awaitable[bool]], *, timeout: float = HUB_TIMEOUT
) -> None:
    """Start a hub at `location`, detached as a tool is; it ends when nobody has used it for a day.

    Args:
        location: Where it publishes itself.
        is_there: Asks whether a hub answers there.
        timeout: Seconds for it to answer.

    Raises:
        ToolError: It does not start, with its last lines.

    If it is cancelled the hub may have been started, and goes on.
    """
    started = await asyncio.to_thread(_launch, _HUB, location)
    try:
        async with asyncio.timeout(timeout):
            while not await is_there():
                await _look(started)
        log.info("a hub was started: pid %d", started.pid)
    except TimeoutError:
        raise await asyncio.to_thread(started.give_up, f"did not answer within {timeout:g} s") from None
    finally:
        await asyncio.to_thread(started.close)


async def _ready(client: MessagingClient, started: StartedTool, before: set[str]) -> RemoteClient:
    while True:
        for other in await client.get_clients():
            new = other.public_id not in before and started.tool.answers_to(other.name)
            started.registered |= new
            if new and await _answers(client, other) and await _has_mark(client, other, started.mark):
                await _until_ready(client, other, started)
                log.info("%s was started: pid %d, id %s", started.tool.name, started.pid, other.public_id)
                return other
        await _look(started)


async def _look(started: StartedTool) -> None:
    """Raise `ToolError` if it has died, else wait a moment."""
    if await asyncio.to_thread(lambda: started.died):
        raise await asyncio.to_thread(started.give_up, "died while it started")
    await asyncio.sleep(_LOOK_INTERVAL)


async def _answers(client: MessagingClient, other: RemoteClient) -> bool:
    try:
        await client.call(other, "samp.app.ping", timeout=_PING_TIMEOUT)
    except ReplyError:
        return True  # it answers, if with an error
    except (HubFaultError, TimeoutError):
        return False  # not callable yet, or busy
    return True


async def _until_ready(client: MessagingClient, other: RemoteClient, started: StartedTool) -> None:
    """Wait until the tool does what it is asked. Raises `ToolError` if it dies."""
    while started.tool.ready is not None:
        mtype, key, value = started.tool.ready
        with contextlib.suppress(ReplyError, HubFaultError, TimeoutError):
            await client.call(other, mtype, {key: value}, timeout=_READY_TIMEOUT)
            return
        await _look(started)


async def _has_mark(client: MessagingClient, other: RemoteClient, mark: str) -> bool:
    """Whether it is the one that was started: DS9 tells its environment, of others it is believed."""
    if other.public_id not in await client.get_subscribed_clients(mtypes.ClientEnvGet.mtype):
        return True
    try:
        answer = await client.call(other, mtypes.ClientEnvGet(name=MARK), timeout=_PING_TIMEOUT)
    except (ReplyError, HubFaultError, TimeoutError):
        return False  # the variable is not set there
    return answer.result.get("value") == mark


def _launch(tool: Tool, location: Location) -> StartedTool:
    """Start it. Blocking. Raises `ToolError`."""
    program = tool.program()
    if program is None:
        raise ToolError(
            f"{tool.name} is not installed (looked for {', '.join(tool.programs)}); "
            "install it, or say in tools.toml how it is started"
        )
    command = [program, *_arguments(tool, location)]
    mark = secrets.token_hex(8)
    output = Output()
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own tool, without a shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output.file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **dict(tool.environment), "SAMP_HUB": _variable(location), MARK: mark},
        )
    except OSError as error:
        output.close()
        raise ToolError(f"cannot start {program}: {error.strerror or error}") from None
    return StartedTool(tool, process, output, mark)


def _arguments(tool: Tool, location: Location) -> list[str]:
    values = {"files": str(Path(__file__).parent)}
    if not tool.reads_variable:
        if location.path is None or location.path.name != ".samp":
            raise ToolError(
                f"{tool.name} does not read SAMP_HUB; it finds only a hub whose lockfile is called .samp, "
                f"not {location.description}"
            )
        values["home"] = str(location.path.parent)
    if "{jar}" in tool.arguments:
        jar = next((path for path in ALADIN_JARS if Path(path).is_file()), None)
        if jar is None:
            raise ToolError(f"{tool.name} is not installed (looked for {', '.join(ALADIN_JARS)})")
        values["jar"] = jar
    return [_filled(argument, values) for argument in tool.arguments]


def _filled(argument: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        argument = argument.replace(f"{{{key}}}", value)
    return argument


def _variable(location: Location) -> str:
    path = location.path
    return "std-lockurl:" + (location.url if path is None else file_urls.make(str(path.absolute())))
