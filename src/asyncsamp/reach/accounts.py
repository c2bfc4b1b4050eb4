"""Who may join a room, and what the server lets each of them do. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..errors import InvitationError
from ..hub.profiles.reach.invitation import check_name
from ..hub.profiles.reach.subjects import permissions

__all__ = ["ANY_PORT", "LOG_SIZE", "Listen", "Member", "Members", "server_config"]

ANY_PORT = -1
"""What nats-server takes for a port that is free."""

LOG_SIZE = 1024 * 1024
"""Bytes of the server's log, after which it begins another file. Version 2.9 takes no bound on these."""

_NO_PAGE = "https://nowhere.invalid"
"""The only origin whose pages may use the WebSocket: else any page in a browser could join an open room."""

_NOBODY = (
    '{ user: nobody, password: "$2a$11$nobody", '
    'permissions: { publish: { deny: [">"] }, subscribe: { deny: [">"] } } }'
)
"""A user who never gets in, since his password is a hash of nothing, and who could do nothing. To nats-server
an empty list of users means that there are no accounts, so that everybody may do everything."""

_PUBLIC_KEY = re.compile(r"U[A-Z2-7]{55}")


@dataclass(frozen=True, slots=True)
class Member:
    """One who may join.

    Attributes:
        name: What the room calls him.
        key: The public half of his nkey. The server never has the other one.
        expires: When that ends; None for never.
    """

    name: str
    key: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server listens, and by which certificate it proves who it is.

    Attributes:
        host: The address.
        port: The port; `ANY_PORT` for one that is free.
        websocket: The port for WebSockets; 0 for none. A server whose port is `ANY_PORT` follows no other
            configuration.
        cert: The file of the certificate; "" for a server without TLS.
        key: The file of its key.
    """

    host: str = "127.0.0.1"
    port: int = 4222
    websocket: int = 0
    cert: str = ""
    key: str = ""


class Members:
    """The members of one room, by name. They are kept as JSON, without a secret."""

    def __init__(self, room: str, members: Iterable[Member] = ()) -> None:
        self.room = room
        self._members = {member.name: member for member in members}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def names(self) -> list[str]:
        """What they are called, those too whose time is over."""
        return list(self._members)

    def add(self, member: Member) -> None:
        """Let `member` join; what he had before is not valid any more."""
        self._members[member.name] = member

    def like(self, name: str) -> str:
        """Return the name of a member that differs from `name` by case only; "" if there is none."""
        alike = (one for one in self._members if one != name and one.lower() == name.lower())
        return next(alike, "")

    def remove(self, name: str) -> bool:
        """Let nobody join by that name; False if nobody could."""
        return self._members.pop(name, None) is not None

    def at(self, now: datetime) -> list[Member]:
        """Return those who may join at `now`."""
        return [one for one in self._members.values() if one.expires is None or now < one.expires]

    def dump(self) -> str:
        """Return them as JSON."""
        members = {
            one.name: {"key": one.key, "expires": None if one.expires is None else one.expires.isoformat()}
            for one in self._members.values()
        }
        return json.dumps({"room": self.room, "members": members}, indent=1) + "\n"

    @classmethod
    def load(cls, text: str, where: str) -> Members:
        """Read what `dump` wrote. Raises `InvitationError`."""
        try:
            content = json.loads(text)
            room = check_name("room", content["room"], where)
            members = [_member(name, one, where) for name, one in content["members"].items()]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, InvitationError):
                raise
            raise InvitationError(where, "it is not a list of the members of a room") from None
        return cls(room, members)


def _member(name: str, content: Mapping[str, Any], where: str) -> Member:
    key, expires = content["key"], content["expires"]
    if not isinstance(key, str) or not _PUBLIC_KEY.fullmatch(key):
        raise InvitationError(where, f"the key of {name!r} is not the public key of a user")
    member = Member(check_name("member", name, where), key)
    if expires is None:
        return member
    return replace(member, expires=datetime.fromisoformat(expires).astimezone(UTC))


def server_config(room: str, members: Iterable[Member], listen: Listen, *, open_to_all: bool = False) -> str:
    """Return the configuration of a nats-server for one room.

    Args:
        room: Its name.
        members: Who may join now.
        listen: Where it listens.
        open_to_all: Whether anybody may join who reaches the server, under any name.
    """
    lines = [f"listen: {_quoted(f'{_bracketed(listen.host)}:{listen.port}')}", 'server_name: "asyncsamp"']
    lines.append(f"logfile_size_limit: {LOG_SIZE}")
    tls = f"tls {{ cert_file: {_quoted(listen.cert)}, key_file: {_quoted(listen.key)}, timeout: 5 }}"
    if listen.cert:
        lines.append(tls)
    if listen.websocket:
        address = _quoted(f"{_bracketed(listen.host)}:{listen.websocket}")
        secured = tls if listen.cert else "no_tls: true"
        lines.append(f"websocket {{ listen: {address}, {secured}, allowed_origins: [{_quoted(_NO_PAGE)}] }}")
    if not open_to_all:
        lines += ["authorization {", "  timeout: 5", "  users: ["]
        lines += [f"    {user}" for user in (_NOBODY, *(_user(room, member) for member in members))]
        lines += ["  ]", "}"]
    return "\n".join(lines) + "\n"


def _user(room: str, member: Member) -> str:
    """Return what one member may do: speak as himself, hear what is for all or for himself."""
    publish, subscribe = permissions(room, member.name)
    may = f"{{ publish: {json.dumps(publish)}, subscribe: {json.dumps(subscribe)} }}"
    return f"{{ nkey: {member.key}, permissions: {may} }}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # nats-server does not know \u


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
