"""The text of a lockfile, in both directions (SAMP 1.3 §4.3, STD-53..58, TOL-14). No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import LocalProtocolError, LockfileError

__all__ = ["Lockfile", "parse_lockfile", "render_lockfile"]

_SECRET = "samp.secret"  # noqa: S105 - the name, not the value
_URL = "samp.hub.xmlrpc.url"
_VERSION = "samp.profile.version"
_REQUIRED = (_SECRET, _URL, _VERSION)

# str.splitlines() also splits at form feeds, U+0085 and others, which end no line here.
_EOL = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ANY_STRING = re.compile(r"[\x20-\x7f]*")


@dataclass(frozen=True, slots=True)
class Lockfile:
    """What a lockfile says: how to reach a hub, and what lets a client in.

    Attributes:
        secret: What a client shows when it registers; never shown by `repr`.
        url: Where the hub serves XML-RPC.
        version: "" where the file has none, as those of SAMP 1.0 hubs (STD-58).
        extra: The tokens beyond the required three (STD-54).
    """

    secret: str = field(repr=False)
    url: str
    version: str = "1.3"
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_lockfile(text: str, path: str = "lockfile") -> Lockfile:
    """Return what the text of a lockfile says.

    Tolerant as real files need it (STD-55, TOL-14): any line end, blanks around names and
    values, and lines that are neither comment nor assignment, which are ignored. Of a name
    that comes twice the last value counts. Backslashes are taken out of the URL, as some
    hubs escape its colons.

    Args:
        text: The whole file.
        path: What an error calls it.

    Raises:
        LockfileError: If the secret or a usable http URL is missing. Its text never holds a
            value of the file.
    """
    found = {name: (number, value) for number, name, value in _assignments(text, path)}
    for name in (_SECRET, _URL):
        if name not in found:
            raise LockfileError(path, f"it has no {name}; is it the lockfile of a SAMP hub?")
    secret_line, secret = found.pop(_SECRET)
    if not secret:
        raise LockfileError(path, f"{_SECRET} is empty", secret_line)
    url_line, url = found.pop(_URL)
    url = url.replace("\\", "")
    if not _is_http(url):
        raise LockfileError(path, f"{_URL} is not of the form http://HOST:PORT/PATH", url_line)
    _, version = found.pop(_VERSION, (0, ""))
    return Lockfile(secret, url, version, {name: value for name, (_, value) in found.items()})


def render_lockfile(lockfile: Lockfile) -> str:
    """Return the text of `lockfile`, which every known reader understands (STD-56, TOL-14).

    So there are no blank lines and no "=" in a value, on which astropy's reader breaks, and
    no required name anywhere but at the head of its own line, since DS9 looks for substrings.

    Args:
        lockfile: What it says.

    Raises:
        LocalProtocolError: For what the grammar or those readers cannot hold.
    """
    _check_value(_SECRET, lockfile.secret)
    _check_value(_URL, lockfile.url)
    _check_value(_VERSION, lockfile.version)
    if not lockfile.secret:
        raise LocalProtocolError(f"cannot write a lockfile with an empty {_SECRET}")
    if "\\" in lockfile.url or not _is_http(lockfile.url):
        raise LocalProtocolError(
            f"the {_URL} of a lockfile must be http://HOST:PORT/PATH, not {lockfile.url!r}"
        )
    lines = [
        "# SAMP lockfile of a Standard Profile hub, written by asyncsamp",
        f"{_SECRET}={lockfile.secret}",
        f"{_URL}={lockfile.url}",
    ]
    if lockfile.version:
        lines.append(f"{_VERSION}={lockfile.version}")
    for name, value in lockfile.extra.items():
        if not _NAME.fullmatch(name):
            raise LocalProtocolError(
                f"the lockfile token {name!r} may have only letters, digits, '.', '_' and '-'"
            )
        _check_value(name, value)
        _check_no_required(name, name)
        lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"


def _assignments(text: str, path: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(_EOL.split(text.removeprefix("\ufeff")), start=1):
        name, equals, value = line.partition("=")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not equals or not _NAME.fullmatch(name):
            continue
        if _ANY_STRING.fullmatch(value):
            yield number, name, value
        elif name in _REQUIRED:
            raise LockfileError(path, f"the value of {name} is not plain ASCII text", number)


def _is_http(url: str) -> bool:
    if re.search(r"[\x00-\x20\x7f]", url):  # urlsplit would drop some of them in silence
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, or a port that is not a number
        return False


def _check_value(name: str, value: str) -> None:
    """Refuse a value that a reader would not give back. The value is not shown: it may be the secret."""
    if not _ANY_STRING.fullmatch(value):
        raise LocalProtocolError(f"the value of {name} in a lockfile must be printable ASCII on one line")
    if "=" in value:
        raise LocalProtocolError(f"the value of {name} in a lockfile must not hold '=' (STD-56)")
    if value != value.strip():
        raise LocalProtocolError(f"the value of {name} in a lockfile must not begin or end with a blank")
    _check_no_required(name, value)


def _check_no_required(name: str, text: str) -> None:
    if any(required in text.casefold() for required in _REQUIRED):
        raise LocalProtocolError(f"{name} must not hold the name of a required lockfile token (TOL-14)")
