"""What the options of `python -m asyncsamp.hub` share: groups of them, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

__all__ = ["add_group", "names", "port", "seconds"]


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
