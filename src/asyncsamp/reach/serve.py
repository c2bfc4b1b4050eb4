"""The commands `serve` and `invite`: the server of one room, and who may join."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from .._util.foreign_text import quoted
from .._util.hosts import address_of, is_loopback_number, url_host
from .._util.likeness import did_you_mean
from .._util.signals import stop_on_signals
from ..errors import InvitationError
from ..hub.profiles.reach.invitation import Invitation, check_name, parse_invitation
from ..hub.profiles.reach.invitation_files import read_invitation, write_invitation
from .accounts import ANY_PORT, Listen, Member, server_config
from .rooms import Address, RoomError, RoomFolder, certificate, check_beside
from .server import NatsServer, find_server, free_port

__all__ = ["Commands", "add_commands"]

_FOLLOW = 1.0
"""Seconds between two looks at who may join: somebody is invited, put out, or his time is over."""


class Commands(Protocol):
    """What commands of a program are added to; argparse has it."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:
        """Add a command; return what its options are added to."""
        ...


def add_commands(commands: Commands) -> None:
    """Add `serve` and `invite`."""
    serving = commands.add_parser("serve", help="run the server of a room, and invite its members")
    add = serving.add_argument
    _add_common(serving)
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine only)")
    add("--name", default="", help="what members call this machine (default: --host)")
    add("--port", type=_port, default=4222, help="(default: %(default)s; 0 is any that is free)")
    add("--ws-port", type=_port, metavar="PORT", help="listen for WebSockets, too; 0 is any that is free")
    add("--tls-cert", metavar="FILE", help="the server's certificate (default: one is made)")
    add("--tls-key", metavar="FILE", help="its key")
    add("--own", action="store_true", help="all members are machines of yours: files may follow unasked")
    add("--open", action="store_true", help="no accounts: whoever reaches the server may join, as anybody")
    add("--plain", action="store_true", help="no TLS, though others reach the server: they read everything")
    serving.set_defaults(run=_serve)
    inviting = commands.add_parser("invite", help="invite a member to a room that is served, or put one out")
    _add_common(inviting)
    inviting.add_argument("--remove", action="store_true", help="put the members out instead")
    inviting.set_defaults(run=_invite)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--room", required=True, metavar="NAME", help="the name of the room")
    add("--folder", type=Path, metavar="DIR", help="where the room is kept (default: in your config folder)")
    add(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where invitations are written (default: here)",
    )
    add("--expires", type=_days, metavar="DAYS", help="after how many days the invitations end")
    add(
        "members",
        nargs="*",
        metavar="MEMBER[=URL]",
        help="who is invited; with the URL by which he reaches the server, if it is another one",
    )


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid port number (0 to 65535)")
    return port or ANY_PORT


def _days(text: str) -> datetime:
    try:
        days = float(text)
        if not 0 < days < 36_500:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days") from None
    return datetime.now(UTC) + timedelta(days=days)


# ---- serve


async def _serve(options: argparse.Namespace) -> int:
    folder = RoomFolder(options.room, options.folder)
    program = find_server()
    if not options.open:
        _check_all(options, folder, only_new=True)
    folder.create()
    if not options.open:
        folder.begin()
    listen = _listen(options, folder)
    server = NatsServer(program, folder.path)
    stopped = asyncio.Event()
    stop_on_signals(asyncio.get_running_loop(), stopped)
    followed = _Followed(folder, listen, open_to_all=options.open)
    await server.start(followed.config())
    followed.stays_at(server.ports["nats"])
    try:
        _tell(options, folder, listen, server)
        await server.follow(await asyncio.to_thread(followed.config))
        print("Ctrl-C ends the room.", flush=True)
        return await _until_stopped(followed, server, stopped)
    finally:
        await server.stop()


def _listen(options: argparse.Namespace, folder: RoomFolder) -> Listen:
    """Return where to listen. Raises `RoomError` for what others could read, or where anybody could join."""
    cert, key = options.tls_cert or "", options.tls_key or ""
    if bool(cert) != bool(key):
        raise RoomError("--tls-cert and --tls-key go together")
    here = options.host == "localhost" or is_loopback_number(options.host)
    if options.open and not here:
        raise RoomError("--open is for this machine only, and for who gets here by ssh: leave --host out")
    if _is_everywhere(options.host) and not options.name:
        raise RoomError("say by --name what members call this machine: its host name, or its address")
    if not here and not cert and not options.plain:
        cert, key = map(str, certificate(folder.path, options.name or options.host))
        options.made = cert
    websocket = free_port(options.host) if options.ws_port == ANY_PORT else options.ws_port or 0
    return Listen(options.host, options.port, websocket, cert, key)


