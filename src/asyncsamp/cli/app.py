"""The subcommands and their options. What a subcommand needs is imported when it runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__
from .running import run

__all__ = ["app", "main"]

app = typer.Typer(
    name="asyncsamp",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Talk to TOPCAT, DS9, Aladin and every other tool that speaks SAMP.",
    epilog="Exit codes: 0 done, 1 an error was answered, 2 wrong usage, 3 no hub or no such client, "
    "27 timed out. For example: asyncsamp open m31.fits --start",
)
service_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Run the hub at login.")
app.add_typer(service_app, name="service")

HubName = Annotated[str | None, typer.Option("--hub", help="Label, name or lockfile of the hub to use.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Seconds = Annotated[float, typer.Option("-W", "--timeout", min=0.0, help="Seconds to wait for an answer.")]
To = Annotated[list[str] | None, typer.Option("--to", help="Recipient by name or id; may be repeated.")]
Count = Annotated[int | None, typer.Option("-C", "--count", min=1, help="End after so many messages.")]
Start = Annotated[bool, typer.Option("--start", help="Start a tool if none that takes it is there.")]


def lazy(module: str, function: str) -> Callable[..., Any]:
    """Return a function that is imported when it is called."""

    def call(*arguments: Any) -> Any:
        return getattr(importlib.import_module(f"asyncsamp.cli.{module}"), function)(*arguments)

    return call


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        print(f"asyncsamp {__version__}")
        raise typer.Exit(0)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def hub(context: typer.Context) -> None:
    """Run a hub; takes the options of python -m asyncsamp.hub."""
    from ..hub.__main__ import main as run_hub

    raise typer.Exit(run_hub(context.args))


@app.command()
def hubs(json: Json = False) -> None:
    """Show all hubs of this user, and mark the one that is used."""
    run(lazy("clients", "list_hubs")(json))


@app.command(name="list")
def list_(
    hub: HubName = None,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again on every change.")] = False,
) -> None:
    """Show who is there, and what each takes."""
    run(lazy("clients", "list_clients")(hub, json, watch))


@app.command()
def info(client: str, hub: HubName = None, json: Json = False) -> None:
    """Show all that a client declares. For example: asyncsamp info topcat"""
    run(lazy("clients", "info")(hub, client, json))


@app.command()
def ping(
    client: Annotated[str | None, typer.Argument()] = None,
    hub: HubName = None,
    timeout: Seconds = 5.0,
    json: Json = False,
) -> None:
    """Ping a client, or all."""
    run(lazy("clients", "ping")(hub, client, timeout, json))


@app.command()
def wait(
    what: Annotated[str, typer.Argument(metavar="NAME|MTYPE")],
    hub: HubName = None,
    timeout: Annotated[
        float | None, typer.Option("-W", "--timeout", min=0.0, help="Seconds to wait.")
    ] = None,
) -> None:
    """Wait for a client of that name, or one that takes that mtype. For example: asyncsamp wait ds9 -W 30"""
    run(lazy("clients", "wait")(hub, what, timeout))


@app.command()
def send(
    mtype: str,
    params: Annotated[list[str] | None, typer.Argument(metavar="KEY=TEXT KEY:=JSON @FILE")] = None,
    to: To = None,
    notify: Annotated[bool, typer.Option("--notify", help="Want no answer.")] = False,
    call: Annotated[bool, typer.Option("--call", help="Await the answers (default).")] = False,
    wait_: Annotated[bool, typer.Option("--wait", help="Await them by callAndWait, without a port.")] = False,
    hub: HubName = None,
    timeout: Seconds = 60.0,
    json: Json = False,
) -> None:
    """Send a message. For example: asyncsamp send coord.pointAt.sky ra=10.68 dec=41.27 --to aladin"""
    if notify + call + wait_ > 1:
        raise typer.BadParameter("give one of --notify, --call and --wait")
    how = "notify" if notify else "wait" if wait_ else "call"
    run(lazy("messages", "send")(hub, mtype, params or [], to or [], how, timeout, json))


@app.command(name="open")
def open_(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE|URL...")] = None,
    to: Annotated[str | None, typer.Option("--in", help="The tool, by name or id.")] = None,
    start: Start = False,
    install: Annotated[bool, typer.Option("--install", help="Offer this on the desktop.")] = False,
    hub: HubName = None,
    timeout: Seconds = 60.0,
) -> None:
    """Show tables, images, spectra and coverages in a tool. For example: asyncsamp open m31.fits --start"""
    if install:
        run(lazy("service", "install_opener")())
    if not files:
        raise typer.BadParameter("name a file or URL to open")
    run(lazy("showing", "open_files")(hub, files, to, start, timeout))


@app.command(context_settings={"ignore_unknown_options": True})
def point(
    position: Annotated[list[str], typer.Argument(metavar="RA DEC | NAME")],
    to: Annotated[str | None, typer.Option("--to", help="Recipient by name or id.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Start --to if it is not there.")] = False,
    hub: HubName = None,
    timeout: Seconds = 10.0,
) -> None:
    """Point at a place of the sky. For example: asyncsamp point 10.68 41.27, or: asyncsamp point M31"""
    run(lazy("showing", "point")(hub, position, to, start, timeout))


@app.command()
def select(
    table: Annotated[str, typer.Argument(metavar="TABLE_ID|URL")],
    rows: Annotated[list[str], typer.Argument(help="Row numbers from 0 on, and ranges: 1,4 7-9")],
    to: To = None,
    highlight: Annotated[bool, typer.Option("--highlight", help="Highlight one row instead.")] = False,
    hub: HubName = None,
    timeout: Seconds = 10.0,
) -> None:
    """Select rows of a table that others have."""
    run(lazy("showing", "select")(hub, table, rows, to or [], highlight, timeout))


@app.command()
def get(
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write: .vot, .fits, .csv.")],
    tool: Annotated[str, typer.Option("--from", help="The tool whose current table it is.")] = "topcat",
    next_one: Annotated[bool, typer.Option("--next", help="Wait for the next table that is sent.")] = False,
    hub: HubName = None,
    timeout: Seconds = 60.0,
) -> None:
    """Write a table that a tool has into a file. For example: asyncsamp get -o stars.vot"""
    run(lazy("showing", "get")(hub, output, tool, next_one, timeout))


@app.command()
def snoop(
    mtypes: Annotated[list[str] | None, typer.Argument(metavar="MTYPE...")] = None,
    sender: Annotated[str | None, typer.Option("--from", help="Only what this client sends.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="As in: ~m coord.* & !~f topcat")] = None,
    count: Count = None,
    hub: HubName = None,
) -> None:
    """Show what is sent to all, or to this command; JSON lines when piped."""
    run(lazy("messages", "snoop")(hub, mtypes or [], sender, filter_, count))


@app.command()
def record(
    file: Path,
    of: Annotated[str | None, typer.Option("--of", help="Record this client's answers.")] = None,
    count: Count = None,
    hub: HubName = None,
) -> None:
    """Record what is sent to all into FILE."""
    run(lazy("recording", "record")(hub, file, of, count))


@app.command()
def replay(
    file: Path,
    speed: Annotated[float, typer.Option("--speed", min=0.0, help="2: twice as fast, 0: at once.")] = 1.0,
    as_: Annotated[str | None, typer.Option("--as", help="Answer as this client did.")] = None,
    hub: HubName = None,
) -> None:
    """Send again what was recorded, or play a client's part."""
    run(lazy("recording", "replay")(hub, file, speed, as_))


@app.command()
def handle(
    mtype: str,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND {param}...")],
    name: Annotated[str, typer.Option("--name", help="What others call us.")] = "asyncsamp handle",
    count: Count = None,
    hub: HubName = None,
) -> None:
    """Run a program for each message. For example: asyncsamp handle table.load.votable -- wget {url}"""
    run(lazy("messages", "handle")(hub, mtype, command, name, count))


@app.command()
def doctor(hub: HubName = None, json: Json = False) -> None:
    """Look what may be wrong, and say how to mend it."""
    run(lazy("doctor", "doctor")(hub, json))


@service_app.command()
def install() -> None:
    """Start the hub now and at each login."""
    run(lazy("service", "install")())


@service_app.command()
def status() -> None:
    """Say whether the hub is started at login."""
    run(lazy("service", "status")())


@service_app.command()
def remove() -> None:
    """Start it no more, and stop it."""
    run(lazy("service", "remove")())


def main() -> int:
    """Run the command of sys.argv; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="asyncsamp")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0
