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
    """Return a URL for something that is shared; see `Client.share`. If it is cancelled, nothing is shared.

    Args:
        shares: The server of the client.
        files: Its local files.
        source: As `Client.share` has it.
        name: As `Client.share` has it.
        content_type: As `Client.share` has it.
        lifetime: As `Client.share` has it.
        local: As `Client.share` has it.
        carrier: What brings data to the tools, where they are elsewhere.

    Raises:
        DataError: There is no such file, or it cannot be shared.
    """
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
