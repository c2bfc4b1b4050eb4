"""The other clients, as a live view (CLIENT-12)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from .._util.foreign_text import listed, plain_line, quoted
from .._util.likeness import did_you_mean
from ..errors import HubFaultError, UnknownClientError, who
from ..mtypes import annotation_key
from ..values import Value, ValueMap
from .loop_check import CheckLoop, any_loop
from .notebook_html import clients_table, one_client
from .rooms import Room, rooms_of, what_is_missing

__all__ = ["NOTHING_TAKEN", "OtherClients", "RemoteClient", "Request", "as_map", "shown", "what_is_taken"]

_GONE_KEPT = 100  # of those who left, so many are remembered, for events that come late
LONGEST_NAME = 60
"""Characters of a samp.name that a text shows."""
_ALSO_CALLED = {"ds9": "saoimageds9"}
"""Programs that nobody calls by the samp.name they have, and that name, both casefolded."""
_OF_ALL = ("samp.hub.", "samp.app.", "samp.msg.")
"""What the mtypes begin with that nearly every client takes."""
_ASKED_AT_ONCE = 8  # questions that are open at the hub while stock is taken


class Request(Protocol):
    """A way to ask the hub for operations, by their standard names."""

    async def __call__(self, operation: str, *params: Value, timeout: float | None = None) -> Value: ...


_ELSEWHERE = "org.asyncsamp.reach.name"
"""The metadata key by which a hub says what a client of another hub is called there."""


class RemoteClient:
    """A live view of another client: it changes as that declares, and leaves; made by `Client.clients`."""

    __slots__ = ("_metadata", "_public_id", "_registered", "_subscriptions")

    def __init__(self, public_id: str) -> None:
        self._public_id = public_id
        self._metadata: ValueMap | None = None  # not known yet
        self._subscriptions: ValueMap | None = None  # the same
        self._registered = True

    def __repr__(self) -> str:
        gone = "" if self._registered else ", gone"
        return f"<RemoteClient {self._public_id} {self.name!r}{gone}>"

    def _repr_html_(self) -> str:
        state = "registered" if self._registered else "gone"
        return one_client(self.name, state, (self._public_id, self.metadata, self.subscriptions))

    @property
    def public_id(self) -> str:
        """The public id that the hub gave."""
        return self._public_id

    @property
    def name(self) -> str:
        """samp.name of its metadata, "" if it declared none (META-3)."""
        name = self.metadata.get("samp.name")
        return name if isinstance(name, str) else ""

    @property
    def metadata(self) -> ValueMap:
        """What it last declared."""
        return self._metadata or {}

    @property
    def subscriptions(self) -> ValueMap:
        """What it last declared: mtype or wildcard to annotation."""
        return self._subscriptions or {}

    @property
    def registered(self) -> bool:
        """False once it has left the hub, or the hub is lost: at the next hub it has to be found again."""
        return self._registered

    def subscribes(self, mtype: str) -> bool:
        """Return whether it takes messages of `mtype`, by exact name or wildcard.

        Args:
            mtype: The mtype of a message.
        """
        return annotation_key(self.subscriptions, mtype) is not None


class ClientList(list[RemoteClient]):
    """A list that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return clients_table((client.public_id, client.metadata, client.subscriptions) for client in self)


