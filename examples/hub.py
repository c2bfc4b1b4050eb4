"""A hub in a notebook or in `python -m asyncio`; in a terminal it is `python -m asyncsamp.hub`."""

# %%
from asyncsamp import Hub

hub = await Hub().start()
await hub.serve_forever()
