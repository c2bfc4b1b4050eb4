"""The options by which `python -m asyncsamp.hub` joins a room."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .mtype_limits import WEB_MTYPES
from .options import add_group, names
from .profiles.reach.invitation_files import find_invitation
from .profiles.reach.profile import Reach

__all__ = ["add_reach_options", "find_invitation", "reach_profiles", "spoken_options"]

_OPTIONS: dict[str, dict[str, Any]] = {
    "--join": {
        "metavar": "FILE|URL",
        "help": "join the room of an invitation, or of a NATS server without accounts, such as "
        "nats://127.0.0.1:4222",
    },
    "--reach-headers": {
        "type": Path,
        "metavar": "FILE",
        "help": "headers for the URL of a WebSocket, such as the token of a Jupyter server, "
        "'Name: value' a line",
    },
    "--room": {"default": "", "help": "another room of that server"},
    "--reach-label": {
        "default": "",
        "metavar": "LABEL",
        "help": "what clients of this hub are called elsewhere: 'TOPCAT @LABEL' "
        "(default: this machine's name)",
    },
    "--reach-mtypes": {
        "choices": ("harmless", "all"),
        "default": "harmless",
        "help": "what clients of other hubs may send here (default: %(default)s, as web pages)",
    },
    "--reach-trust": {
        "type": names,
        "default": (),
        "metavar": "MEMBER,...",
        "help": "members whose clients may send everything, such as your own other machine",
    },
    "--reach-share": {
        "type": names,
        "default": (),
        "metavar": "NAME,...",
        "help": "show only these clients to other hubs (default: all)",
    },
    "--reach-files": {
        "choices": ("sent", "none"),
        "help": "whether files and local URLs that programs here send can be read by the whole room "
        "(default: none, or sent if the invitation says that the room is your own)",
    },
    "--reach-plain": {"action": "store_true", "help": "do without TLS, on a network that is your own"},
}


def add_reach_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to `parser`."""
    add_group(parser, "rooms (hubs of several machines)", _OPTIONS)


def spoken_options(arguments: argparse.Namespace) -> list[str]:
    """Return the options that say something, as they are typed, for the advice to run another command."""
    words: list[str] = []
    for option, about in _OPTIONS.items():
        value = getattr(arguments, option.removeprefix("--").replace("-", "_"))
        if value is True:
            words.append(option)
        elif value and value != about.get("default"):
            words += [option, ",".join(value) if isinstance(value, tuple) else str(value)]
    return words


def reach_profiles(arguments: argparse.Namespace) -> list[Reach]:
    """Return the profile that joins, if one is asked for. Raises `SampError`."""
    if arguments.join is None:
        return []
    return [
        Reach(
            find_invitation(arguments.join, room=arguments.room, headers=arguments.reach_headers),
            label=arguments.reach_label,
            mtypes=None if arguments.reach_mtypes == "all" else WEB_MTYPES,
            trust=arguments.reach_trust,
            share=arguments.reach_share,
            plain=arguments.reach_plain,
            files=arguments.reach_files,
        )
    ]
