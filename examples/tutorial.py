"""The tutorial. Start TOPCAT, DS9 and Aladin first. docs/tutorial/index.md explains each step."""

# step 1: make a star cluster, and send it to TOPCAT
import sys

import numpy as np
from astropy.table import Table
from astropy.wcs import WCS

from asyncsamp import SampError
from asyncsamp.sync import Client

RA, DEC = 56.75, 24.12
random = np.random.default_rng(7)
cluster = Table(
    {
        "ra": RA + random.normal(0, 0.5, 200),
        "dec": DEC + random.normal(0, 0.5, 200),
        "mag": random.uniform(3, 14, 200),
    }
)
cluster["ra"].unit = cluster["dec"].unit = "deg"
cluster["ra"].meta["ucd"] = "pos.eq.ra;meta.main"
cluster["dec"].meta["ucd"] = "pos.eq.dec;meta.main"

client = Client("tutorial")
try:
    client.register()
    client.send_table(cluster, "topcat", name="cluster")
except SampError as error:
    sys.exit(str(error))
print("TOPCAT has", len(cluster), "stars")

# step 2: get a subset back
print("Now choose rows in TOPCAT's Table Browser, press the first button, and Transmit Subset")
rows = client.selections(cluster).next(timeout=600)
members = cluster[rows]
print(members)

# step 3: show a selection in TOPCAT
bright = cluster["mag"] < 6
client.select_rows(cluster, bright, "topcat")
print("TOPCAT shows", bright.sum(), "bright stars as the subset 'tutorial'")

# step 4: an image to DS9
wcs = WCS(naxis=2)
wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [RA, DEC], [150, 150], [-0.012, 0.012]
x, y = wcs.world_to_pixel_values(cluster["ra"], cluster["dec"])
line, column = np.mgrid[:300, :300]
pixels = np.zeros((300, 300), "f4")
for at_x, at_y, mag in zip(x, y, cluster["mag"], strict=True):
    pixels += (16 - mag) * np.exp(-((column - at_x) ** 2 + (line - at_y) ** 2) / 4)

client.send_image(pixels, "ds9", wcs=wcs, name="cluster")
client.ds9("zoom to fit")
print("DS9 shows the field")

# step 5: point Aladin at the brightest of your subset
brightest = members[np.argmin(members["mag"])]
client.send_image(pixels, "aladin", wcs=wcs, name="field", local=True)
client.send_table(members, "aladin", name="members")
client.point_at(brightest["ra"], brightest["dec"], "aladin")
print("Aladin looks at", brightest["ra"], brightest["dec"])

client.unregister()
