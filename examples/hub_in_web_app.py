"""A hub inside a web application, whose page asks the user whether a web page may register.

Run `python hub_in_web_app.py [PORT [WEB_PROFILE_PORT]]`, and look at http://127.0.0.1:8080/. In a GUI it
is the same: `ask` opens a dialog and awaits its button. The key of a question keeps other pages from
answering it.
"""

import asyncio
import sys
from secrets import token_urlsafe

from aiohttp import web

from asyncsamp import ConsentAnswer, ConsentQuestion, Hub, SampError, WebProfile

questions: dict[str, tuple[str, asyncio.Future[ConsentAnswer]]] = {}


async def ask(question: ConsentQuestion) -> ConsentAnswer:
    questions[token_urlsafe()] = question.name, (answer := asyncio.Future())
    return await answer


async def page(request: web.Request) -> web.Response:
    if key := request.query.get("key"):
        questions.pop(key)[1].set_result(ConsentAnswer(request.query["say"]))
    lines = (f'{name}: <a href="/?key={key}&say=allow">let it in</a>' for key, (name, _) in questions.items())
    return web.Response(text="<br>".join(lines), content_type="text/html")


def main(port: int = 8080, web_profile_port: int = 21012) -> None:
    hub = Hub(profiles=[WebProfile(consent=ask, port=web_profile_port)])
    app = web.Application()
    app.router.add_get("/", page)
    app.on_startup.append(lambda _: hub.start())
    app.on_cleanup.append(lambda _: hub.shutdown())
    web.run_app(app, host="127.0.0.1", port=port)


try:
    main(*map(int, sys.argv[1:3]))
except (SampError, OSError) as error:
    sys.exit(str(error))
except (ValueError, OverflowError):
    sys.exit("usage: python hub_in_web_app.py [PORT [WEB_PROFILE_PORT]]")
