"""Uploads: data that a page has made, at a URL which the programs of this machine can read.

It is our extension of the Web Profile. A page cannot serve anything, so it posts its data to the hub,
which keeps it in an unnamed temporary file for as long as the page is registered.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from aiohttp import web

from ...._util.threads import to_its_end
from ....errors import DataError
from ....limits import Limits
from ....reading.files import FileReader
from ....reading.serving import SANDBOXED
from ....reading.share_server import ShareServer
from ....rpc.descriptors import allowed
from .web_client import Page

__all__ = ["Uploads"]

log = logging.getLogger("asyncsamp.hub")

PATIENCE = 60.0
"""Seconds that a page may send nothing, within a part or between two; then an upload is broken off."""

_PIECE = 1024 * 1024
_MAX_NAME = 200

_SHARE = 4
"""What part of the process's file descriptors uploads may take, each one; most are for connections."""

_NO_ROOM = {
    errno.ENOSPC: "there is no space left for the upload\n",
    errno.EDQUOT: "there is no space left for the upload\n",
    errno.EFBIG: "there is no space left for the upload\n",
    errno.EMFILE: "the hub can open no more files for uploads\n",
    errno.ENFILE: "the hub can open no more files for uploads\n",
}


class Uploads:
    """What web clients have uploaded, each upload at a URL that cannot be guessed.

    Args:
        limits: `web_uploads` and `web_upload_bytes` bound what one page may have here, `web_uploads_all` and
            `web_upload_bytes_all` all of them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._server = ShareServer(headers=SANDBOXED)  # pages make them, and the URL is of this machine
        self._kept: dict[str, list[tuple[str, _Upload]]] = {}  # public id -> URLs with their files
        self._unfinished: dict[tuple[str, str], _Upload] = {}  # (public id, part)
        self._used: dict[str, _Used] = {}  # with what is under way
        self._closed = False

    async def take(self, page: Page, name: str, request: web.BaseRequest) -> dict[str, str]:
        """Keep the body of a request: a whole upload, or a part of one. Cancelling is safe.

        A browser cannot stream a request, so that a page posts what is large in parts: the first one with
        "?part=new", which is answered with the name of the upload, and the others with "?part=NAME";
        "&last=1" ends it.

        Args:
            page: Whose it is.
            name: The name of the data, with which its URL ends.
            request: The request; its body is read piece by piece.

        Returns:
            {"url": ...}, which ends with the page's registration; {"part": ...} while there is more to come.

        Raises:
            aiohttp.web.HTTPException: 400, 403, 404, 408, 413, 429 or 507, with a reason.
        """
        name = name.replace("/", "-").strip()
        if not name or len(name) > _MAX_NAME or not name.isprintable():
            text = f"an upload needs a name of 1 to {_MAX_NAME} characters: POST to .../upload/TOKEN/NAME\n"
            raise web.HTTPBadRequest(text=text)
        asked = request.query.get("part", "")
        part, upload = self._begun(page.client, asked, name)
        try:
            self._reserve(page.client, request.content_length or 0, keep=False)
            async for piece in _pieces(request):
                self._refuse_closed(page)
                self._reserve(page.client, len(piece))
                upload.size += len(piece)
                await upload.write(piece)
            self._refuse_closed(page)
            if asked and request.query.get("last") != "1":
                self._unfinished[page.client, part] = upload
                upload.expires(asyncio.get_running_loop().call_later(PATIENCE, self._drop, page.client, part))
                return {"part": part}
            url = await self._share(page, upload, name)
        except BaseException:
            self._end(page.client, upload)
            raise
        self._kept.setdefault(page.client, []).append((url, upload))
        return {"url": url}

    def _begun(self, client: str, part: str, name: str) -> tuple[str, _Upload]:
        """Return the upload that a request goes on with, or a new one. It is the request's alone."""
        if part in ("", "new"):
            self._count(client)
            return secrets.token_urlsafe(8), _Upload(name)
        upload = self._unfinished.pop((client, part), None)
        if upload is None:
            raise web.HTTPNotFound(text="there is no such upload to go on with (any more)\n")
        upload.expires(None)
        return part, upload

    def _drop(self, client: str, part: str) -> None:
        """End an upload that does not go on."""
        self._end(client, self._unfinished.pop((client, part)))

    def _refuse_closed(self, page: Page) -> None:
        if page.closed or self._closed:
            raise web.HTTPForbidden(text="the page was unregistered while it uploaded\n")

    async def _share(self, page: Page, upload: _Upload, name: str) -> str:
        url = await self._server.share(upload, name=name, content_type=None, lifetime=None)
        try:
            self._refuse_closed(page)  # the first one has waited for a port
        except web.HTTPForbidden:
            self._server.unshare(url)
            raise
        return url

    def forget(self, client: str) -> None:
        """End everything that `client` has uploaded. Who reads already may read on."""
        for url, upload in self._kept.pop(client, ()):
            self._server.unshare(url)
            self._end(client, upload)
        for key in [key for key in self._unfinished if key[0] == client]:
            self._end(client, self._unfinished.pop(key))

    async def close(self) -> None:
        """End all uploads, and close the port."""
        self._closed = True
        for client in {*self._kept, *(owner for owner, _ in self._unfinished)}:
            self.forget(client)
        await self._server.close()

    def _count(self, client: str) -> None:
        """Count one more upload of `client`."""
        mine, most = self._used.get(client, _Used()), self._limits.web_uploads
        descriptors = allowed()
        most_of_all = self._limits.web_uploads_all
        if descriptors is not None:
            most_of_all = min(most_of_all, max(1, descriptors // _SHARE))
        if mine.uploads >= most:
            text = f"the hub keeps {most:,} uploads for one page, until that is unregistered\n"
            raise web.HTTPTooManyRequests(text=text)
        if sum(used.uploads for used in self._used.values()) >= most_of_all:
            text = (
                f"the hub keeps {most_of_all:,} uploads for all pages together, until one is unregistered\n"
            )
            raise web.HTTPTooManyRequests(text=text)
        self._used.setdefault(client, mine).uploads += 1

    def _reserve(self, client: str, size: int, *, keep: bool = True) -> None:
        """Count `size` more bytes for `client`; only see whether there is room if not `keep`."""
        mine, all_of_them = self._used[client], sum(used.size for used in self._used.values())
        for used, most, whose in (
            (mine.size + size, self._limits.web_upload_bytes, "one page"),
            (all_of_them + size, self._limits.web_upload_bytes_all, "all pages together"),
        ):
            if used > most:
                text = f"the upload is too large: the hub keeps {most:,} bytes for {whose}\n"
                raise web.HTTPRequestEntityTooLarge(max_size=most, actual_size=used, text=text)
        if keep:
            mine.size += size

    def _end(self, client: str, upload: _Upload) -> None:
        """Close an upload, and count it no more. One that is under way is counted until its request ends."""
        used = self._used[client]
        used.uploads -= 1
        used.size -= upload.size
        if not used.uploads:
            del self._used[client]
        upload.close()


@dataclass(slots=True)
class _Used:
    """What uploads of one page take."""

    uploads: int = 0
    size: int = 0


class _Upload:
    """One upload: a temporary file without a name, which ends with its last descriptor."""

    def __init__(self, name: str) -> None:
        self.size = 0
        self._name = name
        self._file: BinaryIO | None = None
        self._timer: asyncio.TimerHandle | None = None

    def expires(self, timer: asyncio.TimerHandle | None) -> None:
        """Take the timer that ends it unless it goes on; None if it does."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    async def write(self, piece: bytes) -> None:
        try:
            await to_its_end(partial(self._write, piece))
        except OSError as error:
            reason = _NO_ROOM.get(error.errno or 0)
            if reason is None:
                raise
            log.warning("an upload of a web page to %s failed: %s", tempfile.gettempdir(), error.strerror)
            raise web.HTTPInsufficientStorage(text=reason) from None

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="asyncsamp-", buffering=0)  # noqa: SIM115 - it stays open
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]

    async def open(self) -> FileReader:
        """Return a reader with a descriptor of its own, which no end of the upload takes from it."""
        try:
            return await to_its_end(self._open, FileReader.close_now)
        except (OSError, ValueError):
            raise DataError("the upload has ended") from None

    def _open(self) -> FileReader:
        if self._file is None:
            self._write(b"")  # an empty one
        assert self._file is not None
        descriptor = os.dup(self._file.fileno())
        return FileReader(self._name, descriptor, os.fstat(descriptor))

    def close(self) -> None:
        self.expires(None)
        if self._file is not None:
            self._file.close()


async def _pieces(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Yield the body in pieces, each within `PATIENCE` seconds."""
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                piece = await request.content.read(_PIECE)
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"nothing came for {PATIENCE:g} s\n") from None
        if not piece:
            return
        yield piece
