"""The workloads, each a closed loop against one hub for a number of seconds; run inside the load process."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter

from .crowd import MTYPE, Crowd, Member, Target
from .ledger import percentile
from .pace import metronome
from .rawxml import TOKEN, array, call, message, string, struct, token
from .wire import LinkError

__all__ = ["Job", "Outcome", "run_job"]

_BROADCASTS = 10
"""Broadcasts under way at once; more would measure how much a hub can queue."""


@dataclass(frozen=True)
class Job:
    """What to do: `clients` registered, of which `active` send at once, for `seconds`.

    `size` is the length of the text in each message; `rows` makes it a list of so many strings.
    `rate` paces the senders (messages a second in all); `limit` ends the run after so many. What does
    not come for `patience` seconds is lost.
    """

    workload: str
    clients: int = 10
    active: int = 10
    seconds: float = 1.0
    size: int = 100
    rows: int = 0
    rate: float = 0.0
    limit: int = 0
    patience: float = 5.0


@dataclass
class Outcome:
    """What was seen. Times in seconds; `done` counts messages, deliveries or cycles."""

    done: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    slowest: float = 0.0
    sent: int = 0
    lost: int = 0
    doubled: int = 0
    swapped: int = 0
    strange: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    opened: int = 0
    load_cpu: float = 0.0
    hub_cpu: float = 0.0
    hub_peak: float = 0.0
    error: str = ""

    @property
    def rate(self) -> float:
        """How many a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def wrong(self) -> str:
        """What went wrong with messages, for people; empty if all came once and in order."""
        words = [f"{getattr(self, name)} {name}" for name in ("lost", "doubled", "swapped", "strange")]
        words = [word for word in words if not word.startswith("0 ")]
        words += [f"{count} x {text!r}" for text, count in self.faults.items()]
        return ", ".join(words + ([self.error] if self.error else []))


