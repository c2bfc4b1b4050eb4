"""Running a subcommand: its event loop, its client, and the exit code of what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, TypeAlias

from ..data.client import Client
from ..errors import (
    CallTimeoutError,
    DataError,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    LocalProtocolError,
    LockfileError,
    NoRecipientsError,
    NotSubscribedError,
    SampError,
    UnknownClientError,
)
from .hubs import choose_hub, start_if_none
from .output import error, note, safe
from .params import parse_params

__all__ = [
    "ERROR",
    "INTERRUPTED",
    "NOT_THERE",
    "OK",
    "TIMED_OUT",
    "USAGE",
    "Identity",
    "at_hub",
    "exit_code",
    "run",
]

OK, ERROR, USAGE, NOT_THERE, TIMED_OUT, INTERRUPTED = 0, 1, 2, 3, 27, 130

_NOT_THERE = (
    HubNotFoundError,
    HubLostError,
    LockfileError,
    UnknownClientError,
    NoRecipientsError,
    NotSubscribedError,
)


Identity: TypeAlias = "tuple[str | None, str, Sequence[str]]"
"""What `--hub`, `--name` and `--meta` say."""


@contextlib.asynccontextmanager
async def at_hub(
    hub: str | None,
    *,
    name: str = "asyncsamp",
    meta: Sequence[str] = (),
    reconnect: bool = False,
    start: bool | None = None,
    option: str = "--start",
    wait_for_hub: bool = False,
) -> AsyncIterator[Client]:
    """Register with the hub that `--hub`, SAMP_HUB or the lockfile names, until the end of the block.

    With `start`, a hub is started if there is none and `--hub` names none; None says that the subcommand has
    no such option, which the texts of errors then do not advise; `option` is what they advise to add.
    """
    try:
        if start and hub is None:
            await start_if_none()
        lockfile = await choose_hub(hub)
        async with Client(
            name,
            metadata=parse_params(meta),
            lockfile=lockfile,
            reconnect=reconnect,
            wait_for_hub=wait_for_hub,
        ) as client:
            yield client
    except (HubNotFoundError, UnknownClientError, NoRecipientsError, CallTimeoutError) as failure:
        raise _in_words_of_the_command(failure, option if start is False else "") from None


def _in_words_of_the_command(
    failure: HubNotFoundError | UnknownClientError | NoRecipientsError | CallTimeoutError, option: str = ""
) -> SampError:
    """Return the error with what can be done on the command line; what Python can is in its own advice."""
    add = f", or add {option}" if option else ""
    if isinstance(failure, HubNotFoundError):
        return failure if failure.text else failure.advised(f"start one with: asyncsamp hub{add}")
    if isinstance(failure, CallTimeoutError):
        return failure.advised("it may be at work still: wait longer with -W") if failure.advice else failure
    which = "one" if isinstance(failure, NoRecipientsError) else "it"
    return failure.advised(f"start {which} by hand{add}") if failure.advice else failure


def run(work: Coroutine[Any, Any, int]) -> int:
    """Run a subcommand to its end, and return its exit code; what goes wrong is said on stderr."""
    started = logging.getLogger("asyncsamp.tools")
    started.setLevel(logging.INFO)
    started.addHandler(_Notes())
    logging.getLogger("asyncsamp.client").addFilter(_advise_as_the_command)
    try:
        return asyncio.run(work)
    # Python 3.11 and 3.12 take Ctrl-C for a cancelling where a TaskGroup has failed before: gh-117407.
    except (KeyboardInterrupt, asyncio.CancelledError):
        note("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has gone; nothing more can be written, at exit neither.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else ERROR
    except SampError as failure:
        error(str(failure))
        return exit_code(failure)
    except TimeoutError as failure:
        error(str(failure) or "timed out")
        return TIMED_OUT
    except OSError as failure:
        error(f"{failure.filename}: {failure.strerror}" if failure.filename else str(failure))
        return ERROR


class _Notes(logging.Handler):
    """Says what is logged as a remark."""

    def emit(self, record: logging.LogRecord) -> None:
        note(safe(record.getMessage()))


def _advise_as_the_command(record: logging.LogRecord) -> bool:
    """Let what is logged of a hub that is not there advise what the errors of the command do."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            _in_words_of_the_command(each) if isinstance(each, HubNotFoundError) else each
            for each in record.args
        )
    return True


def exit_code(failure: SampError) -> int:
    """Return the exit code for an error."""
    if isinstance(failure, CallTimeoutError):
        return TIMED_OUT
    if isinstance(failure, _NOT_THERE):
        return NOT_THERE
    if isinstance(failure, LocalProtocolError) and not isinstance(failure, HubFaultError | DataError):
        return USAGE
    return ERROR
