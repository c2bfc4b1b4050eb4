"""What a file URL means: one reading for the client, the hub and the lockfile.

Tools write `file:///p` (as RFC 8089 and MTYPE-72 want it), `file:/p`, `file://localhost/p`,
`file://localhost//p` and, wrongly, `file://p`; percent-encoded or not. Which spelling a tool meant is
often told only by the files that exist, so `parse` gives candidates and looks at no file.

No I/O.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from .hosts import is_local_host

__all__ = ["FileUrl", "is_file_url", "make", "meant_for_the_web", "parse"]

WINDOWS = sys.platform == "win32"

_WITHOUT_SCHEME = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?::\d+)?/.")

_DRIVE = re.compile(r"/*([A-Za-z])[:|]")


@dataclass(frozen=True, slots=True)
class FileUrl:
    """A file URL, read.

    Attributes:
        host: The host as it is written; "" if it means this machine.
        paths: The paths that the URL may mean, the likeliest first. Empty if it names no possible file.
    """

    host: str
    paths: tuple[str, ...]


def is_file_url(text: str) -> bool:
    """Return whether `text` has the scheme `file`, in any case."""
    return text.strip()[:5].lower() == "file:"


def meant_for_the_web(path: str) -> str:
    """Return what may be said of a path that is not there: how to write it if it is a URL; "" otherwise."""
    return f"; if it is a URL, write https://{path}" if _WITHOUT_SCHEME.match(path) else ""


def make(path: str, *, windows: bool = WINDOWS) -> str:
    """Return the URL of an absolute path, with an empty host, as all tools read it (MTYPE-72).

    On Windows the host is the server of a share, if the path has one.
    """
    if windows:
        path = path.replace("\\", "/")
        if path.startswith("//"):
            return "file:" + quote(path, errors="surrogateescape")
        return "file:///" + quote(path, safe="/:", errors="surrogateescape")
    return "file://" + quote(path, errors="surrogateescape")


def parse(url: str, *, windows: bool = WINDOWS) -> FileUrl:
    """Read a file URL.

    The whole text is likelier than what stands before a "#", and the decoded text is likelier than the
    text as it is: a path that contains "#" or "%" exists only if it is meant. "?" is part of the
    name. A host other than this machine is taken for the first folder (`file://tmp/x` is seen for
    `file:///tmp/x`); a caller that must not guess looks at `host`. On Windows it is the server of
    a share.

    Args:
        url: A text for which `is_file_url` holds.
        windows: Whether paths are those of Windows; by default what this machine is.

    Returns:
        The host and the candidates: absolute paths without a NUL character.
    """
    rest = url.strip()[len("file:") :]
    host = ""
    if rest.startswith("//"):
        named, slash, path = rest[2:].partition("/")
        if not named or is_local_host(named.lower().strip("[]")):
            rest = slash + path
        elif windows and _DRIVE.match(named):
            rest = rest[2:]
        else:
            host = named
    before_fragment = rest.partition("#")[0]
    try:
        spelled = [_decoded(rest), rest, _decoded(before_fragment), before_fragment]
    except UnicodeError:  # a lone surrogate: no file has such a name
        return FileUrl(host, ())
    if "\0" in spelled[0]:
        return FileUrl(host, ())
    return FileUrl(host, tuple(dict.fromkeys(_absolute(path, windows) for path in spelled if path)))


def _decoded(text: str) -> str:
    """Return `text` without percent-encoding, as file names are decoded: bytes that are not UTF-8 stay."""
    return unquote_to_bytes(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")


def _absolute(path: str, windows: bool) -> str:
    if windows:
        return _DRIVE.sub(r"\1:", path, count=1) if _DRIVE.match(path) else path
    return "/" + path.lstrip("/")
