"""The MIME type of a file, by its name."""

from __future__ import annotations

import mimetypes
from pathlib import PurePath

__all__ = ["content_type"]

_TYPES = {
    ".fits": "application/fits",
    ".fit": "application/fits",
    ".fts": "application/fits",
    ".vot": "application/x-votable+xml",
    ".votable": "application/x-votable+xml",
    ".xml": "text/xml",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
}
"""What Python does not know, or knows by a name that differs from one system to another."""


def content_type(name: str) -> str:
    """Return the MIME type of a file with that name or path."""
    known = _TYPES.get(PurePath(name).suffix.lower())
    return known or mimetypes.guess_type(PurePath(name).name)[0] or "application/octet-stream"
