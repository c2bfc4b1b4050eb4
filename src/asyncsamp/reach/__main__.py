"""`python -m asyncsamp.reach`: rooms, in which the hubs of several machines meet."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from ..errors import SampError
from ..hub.options import OptionParser
from . import attach, serve

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 if all went well, 1 if not."""
    parser = OptionParser(
        prog="python -m asyncsamp.reach",
        description="Rooms, in which the hubs of several machines meet. See docs/reach.md.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve.add_commands(commands)
    attach.add_command(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = asyncio.run(options.run(options))
        return status
    except SampError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
