"""What comes in from the hub: to handlers, streams, open calls and the view of the other clients."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from types import CoroutineType
from typing import NamedTuple, Protocol, TypeAlias

from .._util.complaints import Complaints
from ..errors import FaultCode, FaultError, LocalProtocolError, RemoteProtocolError, SampError
from ..interfaces import Registration
from ..limits import Limits
from ..values import Message, Response, Value, ValueMap, encode_map
from .loop_check import CheckLoop, any_loop
from .pending_calls import OpenCalls
from .router import Router
from .stream import MessageStream
from .tracker import OtherClients, as_map

__all__ = ["Handler", "Handling", "Inbox", "as_response"]

log = logging.getLogger("asyncsamp.client")

_NAME_PATIENCE = 1.0
"""Seconds that a message waits for the name of its sender; then it is handled without."""

_UNTOLD_KEPT = 1_000
"""Senders whose name the hub did not tell that are remembered."""

Handler: TypeAlias = Callable[[Message], Awaitable[Mapping[str, object] | Response | None]]


class Handling(NamedTuple):
    """A handler, and whether it may wait: one that cannot needs no task."""

    handler: Handler
    may_wait: bool


class Owner(Protocol):
    """What the inbox needs of the registration that it serves."""

    async def send_reply(self, msg_id: str, response: Response) -> None: ...

    async def request(self, operation: str, *params: Value, timeout: float | None = None) -> Value: ...

    def hub_lost(self, reason: str, *, come_back: bool, still_known: bool = False) -> None: ...


class _Naming(NamedTuple):
    """The messages of one sender that wait for its name: they go on all at once, in their order.

    One after the other they would never have done, if more come as fast.
    """

    waiting: list[tuple[Handling, Message]]
    timer: asyncio.TimerHandle


class Inbox:
    """The `Receiver` of a client; it outlives its registrations.

    Each message runs its handler in a task of its own, or in a turn of the loop if there is nothing that
    the handler could wait for. It runs guarded: what it returns becomes samp.result, an exception becomes
    samp.error and a traceback in the log (CLIENT-5, MSG-22, MSG-23). A handler that fails harms nothing else.
    """

    def __init__(self, limits: Limits, check_loop: CheckLoop = any_loop) -> None:
        self.router: Router[Handling, MessageStream] = Router()
        self.calls = OpenCalls()
        self.others = OtherClients(check_loop)
        self._limits = limits
        self._complaints = Complaints(log)
        self._owner: Owner | None = None
        self._registration: Registration | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: deque[tuple[Handler, Message]] = deque()  # of those that do not wait, each has a turn
        self._closing = False
        self._asking: dict[str, asyncio.Task[None]] = {}  # for names, by public id
        self._untold: dict[str, None] = {}
        self._naming: dict[str, _Naming] = {}
        # A dict for its order: the msg-ids of the calls that await our answer.
        self._owed: dict[str, None] = {}

    def begin(self, owner: Owner, registration: Registration) -> None:
        """Take in what comes for this registration."""
        self._owner = owner
        self._registration = registration
        self._untold.clear()  # who was asked for while there was no hub
        self.others.self_id = registration.self_id
        self.others.hub_id = registration.hub_id
        self._closing = False

    def end(self, error: Callable[[], SampError]) -> None:
        """The registration is over: open calls fail with `error()`, the other clients are forgotten.

        Calls that are unanswered need no answer any more: their msg-ids mean nothing to another hub.
        """
        for asking in self._asking.values():
            asking.cancel()
        self._untold.clear()
        self._owed.clear()
        self.calls.fail_all(error)
        self.others.forget_all()

    # ---- the Receiver

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        """Take a notification."""
        self._take(self._read(message, sender, None))

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        """Take a call. Raises `FaultError` if it cannot be taken now."""
        self._take(self._read(message, sender, msg_id))

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        """Take the response to one of our calls."""
        self.calls.respond(responder, msg_tag, Response.from_map(response))

    def connection_lost(self, reason: str) -> None:
        """The hub is gone."""
        if self._owner is not None:
            self._owner.hub_lost(reason, come_back=True, still_known=True)

    # ---- answering

    def claim(self, msg_id: str) -> None:
        """Take the right to answer a call, which is there once (MSG-23).

        Raises `LocalProtocolError` if it was answered, or its hub is gone.
        """
        if msg_id not in self._owed:
            raise LocalProtocolError(
                f"no call {msg_id!r} awaits an answer of this client: "
                "it was answered already, or the hub that brought it is gone"
            )
        del self._owed[msg_id]

    def answer(self, message: Message, response: Response) -> None:
        """Answer a call in a task, unless that has been done."""
        if message.msg_id in self._owed:
            self._spawn(self._reply(message.msg_id, response), message.mtype)

    def is_handling(self) -> bool:
        """Whether the current task runs a handler."""
        return asyncio.current_task() in self._tasks

    async def close(self, timeout: float) -> None:
        """End the streams, wait `timeout` seconds for the handlers, cancel the rest.

        Takes no messages any more. Cancelling it ends the wait: the handlers are cancelled then.
        """
        self._closing = True
        self.close_streams()
        for sender in list(self._naming):
            self._end_naming(sender)
        while self._due:
            self._run_next()
        await self.end_handlers(timeout)

    async def end_handlers(self, timeout: float) -> None:
        """Wait `timeout` seconds for the handlers, cancel the rest; not the one that asks for it."""
        this = asyncio.current_task()
        tasks = {task for task in self._tasks if task is not this}
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=timeout)
        finally:
            late = {task for task in tasks if not task.done()}
            for task in late:
                log.warning("%s takes too long to end and is cancelled", task.get_name())
                task.cancel("it takes too long")
            if late:
                # Bounded: a handler may refuse to be cancelled.
                await asyncio.wait(late, timeout=timeout)

    async def answer_owed(self, deadline: float) -> None:
        """Answer with samp.error what nobody has answered, until `deadline` by the loop's clock."""
        response = Response.failure("the client left before it answered")
        try:
            async with asyncio.timeout_at(deadline):
                for msg_id in list(self._owed):
                    await self._reply(msg_id, response)
        except TimeoutError:
            log.info("%d calls are left without an answer: the hub takes too long", len(self._owed))

    def close_streams(self) -> None:
        """End all streams; the calls that wait in them are answered with samp.error."""
        for stream in self.router.all_streams():
            stream.close()

    # ---- names

    async def with_name(self, message: Message, registration: Registration | None) -> Message:
        """Return the message with the name of its sender, which the hub is asked for if it is not known.

        If the registration for which it came is over, it is returned as it is: the id is another's now.
        It never raises, and waits a second at most. Cancelling is safe.
        """
        if message.sender_name or registration is not self._registration:
            return message
        if not self.others.knows(message.sender) and message.sender not in self._untold:
            asking = self._learn(message.sender)
            await asyncio.wait({asking}, timeout=_NAME_PATIENCE)
            if not asking.done():
                self._tell_not(message.sender)  # the next message does not wait
        return self._named(message) if registration is self._registration else message

    def _learn(self, client: str) -> asyncio.Task[None]:
        """Ask the hub for the metadata of a client, in a task; many who want to know ask once."""
        asking = self._asking.get(client)
        if asking is None:
            asking = asyncio.get_running_loop().create_task(self._ask(client), name=f"asyncsamp-ask-{client}")
            self._asking[client] = asking
            asking.add_done_callback(lambda _: self._asking.pop(client, None))
        return asking

    async def _ask(self, client: str) -> None:
        assert self._owner is not None
        self.others.seen(client)
        try:
            metadata = await self._owner.request("getMetadata", client)
        except SampError as error:
            log.debug("the name of client %s is not known: %s", client, error)
            self._tell_not(client)
        else:
            self.others.first_seen(client, as_map(metadata))

    def _tell_not(self, client: str) -> None:
        """Note that the hub does not tell the name, so that nobody asks and waits for each message."""
        if len(self._untold) >= _UNTOLD_KEPT:
            del self._untold[next(iter(self._untold))]
        self._untold[client] = None

    def _named(self, message: Message) -> Message:
        if message.sender_name:
            return message
        name = self.others.name_of(message.sender)
        return replace(message, sender_name=name) if name else message

    def _has_asked(self, sender: str) -> bool:
        """Whether the name of a sender is known, or the hub does not tell it."""
        return sender in self._untold or self.others.knows(sender)

    def _begin_naming(self, sender: str) -> _Naming:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_NAME_PATIENCE, self._give_up_naming, sender)
        naming = self._naming[sender] = _Naming([], timer)
        self._learn(sender).add_done_callback(lambda _: self._end_naming(sender))
        return naming

    def _give_up_naming(self, sender: str) -> None:
        self._tell_not(sender)  # the next message does not wait
        self._end_naming(sender)

    def _end_naming(self, sender: str) -> None:
        naming = self._naming.pop(sender, None)
        if naming is None:
            return
        naming.timer.cancel()
        for handling, message in naming.waiting:
            self._begin_handling(handling, message)

    # ---- inside

    def _read(self, message: ValueMap, sender: str, msg_id: str | None) -> Message:
        try:
            return Message.from_map(message, sender, msg_id, self.others.name_of(sender))
        except RemoteProtocolError as error:
            raise FaultError(str(error), code=FaultCode.BAD_PARAMETERS) from error

    def _take(self, message: Message) -> None:
        log.debug("%s from %s", message.mtype, message.sender)
        self._attend(message)
        handling = self.router.handler(message.mtype)
        if not self._has_room(message, handling is not None):
            return
        if message.msg_id is not None:
            self._owe(message.msg_id)
        if handling is not None:
            self._put(message, to_answer=False)
            self._handle_named(handling, message)
        elif not self._put(message, to_answer=message.msg_id is not None):
            self.answer(message, self._own_answer(message))

    def _put(self, message: Message, *, to_answer: bool) -> bool:
        """Give a message to its streams, the first of which answers it; return whether that is settled."""
        refusal = ""
        for stream in self.router.streams(message.mtype):
            try:
                stream.check(message)
            except RemoteProtocolError as error:
                refusal = str(error)
            else:
                stream.put(message, to_answer=to_answer, registration=self._registration)
                to_answer = False
        if refusal and to_answer:
            self.answer(message, Response.failure(refusal))
        elif refusal:  # nobody else is told
            who = self.others.label(message.sender)
            self._complaints.warning("%s from %s was left out: %s", message.mtype, who, refusal)
        return not to_answer or refusal != ""

    def _has_room(self, message: Message, handled: bool) -> bool:
        """Whether the message can be taken; a call that cannot is refused with `FaultError`."""
        if self._closing:
            text = "this client is about to leave and takes no more messages"
        elif handled and self._running() >= self._limits.max_handlers:
            text = f"this client has {self._running()} handlers running and takes no more messages now"
            who = self.others.label(message.sender)
            self._complaints.warning("%s from %s is not taken: %s", message.mtype, who, text)
        else:
            return True
        if message.msg_id is not None:
            raise FaultError(text, code=FaultCode.LIMIT_REACHED)
        return False

    def _running(self) -> int:
        """Return how many handlers run, or are about to."""
        running = len(self._tasks) + len(self._due)
        for naming in self._naming.values():
            running += len(naming.waiting)
        return running

    def _owe(self, msg_id: str) -> None:
        if len(self._owed) >= self._limits.max_pending_calls:
            del self._owed[next(iter(self._owed))]
        self._owed[msg_id] = None

    def _spawn(self, work: Coroutine[object, object, None], mtype: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"asyncsamp-handler-{mtype}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _own_answer(self, message: Message) -> Response:
        """Answer what nobody handles: pings, and what some hubs deliver though we did not ask (TOL-20)."""
        if message.mtype == "samp.app.ping" or message.mtype.startswith(("samp.hub.", "samp.msg.")):
            return Response()
        return Response.failure(f"this client does not take {message.mtype}")

    def _handle_named(self, handling: Handling, message: Message) -> None:
        """Handle a message once the name of its sender is known."""
        naming = self._naming.get(message.sender)
        if naming is None and self._has_asked(message.sender):
            self._begin_handling(handling, message)
            return
        (naming or self._begin_naming(message.sender)).waiting.append((handling, message))

    def _begin_handling(self, handling: Handling, message: Message) -> None:
        message = self._named(message)
        if handling.may_wait:
            self._spawn(self._handle(handling.handler, message), message.mtype)
        else:
            self._due.append((handling.handler, message))
            asyncio.get_running_loop().call_soon(self._run_next)

    def _run_next(self) -> None:
        """Run a handler that does not wait, in the turn that was taken for it."""
        if not self._due:
            return  # `close` did not wait for the turn
        handler, message = self._due.popleft()
        try:
            handling = handler(message)
            assert isinstance(handling, CoroutineType)
            handling.send(None)
            handling.close()
            raise AssertionError("there was no await in the handler")
        except StopIteration as end:
            response = self._checked(end.value, message)
        except asyncio.CancelledError:
            response = self._cancelled(message)
        except Exception as error:
            response = self._failed(error, message)
        self.answer(message, response)

    async def _handle(self, handler: Handler, message: Message) -> None:
        msg_id = message.msg_id
        try:
            response = as_response(await handler(message))
        except asyncio.CancelledError as error:
            said = bool(error.args)  # by `end_handlers`
            response = self._cancelled(message, said=said)
            if msg_id is not None:
                await self._reply(msg_id, response)
            raise
        except Exception as error:
            response = self._failed(error, message)
        if msg_id is not None:
            await self._reply(msg_id, response)

    def _checked(self, returned: Mapping[str, object] | Response | None, message: Message) -> Response:
        try:
            return as_response(returned)
        except Exception as error:
            return self._failed(error, message)

    def _failed(self, error: Exception, message: Message) -> Response:
        """Log what a handler raised, and return the answer; call it where `error` is handled."""
        self._complaints.exception("the handler of %s failed", message.mtype)
        return Response.failure(_describe(error))

    def _cancelled(self, message: Message, *, said: bool = False) -> Response:
        if not said:
            self._complaints.warning("the handler of %s was cancelled before it ended", message.mtype)
        return Response.failure("the handler was cancelled before it ended")

    async def _reply(self, msg_id: str, response: Response) -> None:
        """Send the answer to a call, unless it was answered or its hub is gone."""
        if msg_id not in self._owed or self._owner is None:
            return
        del self._owed[msg_id]
        try:
            await self._owner.send_reply(msg_id, response)
        except SampError as error:
            # The caller may have left or given up; a refused reply is nobody's fault here.
            log.info("a reply was not taken: %s", error)

    def _attend(self, message: Message) -> None:
        """Keep our own view up to date. Hub events count only from the hub (CLIENT-9..12)."""
        if message.mtype == "samp.msg.progress":
            msg_id = message.params.get("msgid")
            if isinstance(msg_id, str):
                self.calls.progress(msg_id, message)
        elif self._registration is not None and message.sender == self._registration.hub_id:
            self._attend_hub(message)

    def _attend_hub(self, message: Message) -> None:
        assert self._owner is not None
        client = message.params.get("id")
        match message.mtype, client:
            case "samp.hub.event.shutdown", _:
                self._owner.hub_lost("it has shut down", come_back=True)
            case "samp.hub.disconnect", _:
                reason = message.params.get("reason") or "no reason given"
                self._owner.hub_lost(f"it disconnected this client: {reason}", come_back=False)
            case "samp.hub.event.register", str():
                self.others.seen(client)
            case "samp.hub.event.unregister", str():
                self.others.left(client)
            case "samp.hub.event.metadata", str():
                self.others.declared(client, metadata=as_map(message.params.get("metadata")))
            case "samp.hub.event.subscriptions", str():
                self.others.declared(client, subscriptions=as_map(message.params.get("subscriptions")))
                if not self.others.knows(client):
                    self._learn(client)


def _describe(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # what str() of a user's exception does is the user's
        return type(error).__name__


def as_response(result: Mapping[str, object] | Response | None) -> Response:
    """Return what a handler returned as a response. Raises `LocalProtocolError` if SAMP cannot say it."""
    if result is None:
        return Response()
    if isinstance(result, Response):
        # A user's Response may hold anything; what is sent is checked here, where it can be told.
        return Response(
            result.status,
            encode_map(result.result, "the response's result"),
            encode_map(result.error, "the response's error"),
            encode_map(result.extra, "the response's extra"),
        )
    if isinstance(result, Mapping):
        return Response(result=encode_map(result, "the handler's result"))
    raise LocalProtocolError(
        f"a handler must return a mapping, a Response or None, not {type(result).__name__}"
    )
