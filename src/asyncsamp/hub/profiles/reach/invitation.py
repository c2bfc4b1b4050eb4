"""An invitation to a room: one small text with everything that a hub needs to join.

It is TOML, and a secret, as a password is:

    url = "tls://samp.example.org:4222"
    room = "m31"
    member = "alice"
    seed = "SUA..."           # or user and password
    ca = "-----BEGIN..."      # who signed the server's certificate, if no public authority did
    own = false               # whether all members are machines of one user
    expires = 2027-01-31T00:00:00Z

    [headers]                 # of the WebSocket's handshake: for a proxy before the server, as Jupyter's
    Authorization = "token ..."

No I/O.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from ...._util.foreign_text import plain_line, quoted
from ...._util.hosts import is_local_host
from ...._util.likeness import did_you_mean
from ....errors import InvitationError

__all__ = [
    "ANYBODY",
    "DEFAULT_ROOM",
    "MAX_TEXT",
    "Found",
    "Invitation",
    "check_name",
    "invitation_of_url",
    "parse_headers",
    "parse_invitation",
]

DEFAULT_ROOM: Final = "room"
"""The room of a server that is joined by its URL alone."""

ANYBODY: Final = "anybody"
"""The member's name on a server without accounts, which proves no name."""

MAX_TEXT = 64 * 1024
"""Characters of one invitation. A chain of certificates has a few thousand."""

_SCHEMES = {"nats", "tls", "ws", "wss"}
_OF_THE_WEB = {"http": "ws", "https": "wss"}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEED = re.compile(r"SU[A-Z2-7]{56}")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
_LIKE_A_HEADER = re.compile(r"[A-Z].*|\w+-.*|cookie|authorization")
_NO_HEADER = "is not of the form 'Name: value', such as Authorization: token 0123"
_IN_LINE = re.compile(r"\(at line ([0-9]+)")
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_TEXTS = ("url", "room", "member", "seed", "user", "password", "ca")
_FIELDS = {*_TEXTS, "own", "expires", "headers"}

_COPIED = "was the file copied whole?"

_NOTICE = "# An invitation to a SAMP room. Whoever has this file can join as this member: keep it secret.\n"


@dataclass(frozen=True, slots=True)
class Found:
    """How an invitation was found, so that what has taken its place since can be.

    Attributes:
        join: The file, absolute, or the URL.
        room: The room that was asked for; "" for that of the invitation.
        headers: The file of headers, absolute; "" if there is none.
    """

    join: str
    room: str = ""
    headers: str = ""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a hub needs to join a room. Its text shows no secret.

    Attributes:
        url: The server: nats, tls, ws or wss.
        room: The room's name.
        member: Whom the server takes us for; `ANYBODY` if it has no accounts.
        seed: The private half of the member's nkey; "" if there is none.
        user: The user's name, for servers that know passwords; "" if there is none.
        password: The password.
        ca: Certificates of who signed the server's, as PEM; "" for the authorities that the system trusts.
        own: Whether the room is one user's own, so that files may follow without being asked for.
        expires: When it ends; None for never.
        headers: What is added to the handshake of a WebSocket.
        found: How it was found; None if it is from no file. No part of its text.
    """

    url: str
    room: str = DEFAULT_ROOM
    member: str = ANYBODY
    seed: str = field(default="", repr=False)
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    own: bool = False
    expires: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False)
    found: Found | None = field(default=None, repr=False, compare=False)

    @property
    def path(self) -> str:
        """The file that it was read from, or its headers, absolute; "" if there is none."""
        return "" if self.found is None else self.found.headers or self.found.join

    @property
    def has_account(self) -> bool:
        """Whether the server proves who is who: without an account nobody's name means anything."""
        return bool(self.seed or self.password)

    @property
    def is_encrypted(self) -> bool:
        """Whether the way to the server is."""
        return urlsplit(self.url).scheme in ("tls", "wss")

    @property
    def is_local(self) -> bool:
        """Whether the server is reached on this machine: it is here, or at the other end of ssh."""
        return is_local_host(urlsplit(self.url).hostname or "")

    def has_expired(self, now: datetime) -> bool:
        """Whether it has ended at `now`, a time with its zone."""
        return self.expires is not None and now >= self.expires

    def to_text(self) -> str:
        """Return the text that `parse_invitation` reads."""
        lines = [_NOTICE]
        for name in _TEXTS:
            text = getattr(self, name)
            if text:
                lines.append(f"{name} = {_long(text) if name == 'ca' else _quoted(text)}\n")
        lines.append(f"own = {'true' if self.own else 'false'}\n")
        if self.expires is not None:
            lines.append(f"expires = {self.expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n")
        if self.headers:
            lines.append("\n[headers]\n")
            lines.extend(f"{_quoted(name)} = {_quoted(value)}\n" for name, value in self.headers.items())
        return "".join(lines)


def invitation_of_url(url: str, *, headers: Mapping[str, str] = _NO_HEADERS) -> Invitation:
    """Return what joins the default room of a server without accounts.

    Args:
        url: The server's URL, which must hold no password: it is seen in the list of processes.
        headers: What is added to the handshake of a WebSocket.

    Raises:
        InvitationError: The URL cannot be used.
    """
    where = "--join"
    return Invitation(_url(where, url), headers=_headers(where, url, headers))


