"""XML-RPC over HTTP, in both directions."""

from __future__ import annotations

from .client import RpcClient
from .endpoint import (
    answer,
    check_request,
    fault_response,
    read_body,
    respond,
    result_response,
)
from .errors import (
    ForeignPeerError,
    PeerBusyError,
    PeerClosedError,
    PeerError,
    PeerRefusedError,
    PeerTimeoutError,
)
from .front import Caller, PlainRequests
from .offload import LARGE, MAX_BODY, dump_call, encode_value, is_large
from .origin_guard import OriginGuard
from .pool import check_url
from .request_head import PATHS, RequestHead
from .server import Handler, RpcServer
from .xmlrpc_server import XmlRpcServer

__all__ = [
    "LARGE",
    "MAX_BODY",
    "PATHS",
    "Caller",
    "ForeignPeerError",
    "Handler",
    "OriginGuard",
    "PeerBusyError",
    "PeerClosedError",
    "PeerError",
    "PeerRefusedError",
    "PeerTimeoutError",
    "PlainRequests",
    "RequestHead",
    "RpcClient",
    "RpcServer",
    "XmlRpcServer",
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
