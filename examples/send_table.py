"""Send a table from memory to every tool that takes tables; the cells of a notebook."""

# %%
from astropy.table import Table

import asyncsamp

table = Table({"ra": [10.68, 10.67], "dec": [41.27, 40.87], "name": ["M 31", "M 32"]})
client = await asyncsamp.connect("sender")
await client.send_table(table)
# %%
await client.unregister()