def _is_everywhere(host: str) -> bool:
    """Return whether who listens at `host` is reached by all addresses of this machine."""
    address = address_of(host)
    return not host or (address is not None and address.is_unspecified)


class _Followed:
    """Who may join, as the file says that `invite` writes; if it is damaged or missing, as it said before.

    Blocking. Raises `RoomError` if it cannot be read at first.
    """

    def __init__(self, folder: RoomFolder, listen: Listen, *, open_to_all: bool) -> None:
        self._folder = folder
        self._listen = listen
        self._open = open_to_all
        self._members = folder.members()
        self._told = ""

    def stays_at(self, port: int) -> None:
        """Keep the server at the port where it listens, also if it has to be started again."""
        self._listen = replace(self._listen, port=port)

    def now(self) -> list[Member]:
        """Return who may join now."""
        told = ""
        try:
            # An editor may take a file away for a moment. A list without anybody is as good as none.
            self._members = self._folder.members(needed=len(self._members) > 0)
        except RoomError as error:
            told = str(error)
            if told != self._told:
                print(f"{told}; the room goes on with who could join before", file=sys.stderr, flush=True)
        self._told = told
        return self._members.at(datetime.now(UTC))

    def config(self) -> str:
        """Return the configuration of the server for them."""
        return server_config(self._folder.room, self.now(), self._listen, open_to_all=self._open)


def _tell(options: argparse.Namespace, folder: RoomFolder, listen: Listen, server: NatsServer) -> None:
    """Write invitations, and say where the room is."""
    host = url_host(options.name or listen.host)
    url = f"{'tls' if listen.cert else 'nats'}://{host}:{server.ports['nats']}"
    made = getattr(options, "made", "")
    address = Address(url, Path(made).read_text(encoding="ascii") if made else "", options.own)
    print(f"room {folder.room} is served at {url}")
    if "websocket" in server.ports:
        print(f"and at {'wss' if listen.cert else 'ws'}://{host}:{server.ports['websocket']}")
    if options.open:
        print("without accounts: whoever reaches it may join. Each member:")
        print(f"  python -m asyncsamp.hub --join {url}")
    else:
        before = folder.address()
        known = Invitation(address.url, folder.room, ca=address.ca, own=address.own)
        write_invitation(folder.address_file, known)
        _tell_of_old(options, folder, listen, url, before)
        _invite_all(options, folder, address, only_new=True)


def _tell_of_old(
    options: argparse.Namespace, folder: RoomFolder, listen: Listen, url: str, before: str
) -> None:
    """Say which invitations of those that are at hand do not lead to the server as it is served now.

    Args:
        options: Of the command.
        folder: The room's.
        listen: Where the server listens.
        url: The server's, as members call it.
        before: The same when it was served last; "" if it is new.
    """
    wanted = dict(_spoken(options))
    for name in sorted({*folder.members().names, *wanted}):
        old = folder.invitation(name, options.out) if name in folder.members() else None
        now = wanted.get(name) or (url if old is not None and old.url == before else "")
        path = options.out / f"{name}.reach"
        if old is not None and now and old.url != now:
            anew = f"{name}={now}" if wanted.get(name) else name
            print(
                f'{path} has another URL, {old.url}: write url = "{now}" there, and where it was copied '
                f"to; or invite {name} anew, which ends that invitation: {_invite_command(options, anew)}"
            )
        dialled = now or ("" if old is None else old.url)
        if dialled.startswith(("ws:", "wss:")) and not listen.websocket:
            print(f"{name} joins by a WebSocket, {dialled}, for which this server does not listen: --ws-port")


