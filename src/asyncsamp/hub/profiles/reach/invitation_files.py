"""Invitations on disk: their owner's alone. Blocking: not for the loop."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from ...._util.private_files import replace_private
from ....errors import InvitationError
from .invitation import MAX_TEXT, Invitation, parse_headers, parse_invitation

__all__ = ["read_headers", "read_invitation", "write_invitation"]


def read_invitation(path: Path) -> Invitation:
    """Read the invitation in a file.

    Raises:
        InvitationError: There is none, others may read it, or it cannot be used.
    """
    return replace(parse_invitation(_read_secret(path), str(path)), path=str(path.absolute()))


def read_headers(path: Path) -> dict[str, str]:
    """Read the headers in a file, a line each; raises as `read_invitation` does."""
    return parse_headers(_read_secret(path), str(path))


def write_invitation(path: Path, invitation: Invitation) -> None:
    """Write `invitation` to a file of mode 0600, in the place of what is there. Raises OSError."""
    replace_private(path, invitation.to_text().encode())


def _read_secret(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(4 * MAX_TEXT + 1)
        text = data.decode()
    except UnicodeDecodeError:
        raise InvitationError(str(path), "it is not a text") from None
    except OSError as error:
        raise InvitationError(str(path), f"it cannot be read: {error.strerror or error}") from None
    if os.name != "nt" and stat.S_ISREG(mode) and mode & 0o077:
        raise InvitationError(str(path), f"other users of this machine may read it; first: chmod 600 {path}")
    return text
