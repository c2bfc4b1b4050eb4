"""One XML-RPC request to its answer: HTTP manners, decoding, dispatch, faults."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from aiohttp import web
from aiohttp.streams import StreamReader

from .. import xmlrpc
from ..errors import FaultCode, FaultError, RemoteProtocolError
from ..values import RawMap, Value
from ..xmlrpc import Encoded
from .offload import dump_response, load_call
from .request_head import PATHS

__all__ = [
    "PATHS",
    "READY",
    "Admit",
    "Dispatch",
    "Result",
    "answer",
    "check_request",
    "fault_document",
    "fault_response",
    "read_body",
    "respond",
    "result_response",
]

Result: TypeAlias = "Value | Encoded | RawMap"

Dispatch: TypeAlias = "Callable[[str, list[Value]], Result | Awaitable[Result]]"
"""Does what a method asks for: at once, or by something to await. Raises `FaultError` for a fault."""

READY = (str, dict, list, Encoded, RawMap)
"""The types of a result, as against something to await."""

Admit: TypeAlias = Callable[[bytes], bool]
"""Whether the beginning of a body shows a private key that is known."""

STRANGERS_BODY = 64 * 1024
"""Bytes that anybody may send. Who sends more must show a key at the beginning, else the memory of the
process would be open to every user of the machine. Registering takes 300 bytes."""

_KEY_WITHIN = 4096
"""Bytes of a body in which the key must be: method name and first parameter."""

READ_TIMEOUT = 30.0
"""Seconds that a body may stand still. A Content-Length that is too large ends here."""

_HEADERS = {"Content-Type": "text/xml", "Server": "asyncsamp"}

_NO_HEADERS: Mapping[str, str] = {}

_log = logging.getLogger("asyncsamp.rpc")


async def answer(
    request: web.BaseRequest,
    dispatch: Dispatch,
    *,
    paths: frozenset[str] | None = PATHS,
    headers: Mapping[str, str] = _NO_HEADERS,
    admit: Admit | None = None,
    owner: str = "the hub",
) -> web.Response:
    """Answer one XML-RPC request with what `dispatch` returns for its method and params.

    What `dispatch` raises becomes a fault, which is HTTP 200 like a result (STD-7): `FaultError` with
    its own code and text, `RemoteProtocolError` as malformed, anything else as an internal error that
    says nothing about itself but in the log.
    Cancelling it cancels `dispatch`.

    Args:
        request: The request.
        dispatch: Does what a method asks for.
        paths: Those served; None serves any.
        headers: What is added to every answer.
        admit: Whether the beginning of a body shows a known key: without its consent no body above
            `STRANGERS_BODY` is read.
        owner: Whose error it is, in a fault, when `dispatch` fails.

    Returns:
        The answer.

    Raises:
        web.HTTPException: It is not such a request (400, 403, 404, 405, 408, 413, 415); aiohttp answers with
            it.
    """
    try:
        check_request(request, paths)
        body = await read_body(request, admit)
    except web.HTTPException as refusal:
        refusal.headers.update(headers)
        raise
    return _response(request, await respond(body, dispatch, owner=owner), headers)


async def respond(body: bytes, dispatch: Dispatch, *, owner: str = "the hub") -> bytes:
    """Return the document that answers the call in `body`; see `answer`.

    Cancelling it cancels what `dispatch` does.

    Args:
        body: The body of the request.
        dispatch: Does what a method asks for.
        owner: Whose error it is, in a fault, when `dispatch` fails.
    """
    try:
        method, params = await load_call(body)
        result = dispatch(method, params)
        return await dump_response(result if isinstance(result, READY) else await result)
    except Exception as error:
        return fault_document(error, owner)


def fault_document(error: Exception, owner: str) -> bytes:
    """Return the fault for what a dispatcher raised. `owner` is whose error an unexpected one is."""
    if isinstance(error, FaultError):
        return xmlrpc.dump_fault(error.code, error.text)
    if isinstance(error, RemoteProtocolError):
        return xmlrpc.dump_fault(FaultCode.MALFORMED, str(error))
    _log.error("error while answering an XML-RPC request", exc_info=error)
    return xmlrpc.dump_fault(FaultCode.INTERNAL, f"internal error in {owner}")


def check_request(request: web.BaseRequest, paths: frozenset[str] | None = PATHS) -> None:
    """Refuse anything but a POST to one of `paths` (STD-40).

    Args:
        request: The request; only its head is read.
        paths: Those served; None serves any.

    Raises:
        web.HTTPException: It is something else (404, 405).
    """
    if request.method != "POST":
        raise web.HTTPMethodNotAllowed(request.method, ["POST"], text="XML-RPC is spoken here: POST only\n")
    if paths is not None and request.path not in paths:
        raise web.HTTPNotFound(text="nothing here; XML-RPC is spoken at /xmlrpc\n")


async def read_body(request: web.BaseRequest, admit: Admit | None = None) -> bytes:
    """Return the body of a request, at most the server's `max_body` bytes.

    Cancelling is safe, if the request is given up.

    Args:
        request: The request.
        admit: Whether the beginning of a body shows a known key; None asks for no key.

    Raises:
        web.HTTPException: 413 too large, 415 compressed, 408 stands still, 400 broken off or wrongly chunked,
            403 above `STRANGERS_BODY` without a key that `admit` knows.
    """
    limit = request.client_max_size
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
        raise web.HTTPUnsupportedMediaType(text="compressed bodies are not taken\n")
    if request.content_length is not None and request.content_length > limit:
        raise _too_large(limit, request.content_length)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # else aiohttp takes the answer for begun
    content = request.content
    try:
        body = content.read_nowait() if content.is_eof() else b""  # nearly always all, in one packet
        if not content.at_eof():
            body = await _read_slowly(content, body, limit, admit)
    except TimeoutError:
        late = web.HTTPRequestTimeout(text="the body ended before its Content-Length\n")
        late.force_close()
        raise late from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(text=f"the body cannot be read: {error}\n") from None
    if len(body) > limit:
        raise _too_large(limit, len(body))
    _check_admitted(body, admit)
    return body


async def _read_slowly(content: StreamReader, begun: bytes, limit: int, admit: Admit | None) -> bytes:
    """Read to the end, or to the first byte above `limit`."""
    body = bytearray(begun)
    while not content.at_eof() and len(body) <= limit:
        if admit is not None and len(body) > STRANGERS_BODY:
            _check_admitted(body, admit)
            admit = None
        async with asyncio.timeout(READ_TIMEOUT):
            body += await content.readany()
    return bytes(body)


def _check_admitted(body: bytes | bytearray, admit: Admit | None) -> None:
    if admit is None or len(body) <= STRANGERS_BODY or admit(bytes(body[:_KEY_WITHIN])):
        return
    refusal = web.HTTPForbidden(text=f"above {STRANGERS_BODY} bytes a known private key must come first\n")
    refusal.force_close()
    raise refusal


async def result_response(
    request: web.BaseRequest, value: Value | Encoded, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """Return the answer that holds a result. Cancelling is safe.

    Args:
        request: The request.
        value: The result.
        headers: What is added.

    Raises:
        LocalProtocolError: It is not a SAMP value.
    """
    return _response(request, await dump_response(value), headers)


def fault_response(
    request: web.BaseRequest, code: int, text: str, headers: Mapping[str, str] = _NO_HEADERS
) -> web.Response:
    """Return the answer that holds a fault: HTTP 200 too (STD-7); on another status samp.js hangs.

    Args:
        request: The request.
        code: The faultCode.
        text: The faultString.
        headers: What is added.
    """
    return _response(request, xmlrpc.dump_fault(code, text), headers)


def _response(request: web.BaseRequest, body: bytes, headers: Mapping[str, str]) -> web.Response:
    response = web.Response(body=body, headers=_HEADERS)
    if request.keep_alive:
        # HTTP/1.1 need not say so; but said, the peer knows at once that it may come again.
        response.headers["Connection"] = "keep-alive"
    if headers:
        response.headers.update(headers)
    return response


def _too_large(limit: int, size: int) -> web.HTTPException:
    return web.HTTPRequestEntityTooLarge(limit, size, text=f"at most {limit} bytes are taken\n")
