"""A web application brings a table to the TOPCAT of whoever looks at its page: `python relay_app.py [PORT]`.

The program may run anywhere. Each user has a relay of his own, found by a cookie: take your login for that.
"""

import secrets
import sys

from aiohttp import web
from astropy.table import Table

from asyncsamp import Client, SampError
from asyncsamp.browser import BrowserConnection, PageSocket

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Star server</title>
<p id="state" role="status"></p>
<p><button id="send">Send the stars to TOPCAT</button> <output id="told"></output></p>
<script type="module">
  import { connect } from "/samp/socket.js";
  const say = (id, text) => { document.getElementById(id).textContent = text; };
  connect("/relay", (state, text) => say("state", text));
  document.getElementById("send").onclick = async () => {
    say("told", "answer the questions of your browser and of your hub");
    say("told", await (await fetch("/send", { method: "POST" })).text());
  };
</script>
</html>
"""


class User:
    """Somebody who looks at the page, with the hub beside his browser."""

    def __init__(self) -> None:
        self.socket = PageSocket()
        self.client = Client("star server", connection=BrowserConnection(self.socket.relay))


users: dict[str, User] = {}
routes = web.RouteTableDef()


def user_of(request: web.Request) -> User:
    try:
        return users[request.cookies["user"]]
    except KeyError:
        raise web.HTTPForbidden(text="load the page again") from None


@routes.get("/")
async def page(request: web.Request) -> web.Response:
    response = web.Response(text=PAGE, content_type="text/html")
    if request.cookies.get("user") not in users:
        name = secrets.token_urlsafe()
        users[name] = User()
        response.set_cookie("user", name, httponly=True, samesite="Strict")
    return response


@routes.get("/relay")
async def relay(request: web.Request) -> web.StreamResponse:
    return await user_of(request).socket.handle(request)


@routes.get("/samp/{name}")
async def module(request: web.Request) -> web.StreamResponse:
    return await user_of(request).socket.serve_module(request)


@routes.post("/send")
async def send(request: web.Request) -> web.Response:
    client = user_of(request).client
    try:
        if not client.registered:
            await client.register()
        sent = await client.send_table(Table({"ra": [10.68, 10.67], "dec": [41.27, 40.87]}), name="stars")
    except SampError as error:
        return web.Response(text=str(error))
    return web.Response(text=f"sent to {len(sent)} tools")


async def leave(app: web.Application) -> None:
    for user in users.values():
        await user.client.unregister()


app = web.Application()
app.add_routes(routes)
app.on_shutdown.append(leave)

if __name__ == "__main__":
    try:
        port = int(sys.argv[1]) if sys.argv[1:] else 8080
        web.run_app(app, host="127.0.0.1", port=port, shutdown_timeout=1.0)  # open pages are not waited for
    except OSError as error:
        sys.exit(str(error))
    except (ValueError, OverflowError):
        sys.exit("usage: python relay_app.py [PORT]")
