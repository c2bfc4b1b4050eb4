"""What is fuzzed: each target takes any bytes and may raise nothing.

`xmlrpc_target` is the codec. `HttpEntry` is the whole way in of the Standard Profile, in one process and
without sockets: line feeds, aiohttp's parser, origin guard, endpoint, codec, dispatch, core, and deliveries
up to the point where they would be sent.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import Sequence
from typing import Any

from asyncsamp import Limits, xmlrpc
from asyncsamp.errors import FaultError, RemoteProtocolError
from asyncsamp.hub.engine import HubEngine
from asyncsamp.hub.profiles.standard import StandardProfile
from asyncsamp.rpc import RpcClient, XmlRpcServer
from asyncsamp.rpc.connection_limit import ConnectionLimit
from asyncsamp.values import MAX_DEPTH, RawMap
from asyncsamp.xmlrpc import codec
from asyncsamp.xmlrpc.fast_parser import read_call, read_response

__all__ = ["KEY", "PORT", "SECRET", "HttpEntry", "raw_target", "xmlrpc_target"]

SECRET = "0" * 32
KEY = "k-" + "0" * 32
PORT = 12345

_LOGGERS = [logging.getLogger(name) for name in ("asyncsamp.hub", "asyncsamp.rpc")]

_TURNS = 40
"""Turns of the loop that one request may take. What goes on for longer is waiting for more bytes."""

_FRESH = 500
"""Inputs after which the hub is made anew, so that what it knows stays small."""


def xmlrpc_target(data: bytes) -> None:
    """Read bytes as a call and as a response; what can be read can be written, and read again.

    The short way to read a plain call must agree with expat, which knows what XML is.
    """
    raw_target(data)
    plain = read_call(data)
    if plain is not None:
        method, *params = codec._parse(data, {"methodCall": (codec._CALL, codec._END)}, MAX_DEPTH)
        assert (method.strip(), params) == plain
    answered = read_response(data)
    if answered is not None:
        root = {"methodResponse": (codec._RESPONSE, codec._END)}
        assert codec._parse(data, root, MAX_DEPTH + codec._ENVELOPE) == [answered]
    for load in (xmlrpc.load_call, xmlrpc.load_response):
        said = ""
        try:
            value: Any = load(data)
        except RemoteProtocolError as error:
            said = str(error)
        assert len(said) < 1000, "the error repeats what it was sent"
        if said or isinstance(value, xmlrpc.Fault):
            continue
        again = xmlrpc.dump_call(*value) if load is xmlrpc.load_call else xmlrpc.dump_response(value)
        assert again.isascii()
        assert b"\n\n" not in again
        assert load(again) == value


_BLANK_LINE = re.compile(rb"\n[ \t]*\n")
_SPACE = re.compile(rb"(?<=>)[ \t\n]+(?=<)|[ \t\n]+(?=</name>|</string>)")


def raw_target(data: bytes) -> None:
    """What passes raw must be what the codec reads there, and a form that it would write itself."""
    relayed = xmlrpc.read_relayed(data)
    if relayed is None:
        return
    method, params = xmlrpc.load_call(data)  # raises for what the codec refuses
    values = [param.values() if isinstance(param, RawMap) else param for param in relayed[1]]
    assert (relayed[0], values) == (method, params)
    for param, value in zip(relayed[1], params, strict=True):
        if not isinstance(param, RawMap):
            continue
        assert param.xml.isascii()
        assert not _BLANK_LINE.search(param.xml)
        # By expat, which knows what XML is.
        (by_expat,) = codec._parse(param.xml, {"value": (codec._VALUE, codec._END)}, MAX_DEPTH)
        assert by_expat == value
        if isinstance(value, dict) and "reply" not in method:
            assert param.mtype == value["samp.mtype"]
            assert isinstance(value["samp.params"], dict)
        written = xmlrpc.encode_value(value).xml.encode().replace(b"&#10;", b"\n")
        seen = param.xml.replace(b"&#10;", b"\n")
        assert _SPACE.sub(b"", seen) == _SPACE.sub(b"", written)


_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
_PING_BODY = xmlrpc.dump_call("samp.hub.ping", [])
_PING = _HEAD % len(_PING_BODY) + _PING_BODY


class HttpEntry:
    """The hub's way in. Fails if anything in it raises, logs an error, or leaves the hub deaf."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.errors: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(str(context)))
        self._watch = _Errors(self.errors)
        for logger in _LOGGERS:
            logger.setLevel(logging.ERROR)
            logger.addHandler(self._watch)
        self.count = 0
        self._make()

    def __call__(self, data: bytes) -> None:
        """Let a stranger send `data`: in one packet, in two, or behind a ping, as its first byte says."""
        self.count += 1
        if self.count % _FRESH == 0:
            self.loop.run_until_complete(self._stop())
            self._make()
        cut = data[0] % 64 if data else 0
        if cut >= 56:  # as the body of a second request with a head that was served
            answered = self._send(_PING, _HEAD % len(data) + data)
        else:
            answered = self._send(data[:cut], data[cut:]) if cut < 32 else self._send(data)
        assert answered == b"" or answered.startswith(b"HTTP/"), answered[:100]
        assert not self.errors, self.errors

    def check(self) -> None:
        """Fail unless the hub still answers, and nothing is kept of those who have gone."""
        answered = self._send(_PING)
        assert answered.startswith(b"HTTP/1.1 200 OK"), answered
        assert len(self._limit) == 0
        gc.collect()
        assert not self.errors, self.errors

    def close(self) -> None:
        """End everything; fail if a task is left."""
        self.loop.run_until_complete(self._stop())
        left = asyncio.all_tasks(self.loop)
        assert not left, left
        self.loop.close()
        for logger in _LOGGERS:
            logger.setLevel(logging.NOTSET)
            logger.removeHandler(self._watch)

    def _make(self) -> None:
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self._profile = profile = StandardProfile()
        self._engine = engine = HubEngine(Limits(registration_burst=10_000), {})
        profile._engine, profile.secret = engine, SECRET
        profile._sender = _Nowhere()
        self._server = XmlRpcServer(
            profile.dispatch, profile._knows_key, max_body=10**7, name="fuzzed", relays=profile._relay
        ).server
        self._limit = self._server.limit = ConnectionLimit(100)
        self._server.web = self._server.make_web()
        client = engine.register(profile)
        profile._clients[KEY], profile._keys[client] = client, KEY
        profile._callbacks[client] = f"http://127.0.0.1:{PORT}/"
        engine.set_callable(client, True)
        await engine.operate(client, "declareSubscriptions", [{"*": {}}])

    async def _stop(self) -> None:
        await self._engine.shut_down()
        assert self._server.web is not None
        await self._server.web.shutdown(0)

    def _send(self, *packets: bytes) -> bytes:
        return self.loop.run_until_complete(self._converse(packets))

    async def _converse(self, packets: tuple[bytes, ...]) -> bytes:
        wire = _Wire(self._server.make_front())
        wire.protocol.connection_made(wire)
        for packet in packets:
            if not wire.is_closing():
                wire.protocol.data_received(packet)
            await asyncio.sleep(0)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        wire.protocol.connection_lost(None)
        await _settle()
        return bytes(wire.written)


async def _settle() -> None:
    """Let the tasks of a connection that has ended come to their end."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class _Errors(logging.Handler):
    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.append(self.format(record))


class _Nowhere(RpcClient):
    """Takes every delivery, and opens no socket."""

    async def post(self, url: str, body: bytes | Sequence[bytes], *, timeout: float) -> bytes:
        assert not isinstance(body, bytes)
        method, params = xmlrpc.load_call(b"".join(body))
        if not method.startswith("samp.client.receive"):
            raise FaultError(method)
        assert params
        return xmlrpc.dump_response("")

    async def is_there(self, url: str, timeout: float, interval: float) -> bool:
        return True

    def listening_user(self, host: str, port: int) -> int | None:
        return None


class _Wire(asyncio.Transport):
    """A connection without a socket."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"sockname": ("127.0.0.1", PORT), "peername": ("127.0.0.1", 1)})
        self.protocol = protocol
        self.written = bytearray()
        self._closing = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass
