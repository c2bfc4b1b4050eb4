"""`python -m asyncsamp`: the command `asyncsamp`."""

from __future__ import annotations

import sys

from .errors import MissingExtraError


def main() -> int:
    """Run the command; return the exit code. Without the extra `cli`, say in one line what to install."""
    try:
        from .cli.app import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("click", "rich", "platformdirs"):
            raise
        missing = MissingExtraError(error.name or "click", "cli")
        print(
            f"asyncsamp: {missing}; a hub alone needs nothing more: python -m asyncsamp.hub", file=sys.stderr
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
