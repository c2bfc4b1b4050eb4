"""The HTTP client for XML-RPC: what the hub delivers with, and what a client asks the hub with.

Not aiohttp's, for two reasons. DS9 says HTTP/1.1 with bare line feeds and closes after each answer
without a word: aiohttp's client then loses every second request. And this is the hub's hot path:
against one local asyncio server it posts 2.2 times as many requests a second as `aiohttp.ClientSession`,
3.4 times with ten at once (4.8 and 4.4 times under uvloop), server included, on Python 3.11.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from collections.abc import Callable, Sequence

from .._util.socket_table import SocketTable
from ..errors import FaultError, RemoteProtocolError
from ..values import Value
from ..xmlrpc import Encoded, Fault
from . import descriptors
from .connection import ConnectionEnded, PeerConnection
from .descriptors import Supply
from .errors import (
    ForeignPeerError,
    PeerBusyError,
    PeerClosedError,
    PeerError,
    PeerRefusedError,
    PeerTimeoutError,
    origin,
)
from .name_lookup import NameLookup
from .offload import MAX_BODY, dump_call, load_response
from .pool import TRIAL, PeerPool
from .response_parser import NoRoomError, ResponseParser

__all__ = ["RpcClient"]

_LACK_PATIENCE = 10.0
"""Seconds for which a request waits for a file descriptor when the process, or its peer, has none left."""

_LACK_PAUSE = 0.05
"""Seconds until it looks for one again."""

_FULL = 0.75
"""The part of the connections above which each peer has one only, so that some that hang leave room."""

_RETRY_WINDOW = 5.0
"""Seconds in which the end of a connection can have crossed with a request."""

_TRIES = 3
"""How often a request is sent that the system says was not read: on a kept connection, which the peer closed
as idle, and on new ones, which a peer with too many connections may close before it has heard anything."""

_NO_ROOM_PAUSE = 0.25
"""Seconds until a peer that has no room is asked again."""

_MAX_PEERS = 4096
"""URLs remembered; about 1 kB each."""

_NO_FILE = frozenset({errno.EMFILE, errno.ENFILE})

_OUR_OWN_LACK = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})

_NO_WAY_THERE = frozenset({errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH})
"""The network is at fault, perhaps for a moment; whether the peer lives is not known."""

_ERRNO = re.compile(r"\[Errno (\d+)\]")


class RpcClient:
    """Posts XML-RPC requests. One object serves any number of peers and concurrent requests.

    Every method may be cancelled; a request under way is given up with its connection.

    It is made for any HTTP that SAMP's programs speak (see `response_parser`), without proxies, redirects or
    encodings.

    Args:
        max_body: Bytes of one answer.
        max_open: How many connections may be open, by default what the process has files for. Beyond it the
            one unused longest is closed, or a request waits for one that is at work.
        trial: Seconds for which a connection is kept to a peer that does not say whether it keeps it.
        trusts: Whether a user of this machine, by the uid, may get what is posted to a URL. It is asked for
            each new connection within this machine before anything is sent, where the system tells whose
            socket it is (Linux). None: whoever listens there gets it.
    """

    def __init__(
        self,
        *,
        max_body: int = MAX_BODY,
        max_open: int | None = None,
        trial: float = TRIAL,
        trusts: Callable[[str, int], bool] | None = None,
    ) -> None:
        self._max_body = max_body
        self._max_open = descriptors.share() if max_open is None else max_open
        self._trial = trial
        self._trusts = trusts
        self._pools: dict[str, PeerPool] = {}
        self._open: dict[PeerConnection, PeerPool] = {}  # those used last come last
        self._passing: set[PeerConnection] = set()  # of the reserve
        self._places = 0  # of those that are open, or about to be
        self._at_work = 0
        self._waiting: dict[
            asyncio.Future[PeerConnection | None], PeerPool
        ] = {}  # for a place, or one that is idle
        self._names = NameLookup()
        self._sockets = SocketTable()
        self._emptied: asyncio.Event = asyncio.Event()
        self._closed = False

    async def call(
        self, url: str, method: str, params: Sequence[Value | Encoded], *, timeout: float
    ) -> Value:
        """Call a method. Cancelling is safe; the method may have been called.

        Args:
            url: Where to call it.
            method: Its name.
            params: Its parameters.
            timeout: Seconds for the whole.

        Returns:
            Its result.

        Raises:
            FaultError: The answer is a fault.
            SampError: All that `post` raises, too.
        """
        body = await dump_call(method, params)
        answer = await load_response(await self.post(url, body, timeout=timeout))
        if isinstance(answer, Fault):
            raise FaultError(answer.text, code=answer.code)
        return answer

    async def post(self, url: str, body: bytes | Sequence[bytes], *, timeout: float) -> bytes:
        """Post a body. If it is cancelled, the connection is given up.

        If a connection ends within a few seconds of the request, before a byte of the answer, the
        request is sent once more on a new one, but only if the system says that the peer did not read it
        whole: the peer closed a kept connection as idle, or a new one, while the request was on its way.
        A peer that reads the request and closes without an answer gets it once; so does, on another
        machine, one whose closing crosses with the request.

        Args:
            url: Where to post.
            body: The body; several pieces go out as one, and large ones are neither joined nor copied.
            timeout: Seconds for the whole.

        Returns:
            The body of the answer.

        Raises:
            PeerRefusedError: Nobody listens there.
            PeerTimeoutError: No whole answer came in time.
            PeerClosedError: The connection ended before.
            PeerBusyError: The peer has no room.
            PeerError: There is no answer for another reason.
            RemoteProtocolError: The answer is not HTTP, or its status is not 200.
            LocalProtocolError: The URL is not one of http.
        """
        pool = self._pool(url)
        pieces = (body,) if isinstance(body, bytes) else body
        head = b"%b%d\r\n\r\n" % (pool.head, sum(map(len, pieces)))
        pool.busy += 1
        try:
            reader = await self._send(pool, (head, *pieces), timeout)
        except ConnectionEnded as ended:
            raise PeerClosedError(url, f"{ended} before the answer was complete", sent=ended.sent) from None
        except NoRoomError as error:
            raise PeerBusyError(url, str(error), sent=False) from None
        except RemoteProtocolError as error:
            raise RemoteProtocolError(f"{origin(url)}: {error}") from None
        finally:
            pool.busy -= 1
        return reader.body

    async def probe(self, url: str, timeout: float) -> bool:
        """Return False if it is certain that nobody listens at `url`, True otherwise.

        With a kept connection open the answer is True at once, else a connection is opened and closed. A peer
        that does not accept it in time may have a full backlog: that is True. Cancelling is safe.

        Args:
            url: Where somebody should listen.
            timeout: Seconds for the connection to be accepted.
        """
        pool = self._pool(url)
        if pool.reachable:
            return True
        try:
            connection = await self._connect(pool, timeout, sent=False)
        except PeerRefusedError:
            return False
        except PeerError:
            return True
        connection.close()
        return True

    async def is_there(self, url: str, timeout: float, interval: float) -> bool:
        """Return False if it is certain that nobody listens at `url` who may get a request, else True.

        A kept connection tells it, or the system's table of listening sockets, or an answer that came
        less than `interval` seconds ago. A connection is opened only where none of them does, or to
        make sure that nobody listens: a program that is at work may take it for a broken request.
        Cancelling is safe.

        Args:
            url: Where the peer should listen.
            timeout: Seconds to wait for a connection to be accepted; see `probe`.
            interval: Seconds between two such connections.
        """
        pool = self._pool(url)
        if pool.reachable:
            return True
        nobody = False
        if pool.address is not None:
            try:
                user = self._sockets.listening_user(*pool.address)
            except OSError:
                pass
            else:
                if user is not None:
                    return self._may_have(url, user)
                nobody = True
        now = asyncio.get_running_loop().time()
        if not (nobody and pool.told) and pool.seen and now < pool.seen + interval:
            return True
        there = await self.probe(url, timeout)
        if there:
            pool.seen, pool.told = now, not nobody
        return there

    def has_unread(self, url: str) -> bool:
        """Return whether a request to `url` is under way that its peer has not read whole.

        False where the system does not tell: on other systems than Linux, and of what has left the machine.

        Args:
            url: Where requests are posted.
        """
        pool = self._pools.get(url)
        if pool is None or self._closed:
            return False
        return pool.busy > len(pool.at_work) or any(map(self._is_unread, pool.at_work))

    def _is_unread(self, connection: PeerConnection) -> bool:
        ends = connection.ends
        if ends is None:
            return False
        if not connection.drained:
            return True
        try:
            return ends.within_machine and self._sockets.is_unread(ends)
        except OSError:
            return False

    def listening_user(self, host: str, port: int) -> int | None:
        """Return the uid of who listens at an address of this machine; None if nobody does.

        Args:
            host: An address of this machine, as a number.
            port: The TCP port.

        Raises:
            OSError: The system does not tell, or the sender is closed.
        """
        if self._closed:
            raise OSError("the sender is closed")
        return self._sockets.listening_user(host, port)

    def _may_have(self, url: str, user: int) -> bool:
        return self._trusts is None or self._trusts(url, user)

    async def gone(self, url: str) -> None:
        """Return once no kept connection to `url` is open any more.

        A server that is killed closes them, so this is how to notice it without asking again and again.
        There are other reasons for the end of a connection (an idle time over, a request cancelled
        here): ask the peer, and if it answers, call this again.

        Cancelling is safe.

        Args:
            url: Where requests were posted.

        Raises:
            PeerError: No connection to `url` is kept now: the peer does not keep any, or has not been asked
                yet. Also when the sender is closed meanwhile.
        """
        pool = self._pool(url)
        if not pool.reachable:
            raise PeerError(url, "no connection to it is kept open", sent=False)
        watcher = asyncio.get_running_loop().create_future()
        pool.watchers.append(watcher)
        try:
            await watcher
        finally:
            pool.watchers.remove(watcher)
        if self._closed:
            raise PeerError(url, "the sender is closed", sent=False)

    async def close(self) -> None:
        """Close every connection; requests under way end with `PeerClosedError`. May be called again.

        If it is cancelled, the connections end all the same.
        """
        self._closed = True
        self._names.close()
        self._sockets.close()
        for connection in list(self._open):
            connection.abort()
        if self._open:
            await self._emptied.wait()

    def _pool(self, url: str) -> PeerPool:
        if self._closed:
            raise PeerError(url, "the sender is closed", sent=False)
        pool = self._pools.get(url)
        if pool is None:
            if len(self._pools) >= _MAX_PEERS:
                self._pools = {known: pool for known, pool in self._pools.items() if pool.in_use}
            pool = self._pools[url] = PeerPool(url, self._trial)
        return pool

    async def _send(self, pool: PeerPool, request: Sequence[bytes], timeout: float) -> ResponseParser:
        now = asyncio.get_running_loop().time
        deadline = now() + timeout
        connection = pool.take()
        sent = False
        tries = 0
        while True:
            tries += 1
            kept = connection is not None
            if connection is None:
                connection = await self._connect(pool, deadline - now(), sent)
            try:
                self._at_work += 1
                pool.at_work.add(connection)
                try:
                    reader = await connection.exchange(request, self._max_body, deadline - now())
                finally:
                    self._at_work -= 1
                    pool.at_work.discard(connection)
            except TimeoutError:
                raise PeerTimeoutError(pool.url, "it did not answer in time", sent=True) from None
            except NoRoomError:
                if now() + _NO_ROOM_PAUSE > min(deadline, deadline - timeout + _LACK_PATIENCE):
                    raise
                connection = None
                await asyncio.sleep(_NO_ROOM_PAUSE)
            except ConnectionEnded as ended:
                unread = ended.closed_before or (kept and ended.refused)
                late = now() > deadline - timeout + _RETRY_WINDOW
                if tries >= _TRIES or late or ended.started or not unread or self._closed:
                    raise
                sent, connection = sent or ended.sent, None
            else:
                pool.seen = now()
                self._put_back(pool, connection, reader.keep)
                return reader

    def _put_back(self, pool: PeerPool, connection: PeerConnection, keep: bool | None) -> None:
        """Take a connection whose answer has come; `keep` is what the peer said of it."""
        if connection in self._open:  # it goes to the end
            self._open[connection] = self._open.pop(connection)
        pool.give_back(connection, False if connection in self._passing else keep)
        if self._waiting:
            self._let_in()

    async def _connect(self, pool: PeerPool, timeout: float, sent: bool) -> PeerConnection:
        """Open a connection; `sent` goes into the errors."""
        try:
            async with asyncio.timeout(timeout):
                connection = await self._take_turn(pool)
                if connection is not None:
                    return connection
                connection = await self._create(pool)
        except (OSError, UnicodeError) as error:
            raise _connect_error(pool.url, error, sent) from None
        if self._closed:
            connection.abort()
            raise PeerError(pool.url, "the sender is closed", sent=sent)
        self._check_listener(pool, connection, sent)
        return connection

    def _check_listener(self, pool: PeerPool, connection: PeerConnection, sent: bool) -> None:
        """Note where the connection went. Raises `ForeignPeerError` if who has it must not get a request."""
        ends = connection.ends
        if ends is None or not ends.within_machine:
            pool.address = None
            return
        pool.address = ends.peer
        if self._trusts is None:
            return
        user = self._sockets.user_who_took(ends)
        if user is not None and not self._trusts(pool.url, user):
            connection.abort()
            raise ForeignPeerError(pool.url, user, sent=sent)

    async def _create(self, pool: PeerPool) -> PeerConnection:
        """Open a connection, for which a place was taken."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LACK_PATIENCE
        connection: PeerConnection | None = None
        try:
            while connection is None:
                try:
                    connection = await self._open_one(pool)
                except OSError as error:
                    if error.errno not in _NO_FILE or loop.time() > deadline:
                        raise
                    # A message must not be lost for it: what is idle goes, what is at work will be idle.
                    descriptors.free_one()
                    await asyncio.sleep(_LACK_PAUSE)
        finally:
            if connection is not None and connection.usable:
                self._open[connection] = pool
                self._note_supply(connection)
            else:
                self._leave(pool)
        return connection

    async def _open_one(self, pool: PeerPool) -> PeerConnection:
        loop = asyncio.get_running_loop()
        addresses = await self._names.addresses(pool.host)
        for number, address in enumerate(addresses, 1):
            try:
                _, connection = await loop.create_connection(
                    lambda: PeerConnection(loop, self._lost), address, pool.port
                )
                return connection
            except OSError as error:
                if number == len(addresses) or error.errno in _NO_FILE:
                    raise
        raise AssertionError("a name that was found has an address")

    # ---- how many may be open

    async def _take_turn(self, pool: PeerPool) -> PeerConnection | None:
        """Take a place for one more connection to `pool`, or one that has become idle meanwhile.

        Raises OSError if there is neither for long.
        """
        descriptors.hold(self)
        if not self._waiting and self._has_room(pool):
            self._enter(pool)
            return None
        turn: asyncio.Future[PeerConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = pool
        self._let_in()
        try:
            await asyncio.wait((turn,), timeout=_LACK_PATIENCE)
        except asyncio.CancelledError:
            if turn.done():
                self._give_back(pool, turn.result())
            raise
        finally:
            del self._waiting[turn]
        if not turn.done():
            raise OSError(errno.EMFILE, f"all {self._max_open} connections that it may have are at work")
        return turn.result()

    def _give_back(self, pool: PeerPool, taken: PeerConnection | None) -> None:
        if taken is None:
            self._leave(pool)
        else:
            pool.give_back(taken, keep=True)

    def _has_room(self, pool: PeerPool) -> bool:
        if self._places >= self._max_open:
            return False
        return not pool.places or self._at_work < self._max_open * _FULL or len(self._pools) == 1

    def _enter(self, pool: PeerPool) -> None:
        self._places += 1
        pool.places += 1

    def _leave(self, pool: PeerPool) -> None:
        self._places -= 1
        pool.places -= 1
        self._let_in()

    def _let_in(self) -> None:
        """Give places and connections to those who wait, in their order, and close idle ones for the rest."""
        without = 0
        for turn, pool in self._waiting.items():
            if turn.done():
                continue
            connection = pool.take()
            if connection is not None:
                turn.set_result(connection)
            elif self._has_room(pool) or self._all_watched():
                self._enter(pool)
                turn.set_result(None)
            elif self._places >= self._max_open:
                without += 1
        if without:
            closing = sum(not connection.usable for connection in self._open)
            for _ in range(without - closing):
                if not self.close_one():
                    return

    def _all_watched(self) -> bool:
        """Whether nobody will make room: each connection is idle, and kept open for its watchers."""
        if self._at_work or self._places > len(self._open):
            return False
        return all(connection.usable and pool.watchers for connection, pool in self._open.items())

    def close_one(self) -> bool:
        """Close the idle connection that was unused for longest.

        Returns:
            Whether there was one.
        """
        for connection, pool in self._open.items():
            if pool.is_idle(connection) and not pool.watchers:
                connection.close()
                return True
        return False

    def _note_supply(self, connection: PeerConnection) -> None:
        supply = descriptors.supply(connection.number)
        if supply > Supply.PLENTY:
            self._passing.add(connection)
        if supply is Supply.SPENT:
            descriptors.free_one()

    def _lost(self, connection: PeerConnection) -> None:
        self._passing.discard(connection)
        pool = self._open.pop(connection, None)
        if pool is not None:
            pool.lost(connection)
            self._leave(pool)
        if self._closed and not self._open:
            self._emptied.set()


def _connect_error(url: str, error: OSError | UnicodeError, sent: bool) -> PeerError:
    if isinstance(error, TimeoutError):
        return PeerTimeoutError(url, "no connection could be made in time", sent=sent)
    numbers = _errnos(error)
    if numbers and numbers <= _OUR_OWN_LACK:
        return PeerError(url, f"this process cannot open another connection: {error}", sent=sent)
    if isinstance(error, socket.gaierror | UnicodeError) or (numbers and numbers <= _NO_WAY_THERE):
        return PeerError(url, f"there is no way to it: {error}", sent=sent)
    return PeerRefusedError(url, f"no connection could be made: {error}", sent=sent)


def _errnos(error: OSError | UnicodeError) -> set[int]:
    if not isinstance(error, OSError):
        return set()
    # The errors of several addresses come from asyncio as one, which has them in its text only.
    return {error.errno} if error.errno else {int(number) for number in _ERRNO.findall(str(error))}
