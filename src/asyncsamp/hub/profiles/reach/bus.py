"""What carries frames and pieces between hubs: a `Bus`, and the one over NATS, the only importer of nats."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from ...._util.foreign_text import plain_line
from ...._util.hosts import is_loopback_number
from ....errors import LocalProtocolError, MissingExtraError, SampError

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

__all__ = ["Bus", "BusError", "BusMessage", "BusServer", "Callback", "NatsBus", "pause_after"]

log = logging.getLogger("asyncsamp.reach")

_SCHEMES = ("nats", "tls", "ws", "wss")

_CONNECT_TIMEOUT = 3
"""Seconds for the server to greet us."""

_CHECK_INTERVAL = 4.0
"""Seconds between two questions to the server whether it is there. nats-py's own take minutes."""

_CHECK_TIMEOUT = 3
"""Seconds for its answer. Two in a row must be missing: after a standstill of ours the first one is late."""

_FIRST_PAUSE = 0.25
_LAST_PAUSE = 5.0
_PATIENCE_SHARE = 20
"""A server is tried again after a twentieth of the time it has been away: soon after a short cut, and
without a storm after a long one."""

_SETTLED = 1.0
"""Seconds for which a line must have held so that the next cut is a new one, and the first pause short."""

_CLOSE_TIMEOUT = 1.0
"""Seconds for what is still to be sent when a bus closes, and for the connection to end."""

_CANCEL_AGAIN = 0.1
"""Seconds after which a connection that did not end when it was cancelled is cancelled again."""

_QUEUE_BYTES = 64 * 1024 * 1024
"""Bytes that wait for the line at most. The windows of the peers and the credit of transfers bound them
before; what comes above is dropped, as by a cut, and sent again by who wants it to arrive."""

_CALLBACK_BYTES = 128 * 1024 * 1024
"""Bytes that wait for the callback of one subscription at most."""


class BusError(SampError):
    """The bus could not do what was asked, or has no server."""


class BusMessage(NamedTuple):
    """What came on a subject. `nobody_there`: the server says that nobody listens to what we published."""

    subject: str
    payload: bytes
    reply: str = ""
    nobody_there: bool = False


Callback = Callable[[BusMessage], None]
"""Called in the loop for each message, in the order of the subscription; must return soon."""


class Bus(Protocol):
    """Subjects to publish and to listen to. What is under way when the line is cut may be lost.

    After `start` it connects, and connects again, by itself; subscriptions hold over that.
    """

    @property
    def connected(self) -> bool:
        """Whether there is a server now."""
        ...

    @property
    def max_payload(self) -> int:
        """Bytes that one message may have, as the server says."""
        ...

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send soon, in the order of the calls. Dropped while there is no server: nothing is sent late.

        With `reply` the server answers there (`BusMessage.nobody_there`) if nobody listens to `subject`.
        """
        ...

    def subscribe(self, subject: str, callback: Callback) -> Callable[[], None]:
        """Let `callback` have what comes on `subject`, wildcards allowed; returns what ends it."""
        ...

    async def close(self) -> None:
        """Send what waits, for a bounded time, and end everything. May be called again."""
        ...


@dataclass(frozen=True, kw_only=True)
class BusServer:
    """A NATS server, and how to be let in.

    Attributes:
        url: nats://, tls://, ws:// or wss://, with host, port and, for the last two, a path.
        name: What the server's own lists call this connection.
        user: With `password`, for servers that know accounts by name.
        seed: An nkey, for servers that hold the public key only.
        ca: The certificate, as PEM, by which the server proves who it is; empty for the system's.
        headers: Sent when a WebSocket is opened.
        plain: Whether a server off this machine may do without TLS.
    """

    url: str
    name: str = "asyncsamp"
    user: str = ""
    password: str = field(default="", repr=False)
    seed: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    plain: bool = False

    @property
    def place(self) -> str:
        """The URL without what is secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def has_account(self) -> bool:
        """Whether we say who we are."""
        return bool(self.seed or self.user)

    @property
    def is_local(self) -> bool:
        """Whether it is reached on this machine: it is here, or at the other end of a tunnel."""
        host = urlsplit(self.url).hostname or ""
        return host == "localhost" or is_loopback_number(host)

    @property
    def needs_tls(self) -> bool:
        """Whether nothing may be said to it but by TLS."""
        return urlsplit(self.url).scheme in ("tls", "wss") or not (self.plain or self.is_local)

    def check(self) -> None:
        """Raises `LocalProtocolError` for a URL that cannot be used."""
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            raise LocalProtocolError(
                f"the server's URL {plain_line(self.url, 80)!r} has no valid port"
            ) from None
        if not good:
            raise LocalProtocolError(
                f"{plain_line(self.place, 80)!r} is not the URL of a NATS server; "
                "write nats://HOST:PORT, tls://HOST:PORT, ws://HOST:PORT/PATH or wss://HOST/PATH"
            )
        if parts.username or parts.password:
            raise LocalProtocolError(
                "a user or a password does not belong into the server's URL, where others can read it: "
                "put it into an invitation"
            )
        if parts.scheme == "ws" and self.needs_tls:
            raise LocalProtocolError(_no_tls(self))


