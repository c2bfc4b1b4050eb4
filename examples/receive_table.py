"""Receive a table, as an astropy Table; the cells of a notebook."""

# %%
import asyncsamp

client = await asyncsamp.connect("receiver")
table = await client.receive_table()
print(table)
# %%
await client.unregister()
