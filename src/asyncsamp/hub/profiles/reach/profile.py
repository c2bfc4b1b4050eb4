"""A room: clients of other hubs stand in this one as if they were its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import Literal

from ...._util.complaints import Complaints
from ...._util.foreign_text import plain_line
from ....delivery import Delivery, DeliveryError
from ....errors import LocalProtocolError, RemoteProtocolError
from ....interfaces import Engine
from ...mtype_limits import WEB_MTYPES, MTypeLimits
from .beats import Beats
from .bus import BusMessage, BusServer, NatsBus
from .context import Context
from .data import DataPort
from .exports import Exports
from .invitation import Invitation
from .invitation_files import find_again
from .meetings import Meetings
from .peer import Encoded, Peer, Remembered
from .proxies import Proxy
from .said import Said
from .subjects import Subjects, is_hub, member_of, peer_of, speaker_of
from .urls import ReachUrls
from .wire import Ack, Frame, dump_here, load_here, load_payload

__all__ = ["Reach"]

log = logging.getLogger("asyncsamp.reach")

_FINISHED = 10_000
"""Hubs that have said goodbye, or do not keep to the protocol, that are remembered: what still comes of them
must not bring them back."""

_GIVEN_UP = 1_000
"""Hubs that were given up of which is kept how much was taken, since one that did not see it says it again,
and whom the user has removed."""

_HUBS_AT_FULL_RATE = 50
"""Up to so many hubs are told each `Limits.reach_beat` that we are here; of more, so many a second."""


class Reach:
    """A profile that joins a room, and the courier of the clients that are at other hubs.

        async with Hub(profiles=[Reach(invitation)]) as hub:
            ...

    A server that is not there when the hub starts is not an error: it is tried again and again, and the log
    says so. The same object may be started again.

    Args:
        invitation: The server and the room, and how to be let in.
        label: What clients of this hub are called elsewhere: "TOPCAT @label"; this machine's name if empty.
        mtypes: What clients of other hubs may send here, as for web pages; None for everything.
        trust: Members whose clients may send everything, as the user's own.
        share: The names of the clients that are shown to other hubs; empty for all.
        plain: Whether a server off this machine may do without TLS.
        files: Whether the files and local URLs that programs here send may be read by the whole room
            ("sent") or not ("none"); None for what the invitation says: "sent" if the room is one's own.

    Raises:
        LocalProtocolError: The server's URL cannot be used, or somebody is to be trusted by a name that the
            server does not prove.
    """

    def __init__(
        self,
        invitation: Invitation,
        *,
        label: str = "",
        mtypes: Iterable[str] | None = WEB_MTYPES,
        trust: Collection[str] = (),
        share: Collection[str] = (),
        plain: bool = False,
        files: Literal["sent", "none"] | None = None,
    ) -> None:
        if trust and not invitation.has_account:
            raise LocalProtocolError(
                "nobody can be trusted by name here: this server has no accounts, so everybody may take any "
                "name; join by an invitation of a server with accounts"
            )
        self.invitation = invitation
        self.label = plain_line(label, 40).strip() or _machine()
        self._limits = None if mtypes is None else MTypeLimits(mtypes)
        self._trust = frozenset(trust)
        self._share = tuple(share)
        self._plain = plain
        self._offers = invitation.own if files is None else files == "sent"
        self._server().check()
        self._context: Context | None = None
        self._bus: NatsBus | None = None
        self._data_bus: NatsBus | None = None
        self._data: DataPort | None = None
        self._exports: Exports | None = None
        self._encoded: Encoded | None = None
        self._said: Said | None = None
        self._peers: dict[str, Peer] = {}
        self._finished: dict[str, None] = {}
        self._remembered: dict[str, Remembered] = {}  # of hubs that were given up
        self._beats: Beats | None = None
        self._said_here = 0.0
        self._stop_observing: Callable[[], None] = lambda: None
        self._grace_until = 0.0
        self._met = asyncio.Event()
        self._let_in = asyncio.Event()  # since the start
        self._leaving = False
        self._meetings: Meetings | None = None
        self._complaints = Complaints(log)
        self._told_full = 0.0
        self._told_lost = False
        self._told_label = False
        self._ending: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Reach room {self.invitation.room!r} at {self.invitation.url}>"

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the server now."""
        return self._bus is not None and self._bus.connected

    @property
    def started(self) -> bool:
        """Whether a hub serves the profile now."""
        return self._context is not None

    @property
    def offers_files(self) -> bool:
        """Whether the room may read the files and local URLs that programs here send."""
        return self._offers

    @property
    def hubs(self) -> dict[str, int]:
        """The other hubs of the room by their label, and how many clients of theirs are here."""
        return {peer.label: len(peer.proxies) for peer in self._peers.values()}

    @property
    def terms(self) -> tuple[str, str]:
        """What joining gives away, in two lines for the user: which room as whom, and who may do what."""
        invitation = self.invitation
        account = f" as {invitation.member}" if invitation.has_account else ", which asks nobody for a key"
        room = f"the room {invitation.room} at {invitation.url}{account}"
        shown = f"; it shows {', '.join(self._share)} only" if self._share else ""
        readers = "every member of the room" if self._offers else "nobody there"
        if self._limits is None:
            sent = "everything"
        elif self._trust:
            sent = (
                f"what web pages may; those of {', '.join(sorted(self._trust))}, whom you trust, everything"
            )
        else:
            sent = "what web pages may; no member is trusted with more"
        return (
            f"Joins {room}; others see its clients as 'NAME @{self.label}'{shown}.",
            f"Files and local URLs sent from here can be read by {readers}. "
            f"Clients there may send here {sent}.",
        )

    async def met(self, timeout: float) -> bool:
        """Wait until the clients of another hub are here: they come a moment after the start.

        Args:
            timeout: Seconds that it waits at most.

        Returns:
            Whether they are; False at once if the profile has not started.

        Cancelling is safe.
        """
        if not self.started:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._met.wait()
        return self._met.is_set()

    async def let_in(self, timeout: float) -> bool:
        """Wait until there is a connection to the server, the first since the start. Cancelling is safe.

        Args:
            timeout: Seconds that it waits at most.

        Returns:
            Whether there is one now.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._let_in.wait()
        return self.connected

    # ---- the profile

    async def start(self, engine: Engine) -> None:
        """Join, as soon as the server is there.

        Nothing is left open if it fails or is cancelled.

        Args:
            engine: The hub.

        Raises:
            MissingExtraError: nats-py is not installed.
            LocalProtocolError: A seed or a certificate cannot be read.
            OSError: No port can be opened.
        """
        try:
            await self._start(engine, secrets.token_hex(4))
        except BaseException:
            await self._leave()
            raise

    async def _start(self, engine: Engine, incarnation: str) -> None:
        self._leaving = self._told_lost = False
        self._met.clear()
        self._let_in.clear()
        if self.invitation.path:
            engine.own_files.add(self.invitation.path)
        subjects = Subjects(self.invitation.room, f"{self.invitation.member}.{incarnation}")
        data = await self._start_data(engine, subjects)
        self._bus = NatsBus(self._server(), back=self._back, lost=self._lost, renewed=self._renewed)
        self._context = context = self._make_context(engine, self._bus, data.urls, subjects)
        self._exports = Exports(
            engine,
            lambda courier: isinstance(courier, Reach),
            share=self._share,
            limits=self._limits,
            outgoing=context.shown,
        )
        self._encoded = Encoded(context)
        self._said = Said(engine, self.invitation.room, connected=lambda: self.connected, hubs=self._greeted)
        self._meetings = Meetings(engine.limits.reach_hubs, named=context.named)
        callbacks = {
            subjects.all_here: self._here,
            subjects.all_bye: self._bye,
            subjects.all_frames: self._frame,
            subjects.all_refused: self._refused,
        }
        for subject, callback in callbacks.items():
            self._bus.subscribe(subject, callback)
        if self.invitation.has_expired(datetime.now(UTC)):
            log.warning("the invitation to the room %s has expired; ask for a new one", self.invitation.room)
        await self._bus.start()
        self._stop_observing = engine.observe_clients(self._observed)
        for client in engine.clients:
            self._exports.note(client)
        self._beats = Beats(self._beat, pause=self._pause, others=lambda: len(self._peers))
        self._beats.start()
        self._said.say()

    async def stop(self) -> None:
        """Say goodbye to the room and leave it, within a second or two. If it is cancelled, call it again."""
        self._leaving = True
        self._stop_observing()
        if self._beats is not None:
            self._beats.stop()
            self._beats = None
        for peer in list(self._peers.values()):
            peer.flush()
            self._close(peer, "the hub leaves the room")
        if self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)
        await self._leave()

    # ---- the courier

    async def deliver(self, delivery: Delivery) -> None:
        """Send it to the hub of its recipient.

        It may be cancelled; then it is not known whether it was taken.

        Args:
            delivery: What goes to whom.

        Raises:
            DeliveryError: It was not taken.
        """
        found = self._find(delivery.recipient)
        if found is None:
            raise DeliveryError("its hub has left the room")
        peer, proxy = found
        await peer.deliver(proxy, delivery)

    def deliver_at_once(self, delivery: Delivery) -> bool:
        """Send it if there is room, and nothing in it has to be searched or waited for.

        Args:
            delivery: What goes to whom.

        Returns:
            Whether it was sent.
        """
        found = self._find(delivery.recipient)
        return found is not None and found[0].deliver_at_once(found[1], delivery)

    async def is_alive(self, client: str) -> bool:
        """Return whether the hub of a client is there, as far as is known: its end ends all its clients.

        Cancelling is safe.

        Args:
            client: A public id.
        """
        return self._find(client) is not None

    def has_unread(self, client: str) -> bool:
        """Return False: what waits for a hub goes in its order, however many wait.

        Args:
            client: A public id.
        """
        return False

    def forget(self, client: str) -> None:
        """The client has been removed.

        Args:
            client: A public id.
        """
        for peer in self._peers.values():
            peer.proxies.removed(client)

    # ---- from the bus

    def _back(self) -> None:
        if self._leaving:
            return  # we may have said goodbye
        context = self._context
        assert context is not None
        level = logging.WARNING if self._told_lost else logging.INFO  # as loud as the loss
        self._let_in.set()
        self._told_lost = False
        log.log(level, "connected to the server of the room %s", self.invitation.room)
        if self._peers:  # who were there before may not be back yet
            self._grace_until = context.clock() + context.engine.limits.reach_grace
        self._say_here()
        self._say_whether_connected()
        for peer in list(self._peers.values()):
            peer.back()

    def _lost(self, reason: str) -> None:
        self._told_lost = True
        log.warning(
            "no connection to %s, the server of the room %s: %s; the hub goes on alone, and tries again",
            self.invitation.url,
            self.invitation.room,
            reason,
        )
        self._say_whether_connected()

    def _here(self, message: BusMessage) -> None:
        hub = speaker_of(message.subject)
        if hub in self._peers or not self._is_heard(hub):
            return
        try:
            load_here(message.payload)
        except RemoteProtocolError as error:
            self._not_understood(hub, error)
            return
        if self._may_meet(hub):
            self._meet(hub)

    def _bye(self, message: BusMessage) -> None:
        hub = speaker_of(message.subject)
        if not is_hub(hub):
            return
        self._finish(hub)
        peer = self._peers.get(hub)
        if peer is not None:
            self._close(peer, f"the hub {peer.label} has left the room")

    def _frame(self, message: BusMessage) -> None:
        hub = speaker_of(message.subject)
        peer = self._peers.get(hub)
        if peer is None and not self._is_heard(hub):
            return
        try:
            came = load_payload(message.payload)
        except RemoteProtocolError as error:
            if peer is None:
                self._not_understood(hub, error)
            else:
                self._lose(peer, str(error), True)
            return
        if peer is None and self._may_meet(hub):
            peer = self._meet(hub)
        if peer is not None:
            self._take(peer, came)

    def _take(self, peer: Peer, came: Frame | Ack) -> None:
        try:
            if peer.is_ended_by(came):
                self._lose(peer, "it has lost sight of this hub, and begins anew", False)
                if not self._may_meet(peer.hub):
                    return
                peer = self._meet(peer.hub, former=peer.streams)
            peer.take(came)
        except RemoteProtocolError as error:
            self._lose(peer, str(error), True)

    def _refused(self, message: BusMessage) -> None:
        if not message.nobody_there:
            return
        peer = self._peers.get(peer_of(message.subject))
        if peer is not None:
            assert self._context is not None
            peer.refused(self._context.clock() < self._grace_until)

    # ---- from the hub

    def _observed(self, what: str, client: str) -> None:
        exports = self._exports
        assert exports is not None
        exports.note(client)
        if what == "relieved" or what == "unregistered":
            for peer in list(self._peers.values()):
                peer.relieved(client)
        if what in ("metadata", "subscriptions", "callable", "unregistered") and exports.is_own(client):
            for peer in list(self._peers.values()):
                peer.changed(client)

    # ---- inside

    async def _start_data(self, engine: Engine, subjects: Subjects) -> DataPort:
        """Open the port where tools here read what other hubs offer; pieces have a bus of their own."""
        self._data_bus = bus = NatsBus(self._server(), back=self._data_back, renewed=self._renewed)
        named = self.invitation.has_account
        self._data = data = DataPort(engine, bus, subjects, offers=self._offers, named=named)
        await bus.start()
        await data.start()
        return data

    def _data_back(self) -> None:
        if self._data is not None:
            self._data.back()

    async def _leave(self) -> None:
        """Close the data port and the buses, as far as they are open."""
        self._leaving = True
        if self._said is not None:
            self._said.end()
            self._said = None
        if self._bus is not None and self._context is not None:
            self._bus.publish(self._context.subjects.bye, b"")
        if self._data is not None:
            await self._data.close()
            self._data = None
        await asyncio.gather(*(bus.close() for bus in (self._bus, self._data_bus) if bus is not None))
        self._context = None

    def _renewed(self) -> BusServer:
        """Return where the server is, and how to be let in, by what is in the files now.

        Blocks: it is called in a thread.
        """
        self.invitation = find_again(self.invitation)
        return self._server()

    def _server(self) -> BusServer:
        invitation = self.invitation
        return BusServer(
            url=invitation.url,
            name=f"asyncsamp hub {self.label}",
            user=invitation.user,
            password=invitation.password,
            seed=invitation.seed,
            ca=invitation.ca,
            headers=invitation.headers,
            plain=self._plain,
        )

    def _make_context(self, engine: Engine, bus: NatsBus, urls: ReachUrls, subjects: Subjects) -> Context:
        return Context(
            engine=engine,
            courier=self,
            bus=bus,
            urls=urls,
            subjects=subjects,
            label=self.label,
            named=self.invitation.has_account,
            offers=self._offers,
            trusts=self._trust.__contains__,
            may_send=None if self._limits is None else self._limits.may_send,
            clock=asyncio.get_running_loop().time,
        )

    def _find(self, client: str) -> tuple[Peer, Proxy] | None:
        """Return what stands here for a client of another hub, and that hub."""
        for peer in self._peers.values():
            proxy = peer.proxies.by_client.get(client)
            if proxy is not None:
                return peer, proxy
        return None

    def _beat(self) -> None:
        """Tell each peer, and now and then everybody, that we are here."""
        context = self._context
        assert context is not None
        assert self._exports is not None
        for peer in list(self._peers.values()):
            peer.beat()
        self._exports.forget_left(self._is_leaving)
        due = self._said_here + context.engine.limits.reach_here
        if context.clock() >= due - self._pause() / 2:  # at the nearest beat
            self._say_here()

    def _pause(self) -> float:
        assert self._context is not None
        limits = self._context.engine.limits
        if not self._peers:
            return limits.reach_here
        return limits.reach_beat * max(1.0, len(self._peers) / _HUBS_AT_FULL_RATE)

    def _heard_beat(self) -> None:
        if self._beats is not None:
            self._beats.heard()

    def _is_leaving(self, client: str) -> bool:
        return any(peer.is_leaving(client) for peer in self._peers.values())

    def _say_here(self) -> None:
        context = self._context
        assert context is not None
        self._said_here = context.clock()
        context.bus.publish(context.subjects.here, dump_here(self.label))

    def _is_heard(self, hub: str) -> bool:
        """Whether what comes of a hub that is no peer is read at all."""
        assert self._context is not None
        if self._leaving or hub == self._context.subjects.hub or hub in self._finished:
            return False
        return is_hub(hub)

    def _may_meet(self, hub: str) -> bool:
        context = self._context
        assert context is not None
        assert self._meetings is not None
        if not self._is_heard(hub):
            return False
        most, member = context.engine.limits.reach_hubs, member_of(hub)
        if self._share_is_used(member, most, sum(peer.member == member for peer in self._peers.values())):
            return False
        silent = self._silent_one() if len(self._peers) >= most else None
        if len(self._peers) >= most and silent is None:
            self._say_full(f"more than {most} hubs are in the room")
            return False
        if not self._meetings.may_meet(member, context.clock()):
            whose = f" of the member {member}" if context.named else ""
            self._say_full(f"hubs{whose} come faster than they are met")
            return False
        if silent is not None:
            self._close(silent, f"the hub {silent.label} does not say who is there")
        return True

    def _share_is_used(self, member: str, most: int, has: int) -> bool:
        """Whether a member whose name is proved has half of what all may have: more would shut others out."""
        assert self._context is not None
        share = max(1, most // 2)
        if not self._context.named or has < share:
            return False
        self._say_full(f"the hubs or the clients of the member {member} are more than {share}")
        return True

    def _silent_one(self) -> Peer | None:
        """Return a hub that has said nothing but that it is here: it is given up for another one."""
        return next((peer for peer in self._peers.values() if not peer.has_greeted), None)

    def _meet(self, hub: str, former: Iterable[str] = ()) -> Peer:
        assert self._context is not None
        assert self._exports is not None
        assert self._encoded is not None
        peer = Peer(
            self._context,
            self._exports,
            hub,
            encoded=self._encoded,
            room_for_one=lambda: self._room_for_one(member_of(hub)),
            label=self._unique,
            lose=self._lose,
            named=self._say_hubs,
            met=self._met.set,
            heard_beat=self._heard_beat,
            former=former,
            before=self._remembered.pop(hub, None),
        )
        was_alone = not self._peers
        self._peers[hub] = peer
        if was_alone and self._beats is not None:
            self._beats.start()
        log.info("the hub %s is in the room", hub)
        peer.greet()
        return peer

    def _unique(self, peer: Peer, told: str) -> str:
        """Return a label that no other hub here has: of two laptops the later one is laptop-2."""
        label = told or peer.member
        if told == self.label and not self._told_label:
            self._told_label = True
            log.warning(
                "another hub of the room %s has the label %r, too: others may see the clients of this one as "
                "'NAME @%s-2'; choose another label by --reach-label",
                self.invitation.room,
                told,
                told,
            )
        taken = {other.label for other in self._peers.values() if other is not peer} | {self.label}
        if label not in taken:
            return label
        return next(one for n in range(2, len(taken) + 3) if (one := f"{label}-{n}") not in taken)

    def _room_for_one(self, member: str) -> bool:
        assert self._context is not None
        most = self._context.engine.limits.reach_clients
        of_member = sum(len(peer.proxies) for peer in self._peers.values() if peer.member == member)
        if self._share_is_used(member, most, of_member):
            return False
        if sum(len(peer.proxies) for peer in self._peers.values()) < most:
            return True
        self._say_full(f"other hubs have more than {most} clients")
        return False

    def _say_full(self, what: str) -> None:
        assert self._context is not None
        now = self._context.clock()
        if now >= self._told_full:
            self._told_full = now + 60.0
            log.warning("%s; some are not taken in", what)

    def _not_understood(self, hub: str, error: RemoteProtocolError) -> None:
        self._finish(hub)
        self._complaints.warning("the hub %s of the room cannot be understood: %s", hub, error)

    def _finish(self, hub: str) -> None:
        self._finished[hub] = None
        while len(self._finished) > _FINISHED:
            del self._finished[next(iter(self._finished))]

    def _lose(self, peer: Peer, reason: str, finished: bool) -> None:
        """Give a peer up; unless it is finished, it is met again as soon as it is heard of."""
        if self._peers.get(peer.hub) is not peer:
            return
        if finished:
            self._finish(peer.hub)
        lost = peer.messages_waiting
        text = f"the hub {peer.label} ({peer.hub}) is given up: {reason}"
        if lost:
            what = (
                "1 message that was accepted for it is"
                if lost == 1
                else f"{lost} messages that were accepted for it are"
            )
            text += f"; {what} lost"
        warning = log.warning if lost else self._complaints.warning
        warning("%s", plain_line(text, 400))
        self._close(peer, f"its hub {peer.label} is gone: {reason}")

    def _close(self, peer: Peer, reason: str) -> None:
        del self._peers[peer.hub]
        if any(peer.remembered):
            self._remembered[peer.hub] = peer.remembered
        while len(self._remembered) > _GIVEN_UP:
            del self._remembered[next(iter(self._remembered))]
        task = peer.task
        if task is not None:
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        peer.close(reason)
        self._say_hubs()

    def _greeted(self) -> list[str]:
        return [peer.label for peer in self._peers.values() if peer.has_greeted]

    def _say_whether_connected(self) -> None:
        if self._said is not None and not self._leaving:
            self._said.say()

    def _say_hubs(self) -> None:
        if self._said is not None and not self._leaving:
            self._said.say_soon()


def _machine() -> str:
    return plain_line(socket.gethostname().partition(".")[0], 40) or "hub"