class OtherClients(Mapping[str, RemoteClient]):
    """Public id to `RemoteClient`, kept by the hub's events; made by `Client`.

    Events may come late, twice, or about clients not heard of yet; all are borne. A client is shown
    once its metadata are known, so that one which has a name is never shown without it.
    """

    def __init__(self, check_loop: CheckLoop = any_loop) -> None:
        self._check_loop = check_loop
        self._known: dict[str, RemoteClient] = {}
        self._nameless: dict[str, RemoteClient] = {}  # those whose metadata are not known yet
        self._gone: deque[str] = deque(maxlen=_GONE_KEPT)
        # Made by who waits: an event belongs to the event loop in which it was waited for.
        self._changed: asyncio.Event | None = None
        self._changes = 0
        self.self_id = ""
        self.self_name = ""
        self.hub_id = ""

    def __getitem__(self, public_id: str) -> RemoteClient:
        return self._known[public_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<OtherClients {list(self._known.values())!r}>"

    def _repr_html_(self) -> str:
        return ClientList(self._known.values())._repr_html_()

    def seen(self, public_id: str) -> None:
        """Note that the client is there.

        Args:
            public_id: The client.
        """
        if public_id != self.self_id and self._get(public_id) is None and public_id not in self._gone:
            self._nameless[public_id] = RemoteClient(public_id)
            self._wake()

    def declared(
        self, public_id: str, *, metadata: ValueMap | None = None, subscriptions: ValueMap | None = None
    ) -> None:
        """Note what the client declared; a late event does not bring back one that has left.

        Args:
            public_id: Who has declared something.
            metadata: Its metadata, if those are what it declared.
            subscriptions: Its subscriptions, if those are what it declared.
        """
        self.seen(public_id)
        client = self._get(public_id)
        if client is None:
            return
        if metadata is not None:
            self._show(client, metadata)
        if subscriptions is not None:
            client._subscriptions = subscriptions
        self._wake()

    def first_seen(self, public_id: str, metadata: ValueMap, subscriptions: ValueMap | None = None) -> None:
        """Note what the hub said when asked; what an event has told meanwhile is newer and stays.

        Args:
            public_id: The client that was asked about.
            metadata: Its metadata.
            subscriptions: Its subscriptions, None if it was not asked for them.
        """
        client = self._get(public_id)
        if client is not None:
            self._show(client, client.metadata or metadata)
            client._subscriptions = client._subscriptions or subscriptions
            self._wake()

    def left(self, public_id: str) -> None:
        """Note that the client has left. Public ids are not used again (HUB-41).

        Args:
            public_id: The client.
        """
        self._gone.append(public_id)
        client = self._known.pop(public_id, None) or self._nameless.pop(public_id, None)
        if client is not None:
            client._registered = False
        self._wake()

    def forget_all(self) -> None:
        """The hub is gone, and with it everybody."""
        for public_id in [*self._known, *self._nameless]:
            self.left(public_id)
        self._gone.clear()
        self._wake()

    def named(self, name: str) -> RemoteClient | None:
        """Return the client with that public id or, in any case of letters, that samp.name.

        A program that nobody calls by its samp.name is found by what it is called, too: "ds9". If nobody here
        has the name, a client of another hub of the room is meant that has it there.

        Args:
            name: A public id or a name.

        Raises:
            UnknownClientError: Several have the name.
        """
        client = self._get(name)
        if client is not None or not self._known:
            return client
        said = name.casefold()
        for wanted in filter(None, (said, _ALSO_CALLED.get(said))):  # "" is the name of nobody
            found = [client for client in self._known.values() if client.name.casefold() == wanted]
            if len(found) > 1:
                ids = listed(client.public_id for client in found)
                raise UnknownClientError(f"{len(found)} clients are named {name!r}: {ids}; use a public id")
            if found:
                return found[0]
        return self._elsewhere(name)

    def _elsewhere(self, name: str) -> RemoteClient | None:
        """Return the client of another hub of the room that has the name there, since none here has it."""
        said = name.casefold()
        wanted = {said, _ALSO_CALLED.get(said, said)} - {""}
        found = [each for each in self._known.values() if _name_elsewhere(each).casefold() in wanted]
        if len(found) > 1:
            there = listed(plain_line(each.name, LONGEST_NAME) for each in found)
            raise UnknownClientError(f"{len(found)} clients are named {name!r}: {there}; say which of them")
        return found[0] if found else None

    def pick(self, wanted: str | RemoteClient) -> RemoteClient:
        """Return the client that is meant: a live view, or one by its name or public id as `named` has it.

        Args:
            wanted: A live view, a public id or a name.

        Raises:
            UnknownClientError: It is not there, has left, or several have the name; it says who is there.
        """
        if isinstance(wanted, RemoteClient):
            if not wanted.registered:
                name = plain_line(wanted.name, LONGEST_NAME)
                gone = f"{who(wanted.public_id, name)} has left, or its hub has; find it again by its name"
                raise UnknownClientError(f"{gone}; {self.those_there()}")
            return wanted
        found = self.named(wanted)
        if found is None:
            raise self.unknown(wanted)
        return found

    def unknown(self, name: str, waited: float = 0.0) -> UnknownClientError:
        """Return the error that says that nobody has that name, who is there, and what may be meant.

        Args:
            name: What was asked for.
            waited: For how many seconds it was waited for.
        """
        if name and name.casefold() == self.self_name.casefold():
            return UnknownClientError(
                f"{name!r} is the name of this client itself, and of no other; {self.those_there()}; "
                f"itself it is by its public id, {self.self_id!r}"
            )
        missing = f"came within {waited:g} s" if waited else "is registered"
        names = [client.name for client in self._known.values()]
        there = {name.casefold() for name in names}
        names += [said for said, called in _ALSO_CALLED.items() if called in there]
        meant = did_you_mean(name, names, LONGEST_NAME)
        text = f"no client named {name!r} {missing}; {self.those_there()}{self.alone()}{meant}"
        return UnknownClientError(text, missing=name)

    def id_of(self, client: str) -> str:
        """Return the public id of the client of that name, if it is known; else what was given.

        Args:
            client: A public id or a name.

        Raises:
            UnknownClientError: Several have the name.
        """
        found = self.named(client)
        return client if found is None else found.public_id

    def those_there(self) -> str:
        """Return who is there, for people."""
        return f"there are: {shown(self._known.values()) or 'none'}"

    def alone(self) -> str:
        """Return that the hub is in a room without other hubs, for the end of a text; "" if it is not."""
        return what_is_missing(self.rooms())

    def rooms(self) -> list[Room]:
        """Return the rooms in which the hub says that it is."""
        hub = self._known.get(self.hub_id)
        return [] if hub is None else rooms_of(hub.metadata)

    def knows(self, public_id: str) -> bool:
        """Return whether the metadata of the client are known, or it is ourselves.

        Args:
            public_id: The client.
        """
        return public_id in self._known or public_id == self.self_id

    def name_of(self, public_id: str) -> str:
        """Return the samp.name of a client, "" if it has none, or is not known.

        Args:
            public_id: The client.
        """
        if public_id == self.self_id:
            return self.self_name
        client = self._known.get(public_id)
        return client.name if client is not None else ""

    def label(self, public_id: str) -> str:
        """Return how texts speak of a client.

        Args:
            public_id: The client.
        """
        return who(public_id, plain_line(self.name_of(public_id), LONGEST_NAME))

    @property
    def changes(self) -> int:
        """How often something has changed; see `changed`."""
        return self._changes

    async def changed(self, since: int | None = None) -> None:
        """Return when somebody comes, declares something or leaves from now on. Cancelling is safe.

        Args:
            since: What `changes` was: returns at once if something has changed since then; None waits for
                the next change.
        """
        self._check_loop("wait for the other clients")
        if since is not None and since != self._changes:
            return
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()

    async def find(self, name: str, timeout: float, *, waited: float = 0.0) -> RemoteClient:
        """Return the client of that name, and wait for it if it is not there yet. Cancelling is safe.

        Args:
            name: A public id or samp.name, as `named` takes it.
            timeout: Seconds to wait.
            waited: Seconds that the caller has waited in vain then, for the text; 0 means `timeout`.

        Raises:
            UnknownClientError: It did not come in time, or several have the name; it says who is there.
        """
        try:
            async with asyncio.timeout(timeout):
                while (client := self.named(name)) is None:
                    await self.changed()
                return client
        except TimeoutError:
            raise self.unknown(name, waited or timeout) from None

    async def take_stock(self, request: Request) -> None:
        """Ask the hub who is there, and about each that is not known; events know better (CLIENT-12).

        Cancelling is safe. It raises what `request` does.

        Args:
            request: Asks the hub: takes the name of an operation and its parameters, and returns the result.
        """
        answered = await request("getRegisteredClients")
        ids = [client for client in answered if isinstance(client, str)] if isinstance(answered, list) else []
        for client in ids:
            self.seen(client)
        places = asyncio.Semaphore(_ASKED_AT_ONCE)

        async def ask(client: str) -> None:
            async with places:
                try:
                    metadata = await request("getMetadata", client)
                    subscriptions = await request("getSubscriptions", client)
                except HubFaultError:
                    return  # it left meanwhile
            self.first_seen(client, as_map(metadata), as_map(subscriptions))

        try:
            async with asyncio.TaskGroup() as group:
                for client in [each for each in ids if not self._knows_all_of(each)]:
                    group.create_task(ask(client), name=f"asyncsamp-ask-{client}")
        except BaseExceptionGroup as several:
            # One says as much as all of them: the hub is lost.
            raise several.exceptions[0] from None

    def _knows_all_of(self, public_id: str) -> bool:
        """Return whether nothing has to be asked; of who has sent a message only the name was."""
        client = self._known.get(public_id)
        return public_id == self.self_id or (client is not None and client._subscriptions is not None)

    def _get(self, public_id: str) -> RemoteClient | None:
        return self._known.get(public_id) or self._nameless.get(public_id)

    def _show(self, client: RemoteClient, metadata: ValueMap) -> None:
        client._metadata = metadata
        self._nameless.pop(client.public_id, None)
        self._known[client.public_id] = client

    def _wake(self) -> None:
        self._changes += 1
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()


def shown(clients: Iterable[RemoteClient]) -> str:
    """Return a list of clients for people: names and ids, cut."""
    return listed(f"{quoted(client.name, LONGEST_NAME)} ({client.public_id})" for client in clients)


NOTHING_TAKEN = "it only sends, as a client of asyncsamp does before its first handler or stream"
"""What is said of a client that takes nothing, not even samp.app.ping."""


def what_is_taken(subscriptions: Mapping[str, object]) -> str:
    """Return what a client takes, for people: without what every client takes of the hub.

    Args:
        subscriptions: What it subscribes to.
    """
    if not subscriptions:
        return NOTHING_TAKEN
    mtypes = [plain_line(mtype, LONGEST_NAME) for mtype in subscriptions if not mtype.startswith(_OF_ALL)]
    return f"it takes {listed(mtypes)}" if mtypes else "it takes no messages but the hub's"


def _name_elsewhere(client: RemoteClient) -> str:
    name = client.metadata.get(_ELSEWHERE)
    return name if isinstance(name, str) else ""


def as_map(value: Value | None) -> ValueMap:
    """Return `value` if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}
