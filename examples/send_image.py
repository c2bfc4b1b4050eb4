"""Send an image from memory to every tool that takes images; the cells of a notebook."""

# %%
import numpy

import asyncsamp

image = numpy.add.outer(numpy.arange(300.0), numpy.arange(200.0))
client = await asyncsamp.connect("sender")
await client.send_image(image)
# %%
await client.unregister()
