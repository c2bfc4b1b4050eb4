"""The yardstick: an aiohttp server that posts each body on with aiohttp's client, and nothing else.

`python -m benchmarks.forwarder` prints its URL; a POST to /PORT/PATH goes to http://127.0.0.1:PORT/PATH.
"""

from __future__ import annotations

import sys

from aiohttp import ClientSession, TCPConnector, web

from .running import run, say_ready


async def _serve() -> None:
    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def forward(request: web.BaseRequest) -> web.Response:
            body = await request.content.read()  # `request.read()` refuses what is above 1 MiB
            _, port, path = request.path.split("/", 2)
            headers = {"Content-Type": "text/xml"}
            async with session.post(f"http://127.0.0.1:{port}/{path}", data=body, headers=headers) as answer:
                return web.Response(body=await answer.read(), content_type="text/xml")

        runner = web.ServerRunner(web.Server(forward))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await say_ready(runner.addresses[0][1])


def main() -> None:
    """Serve until killed; on uvloop if the only argument says so."""
    run(_serve(), uvloop=sys.argv[1:] == ["uvloop"])


if __name__ == "__main__":
    main()
