"""A small piece of sky to send: stars, and an image of the same field."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

RA, DEC = 10.6847, 41.269


def stars(count: int = 40) -> Table:
    """Return a table of stars around `RA`, `DEC`, the same each time."""
    random = np.random.default_rng(4)
    table = Table(
        {
            "ra": RA + random.normal(0, 0.2, count),
            "dec": DEC + random.normal(0, 0.15, count),
            "mag": random.uniform(5, 15, count),
            "name": [f"star {number}" for number in range(count)],
        },
        meta={"name": "stars"},
    )
    table["ra"].unit = table["dec"].unit = "deg"
    table["ra"].meta["ucd"] = "pos.eq.ra;meta.main"
    table["dec"].meta["ucd"] = "pos.eq.dec;meta.main"
    table["mag"].description = "apparent magnitude"
    return table


def image() -> fits.HDUList:
    """Return an image of those stars, with a WCS."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [RA, DEC]
    wcs.wcs.crpix = [100, 80]
    wcs.wcs.cdelt = [-0.006, 0.006]
    table = stars()
    x, y = wcs.world_to_pixel_values(table["ra"], table["dec"])
    row, column = np.mgrid[:160, :200]
    pixels = np.random.default_rng(5).normal(10, 1, row.shape)
    for at_x, at_y, mag in zip(x, y, table["mag"], strict=True):
        pixels += 20 * (16 - mag) * np.exp(-((column - at_x) ** 2 + (row - at_y) ** 2) / 4)
    return fits.HDUList([fits.PrimaryHDU(pixels.astype("f4"), wcs.to_header())])