class _NothingOfTls(logging.Filter):
    """Drops what asyncio warns of at each end of a TLS connection of nats-py, which forgets to tell asyncio's
    reader what carries it (nats-io/nats.py, issue 574). It means nothing, and users would ask."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "returning true from eof_received() has no effect when using ssl"


_NOTHING_OF_TLS = _NothingOfTls()


class _NothingUnreadable(logging.Filter):
    """Drops the traceback that nats-py logs of a message which it cannot read: the hub says so itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "nats: encountered error"


_NOTHING_UNREADABLE = _NothingUnreadable()

_UNREADABLE = (
    "something came that cannot be read; if it comes again and again, a program in the room sends it, and "
    "whoever runs the server may put out its member"
)


class _Context(ssl.SSLContext):
    """A TLS context that knows whether it was used: nats-py does without TLS if the server does."""

    used = False

    def __repr__(self) -> str:
        return "on"  # as aiohttp's errors have it: ssl:on

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        self.used = True
        return super().wrap_bio(*args, **kwargs)


class _Line:
    """One connection of nats-py, from its beginning to its end; it never connects again by itself."""

    def __init__(self, server: BusServer, nats: NatsClient, context: _Context) -> None:
        self.nats = nats
        self._server = server
        self._context = context
        self._ended = asyncio.Event()
        self.reason = ""
        self.over = False
        self._connecting = False
        self._asked = False
        self._subscriptions: list[Subscription] = []

    async def connect(self) -> None:
        """Raises what nats-py does, and `BusError`. Nothing is sent before it is certain that TLS is on."""
        server, log_in = self._server, self._log_in
        known: dict[str, Any] = {}
        if server.user:
            known = {"user": lambda: log_in(server.user), "password": lambda: log_in(server.password)}
        elif server.seed:
            known = {"nkeys_seed_str": server.seed, "token": lambda: log_in(None)}
        self._connecting = True
        await self.nats.connect(
            server.url,
            name=server.name,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=_CONNECT_TIMEOUT,
            ping_interval=3600,
            tls=self._context,
            error_cb=self._error,
            closed_cb=self._closed,
            ws_connection_headers={key: [value] for key, value in server.headers.items()} or None,
            **known,
        )
        self._connecting = False
        for task in _tasks_of([self.nats]):
            task.add_done_callback(self._task_over)
        self._log_in(None)

    def _log_in(self, secret: str | None) -> str | None:
        """Return what lets us in. nats-py asks for it before it says the first word."""
        if self._server.needs_tls and not self._context.used:
            raise BusError(_no_tls(self._server))
        return secret

    async def ended(self) -> str:
        """Wait until the line is cut, or the server does not answer; return why. Cancelling is safe."""
        missed = 0
        while missed < 2:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CHECK_INTERVAL if not missed else 0.01):
                    await self._ended.wait()
                    break
            try:
                await self.nats.flush(_CHECK_TIMEOUT)
                missed = 0
            except Exception:
                missed += 1
        return self.reason or "it does not answer any more"

    async def close(self) -> None:
        """End the connection. What the system has taken for a server that hangs ends when that does."""
        self.over = True
        try:
            await self.nats.close()
        finally:
            for reader in _tasks_of(self._subscriptions):
                reader.cancel()
            self._subscriptions.clear()

    async def subscribe(self, subject: str, take: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Subscribe. Raises what nats-py does."""
        subscription = await self.nats.subscribe(subject, cb=take, pending_bytes_limit=_CALLBACK_BYTES)
        self._subscriptions.append(subscription)
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription. Raises what nats-py does."""
        self._subscriptions.remove(subscription)
        await subscription.unsubscribe()

    async def _error(self, error: Exception) -> None:
        if self._connecting:
            raise error  # else nats-py tries a second time at once
        text = plain_line(str(error) or type(error).__name__)
        self.reason = text
        if "permissions violation" in text.lower():
            question = ""
            if _NOT_HERE.search(text):
                if self._asked:
                    return
                self._asked = True
                question = "; is the room of this hub the one of its invitation?"
            log.warning("the server of the room refuses something: %s%s", text, question)

    async def _closed(self) -> None:
        self.look()

    def _task_over(self, task: asyncio.Task[Any]) -> None:
        """End with the first of nats-py's tasks, and fetch its failure, which else asyncio tells of.

        It reads no further after a message that it cannot read, such as one with a subject that is not UTF-8,
        stays open, and takes each question whether the server is there for answered.
        """
        if not task.cancelled():
            task.exception()
        self.look()
        if not self.over and not self._ended.is_set():
            self.reason = self.reason or _UNREADABLE
            self._ended.set()

    def look(self) -> None:
        """See whether it has ended: nats-py does not say so where the server dies with something unsent."""
        if self.nats.is_closed:
            if self.nats.last_error is not None:
                self.reason = plain_line(str(self.nats.last_error)) or self.reason
            if "protocol error" in self.reason.lower():
                self.reason = _UNREADABLE
            self._ended.set()


def _tasks_of(owners: Sequence[object]) -> list[asyncio.Task[Any]]:
    """Return the tasks of nats-py's that are of those connections, or read those subscriptions.

    It forgets the latter where the server dies with something unsent. Tasks of our own over `next_msg` would
    need some turns of the loop for each message, and fall behind in a busy hub.
    """
    found = []
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine):
            owner = inspect.getcoroutinelocals(coroutine).get("self")
            if any(owner is each for each in owners):
                found.append(task)
    return found


