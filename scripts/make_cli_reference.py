"""Write docs/cli-reference.md from the command itself. With --check, say whether it is as it should be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from asyncsamp.cli.app import app

TARGET = Path(__file__).parents[1] / "docs" / "cli-reference.md"


def reference() -> str:
    """Return the text of the page."""
    lines = [
        "# All subcommands and options",
        "",
        "Written by `scripts/make_cli_reference.py`. See also [cli.md](cli.md).",
        "",
    ]
    for name, command in app.commands.items():
        lines += section(f"asyncsamp {name}", command)
    return "\n".join(lines).rstrip() + "\n"


def section(name: str, command: click.Command) -> Iterator[str]:
    """Yield the lines of one subcommand, and of those below it."""
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield from (f"## {name}", "", f"    {usage}", "", " ".join((command.help or "").split()), "")
    options = [option for option in command.params if isinstance(option, click.Option)]
    if options:
        yield from ("| option | meaning |", "|---|---|", *(row(option, context) for option in options), "")
    if isinstance(command, click.Group):
        for below, each in command.commands.items():
            yield from section(f"{name} {below}", each)


def row(option: click.Option, context: click.Context) -> str:
    """Return the row of one option, as --help shows it."""
    record = option.get_help_record(context)
    assert record is not None
    names, meaning = (" ".join(text.split()).replace("|", "\\|") for text in record)
    return f"| `{names}` | {meaning} |"


def main() -> int:
    """Write it, or check it."""
    if "--check" in sys.argv:
        same = TARGET.read_text(encoding="utf-8") == reference()
        print(
            "as it should be" if same else f"{TARGET.name} is not of this command: run {Path(__file__).name}"
        )
        return 0 if same else 1
    TARGET.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
