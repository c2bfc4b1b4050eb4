"""The seams between the floors, as Protocols. No I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from .delivery import Delivery
from .limits import Limits
from .values import RawMap, Value, ValueMap

__all__ = [
    "AT_ANOTHER_HUB",
    "PAGE_LEFT",
    "ROOMS",
    "TAP",
    "Connection",
    "Content",
    "Courier",
    "DataCarrier",
    "Engine",
    "MaySend",
    "Named",
    "OpenContent",
    "Profile",
    "Reader",
    "Receiver",
    "Registration",
    "Standing",
]

MaySend: TypeAlias = Callable[[str, ValueMap], bool]
"""Whether a client may send an mtype to a recipient that subscribes with this annotation (WEB-60..62)."""

TAP = "org.asyncsamp.hub.tap"
"""The method of our hubs by which a client of the Standard Profile is told of all their traffic."""

PAGE_LEFT = "org.asyncsamp.webhub.pageLeft"
"""The method of our hubs by which a web client says that its page closes, or is loaded again: its one
parameter is the private key. Who pulls soon afterwards stays registered, as after a pull that broke off."""

ROOMS = "org.asyncsamp.reach.rooms"
"""The metadata key by which our hubs say in which rooms they are: a list of maps. Each one says the "name" of
a room, whether it is "connected" ("1" or "0"), and its other "hubs" by their labels. Web pages read it, too:
no server, member or file stands there."""

AT_ANOTHER_HUB = "org.asyncsamp.reach.hub"
"""The metadata key of a client that is at another hub of a room: its label."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client learns by registering (SAMP 1.3 §3.5, HUB-20).

    Attributes:
        self_id: The public id of the client.
        hub_id: The public id of the hub.
        url_translator: What a web client puts before a URL to read it (WEB-30), else empty.
    """

    self_id: str
    hub_id: str
    url_translator: str = ""


class Reader(Protocol):
    """Something open that is read in pieces, such as a file."""

    @property
    def size(self) -> int | None:
        """How many bytes it has; None if that is known only at the end."""
        ...

    @property
    def modified(self) -> float | None:
        """When it was changed, in seconds since 1970; None if that is not known."""
        ...

    def pieces(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the data in pieces.

        Args:
            start: The first byte.
            length: How many bytes; None means to the end.

        Yields:
            The bytes.
        """
        ...


class OpenContent(Reader, Protocol):
    """Content that somebody reads; he closes it."""

    async def close(self) -> None:
        """Let go of what it holds. If it is cancelled, it is let go as well."""
        ...


class Content(Protocol):
    """Something that can be opened, by several readers at once."""

    async def open(self) -> OpenContent:
        """Return a reader for it. Cancelling is safe.

        Raises:
            DataError: It is gone.
        """
        ...


class Receiver(Protocol):
    """The callable client: what the hub may say to it (SAMP 1.3 §3.12, CLIENT-4).

    The methods return at once and raise nothing but `FaultError`, which refuses the delivery.
    """

    def receive_notification(self, sender: str, message: ValueMap) -> None:
        """A notification has come.

        Args:
            sender: The public id of the sender.
            message: The message.
        """
        ...

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None:
        """A call has come, which `reply` answers.

        Args:
            sender: The public id of the sender.
            msg_id: What the reply must name.
            message: The message.
        """
        ...

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None:
        """The answer to a call of ours has come.

        Args:
            responder: The public id of who answers.
            msg_tag: What we called it with.
            response: The response.
        """
        ...

    def connection_lost(self, reason: str) -> None:
        """The hub is gone, or has let the client go.

        Args:
            reason: Why it counts as lost.
        """
        ...