class NatsBus:
    """A bus over a NATS server.

    Args:
        server: Where it is, and how to be let in.
        back: Called in the loop when there is a server, the first time too.
        lost: Called in the loop with the reason when it is lost, and once if there is none at first.
        renewed: Called in a thread before each further attempt; returns where the server is now, and how to
            be let in: it may have moved, or want another key.
    """

    def __init__(
        self,
        server: BusServer,
        *,
        back: Callable[[], None] = lambda: None,
        lost: Callable[[str], None] = lambda reason: None,
        renewed: Callable[[], BusServer] | None = None,
    ) -> None:
        server.check()
        self.server = server
        self._renewed = renewed or (lambda: server)
        self._back = back
        self._lost = lost
        self._line: _Line | None = None
        self._max_payload = 1024 * 1024
        self._callbacks: dict[int, tuple[str, Callback]] = {}
        self._active: dict[int, Subscription] = {}
        self._count = 0
        self._queue: deque[tuple[str, bytes, str] | int] = deque()  # an int: the number of a subscription
        self._queued = 0
        self._wanted = asyncio.Event()
        self._closing = False
        self._was_reset = False
        self._task: asyncio.Task[None] | None = None
        self._small: set[asyncio.Task[Any]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a server now."""
        return self._line is not None

    @property
    def max_payload(self) -> int:
        """Bytes that one message may have, as the server said last."""
        return self._max_payload

    async def start(self) -> None:
        """Begin to connect. A server that is not there is no error: it is tried again and again.

        Raises `MissingExtraError` if nats-py is not installed, and `LocalProtocolError` for an unusable
        certificate or seed.
        """
        context = await asyncio.to_thread(_prepare, self.server)
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._keep_connected(context), name="asyncsamp-bus")

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send soon; see `Bus.publish`."""
        if self._line is None or self._closing:
            return
        if self._queued + len(payload) > _QUEUE_BYTES and self._queue:
            return
        self._queue.append((subject, payload, reply))
        self._queued += len(payload)
        self._wanted.set()

    def subscribe(self, subject: str, callback: Callback) -> Callable[[], None]:
        """Let `callback` have what comes; see `Bus.subscribe`."""
        self._count += 1
        number = self._count
        self._callbacks[number] = (subject, callback)
        if self._line is not None:
            self._queue.append(number)  # what is published after it may be answered there
            self._wanted.set()

        def end() -> None:
            self._callbacks.pop(number, None)
            subscription = self._active.pop(number, None)
            if subscription is not None and self._line is not None:
                self._run(self._line.unsubscribe(subscription))

        return end

    async def close(self) -> None:
        """Send what waits, for a bounded time, and end everything. If it is cancelled, call it again."""
        closing, self._closing = self._closing, True
        line = self._line
        if line is not None and not closing:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    while self._queue:
                        await self._send(line, self._queue.popleft())
                    await line.nats.flush(1)
        while self._task is not None and not self._task.done():
            self._task.cancel()  # Python 3.11 loses it if a connection is refused at the same time
            await asyncio.wait([self._task], timeout=_CANCEL_AGAIN)
        while self._small:
            _, left = await asyncio.wait(tuple(self._small), timeout=_CLOSE_TIMEOUT)
            for task in left:
                task.cancel()

    # ---- inside

    async def _keep_connected(self, context: _Context) -> None:
        loop = asyncio.get_running_loop()
        away_since, told = loop.time(), ""
        while True:
            context.used = False
            line = _Line(self.server, _new_client(), context)
            try:
                await line.connect()
                await self._open(line)
                told, opened = "", loop.time()
                reason = await self._serve(line)
                if loop.time() - opened >= _SETTLED:
                    away_since = loop.time()
            except Exception as error:
                reason = self._why(error, line.reason, told)
            finally:
                self._drop(line)
            if reason != told:
                told = reason
                _guarded(self._lost, reason)
            await asyncio.sleep(pause_after(loop.time() - away_since, reason))
            if (renewed := await asyncio.to_thread(self._renew)) is not None:
                context, told = renewed, ""

    def _why(self, error: BaseException, said: str, told: str) -> str:
        """Return why there is no connection, and what to do.

        What was `told` stands for one reset: who says more to a server that has refused him, and closed, is
        reset, and loses what it had said.
        """
        was_reset, self._was_reset = self._was_reset, isinstance(error, _RESETS)
        if self._was_reset and told and not was_reset:
            return told
        reason = _reason(error, said)
        return reason + _advice(reason, self.server)

    def _renew(self) -> _Context | None:
        """See whether there is another way to be let in; return its context. Blocks."""
        try:
            server = self._renewed()
            if server == self.server:
                return None
            server.check()
            context = _prepare(server)
        except Exception as error:  # whatever stands in its file, the old one is tried again
            log.debug("the new invitation cannot be used: %s", error)
            return None
        self.server = server
        return context

    async def _open(self, line: _Line) -> None:
        """Subscribe to everything again, and say that there is a server."""
        self._max_payload = line.nats.max_payload
        self._line = line
        for number in list(self._callbacks):
            await self._subscribe(line, number)
        await line.nats.flush(_CHECK_TIMEOUT)
        _guarded(self._back)

    async def _serve(self, line: _Line) -> str:
        """Send what is published until the line is cut; return why it was."""
        pump = asyncio.get_running_loop().create_task(self._pump(line), name="asyncsamp-bus-pump")
        try:
            return await line.ended()
        finally:
            line.over = True  # nats-py may keep the cancellation to itself
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump

    async def _pump(self, line: _Line) -> None:
        while not line.over:
            await self._wanted.wait()
            self._wanted.clear()
            while self._queue and not line.over:
                try:
                    await self._send(line, self._queue.popleft())
                except Exception as error:  # a line that is being cut; who wants an answer asks again
                    log.debug("not published: %s", _reason(error, ""))
                    line.look()

    async def _send(self, line: _Line, entry: tuple[str, bytes, str] | int) -> None:
        if isinstance(entry, int):
            await self._subscribe(line, entry)
            return
        subject, payload, reply = entry
        self._queued -= len(payload)
        await line.nats.publish(subject, payload, reply)

    async def _subscribe(self, line: _Line, number: int) -> None:
        known = self._callbacks.get(number)
        if known is None or line is not self._line:
            return
        subject, callback = known

        async def take(message: Msg) -> None:
            headers = message.headers or {}
            nobody = not message.data and headers.get("Status") == "503"
            _guarded(callback, BusMessage(message.subject, message.data, message.reply, nobody))

        subscription = await line.subscribe(subject, take)
        if number in self._callbacks:
            self._active[number] = subscription
        else:
            await line.unsubscribe(subscription)

    def _drop(self, line: _Line) -> None:
        """Have nothing more to do with a line, whatever its state; it ends within a bounded time."""
        if self._line is line:
            self._line = None
        self._active.clear()
        self._queue.clear()
        self._queued = 0
        self._run(line.close())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(Exception):
                await work

        task = asyncio.get_running_loop().create_task(quietly(), name="asyncsamp-bus-work")
        self._small.add(task)
        task.add_done_callback(self._small.discard)


def _guarded(callback: Callable[..., None], *params: object) -> None:
    try:
        callback(*params)
    except Exception:
        log.exception("a subscriber of the bus failed")


def _new_client() -> NatsClient:
    from nats.aio.client import Client

    return Client()


def _prepare(server: BusServer) -> _Context:
    """Return the TLS context, once all that is needed is installed and can be used; blocks."""
    try:
        import nats.aio.client  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("nats", "reach") from error
    if server.seed:
        _check_seed(server.seed)
    logging.getLogger("asyncio").addFilter(_NOTHING_OF_TLS)
    logging.getLogger("nats.aio.client").addFilter(_NOTHING_UNREADABLE)
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if server.ca:
            # A comment may have other letters, which Python's ssl refuses.
            context.load_verify_locations(cadata=server.ca.encode("ascii", "ignore").decode())
        else:
            context.load_default_certs()
    except (ssl.SSLError, ValueError) as error:
        raise LocalProtocolError(f"the certificate for {server.place} cannot be read: {error}") from None
    return context


def _check_seed(seed: str) -> None:
    try:
        import nkeys
    except ModuleNotFoundError as error:
        raise MissingExtraError("nkeys", "reach") from error
    try:
        nkeys.from_seed(bytearray(seed.strip().encode())).wipe()
    except Exception:
        raise LocalProtocolError("the seed in the invitation is not a valid nkey seed") from None


def _no_tls(server: BusServer) -> str:
    return (
        f"the server {server.place} speaks without TLS, and is not on this machine: nothing is sent to it; "
        "use tls:// or wss://, or --reach-plain if the network is your own"
    )


_NOT_LET_IN = ("authorization violation", "user authentication expired", "account authentication expired")
"""How a server says that it does not let us in. One that is slow, or full, says other things of accounts."""

_RESETS = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)

