"""The subcommands and their options. What a subcommand needs is imported when it runs."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from .. import __version__
from .._util.likeness import nearest

__all__ = ["app", "main"]

EXIT_CODES = (
    "Exit codes: 0 done, 1 an error was answered, 2 wrong usage, 3 no hub or no such client, 27 timed out. "
    "For example: asyncsamp open m31.fits --start"
)

hub_option = click.option("--hub", metavar="NAME", help="Label, name or lockfile of the hub to use.")
json_option = click.option("--json", is_flag=True, help="Answer in JSON.")
to_option = click.option("--to", multiple=True, metavar="NAME", help="Recipient by name or id; repeatable.")
count_option = click.option("-C", "--count", type=click.IntRange(min=1), help="End after so many messages.")


def identity(default: str) -> Callable[[Any], Any]:
    """Return the options that say who we are to the others."""

    def add(function: Any) -> Any:
        meta = click.option("--meta", multiple=True, metavar="KEY=TEXT", help="Metadata; repeatable.")
        name = click.option("--name", default=default, show_default=True, help="What others call us.")
        return name(meta(function))

    return add


def timeout_option(default: float | None) -> Callable[[Any], Any]:
    """Return the option -W of a subcommand."""
    seconds = click.FloatRange(min=0.0)
    shown = default is not None
    return click.option("-W", "--timeout", type=seconds, default=default, show_default=shown, help="Seconds.")


def run(module: str, function: str, *arguments: object) -> None:
    """Run a coroutine function of a module of this package, and leave with its exit code."""
    running = importlib.import_module(".running", __package__)
    work = getattr(importlib.import_module(f".{module}", __package__), function)
    sys.exit(running.run(work(*arguments)))


_PROGRAMS = ("reach", "compat")
"""What is run by `python -m asyncsamp.NAME`, and is no command of this program."""


class Commands(click.Group):
    """A group that suggests the nearest subcommand for a misspelt one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word in _PROGRAMS:
            command = shlex.join(["python", "-m", f"asyncsamp.{word}", *args[1:]])
            ctx.fail(f"No such command {word!r}. Type: {command}")
        near = nearest(word, self.list_commands(ctx))
        if near and self.get_command(ctx, word) is None:
            ctx.fail(f"No such command {word!r}. Did you mean {near!r}?")
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="asyncsamp", message="%(prog)s %(version)s")
def app() -> None:
    """Talk to TOPCAT, DS9, Aladin and every other tool that speaks SAMP."""


