"""A client that knows messages only (SAMP 1.3 §2.3); `data.client.Client` adds tables and images."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, overload
from urllib.parse import quote

from .._util.foreign_text import plain_line
from ..discovery import web_appname
from ..errors import (
    CallTimeoutError,
    FaultCode,
    HubFaultError,
    LocalProtocolError,
    NotRegisteredError,
    NotSubscribedError,
    RemoteProtocolError,
    SampError,
    UnknownClientError,
)
from ..interfaces import Connection
from ..limits import Limits
from ..mtypes import TypedMessage, check_mtype, mtype_of
from ..values import ERROR, Message, ReplyError, Response, Value, ValueMap, encode_map
from .connection import StandardConnection
from .hub_changes import HubChanges, HubChangeStream
from .inbox import Handler, Handling, Inbox, as_response
from .notebook_html import one_client
from .pending_calls import OpenCall
from .session import HubMaker, Session, State
from .stream import MessageStream
from .tracker import LONGEST_NAME, ClientList, OtherClients, RemoteClient, as_map, what_is_taken
from .validation import (
    MType,
    TypedHandler,
    check_handler,
    check_name,
    check_patterns,
    check_progress,
    check_timeout,
    describe,
    may_wait,
    message_map,
    public_id,
    reading,
    taking,
    warn_of_metadata,
    warn_of_no_url,
    within,
)
from .web import WebConnection

__all__ = ["MessagingClient", "check_loop"]

log = logging.getLogger("asyncsamp.client")

H = TypeVar("H", bound=Handler)
M = TypeVar("M", bound=TypedMessage)

_URL_CHARACTERS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "\"#<>'")


_LONG = 2
"""From so many times `Limits.request_timeout` on, the requests of a call end by their own timeouts first."""

_NAME_PATIENCE = 1.0
"""Seconds in which the hub may say a name, or what somebody takes, for the text of an error."""

_WAIT_LONGER = "it may be at work still: wait longer by timeout=, or use notify, which waits for no answer"


Advise: TypeAlias = Callable[[UnknownClientError], Awaitable[UnknownClientError]]


@dataclass(slots=True)
class _Addressee:
    """Whom an operation is about; unless that is `certain`, the id may prove to be a name."""

    public_id: str
    certain: bool = False


class MessagingClient:
    """A SAMP client in the running event loop.

        async with Client("my tool") as client:
            await client.notify_all("coord.pointAt.sky", {"ra": 10.68, "dec": 41.27})

    or, in a notebook, `client = await Client("my tool").register()` and later
    `await client.unregister()`.

    `metadata` is declared beside samp.name (META-3..9). The hub is found by `lockfile`,
    else `SAMP_HUB`, else `~/.samp`; or give a `connection` instead. With `reconnect` a client
    whose hub goes away looks for a new one, registers again and declares the same; handlers
    and streams go on. `hub` makes what runs a hub, if there is none when the client registers,
    until it unregisters. `advise` adds to the error for a name that nobody has what can be done.

    A client that only sends opens no port: it begins to listen when it has a handler or a
    stream, makes an asynchronous call, or asks for the other clients.

    Its methods may be used by any number of tasks at once, all in the event loop in which it
    was registered, and every wait may be cancelled; in another loop they raise `WrongLoopError`.
    Those that need the hub raise `NotRegisteredError` without a registration, `HubLostError` if the
    hub goes away or is being looked for, `HubFaultError` if it refuses. After `unregister` the client
    can be registered again, in another loop too; its handlers stay, its streams have ended.
    """

    def __init__(
        self,
        name: str,
        *,
        metadata: Mapping[str, object] | None = None,
        description: str = "",
        icon: str = "",
        documentation: str = "",
        lockfile: str | os.PathLike[str] | None = None,
        connection: Connection | None = None,
        callback_host: str = "127.0.0.1",
        reconnect: bool = True,
        wait_for_hub: bool | float = False,
        hub: HubMaker | None = None,
        advise: Advise | None = None,
        limits: Limits | None = None,
    ) -> None:
        if connection is not None and lockfile is not None:
            raise ValueError("a connection knows its hub: give it without lockfile and start_hub")
        if limits is not None and not isinstance(limits, Limits):
            raise TypeError(
                f"limits= is a {type(limits).__name__}; expected Limits(...), as Limits(call_timeout=5)"
            )
        self.name = check_name(name)
        self.limits = limits or Limits()
        self._described = describe(description=description, icon=icon, documentation=documentation)
        self._metadata = self._complete(metadata or {})
        self._lockfile = lockfile
        self._connection = connection or _way_to_hub(lockfile, callback_host, self.limits)
        self._reconnect = reconnect
        self._wait_for_hub = wait_for_hub if isinstance(wait_for_hub, bool) else check_timeout(wait_for_hub)
        self._hub = hub
        self._advise = advise
        self._leaving = AsyncExitStack()
        self._inbox = Inbox(self.limits, self._check_loop)
        self._changes = HubChanges(self._check_loop)
        self._session: Session | None = None
        self._turns: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def __repr__(self) -> str:
        session = self._session
        if session is None:
            return f"<Client {self.name!r} not registered>"
        where = f" as {session.registration.self_id} at {self._connection.url}" if session.at_hub else ""
        return f"<Client {self.name!r} {session.describe()}{where}>"

    def _repr_html_(self) -> str:
        session = self._session
        if session is None or not session.at_hub:
            return one_client(self.name, session.describe() if session else "not registered", None)
        row = (session.registration.self_id, self._metadata, self._inbox.router.subscriptions())
        return one_client(self.name, f"registered at {self._connection.url}", row)

    # ---- coming and going

    @property
    def registered(self) -> bool:
        """Whether the client is registered with a hub now."""
        return self._session is not None and self._session.at_hub

    @property
    def public_id(self) -> str:
        """Our public id, by which others know us.

        Raises:
            NotRegisteredError: The client is not registered.
            HubLostError: Its hub is lost.
        """
        return self._session_at_hub("know its public id").registration.self_id

    @property
    def hub_id(self) -> str:
        """The public id of the hub itself.

        Raises:
            NotRegisteredError: The client is not registered.
            HubLostError: Its hub is lost.
        """
        return self._session_at_hub("know the hub's id").registration.hub_id

    def translate_url(self, url: str) -> str:
        """Return the URL by which to read one that we were sent (WEB-30, WEB-73).

        It is the same unless we are connected by the Web Profile, whose hub reads it for us.

        Args:
            url: A URL from a message.

        Returns:
            The URL to read.

        Raises:
            NotRegisteredError: The client is not registered.
            HubLostError: The hub is lost.
        """
        translator = self._session_at_hub("translate a URL").registration.url_translator
        # As samp.js does, which every hub understands: not encoded but for what no URL may have.
        return translator + quote(url.partition("#")[0], safe=_URL_CHARACTERS) if translator else url

    async def register(self) -> Self:
        """Find a hub and register; returns the client. Registered already, it does nothing.

        If it fails or is cancelled, nothing is left behind; handlers and streams wait for the next attempt.

        Raises:
            HubNotFoundError: There is no hub.
            LockfileError: The lockfile, or SAMP_HUB, cannot be used.
            RegistrationError: The hub does not let us in.
            HubFaultError: The hub refuses our metadata or subscriptions.
            HubLostError: The hub does not answer.
            OSError: We cannot listen at `callback_host`.
        """
        self._check_loop("register")
        async with self._turn():
            if self._session is not None:
                if self._session.state is not State.CLOSED:
                    return self
                await self._end_session()  # its hub was lost, for good
            self._session = self._new_session()
            try:
                await self._session.begin(wait=self._wait_for_hub is not False)
                if self._wait_for_hub is not True and self._wait_for_hub is not False:
                    await self._session.wait_for_first_hub(self._wait_for_hub)
            except BaseException:
                self._session = None
                raise
            self._session.work.push_async_callback(self._run_leaving)
        return self

    async def unregister(self) -> None:
        """Leave: end the streams, give the handlers `Limits.close_timeout`, unregister, close.

        Calls that are unanswered then, be it in a handler, by the reader of a stream or since
        their data is being loaded, are answered with samp.error, for which the hub has
        `Limits.close_timeout` once more (CLIENT-5, MSG-23); our own calls that wait
        raise `NotRegisteredError`. Not registered, it does nothing. Cancelling it cuts the
        wait for the handlers short; everything is closed all the same. A handler may call it,
        and is not waited for.
        """
        self._check_loop("unregister")
        if self._session is not None and self._session.leaving and self._inbox.is_handling():
            return  # who leaves waits for this very handler
        async with self._turn():
            await self._end_session()

    async def __aenter__(self) -> Self:
        return await self.register()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.unregister()

    async def wait_registered(self, timeout: float | None = None) -> None:
        """Return once the client is registered (again), subscriptions and all. Cancelling is safe.

        Args:
            timeout: Seconds to wait; None waits for as long as the client looks for a hub.

        Raises:
            WaitTimeoutError: There was no hub in that time.
            NotRegisteredError: The client has not been registered, or leaves.
            HubLostError: The hub is lost and no other one is looked for.
        """
        self._check_loop("wait for a hub")
        if self._session is None:
            raise NotRegisteredError(self.name, "wait for a hub")
        advice = "it goes on looking; " + (
            "start one with: python -m asyncsamp.hub" if self._hub is None else "it starts one if none comes"
        )
        what = f"the client {self.name!r} found no hub"
        await within(timeout, self._session.wait_registered, what, advice)

    def hub_changes(self) -> HubChangeStream:
        """Return a stream that says when the hub is lost, and when there is one again.

            async for change in client.hub_changes():
                print("registered" if change.connected else f"no hub: {change.reason}")

        It begins with what happens after this call and ends when the client unregisters.
        """
        return self._changes.open()

    def on_leaving(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Have a function awaited once, when the client leaves, while it can still answer calls.

        Args:
            callback: An `async def` without parameters.
        """
        self._leaving.push_async_callback(callback)

    # ---- what we say of ourselves

    @property
    def metadata(self) -> ValueMap:
        """What we declare of ourselves; change it with `declare_metadata`."""
        return dict(self._metadata)

    async def declare_metadata(self, metadata: Mapping[str, object]) -> None:
        """Replace our metadata, here and at the hub (META-2); samp.name stays unless given.

        Not registered, it says it to the next hub. If it is cancelled, the hub may know them or not.

        Args:
            metadata: All that others are to know, such as "samp.description.text".

        Raises:
            LocalProtocolError: SAMP cannot say it.
            HubFaultError: The hub refuses it.
            HubLostError: The hub is lost.
        """
        self._check_loop("declare its metadata")
        self._metadata = self._complete(metadata)
        self._inbox.others.self_name = str(self._metadata["samp.name"])
        if self.registered:
            await self._ask("declareMetadata", self._metadata)

    @overload
    def on(self, *mtypes: str, annotation: Mapping[str, object] | None = None) -> Callable[[H], H]: ...

    @overload
    def on(
        self, mtype: type[M], /, *, annotation: Mapping[str, object] | None = None
    ) -> Callable[[TypedHandler[M]], TypedHandler[M]]: ...

    def on(
        self, *mtypes: str | type[TypedMessage], annotation: Mapping[str, object] | None = None
    ) -> Callable[[Any], Any]:
        """Decorate an `async def` so that it handles messages, before or after registering.

        It gets a `Message`, or, for a class of `asyncsamp.mtypes`, an instance of that class; parameters
        that are missing or no numbers are then answered with samp.error, or, in a notification, left
        with a warning in the log. What it returns (a mapping, a `Response` or None) is the answer to a
        call, an exception is answered with samp.error. It replaces an earlier handler of the same mtype.
        Of several patterns that match, the most specific has the message. The hub is told in the
        background; `await client.settled()` waits for that.

        Args:
            mtypes: What it handles: mtypes, wildcards included, or classes of `asyncsamp.mtypes`.
            annotation: What goes into the subscription (MTYPE-6).

        Returns:
            The decorator, which returns the function as it is.

        Raises:
            TypeError: It is a plain function.
            LocalProtocolError: One of `mtypes` is not valid.
        """
        self._check_loop("take messages")
        note = encode_map(annotation or {}, "annotation")
        patterns = check_patterns(mtypes)

        def decorate(handler: Any) -> Any:
            check_handler(handler)
            waits = may_wait(handler)
            for pattern, kind in patterns.items():
                self._inbox.router.set_handler(pattern, Handling(taking(kind, handler), waits), note)
            self._subscriptions_changed()
            return handler

        return decorate

    def off(self, *mtypes: str | type[TypedMessage]) -> None:
        """Take handlers away; none is, if one of `mtypes` has no handler.

        Args:
            mtypes: What the handlers were made for, spelled as in `on`.

        Raises:
            KeyError: One has no handler.
        """
        self._check_loop("change what it takes")
        self._inbox.router.remove_handlers([mtype_of(mtype) for mtype in mtypes])
        self._subscriptions_changed()

    def messages(
        self, *mtypes: str | type[TypedMessage], limit: int | None = None, answer: bool = True
    ) -> MessageStream:
        """Return a stream of messages; it listens from now on.

        Use it with `async with`, which also sees to it that the hub knows the subscription.

        A class of `asyncsamp.mtypes` gives messages whose parameters are as it says: one in which some are
        missing or no numbers is answered with samp.error, or, in a notification, left out with a warning in
        the log. For a string they come as they are.

        Args:
            mtypes: What it takes: mtypes, wildcards, or classes of `asyncsamp.mtypes`.
            limit: How many messages it holds; None means `Limits.stream`.
            answer: Whether a call that has no handler is answered samp.ok when it is read. Else you answer
                it with `reply`.

        Returns:
            The stream.

        Raises:
            LocalProtocolError: One of `mtypes` is not valid.
        """
        self._check_loop("take messages")
        patterns = check_patterns(mtypes)
        stream = MessageStream(
            " ".join(patterns),
            self.limits.stream if limit is None else limit,
            self.limits.stream_bytes,
            check=reading(patterns),
            answer=self._inbox.answer,
            answers_itself=answer,
            with_name=self._inbox.with_name,
            check_loop=self._check_loop,
            on_enter=self.settled,
            on_close=self._stream_closed,
        )
        self._inbox.router.add_stream(stream, patterns)
        self._subscriptions_changed()
        return stream

    async def settled(self) -> None:
        """Return once the hub knows every handler and stream. Cancelling is safe.

        Not registered, it returns at once. Raises what the hub said if it refused them.
        """
        self._check_loop("tell the hub what it takes")
        if self._session is not None:
            await self._session.declarations.settled()

    # ---- the others

    @property
    def clients(self) -> OtherClients:
        """The other clients by public id, live; known from the first `get_clients` or `find` on."""
        return self._inbox.others

    async def get_clients(self) -> list[RemoteClient]:
        """Return the other clients, the hub's own among them (CLIENT-12). Cancelling is safe.

        Returns:
            A live view of each, which changes as the client does.
        """
        await self._at_hub("look for other clients").follow()
        return ClientList(self._inbox.others.values())

    async def find(self, name: str, *, timeout: float = 0.0) -> RemoteClient:
        """Return a live view of a client. Cancelling is safe.

        Args:
            name: Its samp.name, in any case of letters, or its public id.
            timeout: Seconds to wait for it to appear, the time included that the hub takes to say who is
                there; with 0 that time is bounded by `Limits.request_timeout`.

        Returns:
            The client.

        Raises:
            UnknownClientError: There is none, or more than one; it says who is there.
        """
        session = self._at_hub("look for other clients")
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        try:
            async with asyncio.timeout_at(deadline if timeout > 0 else None):
                await session.follow()
        except TimeoutError:
            raise UnknownClientError(
                f"the hub did not say within {timeout:g} s who is there, so {name!r} was not found; give a "
                "larger timeout, or start another hub if this one hangs"
            ) from None
        try:
            return await self._inbox.others.find(name, max(0.0, deadline - clock()), waited=timeout)
        except UnknownClientError as error:
            raise await self._advised(error) from None

    async def get_registered_clients(self) -> list[str]:
        """Return the public ids of all other clients and of the hub (HUB-26). Cancelling is safe.

        Returns:
            The ids, in the hub's order.
        """
        return _strings(await self._ask("getRegisteredClients"))

    async def get_metadata(self, client: str | RemoteClient) -> ValueMap:
        """Ask the hub for a client's metadata (HUB-23). Cancelling is safe.

        Args:
            client: Its name, public id, or the live client.

        Returns:
            What it declared.

        Raises:
            UnknownClientError: It is not there.
        """
        return _map(
            await self._to(self._addressee(client), lambda to: self._ask("getMetadata", to)), "getMetadata"
        )

    async def get_subscriptions(self, client: str | RemoteClient) -> ValueMap:
        """Ask the hub for a client's subscriptions (HUB-25). Cancelling is safe.

        Args:
            client: Its name, public id, or the live client.

        Returns:
            Mtype or wildcard to annotation.

        Raises:
            UnknownClientError: It is not there.
        """
        return _map(
            await self._to(self._addressee(client), lambda to: self._ask("getSubscriptions", to)),
            "getSubscriptions",
        )

    async def get_subscribed_clients(self, mtype: str) -> ValueMap:
        """Ask the hub who takes an mtype (HUB-27). Cancelling is safe.

        Args:
            mtype: The mtype, without a wildcard.

        Returns:
            Public id to annotation, without us.

        Raises:
            LocalProtocolError: The mtype is not valid, or has a wildcard.
        """
        return _map(await self._ask("getSubscribedClients", check_mtype(mtype)), "getSubscribedClients")

    # ---- messages

    async def notify(
        self, recipient: str | RemoteClient, mtype: MType, params: Mapping[str, object] | None = None
    ) -> None:
        """Send a message to one client, without an answer (HUB-28).

        Returns when the hub has taken it, not when the recipient has. If it is cancelled, the hub may have
        taken it or not.

        Args:
            recipient: A name such as "topcat", in any case of letters, a public id, or what `find` gave.
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters. Numbers and booleans are encoded by the standard's rules (DATA-7..10).

        Raises:
            LocalProtocolError: SAMP cannot say it.
            NotSubscribedError: The recipient does not take it.
            UnknownClientError: There is no such client.
            HubFaultError: The hub refuses it for another reason.
            HubLostError: The hub is lost.
        """
        message, addressee = message_map(mtype, params), self._addressee(recipient)
        await self._to(addressee, lambda to: self._ask("notify", to, message))

    async def notify_all(self, mtype: MType, params: Mapping[str, object] | None = None) -> list[str]:
        """Send a message to all who subscribe, without an answer (HUB-29).

        Nobody subscribing is not an error (MSG-32). If it is cancelled, the hub may have taken it or not.

        Args:
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.

        Returns:
            The public ids of those it goes to.

        Raises:
            LocalProtocolError: SAMP cannot say it.
            HubLostError: The hub is lost.
        """
        return _strings(await self._ask("notifyAll", message_map(mtype, params)))

    async def call(
        self,
        recipient: str | RemoteClient,
        mtype: MType,
        params: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Message], object] | None = None,
    ) -> Response:
        """Send a message to one client and await its response (HUB-30).

        No request is held open meanwhile. A samp.warning is returned, not raised. Cancelling is safe: a
        response that comes later is dropped.

        Args:
            recipient: A name such as "topcat", in any case of letters, a public id, or what `find` gave.
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.
            timeout: Seconds; None means `Limits.call_timeout`, which is 300 s unless you change it.
            on_progress: Is called with each samp.msg.progress message about this call.

        Returns:
            The response.

        Raises:
            ReplyError: The recipient answers samp.error.
            CallTimeoutError: It does not answer in time.
            SampError: All that `notify` raises, too.
        """
        message, addressee = message_map(mtype, params), self._addressee(recipient)
        seconds = self._seconds(timeout)
        if on_progress is not None:
            check_progress(on_progress)
        session = self._at_hub("call")
        call = self._inbox.calls.open(on_progress)
        try:
            if seconds > _LONG * self.limits.request_timeout:
                self._inbox.calls.expire_in(call, seconds)
                responder, response = await self._answered(session, call, addressee, message)
            else:
                async with asyncio.timeout(seconds):
                    responder, response = await self._answered(session, call, addressee, message)
        except TimeoutError:
            raise await self._timed_out(addressee.public_id, mtype, seconds) from None
        finally:
            self._inbox.calls.close(call)
        return await self._checked(responder, response)

    async def _answered(
        self, session: Session, call: OpenCall, addressee: _Addressee, message: ValueMap
    ) -> tuple[str, Response]:
        await session.declarations.become_callable()
        msg_id = await self._to(addressee, lambda to: session.request("call", to, call.msg_tag, message))
        self._inbox.calls.sent(call, str(msg_id))
        return await call.next()

    def call_all(
        self,
        mtype: MType,
        params: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[tuple[str, Response], None]:
        """Send a message to all who subscribe and yield their responses as they come in (HUB-31).

        Every recipient is yielded once; one that has not answered in time, with a samp.error response that
        says so. Nothing is raised for a samp.error. Sent when the iteration begins; leaving it early, or
        cancelling it, is safe.

        Args:
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.
            timeout: Seconds; None means `Limits.call_timeout`.

        Returns:
            Pairs of public id and response.

        Raises:
            LocalProtocolError: At once: SAMP cannot say it.
            HubFaultError: When iterated: the hub refuses it.
            HubLostError: When iterated: the hub is lost.
            CallTimeoutError: When iterated: the hub does not say in time whom it was sent to.
        """
        return self._call_all(message_map(mtype, params), self._seconds(timeout))

    async def _call_all(
        self, message: ValueMap, seconds: float
    ) -> AsyncGenerator[tuple[str, Response], None]:
        session = self._at_hub("call")
        deadline = asyncio.get_running_loop().time() + seconds
        call = self._inbox.calls.open()
        try:
            try:
                async with asyncio.timeout_at(deadline):
                    await session.declarations.become_callable()
                    sent = _map(await session.request("callAll", call.msg_tag, message), "callAll")
            except TimeoutError:
                hub_id = session.registration.hub_id
                raise CallTimeoutError(hub_id, str(message["samp.mtype"]), seconds) from None
            while sent:
                try:
                    async with asyncio.timeout_at(deadline):
                        responder, response = await call.next()
                except TimeoutError:
                    break
                if sent.pop(responder, None) is not None:
                    yield responder, response
            for silent in sent:
                yield silent, Response.failure(f"no answer within {seconds:g} s")
        finally:
            self._inbox.calls.close(call)

    async def call_and_wait(
        self,
        recipient: str | RemoteClient,
        mtype: MType,
        params: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
    ) -> Response:
        """Like `call`, by the synchronous operation: one open request, and no port (HUB-32).

        If it is cancelled, our hub forgets the call, others answer nobody.

        Args:
            recipient: A name, a public id, or what `find` gave.
            mtype: The mtype, or an instance of a class of `asyncsamp.mtypes`.
            params: The parameters.
            timeout: Seconds, whole at the hub, exact here; 0 asks the hub for no limit.

        Returns:
            The response.

        Raises:
            SampError: As `call`.
        """
        message, addressee = message_map(mtype, params), self._addressee(recipient)
        asked = self._seconds(timeout)
        unlimited = asked == 0 or math.isinf(asked)
        whole = "0" if unlimited else str(math.ceil(asked))
        # A hub that does not keep its own word is given a little longer.
        bound = self.limits.max_wait if unlimited else asked + self.limits.request_timeout
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(None if unlimited else asked):
                answered = await self._to(
                    addressee, lambda to: self._ask("callAndWait", to, message, whole, timeout=bound)
                )
        except TimeoutError:
            raise await self._timed_out(addressee.public_id, mtype, asked) from None
        except HubFaultError as error:
            # Other hubs have no code in common for a timeout; the clock tells.
            if error.code == FaultCode.TIMEOUT or (not unlimited and clock() - begun >= asked):
                raise await self._timed_out(addressee.public_id, mtype, asked) from error
            raise
        response = Response.from_map(_map(answered, "callAndWait"))
        return await self._checked(addressee.public_id, response)

    async def reply(
        self, message: Message | str, result: Mapping[str, object] | Response | None = None
    ) -> None:
        """Answer a call that a stream with `answer=False` gave (HUB-33); handlers need only return.

        A call is answered once (MSG-23): what a handler that has replied returns is not sent. If it is
        cancelled, the answer may have gone out or not, and cannot be given again.

        Args:
            message: The call, or its msg-id.
            result: The result, or a `Response`.

        Raises:
            LocalProtocolError: It is a notification, was answered already, its hub is gone, or SAMP cannot
                say the result.
            HubFaultError: The hub does not take it, as when the sender has left.
        """
        msg_id = message.msg_id if isinstance(message, Message) else message
        if msg_id is None:
            raise LocalProtocolError("a notification cannot be answered: it has no msg-id")
        response = as_response(result)
        session = self._at_hub("reply")
        self._inbox.claim(msg_id)
        await session.send_reply(msg_id, response)

    async def progress(
        self, message: Message, text: str, *, percent: float | None = None, time_left: float | None = None
    ) -> None:
        """Tell the sender of a call how far we are (samp.msg.progress, MTYPE-33).

        Does nothing if the message is a notification or its sender does not want to know. Cancelling is safe.

        Args:
            message: The call.
            text: What is done now, for people.
            percent: How much is done, from 0 to 100.
            time_left: Seconds that it will take still.
        """
        if message.msg_id is None:
            return
        params: dict[str, object] = {"msgid": message.msg_id, "txt": text}
        if percent is not None:
            params["percent"] = float(percent)
        if time_left is not None:
            params["timeLeft"] = float(time_left)
        try:
            await self.notify(message.sender, "samp.msg.progress", params)
        except HubFaultError as error:
            log.debug("progress was not taken: %s", error)

    # ---- inside

    def _turn(self) -> asyncio.Lock:
        """Registering and unregistering, one at a time; a lock serves one event loop only."""
        loop = asyncio.get_running_loop()
        if self._turns is None or self._turns[0] is not loop:
            self._turns = loop, asyncio.Lock()
        return self._turns[1]

    def _new_session(self) -> Session:
        return Session(
            self.name,
            self._connection,
            self._inbox,
            self._changes,
            self.limits,
            metadata=lambda: self._metadata,
            reconnect=self._reconnect,
            hub=self._hub,
        )

    async def _end_session(self) -> None:
        try:
            if self._session is not None:
                await self._session.end()
            else:
                await self._run_leaving()
        finally:
            self._session = None
            self._changes.close()

    async def _run_leaving(self) -> None:
        leaving, self._leaving = self._leaving, AsyncExitStack()
        await leaving.aclose()

    def _check_loop(self, operation: str) -> None:
        """Raise `WrongLoopError` in another event loop than the one in which the client is registered."""
        if self._session is not None:
            self._session.check_loop(operation)

    def _at_hub(self, operation: str) -> Session:
        """Return the session. Raises `WrongLoopError`, and as `_session_at_hub` does."""
        self._check_loop(operation)
        return self._session_at_hub(operation)

    def _session_at_hub(self, operation: str) -> Session:
        """Return the session. Raises `NotRegisteredError` or `HubLostError` if it has no hub."""
        if self._session is None:
            raise NotRegisteredError(self.name, operation)
        self._session.require(operation)
        return self._session

    async def _ask(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        return await self._at_hub(operation).request(operation, *params, timeout=timeout)

    def _addressee(self, client: str | RemoteClient) -> _Addressee:
        if isinstance(client, RemoteClient):
            if not client.registered:
                # At another hub the id is somebody else's. That the hub is lost is the better reason.
                self._at_hub("send to another client")
            return _Addressee(self._inbox.others.pick(client).public_id, certain=True)
        wanted = public_id(client)
        # Before stock is taken we may know only one of several that have the name: who came last.
        follows = self._session is not None and self._session.following
        return _Addressee(self._inbox.others.id_of(wanted) if follows else wanted)

    async def _to(self, addressee: _Addressee, ask: Callable[[str], Awaitable[Value]]) -> Value:
        """Ask about a client, by the public id that was given, or that the client of that name has.

        What may be a public id is taken for one first: so those who send to ids ask the hub once.
        """
        try:
            return await ask(addressee.public_id)
        except NotSubscribedError as error:
            raise await self._with_what_it_takes(error, addressee.public_id) from None
        except HubFaultError as error:
            # Other hubs have no code in common for a client that they do not know.
            if addressee.certain or (error.code != FaultCode.UNKNOWN_CLIENT and error.code in set(FaultCode)):
                raise
            addressee.public_id = await self._look_up(addressee.public_id, error)
        try:
            return await ask(addressee.public_id)
        except NotSubscribedError as error:
            raise await self._with_what_it_takes(error, addressee.public_id) from None

    async def _look_up(self, name: str, error: HubFaultError) -> str:
        """Return the public id of the client of that name.

        Raises `error` if `name` is a public id, or the hub does not tell who is there; `UnknownClientError`.
        """
        session = self._at_hub("look for other clients")
        if session.declarations.callable:
            # It costs the same, and the hub tells of changes anyway: the next name is known.
            await session.follow()
            others = self._inbox.others
        else:
            others = OtherClients()
            others.self_id = session.registration.self_id
            others.hub_id = session.registration.hub_id
            others.self_name = self._inbox.others.self_name
            await others.take_stock(session.request)
        if name in (others.self_id, session.registration.hub_id) or name in others or not others:
            raise error
        try:
            return others.pick(name).public_id
        except UnknownClientError as unknown:
            raise await self._advised(unknown) from None

    async def _advised(self, error: UnknownClientError) -> UnknownClientError:
        return error if self._advise is None else await self._advise(error)

    async def _name_of(self, client: str) -> str:
        """Return the name of a client, fit for a text; "" if the hub does not tell it soon."""
        if self._inbox.others.knows(client):
            return plain_line(self._inbox.others.name_of(client), LONGEST_NAME)
        try:
            async with asyncio.timeout(_NAME_PATIENCE):
                name = as_map(await self._ask("getMetadata", client)).get("samp.name")
        except (SampError, TimeoutError):
            return ""
        return plain_line(name, LONGEST_NAME) if isinstance(name, str) else ""

    async def _with_what_it_takes(self, error: NotSubscribedError, recipient: str) -> NotSubscribedError:
        """Return the error with what the recipient takes, if the hub tells it soon."""
        try:
            async with asyncio.timeout(_NAME_PATIENCE):
                subscriptions = as_map(await self._ask("getSubscriptions", recipient))
        except (SampError, TimeoutError):
            return error
        return error.advised(what_is_taken(subscriptions))

    async def _timed_out(self, recipient: str, mtype: MType, seconds: float) -> CallTimeoutError:
        name = await self._name_of(recipient)
        return CallTimeoutError(recipient, mtype_of(mtype), seconds, name, _WAIT_LONGER)

    async def _checked(self, responder: str, response: Response) -> Response:
        if response.status == ERROR:
            raise ReplyError(responder, response, await self._name_of(responder))
        return response

    def _subscriptions_changed(self) -> None:
        if self._session is not None and not self._session.leaving:
            self._session.declarations.changed()

    def _stream_closed(self, stream: MessageStream) -> None:
        self._inbox.router.remove_stream(stream)
        self._subscriptions_changed()

    def _seconds(self, timeout: float | None) -> float:
        return self.limits.call_timeout if timeout is None else check_timeout(timeout)

    def _complete(self, metadata: Mapping[str, object]) -> ValueMap:
        told = {"samp.name": self.name, **self._described, **encode_map(metadata, "metadata")}
        warn_of_metadata(metadata)
        warn_of_no_url(told)
        return encode_map(told, "metadata")


def check_loop(client: MessagingClient, operation: str) -> None:
    """Raise `WrongLoopError` outside of the event loop in which the client is registered, if it is."""
    client._check_loop(operation)


def _way_to_hub(lockfile: str | os.PathLike[str] | None, callback_host: str, limits: Limits) -> Connection:
    """Return the connection that SAMP_HUB asks for, unless a lockfile is given (WEB-72)."""
    name = web_appname() if lockfile is None else None
    if name is not None:
        return WebConnection(name, limits=limits)
    return StandardConnection(lockfile=lockfile, callback_host=callback_host, limits=limits)


def _map(value: Value, operation: str) -> ValueMap:
    if isinstance(value, dict):
        return value
    raise RemoteProtocolError(f"the hub answered {operation} with {type(value).__name__}, not with a map")


def _strings(value: Value) -> list[str]:
    """Read a list of public ids; astropy's hub answers a notification to nobody with a map."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
