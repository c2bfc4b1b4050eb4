"""The errors of astropy.samp. No I/O."""

from __future__ import annotations

import xmlrpc.client

__all__ = ["SAMPClientError", "SAMPHubError", "SAMPProxyError", "SAMPProxyTimeoutError", "SAMPWarning"]


class SAMPWarning(UserWarning):
    """A warning about SAMP."""


class SAMPHubError(Exception):
    """There is no hub, or it cannot be used or started."""


class SAMPClientError(Exception):
    """The client cannot do what was asked of it in its present state."""


class SAMPProxyError(xmlrpc.client.Fault):
    """The hub refused an operation.

    Args:
        faultCode: The code.
        faultString: The text.
        extra: Not used.
    """


class SAMPProxyTimeoutError(SAMPProxyError):
    """A call was not answered in its time."""
