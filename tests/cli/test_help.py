"""What the command says of itself: examples, --hub everywhere, near words, completion in a real shell."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from asyncsamp import Hub
from asyncsamp.cli.app import app

from ..installed import require_program
from .command import Command

pytestmark = pytest.mark.timeout(150)


def subcommands(group: click.Group = app, before: str = "asyncsamp") -> Iterator[tuple[str, click.Command]]:
    """Yield each subcommand with its words, those of groups included."""
    for name, command in group.commands.items():
        words = f"{before} {name}"
        yield words, command
        if isinstance(command, click.Group):
            yield from subcommands(command, words)


@pytest.mark.parametrize(("words", "command"), list(subcommands()))
def test_each_subcommand_shows_an_example(words: str, command: click.Command) -> None:
    if words != "asyncsamp completion":  # which is called within another word
        assert words in " ".join((command.help or "").split()).partition("For example: ")[2]


def test_each_subcommand_that_uses_a_hub_takes_its_label() -> None:
    without = {name for name, command in app.commands.items() if "--hub" not in options(command)}
    assert without == {"hub", "service", "completion"}


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize(
    ("words", "near"),
    [("snop", "snoop"), ("service instal", "install"), ("ping --jsno", "--json"), ("opne x.fits", "open")],
)
async def test_a_misspelt_word_has_the_near_one_named(command: Command, words: str, near: str) -> None:
    ended = await command.run(*words.split())
    assert ended.code == 2
    assert near in ended.err.partition("Did you mean ")[2]


async def test_hubs_says_which_one_a_label_picks(command: Command, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / ".samp-1").mkdir()
    other = tmp_path / ".samp-1" / "samp-hub-x"

    async def chosen(*words: object) -> list[str]:
        found = json.loads((await command.run("hubs", "--json", *words)).out)
        assert len(found) == 2
        return [each["label"] for each in found if each["chosen"]]

    async with Hub(lockfile=other, label="evening"):
        assert await chosen() == ["mine"]
        for name in ("evening", "x", other):
            assert await chosen("--hub", name) == ["evening"]
        command.env["SAMP_HUB"] = f"std-lockurl:{hub.lockfile.as_uri()}" if hub.lockfile else ""
        assert await chosen() == ["mine"]
        unknown = await command.run("hubs", "--hub", "morning")
        assert (unknown.code, "running: 'mine', 'evening'" in unknown.err) == (3, True)


COMPLETE = """
eval "$(asyncsamp completion bash)"
complete -p asyncsamp
COMPREPLY=() COMP_WORDS=(asyncsamp sn) COMP_CWORD=1
_asyncsamp_completion asyncsamp && echo "${COMPREPLY[*]}"
COMPREPLY=() COMP_WORDS=(asyncsamp send --not) COMP_CWORD=2
_asyncsamp_completion asyncsamp && echo "${COMPREPLY[*]}"
"""


async def test_bash_completes_words_and_options(command: Command, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "asyncsamp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m asyncsamp "$@"\n')
    program.chmod(0o755)
    bash = await asyncio.create_subprocess_exec(
        *(require_program("bash", "bash"), "--norc", "-c", COMPLETE),
        env={**command.env, "PATH": f"{program.parent}:{command.env['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await bash.communicate()
    declared, words, flags = out.decode().splitlines()
    assert declared.endswith("_asyncsamp_completion asyncsamp")
    assert (words, flags) == ("snoop", "--notify")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_have_a_script(command: Command, shell: str) -> None:
    ended = await command.run("completion", shell)
    assert (ended.code, "_ASYNCSAMP_COMPLETE" in ended.out) == (0, True)


BARE = """
import sys, runpy
for name in ("click", "rich", "platformdirs"):
    sys.modules[name] = None
sys.argv[1:] = ["--help"]
runpy.run_module("asyncsamp.hub", run_name="__main__")
"""


async def test_a_hub_alone_needs_no_extra(command: Command) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BARE, env=command.env, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (process.returncode, b"--multiple" in out) == (0, True)
