"""Two clients in conversation: one asks, the other tells how far it is, and answers."""

import asyncio
import sys

from asyncsamp import Client, Message, SampError, as_int


async def main() -> None:
    async with Client("asker") as asker, Client("adder") as adder:

        @adder.on("demo.add")
        async def add(message: Message) -> dict[str, int]:
            await adder.progress(message, "taking my shoes off", percent=50)
            return {"sum": as_int(message.params["a"]) + as_int(message.params["b"])}

        def show(progress: Message) -> None:
            print("the adder is", progress.params["txt"])

        await adder.settled()
        response = await asker.call("adder", "demo.add", {"a": 7, "b": 8}, on_progress=show)
        print("the sum is", as_int(response.result["sum"]))


try:
    asyncio.run(main())
except SampError as error:
    sys.exit(str(error))
