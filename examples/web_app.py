"""A web application that is a SAMP client too, in one event loop: `python web_app.py [PORT]`.

http://127.0.0.1:8080/point?ra=10.68&dec=41.27 then points every tool there.
"""

import sys
from collections.abc import AsyncIterator

from aiohttp import web

from asyncsamp import Client, SampError

CLIENT = web.AppKey("client", Client)


async def samp(app: web.Application) -> AsyncIterator[None]:
    async with Client("web app", wait_for_hub=True) as client:
        app[CLIENT] = client
        yield


async def point(request: web.Request) -> web.Response:
    try:
        params = {name: float(request.query[name]) for name in ("ra", "dec")}
        told = await request.app[CLIENT].notify_all("coord.pointAt.sky", params)
    except SampError as error:
        raise web.HTTPServiceUnavailable(text=str(error)) from None
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text="say where, in degrees: /point?ra=10.68&dec=41.27") from None
    return web.json_response({"told": told})


app = web.Application()
app.cleanup_ctx.append(samp)
app.router.add_get("/point", point)

if __name__ == "__main__":
    try:
        web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]) if sys.argv[1:] else 8080)
    except (SampError, OSError) as error:
        sys.exit(str(error))
    except (ValueError, OverflowError):
        sys.exit("usage: python web_app.py [PORT]")
