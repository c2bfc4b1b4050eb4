"""The constants of astropy.samp. No I/O."""

from __future__ import annotations

import base64

__all__ = ["SAFE_MTYPES", "SAMP_ICON", "SAMP_STATUS_ERROR", "SAMP_STATUS_OK", "SAMP_STATUS_WARNING"]

SAMP_STATUS_OK = "samp.ok"
SAMP_STATUS_WARNING = "samp.warning"
SAMP_STATUS_ERROR = "samp.error"

SAFE_MTYPES = [
    "samp.app.*",
    "samp.msg.progress",
    "table.*",
    "image.*",
    "coord.*",
    "spectrum.*",
    "bibcode.*",
    "voresource.*",
]

SAMP_ICON = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9hAAAATUlEQVR42mNgoBa4FiX3H4Yp0ozPEJzy2AzQsKmAY4KW4JJE"
    "NoSgK0lxPsGwgjmb7IDGZgByeBAF0BWTpBldA8m20zVxDWIDKA4DYgEAhH2sye3sesMAAAAASUVORK5CYII="
)
"""A PNG image of 16 by 16 pixels, of this package, not of astropy."""
