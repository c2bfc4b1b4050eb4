"""What is kept of a room on the machine of its server, and how invitations are made. Blocking."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .._util.private_files import make_folder, replace_private
from ..errors import InvitationError, MissingExtraError, SampError
from ..hub.profiles.reach.invitation import Invitation, check_name, parse_invitation
from ..hub.profiles.reach.invitation_files import write_invitation
from .accounts import Member, Members
from .exclusive import exclusive

__all__ = ["Address", "RoomError", "RoomFolder", "certificate", "check_beside", "new_key"]

_DAYS = 3650
_DAYS_BEFORE = 7
"""Days before now from which on a certificate is valid, so that a member whose clock is behind is let in.
A clock that was set for another zone is wrong by a day at most; a week has some to spare."""

_OPENSSL_TIMEOUT = 30

_PATIENCE = 10.0
"""Seconds to wait for another program that changes who may join: it writes two small files."""

_KEY, _CERT = "key.pem", "cert.pem"

_OPENSSL_CONFIG = """\
[req]
distinguished_name = name
[name]
[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = {names}
basicConstraints = critical, CA:true
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
"""For `openssl ca`: `openssl req -x509` knows no day of beginning before OpenSSL 3.4."""


class RoomError(SampError):
    """A room cannot be served, or nobody invited to it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """What invitations say of the server.

    Attributes:
        url: How a member reaches it.
        ca: The certificate by which he knows it, as PEM; "" if it is signed by a public authority.
        own: Whether all members are machines of one user.
    """

    url: str
    ca: str = ""
    own: bool = False


class RoomFolder:
    """The folder of one room: its members, the server's configuration and certificate."""

    def __init__(self, room: str, folder: Path | None = None) -> None:
        self.room = check_name("room", room)
        self.path = folder or _config_folder() / "asyncsamp" / "rooms" / self.room

    @property
    def members_file(self) -> Path:
        """Who may join; a server that runs follows it."""
        return self.path / "members.json"

    @property
    def address_file(self) -> Path:
        """What the next invitation says of the server, unless it is told otherwise."""
        return self.path / "address.reach"

    def address(self) -> str:
        """Return the server's URL when it was served last; "" if that is not known."""
        known = _invitation_in(self.address_file)
        return "" if known is None else known.url

    def create(self) -> None:
        """Make the folder if it is missing. Raises `RoomError`."""
        try:
            make_folder(self.path, parents=True)
        except OSError as error:
            if self.path.parent.is_dir():  # named by the user, outside of his home
                with suppress(FileExistsError):
                    self.path.mkdir(0o700)
                return
            reason = error.strerror or error
            raise RoomError(
                f"the room's folder {self.path} cannot be made: {reason}; name one by --folder"
            ) from None

    def members(self, *, needed: bool = False) -> Members:
        """Return who may join; nobody if nothing is kept, unless it is `needed`.

        Raises `RoomError` for what cannot be read.
        """
        try:
            return self._members()
        except FileNotFoundError as error:
            if not needed:
                return Members(self.room)
            reason = str(error.strerror)
        except UnicodeDecodeError:
            reason = "it is not a text"
        except InvitationError as error:
            reason = error.reason
        except OSError as error:
            reason = str(error.strerror or error)
        advice = "mend it, or put an older one in its place"
        raise RoomError(f"{self.members_file}, which says who may join, cannot be read: {reason}; {advice}")

    def listed(self) -> Members:
        """Return who may join, to be changed and saved.

        Raises `RoomError` for what cannot be read, and if nothing is kept: who is not in the new list would
        be put out.
        """
        if not os.path.lexists(self.members_file):
            raise RoomError(
                f"{self.members_file}, which says who may join, is missing, and a new one would put "
                "everybody out who is not in it: put an older one in its place; if there is none, remove "
                f"{self.address_file}, serve the room again, and invite everybody anew"
            )
        return self.members(needed=True)

    def begin(self) -> None:
        """Keep a list without anybody if the room is new. Raises as `listed` if it is not."""
        with self._alone():
            if os.path.lexists(self.members_file) or self.address_file.exists():
                self.listed()
            else:
                self.save(Members(self.room))

    def _members(self) -> Members:
        members = Members.load(self.members_file.read_text(encoding="utf-8"), str(self.members_file))
        if members.room != self.room:
            raise InvitationError(str(self.members_file), f"it is of the room {members.room!r}")
        return members

    def save(self, members: Members) -> None:
        """Keep `members`."""
        replace_private(self.members_file, members.dump().encode())

    def invite(self, name: str, address: Address, out: Path, expires: datetime | None) -> Path:
        """Let `name` join, by a new key, and write his invitation; one that he had is not valid any more.

        Returns:
            The file of the invitation.

        Raises:
            InvitationError: The name or the address cannot be used.
            RoomError: Something else has the name of the invitation's file, another member's name differs
                by case only, or the list of members cannot be read or is missing.
            OSError: The invitation cannot be written; then nobody is let in.
        """
        check_name("member", name)
        path = out / f"{name}.reach"
        seed, public = new_key()
        invitation = Invitation(
            address.url, self.room, name, seed=seed, ca=address.ca, own=address.own, expires=expires
        )
        with self._alone():
            members = self.listed()
            check_beside(name, members.like(name))
            self._check_place(path)
            write_invitation(path, invitation)
            members.add(Member(name, public, expires))
            self.save(members)
        return path

    def remove(self, names: Iterable[str]) -> tuple[list[str], Members]:
        """Let nobody join by `names`.

        Returns:
            Those of `names` by which nobody could, and who may join now.

        Raises:
            RoomError: The list of members cannot be read or is missing.
        """
        with self._alone():
            members = self.listed()
            unknown = [name for name in names if not members.remove(name)]
            self.save(members)
        return unknown, members

    def check(self, name: str, out: Path) -> None:
        """Raise what `invite` would if there is a list of members, or `MissingExtraError`. Writes nothing."""
        check_name("member", name)
        check_beside(name, self.members().like(name))
        self._check_place(out / f"{name}.reach")
        new_key()

    def invitation(self, name: str, out: Path) -> Invitation | None:
        """Return the invitation of `name` that is in `out`; None if there is none to this room."""
        found = _invitation_in(out / f"{name}.reach")
        ours = found is not None and (found.room, found.member) == (self.room, name)
        return found if ours else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Change the list of members as the only program. Raises `RoomError` if another one does not end."""
        file = self.path / "members.lock"
        with ExitStack() as stack:
            try:
                stack.enter_context(exclusive(file, _PATIENCE))
            except TimeoutError:
                raise RoomError(
                    f"another program, such as invite, changes who may join the room {self.room}, and has "
                    f"not ended for {_PATIENCE:g} s: end it, and try again ({file} is its lock)"
                ) from None
            yield

    def _check_place(self, path: Path) -> None:
        """Raise `RoomError` unless a new invitation may be there: nothing is, or one to this room."""
        try:
            room = parse_invitation(path.read_text(encoding="utf-8")).room
        except FileNotFoundError:
            return
        except (OSError, ValueError):  # of which InvitationError is one
            what = "is there, and is not an invitation"
        else:
            if room == self.room:
                return
            what = f"is an invitation to the room {room}"
        raise RoomError(f"{path} {what}; it is left as it is: name another folder by --out")


def _invitation_in(path: Path) -> Invitation | None:
    """Return the invitation in a file, whoever may read it; None if there is none."""
    with suppress(OSError, ValueError):
        return parse_invitation(path.read_text(encoding="utf-8"))
    return None


def check_beside(name: str, other: str) -> None:
    """Raise `RoomError` if there is another member, or one who is invited too, whose name is alike."""
    if other:
        raise RoomError(
            f"{name} cannot be invited beside {other}: the names differ by case only, and on macOS and "
            f"Windows both invitations would be one file; choose another name, or write {other}"
        )


def new_key() -> tuple[str, str]:
    """Return the seed and the public key of a new user. Raises `MissingExtraError`."""
    try:
        import nkeys
    except ModuleNotFoundError:
        raise MissingExtraError("nkeys", "reach") from None
    seed = nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER)
    pair = nkeys.from_seed(bytearray(seed))
    public = pair.public_key.decode()
    return bytes(seed).decode(), public


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Return certificate and key for a server that is called `host`, made by openssl if there are none yet.

    Raises:
        RoomError: There is no openssl, or it fails.
    """
    cert, key = folder / f"{host}.crt.pem", folder / f"{host}.key.pem"
    if cert.exists() and key.exists():
        return cert, key
    openssl = shutil.which("openssl")
    advice = "name a certificate by --tls-cert and --tls-key"
    if openssl is None:
        raise RoomError(
            f"a server that others reach needs TLS, and there is no openssl to make a key: {advice}"
        )
    try:
        with tempfile.TemporaryDirectory(prefix="certificate-", dir=folder) as made:
            _make_certificate(openssl, Path(made), host)
            for file, name in ((key, _KEY), (cert, _CERT)):
                (Path(made) / name).chmod(0o600)
                (Path(made) / name).replace(file)
    except (subprocess.SubprocessError, OSError) as error:
        raise RoomError(f"openssl made no certificate ({type(error).__name__}); {advice}") from None
    return cert, key


def _make_certificate(openssl: str, folder: Path, host: str) -> None:
    """Make a key and a certificate in a folder that holds nothing else."""
    number = all(part.isdigit() for part in host.split(".")) or ":" in host
    config = _OPENSSL_CONFIG.format(names=f"{'IP' if number else 'DNS'}:{host}")
    (folder / "openssl.cnf").write_text(config, encoding="utf-8")
    (folder / "index").touch()
    (folder / "serial").write_text(f"{secrets.randbits(127):032x}\n", encoding="ascii")
    now = datetime.now(UTC)
    begin, end = (_openssl_time(now + timedelta(days=days)) for days in (-_DAYS_BEFORE, _DAYS))
    own = ("-config", "openssl.cnf")  # not the system's
    for command in (
        ("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", _KEY),
        ("req", *own, "-new", "-key", _KEY, "-subj", f"/CN={host}", "-out", "request.pem"),
        ("ca", *own, "-selfsign", "-batch", "-notext", "-keyfile", _KEY, "-in", "request.pem",
         "-startdate", begin, "-enddate", end, "-out", _CERT),
    ):  # fmt: skip
        subprocess.run(  # noqa: S603 - our own arguments
            [openssl, *command], check=True, capture_output=True, timeout=_OPENSSL_TIMEOUT, cwd=folder
        )


def _openssl_time(time: datetime) -> str:
    """Return a time as certificates have it: before 2050 the year has two digits."""
    return f"{time:%y%m%d%H%M%SZ}" if time.year < 2050 else f"{time:%Y%m%d%H%M%SZ}"


def _config_folder(environ: Mapping[str, str] = os.environ) -> Path:
    named = environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if Path(named).is_absolute() else Path.home() / ".config"
