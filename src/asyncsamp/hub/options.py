"""What the options of `python -m asyncsamp.hub` share: groups of them, and how their values are read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .._util.likeness import did_you_mean

__all__ = ["OptionParser", "add_group", "names", "port", "seconds"]


_OPTION = re.compile(r"--[\w-]+")


class OptionParser(argparse.ArgumentParser):
    """Suggests the nearest option for a misspelt one, with the usage of the command whose option it is."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, as `parse_args` does: what is not known is an error. A parser asks its commands' by this."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            option = next((word for word in unknown if word.startswith("-")), "").partition("=")[0]
            meant = did_you_mean(option, _OPTION.findall(self.format_usage())) if option else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return found, unknown


def add_group(parser: argparse.ArgumentParser, title: str, options: Mapping[str, Mapping[str, Any]]) -> None:
    """Add options that belong together.

    Args:
        parser: Where they are added.
        title: What the help calls them.
        options: Each option, with what `add_argument` takes beside it.
    """
    group = parser.add_argument_group(title)
    for option, arguments in options.items():
        group.add_argument(option, **arguments)


def names(text: str) -> tuple[str, ...]:
    """Return what stands between commas, without what is empty."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def port(text: str) -> int:
    """Return a port number. Raises `argparse.ArgumentTypeError`."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid port number (0 to 65535)")
    return number


def seconds(text: str) -> float:
    """Return a number of seconds. Raises `argparse.ArgumentTypeError`."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds (0 for never)")
    return number