class Connection(Protocol):
    """A client's way to a hub: the abstract hub operations of SAMP 1.3 §3.11 over some profile.

    One connection serves one registration at a time. Every method may be cancelled.
    """

    @property
    def url(self) -> str:
        """Where the hub is, for people to read; never with a secret in it."""
        ...

    async def register(self, name: str, receiver: Receiver) -> Registration:
        """Find the hub and register. If it is cancelled, nothing is left open.

        Args:
            name: What the client is called, for profiles that ask the user.
            receiver: Who gets what the hub delivers.

        Returns:
            What the client learns.

        Raises:
            HubNotFoundError: There is no hub.
            LockfileError: The lockfile cannot be used.
            RegistrationError: The hub does not let the client in.
            HubLostError: It does not answer.
        """
        ...

    async def resume(self) -> bool:
        """Go on with the registration after the hub was lost. Cancelling is safe.

        Returns:
            Whether the hub is back and knows us still. If not, register anew.

        Raises:
            HubNotFoundError: There is no hub; it may be asked again.
            LockfileError: The lockfile cannot be used; it may be asked again.
        """
        ...

    async def listen(self) -> None:
        """Become callable (CLIENT-2). Once callable, calling it again does nothing.

        If it is cancelled, nothing is left open.
        """
        ...

    async def ask_hub(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Do one hub operation, named as in the standard ("declareMetadata", "notifyAll", ...).

        Cancelling is safe; the hub may have done it.

        Args:
            operation: The name of the operation in the standard.
            params: Its parameters, without a private key.
            timeout: Seconds to wait for the hub's answer; None takes the connection's own bound.

        Returns:
            Its result.

        Raises:
            HubFaultError: The hub refuses.
            HubLostError: It does not answer.
        """
        ...

    async def close(self) -> None:
        """Give up every socket and task; says nothing to the hub. May be called at any time, again too.

        If it is cancelled, all is closed as well.
        """
        ...


@runtime_checkable
class DataCarrier(Protocol):
    """A connection that carries data, too: where client and tools can read nothing of each other.

    A `Connection` need not be one. Then a client serves its data itself, and reads what URLs say.
    """

    async def share(self, content: Content, name: str) -> str:
        """Bring data to where the tools are, for as long as the client is registered. Cancelling is safe.

        Args:
            content: The data.
            name: What its URL ends with.

        Returns:
            A URL that the tools can read.

        Raises:
            DataError: It cannot be brought there.
            HubLostError: There is no connection.
        """
        ...

    async def fetch(self, url: str, max_size: int) -> bytes:
        """Return what `url` names where the tools are. Cancelling is safe.

        Args:
            url: The URL, as `Client.translate_url` gives it.
            max_size: Bytes that are read at most.

        Raises:
            DataError: It cannot be read, or has more than `max_size` bytes.
            HubLostError: There is no connection.
        """
        ...


class Courier(Protocol):
    """How the hub reaches a registered client: one profile's way, given to the engine at registration."""

    async def deliver(self, delivery: Delivery) -> None:
        """Hand `delivery` to its recipient. It may be cancelled; then it is not known whether it was taken.

        Args:
            delivery: What goes to whom.

        Raises:
            DeliveryError: It was not taken.
        """
        ...

    async def is_alive(self, client: str) -> bool:
        """Return whether `client` could still be reached.

        Never takes longer than a second. Cancelling is safe.

        Args:
            client: A public id.
        """
        ...

    def has_unread(self, client: str) -> bool:
        """Return whether a delivery to `client` is under way that it has not even read.

        As long as that is so, nothing is delivered beside it. False where it is not known.

        Args:
            client: A public id.
        """
        ...

    def forget(self, client: str) -> None:
        """Drop what is kept for `client`: its key, its callback. Called once, after its last delivery.

        Args:
            client: A public id.
        """
        ...


@runtime_checkable
class QuickCourier(Courier, Protocol):
    """A courier that can often hand a delivery over without any wait, so that it needs no task."""

    def deliver_at_once(self, delivery: Delivery) -> bool:
        """Hand `delivery` to its recipient if that takes no wait.

        Called while nothing before it waits or is under way.

        Args:
            delivery: What goes to whom.

        Returns:
            Whether it was taken. If not, nothing has been done, and `deliver` is to be called.
        """
        ...


class Named(Protocol):
    """What strangers, such as web pages, named before anybody had sent it to them (`hub.named`)."""

    @property
    def moment(self) -> int:
        """Counts what is named, to tell what was before from what was after."""
        ...

    def add(self, site: str, names: Iterable[str], moment: int | None = None) -> bool:
        """Note `names`.

        Args:
            site: The site of who named them.
            names: What it named.
            moment: When, if that turns out later; None for now.

        Returns:
            Whether the site has become full.
        """
        ...

    def closes(self, site: str, names: Collection[str], before: int | None = None) -> bool:
        """Return whether what `names` mean is closed to a page of `site`.

        Args:
            site: The site of the page.
            names: All names of one file or URL.
            before: Only what was named before this `moment` counts; None counts all.
        """
        ...

    def closes_elsewhere(self, names: Collection[str], before: int | None = None) -> bool:
        """Return whether what `names` mean is closed to those beyond this machine.

        Args:
            names: All names of one file or URL.
            before: As of `closes`.
        """
        ...


class Standing(Protocol):
    """How a client stands in the hub."""

    @property
    def metadata(self) -> ValueMap:
        """What it has declared of itself."""
        ...

    @property
    def subscriptions(self) -> ValueMap:
        """What it takes, with the annotations."""
        ...

    @property
    def callable(self) -> bool:
        """Whether messages can be delivered to it."""
        ...

    @property
    def congested(self) -> bool:
        """Whether it does not take its messages."""
        ...

    @property
    def origin(self) -> str | None:
        """The web origin of a page; None for every other client."""
        ...


class Engine(Protocol):
    """The running hub as a profile sees it."""

    limits: Limits

    @property
    def named(self) -> Named:
        """What strangers named first: no profile reads it for them, or for other machines."""
        ...

    own_ports: set[int]
    """The TCP ports on which this hub listens; a profile adds its own when it starts."""

    own_files: set[str]
    """The files in which this hub keeps secrets: nothing of them is read for anybody."""

    @property
    def hub_id(self) -> str:
        """The public id of the hub itself."""
        ...

    @property
    def clients(self) -> list[str]:
        """The public ids of all registered clients, without the hub's own."""
        ...

    def register(
        self,
        courier: Courier,
        may_send: MaySend | None = None,
        origin: str | None = None,
        *,
        remote: bool = False,
        in_process: bool = False,
    ) -> str:
        """Admit a client that `courier` reaches.

        Args:
            courier: Delivers to it.
            may_send: What it may send; None for everything, and then what the user has decided about its name
                counts.
            origin: The web origin of a page.
            remote: Whether it is a client of another hub, for which its courier has bounds of its own.
            in_process: Whether its courier delivers without waiting for anything.

        Returns:
            Its public id.

        Raises:
            FaultError: The hub is full or closing, or too many come at once.
        """
        ...

    def say_of_hub(self, key: str, value: Value) -> None:
        """Put something into the metadata of the hub itself, which all its clients read.

        Args:
            key: The metadata key.
            value: What it is from now on; an empty one takes the key out.
        """
        ...

    def observe_clients(self, callback: Callable[[str, str], None]) -> Callable[[], None]:
        """Tell `callback` what happens to which client, by its public id, and nothing of messages.

        Args:
            callback: Whom to tell: it gets what has happened, and the public id.

        Returns:
            A function that ends it.
        """
        ...

    def courier_of(self, client: str) -> Courier | None:
        """Return who reaches `client`; None if it is not registered.

        Args:
            client: A public id.
        """
        ...

    def waiting(self, sender: str | None, recipient: str) -> int:
        """Return how many deliveries of `sender`, who may have left, wait for `recipient`.

        Those that its courier has been given do not count.

        Args:
            sender: A public id; None for all.
            recipient: A public id.
        """
        ...

    def describe(self, client: str) -> Standing | None:
        """Return how `client` stands in the hub; None if it is not registered.

        Args:
            client: A public id.
        """
        ...

    def set_callable(self, client: str, callable_: bool) -> None:
        """Say whether `client` can be called now.

        Args:
            client: A public id.
            callable_: Whether its courier has a way to it.
        """
        ...

    def permit(self, client: str, may_send: MaySend | None, receives: bool) -> None:
        """Say what `client` may send from now on, and whether others may send it anything.

        Args:
            client: A public id.
            may_send: What it may send; None for everything.
            receives: Whether others may send it anything.
        """
        ...

    def may_receive(self, client: str) -> bool:
        """Return whether others may send `client` anything.

        Args:
            client: A public id.
        """
        ...

    def disconnect(self, client: str, reason: str) -> None:
        """Remove `client` by force; nothing if it is gone already.

        Args:
            client: A public id.
            reason: Why, for the client and the log.
        """
        ...

    def listening(self, client: str) -> AbstractContextManager[None]:
        """Return what to enter while `client` waits for messages: it is not idle then.

        Args:
            client: A public id.
        """
        ...

    def observe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Tell `callback` from now on who comes and goes, and what becomes of messages.

        Args:
            callback: Whom to tell; it must return soon.

        Returns:
            A function that ends it.
        """
        ...

    def note_return(self, client: str) -> None:
        """Take note that `client` is there after a crash, and that its profile has given it another key.

        Args:
            client: A public id.
        """
        ...

    @property
    def keeps_state(self) -> bool:
        """Whether there is a state file, so that `saved` may have to wait."""
        ...

    async def saved(self) -> None:
        """Wait until a crash could not undo what has been done so far. Cancelling is safe."""
        ...

    async def operate(self, caller: str, operation: str, params: Sequence[Value | RawMap]) -> Value:
        """Do a hub operation for a registered client. If it is cancelled, a callAndWait is abandoned.

        Args:
            caller: Its public id.
            operation: The name of the operation in the standard.
            params: Its parameters, without a private key.

        Returns:
            The result; "" where the standard has none.

        Raises:
            FaultError: It is refused.
        """
        ...

    def begin(
        self, caller: str, operation: str, params: Sequence[Value | RawMap], *, hold: bool = True
    ) -> Value | RawMap | Awaitable[Value | RawMap]:
        """Do a hub operation as `operate` does, but return the result at once where there is no wait.

        Args:
            caller: The public id of a registered client.
            operation: The name of the operation in the standard.
            params: Its parameters, without a private key.
            hold: Whether a sender that is ahead of the deliveries waits for them: not who speaks for many.

        Returns:
            The result, or what is to be awaited for it.

        Raises:
            FaultError: It is refused.
        """
        ...

    @property
    def watched(self) -> bool:
        """Whether somebody is told what happens, and so may want the values of messages."""
        ...


class Profile(Protocol):
    """One way of speaking with clients: the Standard Profile, the Web Profile (SAMP 1.3 §2.7, HUB-11)."""

    async def start(self, engine: Engine) -> None:
        """Begin to serve. If it fails or is cancelled, it leaves nothing open.

        Args:
            engine: The hub.

        Raises:
            OSError: Its address is taken.
        """
        ...

    async def stop(self) -> None:
        """End every socket and task of the profile, within a bounded time. The hub does not cancel it."""
        ...
