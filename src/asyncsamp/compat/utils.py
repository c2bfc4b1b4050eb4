"""What replies for a function, and XML-RPC that takes no XML entities."""

from __future__ import annotations

import traceback
import xmlrpc.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from defusedxml.xmlrpc import DefusedExpatParser

from .constants import SAMP_STATUS_ERROR

__all__ = ["SAMPMsgReplierWrapper", "SAMPXXEServerProxy", "safe_xmlrpc_loads"]

_CALL = 6
"""Arguments of a function that takes calls; the third is the message id, None for a notification."""


class SAMPMsgReplierWrapper:
    """Decorate a function that is bound to calls, so that what it returns, or raises, is sent as reply.

    As in astropy.samp, both go with the status samp.error, and nothing is sent for an empty result.

    Args:
        cli: The client that replies.
    """

    def __init__(self, cli: Any) -> None:
        self.cli = cli

    def __call__(self, f: Callable[..., Any]) -> Callable[..., None]:
        def wrapped(*args: Any) -> None:
            if len(args) < _CALL or args[2] is None:
                f(*args)
                return
            try:
                result = f(*args)
            except Exception:
                result = {"txt": traceback.format_exc()}
            if result:
                reply = {"samp.status": SAMP_STATUS_ERROR, "samp.result": result}
                self.cli.hub.reply(self.cli.get_private_key(), args[2], reply)

        return wrapped


def safe_xmlrpc_loads(
    data: str | bytes, use_datetime: bool = False, use_builtin_types: bool = False
) -> tuple[tuple[Any, ...], str | None]:
    """Return the parameters and the method name of an XML-RPC request, as `xmlrpc.client.loads` does.

    Args:
        data: The document.
        use_datetime: As of `xmlrpc.client.loads`.
        use_builtin_types: As of `xmlrpc.client.loads`.

    Raises:
        ValueError: It has a document type or entities; defusedxml says which.
        xmlrpc.client.Fault: It is the answer to a call that was refused.
    """
    parser, unmarshaller = _safe_parser(use_datetime, use_builtin_types)
    parser.feed(data)
    parser.close()
    params: tuple[Any, ...] = unmarshaller.close()
    return params, unmarshaller.getmethodname()


class SAMPXXEServerProxy(xmlrpc.client.ServerProxy):
    """`xmlrpc.client.ServerProxy`, which takes the same arguments, without XML entities in answers.

    Args:
        uri: The URL.
        args: As of `ServerProxy`.
        kwargs: As of `ServerProxy`.
    """

    def __init__(self, uri: str, *args: Any, **kwargs: Any) -> None:
        if not args and kwargs.get("transport") is None:
            dates = bool(kwargs.get("use_datetime"))
            builtin = bool(kwargs.get("use_builtin_types"))
            kinds: dict[str, Any] = {"http": xmlrpc.client.Transport, "https": xmlrpc.client.SafeTransport}
            kind = kinds.get(urlsplit(uri).scheme, xmlrpc.client.Transport)
            made = type("SafeParsing", (_SafeParsing, kind), {"parsers": (dates, builtin)})
            kwargs["transport"] = made(use_datetime=dates, use_builtin_types=builtin)
        super().__init__(uri, *args, **kwargs)


class _SafeParsing:
    """What makes a transport read without entities."""

    parsers = (False, False)

    def getparser(self) -> tuple[Any, xmlrpc.client.Unmarshaller]:
        return _safe_parser(*self.parsers)


def _safe_parser(use_datetime: bool, use_builtin_types: bool) -> tuple[Any, xmlrpc.client.Unmarshaller]:
    unmarshaller = xmlrpc.client.Unmarshaller(use_datetime, use_builtin_types)
    return DefusedExpatParser(unmarshaller, forbid_dtd=True), unmarshaller
