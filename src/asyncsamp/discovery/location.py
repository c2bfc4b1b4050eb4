"""Where the lockfile is: SAMP_HUB, or .samp in the home folder (STD-50..52, STD-67, TOL-14)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from .._util import file_urls
from ..errors import LockfileError

__all__ = ["Location", "locate", "locate_multiple", "web_appname"]

VARIABLE = "SAMP_HUB"
_LOCKURL = "std-lockurl:"
_WEB = "web-appname:"

# Two letters at least: a single one is a Windows drive.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a lockfile is: a file at `path`, or, where `path` is None, what `url` gives.

    `description` is for people: the place, and what named it. It holds no password or
    query of the URL.
    """

    url: str = field(repr=False)
    path: Path | None
    description: str

    @property
    def place(self) -> str:
        """The path, or the URL without password and query."""
        return _without_secrets(self.url) if self.path is None else str(self.path)


def locate(
    environ: Mapping[str, str] | None = None,
    lockfile: str | os.PathLike[str] | None = None,
    *,
    windows: bool | None = None,
) -> Location:
    """Return where the lockfile of the Standard Profile's hub is. Looks at no file.

    SAMP_HUB is `std-lockurl:` and a file or http URL; a bare path or URL is tolerated (STD-52).

    Args:
        environ: Where SAMP_HUB and the home folder are looked for; None means the environment of the process.
        lockfile: A path, or a file or http URL, which wins over SAMP_HUB. Without both it is .samp in the
            home folder: $HOME, on Windows %USERPROFILE%.
        windows: For tests; None means what this machine is.

    Raises:
        LockfileError: SAMP_HUB has another form, such as another profile's value.
    """
    place = _Place(
        os.environ if environ is None else environ, os.name == "nt" if windows is None else windows
    )
    if isinstance(lockfile, str):
        return place.named(lockfile)
    if lockfile is not None:
        return place.at_path(os.fspath(lockfile), os.fspath(lockfile))
    value = place.environ.get(VARIABLE, "").strip()
    if value:
        return place.from_variable(value)
    path = place.home() / ".samp"
    return Location("", path, str(path))


def locate_multiple(name: str, environ: Mapping[str, str] | None = None) -> Location:
    """Return where one hub of several for the same user puts its lockfile: ~/.samp-1/samp-hub-NAME (STD-67).

    SAMP_HUB does not count.

    Args:
        name: What becomes part of the file name: letters, digits, ".", "_" and "-".
        environ: Where the home folder is looked for; None means the environment of the process.

    Raises:
        LockfileError: `name` has other characters.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise LockfileError(
            repr(name), "the name of a hub's lockfile may have only letters, digits, '.', '_' and '-'"
        )
    place = _Place(os.environ if environ is None else environ, os.name == "nt")
    path = place.home() / ".samp-1" / f"samp-hub-{name}"
    return Location("", path, str(path))


def web_appname(environ: Mapping[str, str] | None = None) -> str | None:
    """Return NAME if SAMP_HUB is `web-appname:NAME`, which asks for the Web Profile (WEB-72), else None.

    Args:
        environ: Where SAMP_HUB is looked for; None means that of the process.
    """
    value = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    if not value.lower().startswith(_WEB):
        return None
    return value[len(_WEB) :].strip() or None


@dataclass(frozen=True, slots=True)
class _Place:
    """Turns the texts that name a lockfile into a `Location`, on one machine."""

    environ: Mapping[str, str]
    windows: bool

    def home(self) -> Path:
        env = self.environ
        if self.windows:
            folder = env.get("USERPROFILE") or env.get("HOMEDRIVE", "") + env.get("HOMEPATH", "")
        else:
            folder = env.get("HOME", "")
        try:
            return Path(folder) if folder else Path.home()
        except RuntimeError:
            raise LockfileError("~/.samp", f"there is no home folder; set HOME or {VARIABLE}") from None

    def named(self, text: str) -> Location:
        """The place that an argument names. Only the schemes of lockfiles count: "a:b" is a file's name."""
        rest = _after(_LOCKURL, text)
        scheme = _scheme(rest)
        if scheme == "file":
            return self.at_path(self.file_url(rest, text), text)
        if scheme in ("http", "https"):
            return self.at_url(rest, text)
        return self.at_path(rest, text)

    def from_variable(self, value: str) -> Location:
        """The place that SAMP_HUB names. Raises `LockfileError` for what is not the Standard Profile's."""
        shown = f"{VARIABLE}={value}"
        advice = f"unset {VARIABLE} to use ~/.samp, or set it to {_LOCKURL} and a file or http URL"
        scheme = _scheme(_after(_LOCKURL, value))
        if scheme == _WEB.rstrip(":"):
            raise LockfileError(shown, f"it names the Web Profile, which has no lockfile; {advice}")
        if scheme not in ("", "file", "http", "https"):
            raise LockfileError(_without_secrets(shown), f"asyncsamp knows nothing of {scheme!r}; {advice}")
        found = self.named(value)
        return Location(found.url, found.path, f"{found.place}, named by {VARIABLE}")

    def file_url(self, url: str, shown: str) -> str:
        """The path in a file URL: file:///p, file://localhost/p, file:/p, with a Windows drive or share."""
        found = file_urls.parse(url, windows=self.windows)
        if found.host and not self.windows:
            raise LockfileError(
                shown, f"it is on another machine, {found.host!r}; give a file of this one or an http URL"
            )
        if not found.paths:
            raise LockfileError(repr(shown), "it names no file")
        # `parse` takes every path for an absolute one; file:x is in the current folder here.
        return found.paths[0] if self.windows or url[len("file:") :].startswith("/") else found.paths[0][1:]

    def at_path(self, text: str, shown: str) -> Location:
        if not text or "\0" in text:
            raise LockfileError(repr(shown), "it names no file")
        if text.startswith(("~/", "~\\")):
            path = self.home() / text[2:]
        elif (PureWindowsPath if self.windows else PurePosixPath)(text).is_absolute():
            path = Path(text)
        else:  # made absolute now, as the hub may look again after the folder was changed
            path = Path.cwd() / text
        return Location("", path, str(path))

    def at_url(self, url: str, shown: str) -> Location:
        try:
            host = urlsplit(url).hostname
        except ValueError:
            host = None
        if not host:
            raise LockfileError(_without_secrets(shown), "it is not an http URL with a host")
        return Location(url, None, _without_secrets(url))


def _after(prefix: str, text: str) -> str:
    return text[len(prefix) :] if text.lower().startswith(prefix) else text


def _scheme(text: str) -> str:
    match = _SCHEME.match(text)
    return match[1].lower() if match else ""


def _without_secrets(url: str) -> str:
    return re.sub(r"[?#].*", "", re.sub(r"//[^/]*@", "//", url), flags=re.DOTALL)
