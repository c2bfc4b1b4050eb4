"""A web site of the test's own: an origin on loopback that is not the hub's, over http or https."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from ...installed import require_program

__all__ = ["HERE", "Site", "certificate", "open_site"]

HERE = Path(__file__).parent

_TYPES = {".html": "text/html", ".js": "text/javascript", ".vot": "text/xml"}


class Site:
    """Serves files and folders by their path."""

    def __init__(self, base: str, files: dict[str, Path]) -> None:
        self.base = base
        self.files = files

    def url(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{self.base}/{path}"


@contextlib.asynccontextmanager
async def open_site(
    files: dict[str, Path], *, host: str = "127.0.0.1", secured: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Site]:
    """Serve `files`, by their paths without the leading slash."""

    async def serve(request: web.Request) -> web.Response:
        file = files.get(request.path.lstrip("/"))
        if file is None:
            raise web.HTTPNotFound
        body = await asyncio.to_thread(file.read_bytes)
        return web.Response(body=body, content_type=_TYPES.get(file.suffix, "application/octet-stream"))

    app = web.Application()
    app.router.add_get("/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, ssl_context=secured)
        await site.start()
        number = runner.addresses[0][1]
        yield Site(f"{'https' if secured else 'http'}://{host}:{number}", files)
    finally:
        await runner.cleanup()


async def certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that nobody trusts, and a server's context with it."""
    openssl = require_program("openssl", "openssl")
    key, cert = folder / "key.pem", folder / "cert.pem"
    process = await asyncio.create_subprocess_exec(
        *(
            openssl,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            key,
            "-out",
            cert,
        ),
        *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    await asyncio.to_thread(context.load_cert_chain, cert, key)
    return context
