"""`python -m asyncsamp`: the command `asyncsamp`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command; return the exit code. Without the extra `cli`, say in one line what to install."""
    try:
        from .cli.app import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("click", "rich", "platformdirs"):
            raise
        print(
            f"asyncsamp: the command needs {error.name}; install it with: pip install 'asyncsamp[cli]' "
            "(a hub alone needs nothing more: python -m asyncsamp.hub)",
            file=sys.stderr,
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