@app.command(
    add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
@click.pass_context
def hub(context: click.Context) -> None:
    """Run a hub; takes the options of python -m asyncsamp.hub. For example: asyncsamp hub --label evening"""
    from ..hub.__main__ import main as run_hub

    sys.exit(run_hub(context.args))


@app.command()
@hub_option
@json_option
def hubs(hub: str | None, json: bool) -> None:
    """Show all hubs of this user, and mark the one that SAMP_HUB or --hub picks. For example:
    asyncsamp hubs --hub evening"""
    run("clients", "list_hubs", hub, json)


@app.command(name="list")
@hub_option
@json_option
@click.option("--watch", is_flag=True, help="Show it again on every change.")
def list_(hub: str | None, json: bool, watch: bool) -> None:
    """Show who is there, and what each takes. For example: asyncsamp list --watch"""
    run("clients", "list_clients", hub, json, watch)


@app.command()
@click.argument("client")
@hub_option
@json_option
def info(client: str, hub: str | None, json: bool) -> None:
    """Show all that a client declares. For example: asyncsamp info topcat"""
    run("clients", "info", hub, client, json)


@app.command()
@click.argument("client", required=False)
@hub_option
@json_option
@timeout_option(5.0)
def ping(client: str | None, hub: str | None, json: bool, timeout: float) -> None:
    """Ping a client, or all. For example: asyncsamp ping topcat"""
    run("clients", "ping", hub, client, timeout, json)


@app.command()
@click.argument("what", metavar="NAME|MTYPE")
@hub_option
@timeout_option(None)
def wait(what: str, hub: str | None, timeout: float | None) -> None:
    """Wait for a client of that name, or one that takes that mtype. For example: asyncsamp wait ds9 -W 30"""
    run("clients", "wait", hub, what, timeout)


@app.command()
@click.argument("mtype")
@click.argument("params", nargs=-1, metavar="[KEY=TEXT | KEY:=JSON | @FILE]...")
@to_option
@click.option("--notify", "how", flag_value="notify", help="Want no answer.")
@click.option("--call", "how", flag_value="call", default=True, help="Await the answers (default).")
@click.option("--wait", "how", flag_value="wait", help="Await them by callAndWait.")
@identity("asyncsamp")
@hub_option
@json_option
@timeout_option(60.0)
def send(
    mtype: str,
    params: tuple[str, ...],
    to: tuple[str, ...],
    how: str,
    name: str,
    meta: tuple[str, ...],
    hub: str | None,
    json: bool,
    timeout: float,
) -> None:
    """Send a message. For example: asyncsamp send coord.pointAt.sky ra=10.68 dec=41.27 --to aladin"""
    run("messages", "send", (hub, name, meta), mtype, params, to, how, timeout, json)


@app.command(name="open")
@click.argument("files", nargs=-1, metavar="FILE|URL...")
@click.option("--in", "to", metavar="NAME", help="The tool, by name or id.")
@click.option("--start", is_flag=True, help="Start a tool, and a hub, if none is there.")
@click.option("--install", is_flag=True, help='Offer this as "open with" on the desktop.')
@hub_option
@timeout_option(60.0)
def open_(
    files: tuple[str, ...], to: str | None, start: bool, install: bool, hub: str | None, timeout: float
) -> None:
    """Show tables, images, spectra and coverages in a tool. For example: asyncsamp open m31.fits --start"""
    if install:
        run("service", "install_opener")
    if not files:
        raise click.UsageError("name a file or URL to open")
    run("showing", "open_files", hub, files, to, start, timeout)


@app.command(context_settings={"ignore_unknown_options": True})
@click.argument("position", nargs=-1, required=True, metavar="RA DEC | NAME")
@click.option("--to", metavar="NAME", help="Recipient by name or id.")
@click.option(
    "--start", is_flag=True, help="Start --to, which must be named, and a hub, if they are not there."
)
@hub_option
@timeout_option(10.0)
def point(position: tuple[str, ...], to: str | None, start: bool, hub: str | None, timeout: float) -> None:
    """Point at a place of the sky. For example: asyncsamp point 10.68 41.27, or: asyncsamp point M31"""
    if start and not to:
        raise click.UsageError(
            "--start starts the tool that --to names: add --to NAME, as in: "
            "asyncsamp point 10.68 41.27 --to aladin --start"
        )
    run("showing", "point", hub, position, to, start, timeout)


@app.command()
@click.argument("table", metavar="TABLE_ID|URL")
@click.argument("rows", nargs=-1, required=True)
@to_option
@click.option("--highlight", is_flag=True, help="Highlight one row instead.")
@hub_option
@timeout_option(10.0)
def select(
    table: str, rows: tuple[str, ...], to: tuple[str, ...], highlight: bool, hub: str | None, timeout: float
) -> None:
    """Select rows of a table that others have: numbers from 0 on, and ranges. For example:
    asyncsamp select t1 1,4 7-9"""
    run("showing", "select", hub, table, rows, to, highlight, timeout)


@app.command()
@click.argument("table_id", required=False, metavar="[TABLE_ID]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write; it must be named.")
@click.option("--from", "tool", default="topcat", show_default=True, help="The tool whose table it is.")
@click.option("--next", "next_one", is_flag=True, help="Wait for the next table that somebody sends.")
@hub_option
@timeout_option(60.0)
def get(
    table_id: str | None, output: Path | None, tool: str, next_one: bool, hub: str | None, timeout: float
) -> None:
    """Write a table of a tool into a file: its current one, or the one whose number in TOPCAT's list is
    TABLE_ID. For example: asyncsamp get -o stars.vot, or: asyncsamp get 2 -o stars.fits

    TOPCAT gives the rows of the subset that is current there, so that a selection is got in this way.
    With --next, TABLE_ID is the table-id that its sender says. The ending of the file says the format:
    .fits, .csv, .txt, .vot (also without an ending).
    """
    if output is None:
        raise click.UsageError("name the file to write, as in: asyncsamp get -o stars.vot")
    run("showing", "get", hub, table_id, output, tool, next_one, timeout)


@app.command()
@click.argument("mtypes", nargs=-1)
@click.option("--from", "sender", metavar="NAME", help="Only what this client sends.")
@click.option("--filter", "expression", metavar="EXPR", help="As in: ~m coord.* & !~f topcat")
@count_option
@identity("asyncsamp snoop")
@hub_option
def snoop(
    mtypes: tuple[str, ...],
    sender: str | None,
    expression: str | None,
    count: int | None,
    name: str,
    meta: tuple[str, ...],
    hub: str | None,
) -> None:
    """Show what is sent, and what is answered; JSON lines when piped. For example:
    asyncsamp snoop 'coord.*' --from topcat"""
    run("messages", "snoop", (hub, name, meta), mtypes, sender, expression, count)


@app.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--of", metavar="NAME", help="Record this client's answers: stand before it.")
@count_option
@hub_option
def record(file: Path, of: str | None, count: int | None, hub: str | None) -> None:
    """Record what is sent, and what is answered, into FILE. For example: asyncsamp record morning.jsonl"""
    run("recording", "record", hub, file, of, count)


@app.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--speed", type=click.FloatRange(min=0.0), default=1.0, help="2: twice as fast, 0: at once.")
@click.option("--as", "name", metavar="NAME", help="Answer as this client did.")
@hub_option
def replay(file: Path, speed: float, name: str | None, hub: str | None) -> None:
    """Send again what was recorded, or play a client's part. For example:
    asyncsamp replay morning.jsonl --as topcat"""
    run("recording", "replay", hub, file, speed, name)


@app.command()
@click.argument("mtype")
@click.argument("command", nargs=-1, required=True, metavar="-- COMMAND {param}...")
@count_option
@identity("asyncsamp handle")
@hub_option
def handle(
    mtype: str,
    command: tuple[str, ...],
    count: int | None,
    name: str,
    meta: tuple[str, ...],
    hub: str | None,
) -> None:
    """Run a program for each message. For example: asyncsamp handle table.load.votable -- wget {url}"""
    run("messages", "handle", (hub, name, meta), mtype, command, count)


@app.command()
@hub_option
@json_option
@timeout_option(5.0)
def doctor(hub: str | None, json: bool, timeout: float) -> None:
    """Look for what may be wrong, and say how to fix it. For example: asyncsamp doctor --json"""
    run("doctor", "doctor", hub, json, timeout)


@app.group(cls=Commands)
def service() -> None:
    """Run the hub at login. For example: asyncsamp service install"""


@service.command()
def install() -> None:
    """Start the hub now and at each login. For example: asyncsamp service install"""
    run("service", "install")


@service.command()
def status() -> None:
    """Say whether the hub is started at login. For example: asyncsamp service status"""
    run("service", "status")


@service.command()
def remove() -> None:
    """Stop the hub, and start it at login no longer. For example: asyncsamp service remove"""
    run("service", "remove")


@app.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell. For example: eval "$(asyncsamp completion bash)" """
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(app, {}, "asyncsamp", "_ASYNCSAMP_COMPLETE").source())


def main() -> int:
    """Run the command of sys.argv; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal's encoding lacks must not make it fail
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="asyncsamp")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
