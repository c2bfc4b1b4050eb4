"""`Client.share`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from .contents import BytesContent, CallContent, FileContent, Source, as_content
from .localfiles import file_url

if TYPE_CHECKING:
    from .desk import Desk

__all__ = ["share"]


async def share(
    desk: Desk,
    source: Source,
    *,
    name: str,
    content_type: str | None,
    lifetime: float | None,
    local: bool,
) -> str:
    """See `DataMethods.share`."""
    if isinstance(source, str | os.PathLike):
        name = name or Path(source).name
    content = as_content(source)
    if isinstance(content, FileContent):
        await content.size()
    name = (name or "data").replace("/", "-")
    if not local:
        return await desk.shares.share(content, name=name, content_type=content_type, lifetime=lifetime)
    if isinstance(content, FileContent):
        return file_url(content.path)
    if isinstance(content, CallContent):
        content = await content.now()
    if not isinstance(content, BytesContent):
        raise DataError("only bytes and files can be shared as file:// URLs")
    url = await desk.files.put(content.data, name)
    if lifetime is not None:
        desk.files.expire(url, lifetime)
    return url
