"""A web application that is a SAMP client too, in one event loop: `python web_app.py [PORT]`.

http://127.0.0.1:8080/point?ra=10.68&dec=41.27 then points every tool there.
"""

import sys
from collections.abc import AsyncIterator

from aiohttp import web

from asyncsamp import Client

CLIENT = web.AppKey("client", Client)


async def samp(app: web.Application) -> AsyncIterator[None]:
    async with Client("web app") as client:
        app[CLIENT] = client
        yield


async def point(request: web.Request) -> web.Response:
    params = {"ra": float(request.query["ra"]), "dec": float(request.query["dec"])}
    told = await request.app[CLIENT].notify_all("coord.pointAt.sky", params)
    return web.json_response({"told": told})


app = web.Application()
app.cleanup_ctx.append(samp)
app.router.add_get("/point", point)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if sys.argv[1:] else 8080)
