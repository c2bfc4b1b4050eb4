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

_SHELLS = {"sh", "ash", "bash", "dash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh"}

_SCRIPT_FOLLOWS = re.compile(r"-[A-Za-z]*c|--command")
"""An option of a shell that the script follows, or is part of: fish takes both."""

_NAME_FOLLOWS = re.compile(r"[-+][A-Za-z]*[oO][A-Za-z]*")
"""An option of a shell that takes the next word, such as pipefail."""

_FIELD = re.compile(r"\{([A-Za-z0-9._-]+)\}")


def check_command(command: Sequence[str]) -> None:
    """Raise `LocalProtocolError` unless the program is there."""
    if not command:
        raise LocalProtocolError("no command is given; write it after --, as in: handle MTYPE -- wc -c {url}")
    if _FIELD.search(command[0]):
        raise LocalProtocolError(f"the program {command[0]!r} may not come from a message")
    if any(map(_FIELD.search, _scripts(command))):
        raise LocalProtocolError(
            "a parameter within the script of a shell would be run as a part of it; "
            "give it after the script, as in: handle MTYPE -- sh -c 'wget \"$1\"' sh {url}"
        )
    if shutil.which(command[0]) is None:
        raise LocalProtocolError(f"the program {command[0]!r} is not there or may not be run")


def _scripts(command: Sequence[str]) -> list[str]:
    """Return the words that a shell may take for its script, and its options before that.

    The shell may come after a program that runs it, such as env, sudo, timeout or busybox.
    """
    start = next((place for place, word in enumerate(command) if Path(word).name in _SHELLS), len(command))
    awaited = start == 0  # without -c, it is the file that comes first
    found = []
    for before, word in itertools.pairwise(command[start:]):
        follows = _SCRIPT_FOLLOWS.match(word) is not None
        if awaited or follows:
            found.append(word)
        is_option = word.startswith(("-", "+")) or _NAME_FOLLOWS.fullmatch(before) is not None
        awaited = follows or (awaited and is_option)
    return found


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
