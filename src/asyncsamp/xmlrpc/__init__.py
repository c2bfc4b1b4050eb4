"""XML-RPC documents to SAMP values and back. No I/O.

`codec` reads and writes every form that peers send; `fast_parser` reads the plain calls that most of
them are, several times as fast, and leaves everything else to the codec; `raw_passing` lets messages
through undecoded.
"""

from .codec import (
    MAX_PARAMS,
    MAX_TOKEN,
    Encoded,
    Fault,
    dump_call,
    dump_fault,
    dump_response,
    encode_value,
    frame_call,
    load_call,
    load_response,
    load_value,
)
from .raw_passing import read_message, read_relayed

__all__ = [
    "MAX_PARAMS",
    "MAX_TOKEN",
    "Encoded",
    "Fault",
    "dump_call",
    "dump_fault",
    "dump_response",
    "encode_value",
    "frame_call",
    "load_call",
    "load_response",
    "load_value",
    "read_message",
    "read_relayed",
]
