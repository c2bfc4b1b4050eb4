"""The program that `handle` runs for a message: the user's own, without a shell."""

from __future__ import annotations

import asyncio
import itertools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..errors import LocalProtocolError
from ..values import Message, Response, ValueMap

__all__ = ["check_command", "fill", "run_command"]

_SHELLS = {"sh", "bash", "dash", "zsh", "ksh", "fish", "csh", "tcsh"}

_FIELD = re.compile(r"\{([A-Za-z0-9._-]+)\}")


def check_command(command: Sequence[str]) -> None:
    """Raise `LocalProtocolError` unless the program is there."""
    if not command:
        raise LocalProtocolError("no command is given; write it after --, as in: handle MTYPE -- wc -c {url}")
    if _FIELD.search(command[0]):
        raise LocalProtocolError(f"the program {command[0]!r} may not come from a message")
    if Path(command[0]).name in _SHELLS and any(map(_FIELD.search, _scripts(command))):
        raise LocalProtocolError(
            "a parameter within the script of a shell would be run as a part of it; "
            "give it after the script, as in: handle MTYPE -- sh -c 'wget \"$1\"' sh {url}"
        )
    if shutil.which(command[0]) is None:
        raise LocalProtocolError(f"the program {command[0]!r} is not there or may not be run")


def _scripts(command: Sequence[str]) -> list[str]:
    """Return the words that a shell takes for a script."""
    return [after for word, after in itertools.pairwise(command) if re.fullmatch(r"-[a-z]*c", word)]


def fill(command: Sequence[str], message: Message) -> list[str]:
    """Return the command with {key} replaced by the message's parameter, each within its own argument.

    What the message says never becomes another argument or the program. A value that begins with "-" could
    be taken for an option; such a one raises `LocalProtocolError`, as does a parameter that is missing.
    """

    def value(match: re.Match[str]) -> str:
        key = match[1]
        if key == "mtype":
            return message.mtype
        if key == "sender":
            return message.sender
        found = message.params.get(key)
        if not isinstance(found, str):
            raise LocalProtocolError(f"the message has no text parameter {key!r}")
        if "\0" in found:
            raise LocalProtocolError(f"the parameter {key!r} holds a zero byte")
        return found

    filled = [command[0]]
    for word in command[1:]:
        made = _FIELD.sub(value, word)
        if made.startswith("-") and not word.startswith("-"):
            raise LocalProtocolError(f"a parameter of the message begins with '-': {made[:40]!r}")
        filled.append(made)
    return filled


async def run_command(command: Sequence[str], message: Message, limit: int) -> Response:
    """Run it and return its exit code and output. Cancelled, it kills the program."""
    process = await asyncio.create_subprocess_exec(
        *fill(command, message),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    result: ValueMap = {"exit-code": str(process.returncode), "output": _sendable(output[:limit])}
    if process.returncode == 0:
        return Response(result=result)
    failure = Response.failure(f"{command[0]} ended with exit code {process.returncode}")
    return Response(failure.status, result, failure.error)


def _sendable(output: bytes) -> str:
    """Return output as a SAMP string, which has no control characters but these, and is ASCII for DS9."""
    text = output.decode("ascii", "replace")
    return "".join(char if char in "\t\n\r" or " " <= char <= "~" else "?" for char in text)