_REFUSED = (*_NOT_LET_IN, "http 401", "http 403", "http 404")
"""How the server, or the door before it, says so."""

_NOT_VALID = (
    "the invitation is not valid there: ask for a new one, and put it in the place of the old one; "
    "or is that the server of another room, and the port not the right one?"
)
_MEMBERS_ONLY = "that server lets in members only: join by an invitation (a .reach file)"
_TURNED_AWAY = "is the Jupyter token right, in [headers] of the invitation or in the file of --reach-headers?"
_NOBODY_BEHIND = "nobody listens behind it: does the room's server run, and is the port right?"
_NO_SERVER = (
    "what answers there may not be the server of a room: does that run, and is the port right? "
    "(a WebSocket's is that of --ws-port)"
)
_NOT_KNOWN = (
    "put the certificate of its authority into the invitation, above [headers], as ca = '''...''', or name "
    "its file in the environment: SSL_CERT_FILE"
)
_ADVICE = {
    **dict.fromkeys(_NOT_LET_IN, _NOT_VALID),
    **dict.fromkeys(("http 401", "http 403"), _TURNED_AWAY),
    "http 404": "is the URL right, and jupyter-server-proxy installed there?",
    "http 5": _NOBODY_BEHIND,
    "empty response from server": f"nobody listens behind it, or {_NO_SERVER}",
    **dict.fromkeys(("http 2", "http 400", "bad status line", "it does not answer"), _NO_SERVER),
    "certificate is not yet valid": "is this machine's clock right? It seems to be behind",
    "certificate has expired": "is this machine's clock right? If it is, ask for a new invitation",
    **dict.fromkeys(("self-signed certificate", "local issuer certificate"), _NOT_KNOWN),
}
"""What to do about what a server, nats-py or OpenSSL says."""

