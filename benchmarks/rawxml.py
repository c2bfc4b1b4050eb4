"""XML-RPC as text, written and read without the package under test: neither its codec nor its bugs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["TOKEN", "Raw", "array", "call", "message", "string", "strings", "struct", "token"]

Raw: TypeAlias = "str | list[Raw] | dict[str, Raw]"

TOKEN = re.compile(rb"#(\d{4})-(\d{4})-(\d{8})#")
"""RpcClient, recipient and number of a message, somewhere in its parameters."""

_STRING = re.compile(rb"<value>\s*(?:<string>)?([^<]*)")


def token(sender: int, recipient: int, number: int) -> str:
    """Return the mark by which a message is known again; always of the same length."""
    return f"#{sender:04d}-{recipient:04d}-{number:08d}#"


def string(text: str) -> str:
    """Return a string value."""
    return f"<value><string>{text}</string></value>"


def struct(items: Mapping[str, str]) -> str:
    """Return a map of values that are XML already."""
    members = "".join(f"<member><name>{name}</name>{value}</member>" for name, value in items.items())
    return f"<value><struct>{members}</struct></value>"


def array(items: Sequence[str]) -> str:
    """Return a list of values that are XML already."""
    return f"<value><array><data>{''.join(items)}</data></array></value>"


def message(mtype: str, params: Mapping[str, str]) -> str:
    """Return a message map; the values of `params` are XML already."""
    return struct({"samp.mtype": string(mtype), "samp.params": struct(params)})


def call(method: str, *params: str) -> bytes:
    """Return the document that calls `method`."""
    inside = "".join(f"<param>{param}</param>" for param in params)
    return (
        f'<?xml version="1.0"?>\n<methodCall><methodName>{method}</methodName>'
        f"<params>{inside}</params></methodCall>\n"
    ).encode("ascii")


def strings(body: bytes, count: int) -> list[str]:
    """Return the first `count` string parameters of a call, however it is laid out."""
    return [found[1].decode("ascii") for found, _ in zip(_STRING.finditer(body), range(count), strict=False)]
