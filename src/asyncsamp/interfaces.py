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


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client learns by registering (SAMP 1.3 §3.5, HUB-20).

    `url_translator` is what a web client puts before a URL to read it (WEB-30), else empty.
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
        """Yield `length` bytes (None: to the end) from `start` on."""
        ...


class OpenContent(Reader, Protocol):
    """Content that somebody reads; he closes it."""

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Content(Protocol):
    """Something that can be opened, by several readers at once."""

    async def open(self) -> OpenContent:
        """Return a reader for it. Raises `DataError` if it is gone."""
        ...


class Receiver(Protocol):
    """The callable client: what the hub may say to it (SAMP 1.3 §3.12, CLIENT-4).

    The methods return at once and raise nothing but `FaultError`, which refuses the delivery.
    """

    def receive_notification(self, sender: str, message: ValueMap) -> None: ...

    def receive_call(self, sender: str, msg_id: str, message: ValueMap) -> None: ...

    def receive_response(self, responder: str, msg_tag: str, response: ValueMap) -> None: ...

    def connection_lost(self, reason: str) -> None: ...


class Connection(Protocol):
    """A client's way to a hub: the abstract hub operations of SAMP 1.3 §3.11 over some profile.

    One connection serves one registration at a time. Every method may be cancelled.
    """

    @property
    def url(self) -> str:
        """Where the hub is, for people to read; never with a secret in it."""
        ...

    async def register(self, name: str, receiver: Receiver) -> Registration:
        """Find the hub and register.

        Raises `HubNotFoundError`, `RegistrationError`, `HubLostError` or `LockfileError`.
        """
        ...

    async def resume(self) -> bool:
        """Go on with the registration after the hub was lost: whether it is back and knows us still.

        False: it does not; register anew. Raises `HubNotFoundError` or `LockfileError` while there is
        no hub; then it may be asked again.
        """
        ...

    async def listen(self) -> None:
        """Become callable (CLIENT-2). Once callable, calling it again does nothing."""
        ...

    async def ask_hub(self, operation: str, *params: Value, timeout: float | None = None) -> Value:
        """Do one hub operation, named as in the standard ("declareMetadata", "notifyAll", ...).

        `timeout` in seconds bounds the wait for the hub's answer; None takes the connection's own bound.
        Raises `HubFaultError` if the hub refuses and `HubLostError` if it does not answer.
        """
        ...

    async def close(self) -> None:
        """Give up every socket and task; says nothing to the hub. May be called at any time, again too."""
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
        """Hand `delivery` to its recipient. Raises `DeliveryError` if it was not taken."""
        ...

    async def is_alive(self, client: str) -> bool:
        """Whether `client` could still be reached; cheap, and never longer than a second."""
        ...

    def forget(self, client: str) -> None:
        """Drop what is kept for `client`: its key, its callback. Called once, after its last delivery."""
        ...


class Named(Protocol):
    """What strangers, such as web pages, named before anybody had sent it to them (`hub.named`)."""

    @property
    def moment(self) -> int:
        """Counts what is named, to tell what was before from what was after."""
        ...

    def add(self, site: str, names: Iterable[str], moment: int | None = None) -> bool:
        """Note `names`, as named at a `moment` before; return whether that was too much for the site."""
        ...

    def closes(self, site: str, names: Collection[str], before: int | None = None) -> bool:
        """Return whether what `names` mean is closed to a page of `site`."""
        ...

    def closes_elsewhere(self, names: Collection[str], before: int | None = None) -> bool:
        """Return whether what `names` mean is closed to those beyond this machine."""
        ...


class Standing(Protocol):
    """How a client stands in the hub."""

    @property
    def metadata(self) -> ValueMap: ...

    @property
    def subscriptions(self) -> ValueMap: ...

    @property
    def callable(self) -> bool: ...

    @property
    def congested(self) -> bool: ...

    @property
    def origin(self) -> str | None: ...


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
    def hub_id(self) -> str: ...

    @property
    def clients(self) -> list[str]: ...

    def register(
        self,
        courier: Courier,
        may_send: MaySend | None = None,
        origin: str | None = None,
        *,
        remote: bool = False,
    ) -> str: ...

    def observe_clients(self, callback: Callable[[str, str], None]) -> Callable[[], None]: ...

    def courier_of(self, client: str) -> Courier | None: ...

    def describe(self, client: str) -> Standing | None: ...

    def set_callable(self, client: str, callable_: bool) -> None: ...

    def permit(self, client: str, may_send: MaySend | None, receives: bool) -> None: ...

    def disconnect(self, client: str, reason: str) -> None: ...

    def listening(self, client: str) -> AbstractContextManager[None]: ...

    def observe(self, callback: Callable[[Any], None]) -> Callable[[], None]: ...

    def note_change(self) -> None: ...

    @property
    def keeps_state(self) -> bool: ...

    async def saved(self) -> None: ...

    async def operate(self, caller: str, operation: str, params: Sequence[Value | RawMap]) -> Value: ...

    def begin(
        self, caller: str, operation: str, params: Sequence[Value | RawMap]
    ) -> Value | RawMap | Awaitable[Value | RawMap]: ...

    @property
    def watched(self) -> bool: ...


class Profile(Protocol):
    """One way of speaking with clients: the Standard Profile, the Web Profile (SAMP 1.3 §2.7, HUB-11)."""

    async def start(self, engine: Engine) -> None:
        """Begin to serve. Raises OSError if its address is taken."""
        ...

    async def stop(self) -> None:
        """End every socket and task of the profile, within a bounded time."""
        ...
