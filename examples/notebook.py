"""A notebook: its loop runs already, so each cell awaits. Run the cells one by one, in Jupyter or VS Code."""

# %%
from asyncsamp import Client, Message

client = await Client("notebook").register()

# %%
for other in await client.get_clients():
    print(other.public_id, other.name)


# %%
@client.on("coord.pointAt.sky")
async def pointed(message: Message) -> None:
    print("pointed at", message.params["ra"], message.params["dec"])


await client.settled()

# %%
await client.call(client.public_id, "coord.pointAt.sky", {"ra": 10.68, "dec": 41.27})

# %%
await client.unregister()
