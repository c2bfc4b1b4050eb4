"""Invitations on disk: their owner's alone. Blocking: not for the loop."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

from ...._util.private_files import replace_private
from ....errors import InvitationError
from .invitation import (
    MAX_TEXT,
    Found,
    Invitation,
    check_name,
    invitation_of_url,
    parse_headers,
    parse_invitation,
)

__all__ = ["find_again", "find_invitation", "read_headers", "read_invitation", "write_invitation"]

_ADDRESS = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}", re.ASCII)
"""A host and a port, as who forgets the scheme of a URL writes them."""


def find_invitation(join: str, *, room: str = "", headers: Path | None = None) -> Invitation:
    """Return the invitation in the file `join`, or that of a server without accounts at the URL `join`.

    Args:
        join: The file, or the URL.
        room: Another room of the server; "" for that of the invitation.
        headers: The file of headers for a WebSocket's handshake; others must not be able to read it.

    Raises:
        InvitationError: It cannot be read or used, or has headers of its own.
    """
    if "://" in join:
        invitation = _of_url(join, headers)
    elif headers is None:
        path = Path(join).expanduser()
        if _ADDRESS.fullmatch(join) and not path.exists():
            raise InvitationError(join, f"there is no such file; for a server: --join nats://{join}")
        invitation = read_invitation(path)
    else:
        raise InvitationError(join, "--reach-headers goes with a URL; an invitation has a part [headers]")
    if not room:
        return invitation
    found = invitation.found and replace(invitation.found, room=room)
    return replace(invitation, room=check_name("room", room), found=found)


def find_again(known: Invitation) -> Invitation:
    """Return what has taken the place of an invitation since; itself, if that is of no use.

    That is of use only to the same member in the same room. What is no file, such as a pipe, is not read
    again: it would be waited for without end.
    """
    if known.found is None or not _is_file(Path(known.path)):
        return known
    headers = Path(known.found.headers) if known.found.headers else None
    try:
        now = find_invitation(known.found.join, room=known.found.room, headers=headers)
    except InvitationError:
        return known
    return now if _whose(now) == _whose(known) else known


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its folder may not be looked into
        return False


def _whose(invitation: Invitation) -> tuple[str, str, bool]:
    return invitation.room, invitation.member, invitation.has_account


def _of_url(url: str, headers: Path | None) -> Invitation:
    if headers is None:
        return invitation_of_url(url)
    file = headers.expanduser().absolute()
    invitation = invitation_of_url(url, headers=read_headers(file))
    return replace(invitation, found=Found(url, headers=str(file)))


def read_invitation(path: Path) -> Invitation:
    """Read the invitation in a file.

    Raises:
        InvitationError: There is none, others may read it, or it cannot be used.
    """
    invitation = parse_invitation(_read_secret(path), str(path))
    return replace(invitation, found=Found(str(path.absolute())))


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
