"""XML-RPC over HTTP, in both directions."""

from __future__ import annotations

from .door import Door
from .endpoint import PATHS, answer, check_request, fault_response, read_body, respond, result_response
from .errors import PeerClosedError, PeerError, PeerRefusedError, PeerTimeoutError
from .peer import check_url
from .sender import Sender
from .server import Handler, RpcServer
from .weight import MAX_BODY, dump_call, encode_value, is_large

__all__ = [
    "MAX_BODY",
    "PATHS",
    "Door",
    "Handler",
    "PeerClosedError",
    "PeerError",
    "PeerRefusedError",
    "PeerTimeoutError",
    "RpcServer",
    "Sender",
    "answer",
    "check_request",
    "check_url",
    "dump_call",
    "encode_value",
    "fault_response",
    "is_large",
    "read_body",
    "respond",
    "result_response",
]