def parse_invitation(text: str, where: str = "the invitation") -> Invitation:
    """Read an invitation.

    Args:
        text: What stands in its file.
        where: Where it is from, for errors.

    Raises:
        InvitationError: It is not an invitation, or something in it cannot be used. The text shows no secret.
    """
    content = _toml(where, text)
    _check_fields(where, content)
    for name in _TEXTS:
        if not isinstance(content.get(name, ""), str):
            raise InvitationError(where, f"{name} must be a text in quotes")
    if not isinstance(content.get("own", False), bool):
        raise InvitationError(where, "own must be true or false")
    texts: dict[str, str] = {name: content.get(name, "") for name in _TEXTS}
    if not texts["url"]:
        raise InvitationError(where, f"it {'has no url' if text.strip() else 'is empty'}; {_COPIED}")
    url = _url(where, texts["url"])
    seed, user, password = _credentials(where, texts)
    named = bool(seed or user)
    return Invitation(
        url=url,
        room=check_name("room", texts["room"] or DEFAULT_ROOM, where),
        member=check_name("member", texts["member"] or ("" if named else ANYBODY), where),
        seed=seed,
        user=user,
        password=password,
        ca=_ca(where, texts["ca"]),
        own=content.get("own", False),
        expires=_expires(where, content.get("expires")),
        headers=_headers(where, url, content.get("headers", _NO_HEADERS)),
    )


def parse_headers(text: str, where: str = "the file of headers") -> dict[str, str]:
    """Read headers, one `Name: value` a line, as curl's `-H @FILE` takes them; "#" begins a comment line.

    Raises:
        InvitationError: A line is not a header. Its text shows no value.
    """
    headers: dict[str, str] = {}
    for number, line in enumerate(text[:MAX_TEXT].splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _HEADER.fullmatch(line.strip())
        if match is None:
            raise InvitationError(where, f"line {number} {_NO_HEADER}")
        headers[match[1]] = match[2].strip()
    return headers


def check_name(what: str, name: str, where: str = "") -> str:
    """Return `name` if a room or a member may be called so.

    Raises:
        InvitationError: It may not; `what` it should name is said.
    """
    if _NAME.fullmatch(name) is None:
        raise InvitationError(
            where,
            f"{quoted(name)} is not a valid name of a {what}: it takes up to 64 letters, digits, - and _",
        )
    return name


def _toml(where: str, text: str) -> dict[str, Any]:
    if len(text) > MAX_TEXT:
        raise InvitationError(where, f"it has more than {MAX_TEXT} characters, so it is not an invitation")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # whose text may quote a secret
        match = _IN_LINE.search(str(error))
        advice = f'line {match[1]} should be NAME = "VALUE", or [headers]' if match else _COPIED
        raise InvitationError(where, f"it is not an invitation (they are TOML); {advice}") from None


def _check_fields(where: str, content: Mapping[str, Any]) -> None:
    """Raise `InvitationError` for what nothing is called, or what stands in the wrong part."""
    for name in content.keys() - _FIELDS:
        if isinstance(content[name], Mapping):
            raise InvitationError(
                where, f"there is no part [{plain_line(name, 60)}]; did you mean [headers]?"
            )
        meant = "; it belongs under a line [headers]" if _LIKE_A_HEADER.match(name) else ""
        raise InvitationError(
            where, f"there is no field {quoted(name)}{meant or did_you_mean(name, _FIELDS)}"
        )
    headers = content.get("headers")
    for name in sorted(_FIELDS.intersection(headers)) if isinstance(headers, Mapping) else ():
        raise InvitationError(where, f"{quoted(name)} stands below the line [headers]; it belongs above")


def _url(where: str, url: str) -> str:
    advice = "expected nats://, tls://, ws:// or wss:// with a host, and a port if it is not the usual one"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvitationError(where, f"the URL cannot be read; {advice}") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InvitationError(
            where, "the URL must hold no user, password, query or fragment: it is shown in logs"
        )
    if parts.scheme in _OF_THE_WEB:
        advice = f"write {_OF_THE_WEB[parts.scheme]}:// instead of {parts.scheme}://"
    if parts.scheme not in _SCHEMES or not parts.hostname or port == 0:
        raise InvitationError(where, f"{quoted(url)} is not the URL of a server; {advice}")
    return url


def _credentials(where: str, texts: Mapping[str, str]) -> tuple[str, str, str]:
    seed, user, password = texts["seed"], texts["user"], texts["password"]
    if seed and (user or password):
        raise InvitationError(where, "it has both a seed and a user or password; expected one of them")
    if seed and _SEED.fullmatch(seed) is None:
        raise InvitationError(
            where, f"the seed is not that of a user's nkey: SU and 56 letters and digits; {_COPIED}"
        )
    if bool(user) != bool(password):
        raise InvitationError(where, "user and password go together")
    return seed, user, password


def _ca(where: str, ca: str) -> str:
    if ca and "-----BEGIN CERTIFICATE-----" not in ca:
        raise InvitationError(where, "ca is not a certificate in PEM")
    return ca


def _expires(where: str, expires: object) -> datetime | None:
    if expires is None:
        return None
    if not isinstance(expires, datetime) or expires.tzinfo is None:
        raise InvitationError(where, "expires must be a time with its zone, such as 2027-01-31T00:00:00Z")
    return expires


def _headers(where: str, url: str, headers: object) -> Mapping[str, str]:
    if not isinstance(headers, Mapping):
        raise InvitationError(where, "headers must be a table")
    if headers and urlsplit(url).scheme not in ("ws", "wss"):
        raise InvitationError(where, "only ws:// and wss:// have headers")
    for name, value in headers.items():
        if not isinstance(value, str) or _HEADER.fullmatch(f"{name}: {value}") is None:
            raise InvitationError(where, f"the header {quoted(str(name))} is not valid")
    return MappingProxyType(dict(headers))


def _quoted(text: str) -> str:
    return json.dumps(text)  # which TOML reads, too


def _long(text: str) -> str:
    return f'"""\n{text}"""' if '"' not in text and "\\" not in text else _quoted(text)
