"""The widget by which a notebook's page relays, and which of its two ways works in this kernel."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import secrets
from typing import Any

from aiohttp import web

from ..errors import HubNotFoundError
from ..rpc import RpcServer
from .connection import BrowserConnection
from .notebook_server import lacks_proxy, shown_folder
from .relay import PageRelay
from .socket import PageSocket, page_module
from .source import FileSource, PageSource, ProxySource

__all__ = ["make_widget", "notebook_connection", "widget_module"]

SOCKET_PATIENCE = 15.0
"""Seconds in which the page has to open the WebSocket through jupyter-server-proxy."""

_NEEDS_WIDGET = (
    "via='browser' needs anywidget, in the kernel's environment: pip install 'asyncsamp[browser]', "
    "or in a checkout: pip install -e '.[browser]'"
)
_NO_WAY = (
    "this kernel (ipykernel {version}) takes no message of the page while a cell runs. Install ipykernel 7 "
    "or newer in the kernel's environment, or jupyter-server-proxy in that of the notebook's server, and "
    "restart the kernel"
)


async def notebook_connection() -> BrowserConnection:
    """Show the widget in the cell that runs, and return the connection through its page.

    Cancelling is safe.

    Raises:
        HubNotFoundError: No page relays: this is not a notebook, or neither way works.
        ImportError: anywidget is not installed.
    """
    version = _kernel_version()
    if version >= (7,):
        return await _by_messages()
    return await _by_socket(".".join(map(str, version)))


def _kernel_version() -> tuple[int, ...]:
    try:
        from IPython import get_ipython
    except ImportError:
        shell = None
    else:
        shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        raise HubNotFoundError(
            "the page of a notebook", advice="via='browser' works in a notebook's cell only"
        )
    return tuple(int(part) for part in importlib.metadata.version("ipykernel").split(".")[:2])


async def _by_messages() -> BrowserConnection:
    widget = make_widget()
    relay = PageRelay(lambda message, data: widget.send(message, None if data is None else [data]))

    def receive(_: object, content: object, buffers: list[Any]) -> None:
        relay.receive(content, bytes(buffers[0]) if buffers else None)

    widget.on_msg(receive)
    sources = await _sources()
    _display(widget)
    return BrowserConnection(relay, sources=sources, holds=widget)


async def _by_socket(version: str) -> BrowserConnection:
    socket, token, sources = PageSocket(), secrets.token_urlsafe(16), await _sources()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if not secrets.compare_digest(request.path.lstrip("/").encode(), token.encode()):
            raise web.HTTPForbidden(text="this relay belongs to a notebook\n")
        return await socket.serve(request, any_origin=True)

    server = RpcServer(handle, hosts=("127.0.0.1",), port=0, name="page-relay")
    await server.start()
    widget = make_widget(f"proxy/{server.port}/{token}")
    _display(widget)
    try:
        if not await _comes(socket.relay, server.port):
            raise HubNotFoundError("the page of this notebook", advice=_NO_WAY.format(version=version))
    except BaseException:
        with contextlib.suppress(Exception):
            widget.close()
        await server.close()
        raise
    return BrowserConnection(socket.relay, sources=sources, holds=(widget, server))


async def _sources() -> list[PageSource]:
    """Return the ways by which the page may read: the proxy's first, which leaves nothing on a disk."""
    folder = await asyncio.to_thread(shown_folder)
    return [ProxySource()] if folder is None else [ProxySource(), FileSource(folder)]


async def _comes(relay: PageRelay, port: int) -> bool:
    """Wait until the page has connected; false if it cannot, or does not."""
    coming, asking = asyncio.create_task(relay.wait_ready()), asyncio.create_task(lacks_proxy(port))
    try:
        async with asyncio.timeout(SOCKET_PATIENCE):
            await asyncio.wait({coming, asking}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done() and await asking:
                return False
            await coming
    except TimeoutError:
        return False
    finally:
        coming.cancel()
        asking.cancel()
    return True


def make_widget(socket: str = "") -> Any:
    """Return the widget, not shown yet.

    Args:
        socket: Where its page connects below the URL of the notebook's server; "" for comm messages.

    Raises:
        ImportError: anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(_NEEDS_WIDGET) from error

    key = secrets.token_hex(16)

    class SampRelay(anywidget.AnyWidget):
        _esm = widget_module()
        _key = traitlets.Unicode(key).tag(sync=True)
        _socket = traitlets.Unicode(socket).tag(sync=True)

    return SampRelay(model_id=key)  # by which its page finds out whether a kernel speaks for it


def widget_module() -> str:
    """Return the three modules as one, since a widget has one."""
    socket = "\n".join(
        line for line in page_module("socket.js").splitlines() if not line.startswith(("import ", "export {"))
    )
    return "\n".join((page_module("relay.js"), socket, page_module("widget.js")))


def _display(widget: Any) -> None:
    from IPython.display import display

    display(widget)  # type: ignore[no-untyped-call]
