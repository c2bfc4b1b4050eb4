"""A web client that speaks raw HTTP, one connection a request, as the tests of the Web Profile need it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asyncsamp import Consent, Hub, Limits, OriginStore, WebProfile, allow_all, xmlrpc
from asyncsamp.values import Value, ValueMap
from asyncsamp.xmlrpc import Fault

__all__ = ["ORIGIN", "Answer", "Page", "WebHub", "open_request", "request", "web_hub"]

ORIGIN = "https://archive.example.org"


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def value(self) -> Value:
        """The result of the XML-RPC call."""
        answered = xmlrpc.load_response(self.body)
        assert not isinstance(answered, Fault), answered
        return answered

    @property
    def fault(self) -> Fault:
        """The fault of the XML-RPC call."""
        answered = xmlrpc.load_response(self.body)
        assert isinstance(answered, Fault), answered
        return answered


async def open_request(
    port: int,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    host: str = "127.0.0.1",
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request and return its connection."""
    reader, writer = await asyncio.open_connection(host, port)
    sent = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    return reader, writer


async def request(
    port: int,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    host: str = "127.0.0.1",
) -> Answer:
    """Make one request and return the answer."""
    reader, writer = await open_request(port, method, target, headers or {}, body, host)
    try:
        return await read_answer(reader)
    finally:
        await close(writer)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer, to a GET or POST."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = headers.get("content-length")
    body = await reader.read() if length is None else await reader.readexactly(int(length))
    return Answer(int(head[0].split()[1]), headers, body)


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


class Page:
    """A page of `origin`, registered or not."""

    def __init__(self, port: int, origin: str = ORIGIN) -> None:
        self.port = port
        self.origin = origin
        self.key = ""
        self.id = ""
        self.translator = ""
        self.upload_url = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a browser adds."""
        return {"Content-Type": "text/xml"} | ({"Origin": self.origin} if self.origin else {})

    async def post(self, method: str, *params: Any, **headers: str) -> Answer:
        """Call a method by its full name."""
        return await request(self.port, "POST", "/", self.headers | headers, xmlrpc.dump_call(method, params))

    async def call(self, operation: str, *params: Any) -> Any:
        """Do an operation with the private key, and return its result."""
        return (await self.post(f"samp.webhub.{operation}", self.key, *params)).value

    async def fault(self, operation: str, *params: Any) -> Fault:
        """Do an operation with the private key, and return the fault."""
        return (await self.post(f"samp.webhub.{operation}", self.key, *params)).fault

    async def register(self, name: str = "page") -> None:
        """Register."""
        info = (await self.post("samp.webhub.register", {"samp.name": name})).value
        assert isinstance(info, dict)
        self.key, self.id = str(info["samp.private-key"]), str(info["samp.self-id"])
        self.translator = str(info["samp.url-translator"])
        self.upload_url = str(info["x-asyncsamp.upload"])

    async def listen(self, *mtypes: str) -> None:
        """Become callable, and subscribe."""
        await self.call("allowReverseCallbacks", "1")
        await self.call("declareSubscriptions", {mtype: {} for mtype in mtypes})

    async def pull(self, timeout: str = "10") -> list[tuple[str, list[Any]]]:
        """Pull callbacks: name and parameters of each."""
        pulled: list[ValueMap] = await self.call("pullCallbacks", timeout)
        return [(str(one["samp.methodName"]), list(one["samp.params"])) for one in pulled]

    async def begin_pull(self, timeout: str = "10") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a pull, and do not wait for its answer."""
        body = xmlrpc.dump_call("samp.webhub.pullCallbacks", [self.key, timeout])
        return await open_request(self.port, "POST", "/", self.headers, body)

    async def get(self, url: str, method: str = "GET", **headers: str) -> Answer:
        """Read by the translator: `url` is what is put behind it, raw."""
        target = "/" + self.translator.partition("://")[2].partition("/")[2] + url
        return await request(self.port, method, target, {"Origin": self.origin, **headers})

    async def upload(self, name: str, data: bytes, **headers: str) -> Answer:
        """Upload: `name` is what is put behind the URL, raw."""
        target = "/" + self.upload_url.partition("://")[2].partition("/")[2] + name
        sent = {"Origin": self.origin, "Content-Type": "application/octet-stream", **headers}
        return await request(self.port, "POST", target, sent, data)


@dataclass
class WebHub:
    """A hub with the Web Profile, and its lockfile."""

    hub: Hub
    profile: WebProfile
    lockfile: Path

    @property
    def port(self) -> int:
        """The port of the Web Profile."""
        return self.profile.port

    async def page(self, *mtypes: str, name: str = "page", origin: str = ORIGIN) -> Page:
        """Register a page; callable if it subscribes to something."""
        page = Page(self.port, origin)
        await page.register(name)
        if mtypes:
            await page.listen(*mtypes)
        return page


@contextlib.asynccontextmanager
async def web_hub(
    folder: Path, *, consent: Consent = allow_all, limits: Limits | None = None, **options: Any
) -> AsyncIterator[WebHub]:
    """Run a hub with the Web Profile on a free port."""
    options.setdefault("store", OriginStore())
    profile = WebProfile(consent=consent, port=0, **options)
    lockfile = folder / "hub.samp"
    async with Hub(lockfile=lockfile, profiles=[profile], limits=limits) as hub:
        yield WebHub(hub, profile, lockfile)