_NOT_HERE = re.compile(
    r'permissions violation for (?:subscription to|publish to "samp\.[^"]*\.here")', re.IGNORECASE
)
"""How it says that a member may not even listen to the room, or tell it that he is there. It says so of each
subject; the user is asked once."""


def _reason(error: BaseException, said: str) -> str:
    text = (str(error) or said or type(error).__name__).removeprefix("nats: ")
    status = getattr(error, "status", None)  # of a handshake of WebSocket
    if status is not None:
        text = f"it answers HTTP {status}"
    elif isinstance(error, TimeoutError):
        text = "it does not answer"
    return plain_line(text, 300)


def _advice(reason: str, server: BusServer) -> str:
    """Return what to do about it, for the end of a text; "" if that is not known."""
    fault = reason.lower()
    if not server.has_account and any(text in fault for text in _NOT_LET_IN):
        return f"; {_MEMBERS_ONLY}"
    if server.is_local and "connect call failed" in fault:
        return "; does the room's server (serve) run, and is the tunnel up, if it is reached by one (ssh -R)?"
    advice = next((what for known, what in _ADVICE.items() if known in fault), "")
    return f"; {advice}" if advice else ""


def _is_refused(reason: str) -> bool:
    return any(word in reason.lower() for word in _REFUSED)


def pause_after(away: float, reason: str) -> float:
    """Return how many seconds to wait before a server is tried again."""
    return _LAST_PAUSE if _is_refused(reason) else min(_LAST_PAUSE, max(_FIRST_PAUSE, away / _PATIENCE_SHARE))
