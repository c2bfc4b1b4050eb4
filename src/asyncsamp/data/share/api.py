"""`Client.share`."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import DataError
from ...interfaces import DataCarrier
from ...reading.share_server import ShareServer
from .content import BytesContent, CallContent, FileContent, Source, as_content
from .files import LocalFiles

__all__ = ["share"]


async def share(
    shares: ShareServer,
    files: LocalFiles,
    source: Source,
    *,
    name: str,
    content_type: str | None,
    lifetime: float | None,
    local: bool,
    carrier: DataCarrier | None,
) -> str:
    """See `Client.share`."""
    if isinstance(source, str | os.PathLike):
        name = name or Path(source).name
    content = as_content(source)
    if isinstance(content, FileContent):
        await content.check()
    name = (name or "data").replace("/", "-")
    if carrier is not None:
        return await carrier.share(content, name)
    if not local:
        return await shares.share(content, name=name, content_type=content_type, lifetime=lifetime)
    if isinstance(content, FileContent):
        return content.url()
    if isinstance(content, CallContent):
        content = await content.now()
    if not isinstance(content, BytesContent):
        raise DataError("only bytes and files can be shared as file:// URLs")
    url = await files.put(content.data, name)
    if lifetime is not None:
        files.expire(url, lifetime)
    return url