class _Run:
    """One job at work."""

    def __init__(self, job: Job, crowd: Crowd) -> None:
        self.job = job
        self.crowd = crowd
        self.clock = perf_counter
        self.begun = self.clock()
        self.done = 0
        self.times: list[float] = []
        self.recipients = crowd.members[crowd.subscribed_from :]
        self._left = job.limit
        params = {"token": string("#TOKEN#")}
        if job.rows:
            params["row-list"] = array([string(f"{row:07d}") for row in range(job.rows)])
        else:
            params["text"] = string("x" * job.size)
        self._message = message(MTYPE, params)
        self._halves: dict[tuple[str, int, str], tuple[bytes, bytes]] = {}

    def more(self) -> bool:
        """Whether another message is to be sent."""
        if self.job.limit:
            self._left -= 1
            return self._left >= 0
        return self.clock() - self.begun < self.job.seconds

    def body(self, operation: str, member: Member, mark: str, *before: str, after: str = "") -> bytes:
        """Return the call that sends the message with `mark`; all but the mark is made once."""
        key = (operation, member.number, "".join(before))
        halves = self._halves.get(key)
        if halves is None:
            params = [string(member.key), *before, self._message]
            whole = call(f"samp.hub.{operation}", *params, *([after] if after else []))
            head, _, tail = whole.partition(b"#TOKEN#")
            halves = head, tail
            if len(self._halves) < 2_000 and len(whole) < 50_000:
                self._halves[key] = halves
        return halves[0] + mark.encode("ascii") + halves[1]

    async def each_sender(self, send: Callable[[Member, Member, float], Awaitable[None]]) -> None:
        """Let the active senders send one by one, in turn to all recipients, paced or not."""
        pace = self.job.active / self.job.rate if self.job.rate else 0.0
        with metronome() as at:
            async with asyncio.TaskGroup() as group:
                for place in range(self.job.active):
                    group.create_task(self._sender(place, pace, at, send))

    async def lap(self, send: Callable[[Member, Member, float], Awaitable[None]]) -> None:
        """Let each client send one message."""
        job, self.job = self.job, replace(self.job, limit=len(self.crowd.members), rate=0.0)
        self._left = self.job.limit
        await self.each_sender(send)
        self.job, self._left = job, job.limit

    async def _sender(
        self,
        place: int,
        pace: float,
        at: Callable[[float], Awaitable[None]],
        send: Callable[[Member, Member, float], Awaitable[None]],
    ) -> None:
        members, recipients = self.crowd.members, self.recipients
        due = self.begun + pace * place / self.job.active
        turn = place
        while self.more():
            start = self.clock()
            if pace:
                if start < due:
                    await at(due)
                    start = self.clock()
                else:
                    start = due  # it is late: the wait counts, too
                due += pace
            # Every client sends in its turn, and to every other in its turn.
            sender = members[turn % len(members)]
            recipient = recipients[(turn + 1 + turn // len(members)) % len(recipients)]
            if recipient is sender:
                recipient = recipients[(turn + 1) % len(recipients)]
            turn += self.job.active
            try:
                await send(sender, recipient, start)
            except LinkError as error:
                self.crowd.note(error)
                if "no connection" in str(error) or "closed the connection" in str(error):
                    return


async def _notify(run: _Run) -> None:
    ledger = run.crowd.ledger

    async def send(sender: Member, recipient: Member, start: float) -> None:
        number = ledger.send(sender.number, recipient.number, start)
        mark = token(sender.number, recipient.number, number)
        # The forwarder goes by the path.
        link = recipient.link if run.crowd.target.forwards else sender.link
        await link.ask(run.body("notify", sender, mark, string(recipient.id)))

    before = 0
    if run.job.clients > run.job.active:
        # A lap before the clock starts: each hub has the connections that it keeps.
        await run.lap(send)
        await ledger.all_received(run.job.patience)
        before = ledger.received
        del ledger.latencies[:]
        run.begun = run.clock()
    await run.each_sender(send)
    await ledger.all_received(run.job.patience)
    run.done = ledger.received - before
    run.times = list(ledger.latencies)


def _answer_calls(run: _Run) -> set[asyncio.Task[None]]:
    """Let the crowd reply to calls, with the mark of the call in the result."""
    replies: set[asyncio.Task[None]] = set()

    async def reply(member: Member, msg_id: str, mark: bytes) -> None:
        result = struct({"token": string(mark.decode("ascii"))})
        response = struct({"samp.status": string("samp.ok"), "samp.result": result})
        try:
            await run.crowd.hub(member, "reply", string(msg_id), response)
        except LinkError as error:
            run.crowd.note(error)

    def on_call(member: Member, msg_id: str, mark: bytes) -> None:
        task = asyncio.ensure_future(reply(member, msg_id, mark))
        replies.add(task)
        task.add_done_callback(replies.discard)

    run.crowd.on_call = on_call
    return replies


async def _call(run: _Run) -> None:
    ledger = run.crowd.ledger
    replies = _answer_calls(run)
    waiting: dict[bytes, asyncio.Future[None]] = {}

    def on_response(member: Member, body: bytes) -> None:
        found = TOKEN.search(body)
        waiter = waiting.pop(found[0], None) if found else None
        if waiter is None:
            ledger.doubled += 1
        elif not waiter.done():
            waiter.set_result(None)

    run.crowd.on_response = on_response

    async def send(sender: Member, recipient: Member, start: float) -> None:
        mark = token(sender.number, recipient.number, ledger.send(sender.number, recipient.number))
        waiter = waiting[mark.encode("ascii")] = asyncio.get_running_loop().create_future()
        tag = string(mark.strip("#"))
        await sender.link.ask(
            call("samp.hub.call", string(sender.key), string(recipient.id), tag, _marked(run, mark))
        )
        async with asyncio.timeout(run.job.patience):
            await waiter
        run.done += 1
        run.times.append(run.clock() - start)

    try:
        await run.each_sender(send)
    except* TimeoutError:
        pass
    await ledger.all_received(run.job.patience)
    if waiting:
        run.crowd.note(LinkError(f"{len(waiting)} calls without a response"))
    await _end(replies, run.job.patience)


def _marked(run: _Run, mark: str) -> str:
    return run._message.replace("#TOKEN#", mark)


async def _call_and_wait(run: _Run) -> None:
    ledger = run.crowd.ledger
    replies = _answer_calls(run)

    async def send(sender: Member, recipient: Member, start: float) -> None:
        mark = token(sender.number, recipient.number, ledger.send(sender.number, recipient.number))
        body = run.body("callAndWait", sender, mark, string(recipient.id), after=string("60"))
        try:
            async with asyncio.timeout(run.job.patience):
                answer = await sender.link.ask(body)
        except TimeoutError:
            run.crowd.note(LinkError("a callAndWait without an answer"))
            return
        if mark.encode("ascii") not in answer:
            ledger.strange += 1
        run.done += 1
        run.times.append(run.clock() - start)

    await run.each_sender(send)
    await ledger.all_received(run.job.patience)
    await _end(replies, run.job.patience)


async def _end(replies: set[asyncio.Task[None]], patience: float) -> None:
    if replies:
        await asyncio.wait(replies, timeout=patience)
    for task in replies:
        task.cancel()


async def _broadcast(run: _Run) -> None:
    crowd, ledger = run.crowd, run.crowd.ledger
    crowd.broadcast = True
    sender, recipients = crowd.members[0], run.recipients
    while run.more():
        when = run.clock()
        numbers = {ledger.send(0, recipient.number, when) for recipient in recipients}
        mark = token(0, 9999, numbers.pop())
        try:
            await sender.link.ask(run.body("notifyAll", sender, mark))
        except LinkError as error:
            crowd.note(error)
            break
        while ledger.sent - ledger.received > _BROADCASTS * len(recipients):
            ledger.progress.clear()
            try:
                async with asyncio.timeout(run.job.patience):
                    await ledger.progress.wait()
            except TimeoutError:
                return
    await ledger.all_received(run.job.patience)
    run.done = ledger.received
    run.times = list(ledger.latencies)


async def _come_and_go(run: _Run) -> None:
    metadata = struct({"samp.name": string("visitor")})
    subscriptions = struct({MTYPE: struct({})})

    async def send(sender: Member, recipient: Member, start: float) -> None:
        visitor = Member(sender.number, sender.link)
        await run.crowd.register(visitor)
        await run.crowd.hub(visitor, "declareMetadata", metadata)
        await run.crowd.hub(visitor, "declareSubscriptions", subscriptions)
        await run.crowd.hub(visitor, "unregister")
        run.done += 1
        run.times.append(run.clock() - start)

    await run.each_sender(send)


async def _idle(run: _Run) -> None:
    """Nothing: the crowd is registered, and its connections are open."""
    run.done = len(run.crowd.members)


_WORKLOADS: dict[str, Callable[[_Run], Awaitable[None]]] = {
    "notify": _notify,
    "call": _call,
    "callAndWait": _call_and_wait,
    "broadcast": _broadcast,
    "register": _come_and_go,
    "idle": _idle,
}


async def run_job(job: Job, target: Target) -> Outcome:
    """Do one job with a crowd of its own, and return what was seen."""
    first = 1 if job.workload == "broadcast" else 0
    async with Crowd(target, job.clients + first, subscribed_from=first) as crowd:
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        run = _Run(job, crowd)
        await _WORKLOADS[job.workload](run)
        seconds = run.clock() - run.begun
        after = resource.getrusage(resource.RUSAGE_SELF)
    ledger = crowd.ledger
    return Outcome(
        done=run.done,
        seconds=seconds,
        p50=percentile(run.times, 0.5),
        p99=percentile(run.times, 0.99),
        slowest=max(run.times, default=0.0),
        sent=ledger.sent,
        lost=ledger.lost,
        doubled=ledger.doubled,
        swapped=ledger.swapped,
        strange=ledger.strange,
        faults=crowd.faults,
        opened=crowd.deliveries_opened,
        load_cpu=after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime,
    )


def as_json(outcome: Outcome) -> dict[str, object]:
    """Return what can be written as JSON."""
    return asdict(outcome)