async def _until_stopped(followed: _Followed, server: NatsServer, stopped: asyncio.Event) -> int:
    ended = asyncio.ensure_future(server.ended())
    waiting = asyncio.ensure_future(stopped.wait())
    try:
        while not waiting.done():
            if await server.follow(await asyncio.to_thread(followed.config)):
                names = sorted(member.name for member in await asyncio.to_thread(followed.now))
                print(f"members are now: {', '.join(names) or 'none'}", flush=True)
                ended.cancel()  # it waits for the process, which may be another one now
                ended = asyncio.ensure_future(server.ended())
            await asyncio.wait((ended, waiting), timeout=_FOLLOW, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not waiting.done():
                print(f"error: the server has ended: {ended.result()}", file=sys.stderr)
                return 1
    finally:
        ended.cancel()
        waiting.cancel()
    return 0


# ---- invite


async def _invite(options: argparse.Namespace) -> int:
    folder = RoomFolder(options.room, options.folder)
    if not folder.address_file.exists():
        raise RoomError(
            f"room {folder.room} is not known in {folder.path}; on the machine of its server first: "
            f"python -m asyncsamp.reach serve --room {folder.room}"
        )
    if not options.members:
        raise RoomError("nobody is named; add the names of members")
    if options.remove:
        return _remove_all(options, folder)
    known = read_invitation(folder.address_file)
    _check_all(options, folder, only_new=False)
    _invite_all(options, folder, Address(known.url, known.ca, known.own), only_new=False)
    return 0


def _spoken(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return who is named on the command line, and by which URL he reaches the server; "" for the usual.

    Raises `RoomError` for what is only a part of that.
    """
    for spoken in options.members:
        if spoken.startswith("=") or spoken.endswith("=") or "://" in spoken.partition("=")[0]:
            raise RoomError(f"{quoted(spoken)} is not a member: write MEMBER=URL, with no space around =")
    return [(name, url) for name, _, url in (spoken.partition("=") for spoken in options.members)]


def _invite_command(options: argparse.Namespace, member: str) -> str:
    """Return what invites a member anew, wherever it is typed."""
    command = ["python", "-m", "asyncsamp.reach", "invite", "--room", options.room]
    if options.folder is not None:
        command += ["--folder", str(options.folder.absolute())]
    if options.out != Path():
        command += ["--out", str(options.out.absolute())]
    return shlex.join([*command, member])


def _check_all(options: argparse.Namespace, folder: RoomFolder, *, only_new: bool) -> None:
    """Raise what `_invite_all` would, before anything is said or written."""
    spoken: dict[str, str] = {}
    for name, url in _spoken(options):
        other = spoken.setdefault(name.lower(), name)
        check_beside(name, other if other != name else "")
        if url:
            _checked(Address(url), folder.room, name)
        if not only_new or name not in folder.members():
            folder.check(name, options.out)


def _invite_all(options: argparse.Namespace, folder: RoomFolder, address: Address, *, only_new: bool) -> None:
    for name, url in _spoken(options):
        again = name in folder.members()
        if only_new and again:
            print(f"{name} is invited already (for a new invitation: {_invite_command(options, name)})")
            continue
        his = Address(url, _certificate_at(url, address), address.own) if url else address
        path = folder.invite(name, _checked(his, folder.room, name), options.out, options.expires)
        print(f"{name} joins by {path}, which is a secret:  python -m asyncsamp.hub --join {path}")
        if again:
            print(f"{name}'s earlier invitation has ended: who has joined by it is put out")


def _certificate_at(url: str, address: Address) -> str:
    """Return by which certificate a member knows who answers at his own URL; "" for an authority's.

    A WebSocket mostly leads to a proxy, such as Jupyter's, which has another one than the server; at the
    usual port of https there is one for certain.
    """
    try:
        known, his = urlsplit(address.url), urlsplit(url)
        to_server = his.hostname == known.hostname and his.port not in (None, 443)
    except ValueError:  # which `_checked` tells of
        return ""
    return address.ca if to_server or his.scheme not in ("ws", "wss") else ""


def _checked(address: Address, room: str, name: str) -> Address:
    """Raise `InvitationError` or `RoomError` for an address that the invited hub would refuse."""
    invitation = Invitation(address.url, room, check_name("member", name))
    try:
        parse_invitation(invitation.to_text())
    except InvitationError as error:
        raise RoomError(f"the URL of {name}: {error.reason}") from None
    return address


def _remove_all(options: argparse.Namespace, folder: RoomFolder) -> int:
    unknown, members = folder.remove(options.members)
    there = [one.name for one in members.at(datetime.now(UTC))]
    for name in options.members:
        not_there = f"{name} was not invited{did_you_mean(name, there)}"
        print(not_there if name in unknown else f"{name} may not join any more")
    return 1 if unknown else 0
