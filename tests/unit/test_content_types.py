"""The MIME type of a file, by its name."""

from __future__ import annotations

from asyncsamp.reading.content_types import content_type


def test_types() -> None:
    assert content_type("a.VOT") == "application/x-votable+xml"
    assert content_type("a.fits.gz") == "application/gzip"
    assert content_type("a.png") == "image/png"
    assert content_type("a") == "application/octet-stream"
    assert content_type("/d.png/a.fits") == "application/fits"
