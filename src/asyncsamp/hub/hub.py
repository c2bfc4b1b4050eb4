"""The hub that a user holds: an engine, its profiles and the lockfile (SAMP 1.3 §2.4)."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .._util import at_exit
from ..discovery import PID_NAME, Location, introduced, is_alive, locate, publish, read_lockfile, withdraw
from ..discovery.files import take_away
from ..errors import HubNotFoundError, HubRunningError, LockfileError, SampError, StateError
from ..interfaces import Profile
from ..limits import Limits
from ..lockfile import Lockfile
from ..rpc import RpcClient
from ..values import ValueMap, encode_map
from .core import ClientStanding
from .engine import HubEngine
from .event_stream import HubEventStream
from .idle_timeout import IdleTimeout
from .lockfile_watch import LockfileWatch
from .permissions import Permissions
from .profiles.standard import StandardProfile
from .state import StateFile, StateKeeper, damage

__all__ = ["Hub"]

log = logging.getLogger("asyncsamp.hub")

_NOT_RUNNING = "the hub is not running; use 'async with Hub() as hub:' or 'await hub.start()'"


class Hub:
    """A SAMP hub in the running event loop.

        async with Hub() as hub:
            await hub.serve_forever()

    With `state`, a file, the hub comes back after a crash (kill -9, power cut of the process, not of
    the machine): port, keys, registrations, metadata, subscriptions and callbacks are there again, so
    that clients of any make go on. Calls that were open are answered with an error. The file is
    the user's own (0600), and is removed when the hub is shut down in order.

    Args:
        lockfile: Where to publish the hub; without it `SAMP_HUB` and then `~/.samp` decide (STD-50, STD-51).
        host: Where the Standard Profile listens.
        port: The port for that; 0 takes any that is free.
        label: A word of the user's for this hub, written into the lockfile.
        profiles: What is served beside the Standard Profile.
        metadata: What the hub says of itself, beside its name and description.
        timeout: Stops the hub after so many seconds without an operation; 0 means never.
        client_timeout: Removes a client after so many seconds without an operation of it; 0 means never.
        secret: What lets clients in, for those that cannot read the lockfile; None takes a random one, which
            is safer.
        state: A file for the state, to come back after a crash. None keeps none.
        permissions: What the user has decided about clients by their name; without them every client of the
            Standard Profile may do everything. Give the same to `WebProfile` and `HubPage`.
        limits: All bounds; None takes those of `Limits`.
        pass_raw: Whether messages that are plain go to their recipients in the bytes in which they came,
            checked but not decoded. False decodes and encodes everything anew.
    """

    def __init__(
        self,
        *,
        lockfile: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        label: str = "",
        profiles: Sequence[Profile] = (),
        metadata: Mapping[str, object] | None = None,
        timeout: float = 0.0,
        client_timeout: float = 0.0,
        secret: str | None = None,
        state: str | os.PathLike[str] | None = None,
        permissions: Permissions | None = None,
        limits: Limits | None = None,
        pass_raw: bool = True,
    ) -> None:
        self.limits = limits or Limits()
        self.label = label
        self._location: Location = locate(lockfile=lockfile)
        self._standard = StandardProfile(host=host, port=port, secret=secret, pass_raw=pass_raw)
        self._profiles: tuple[Profile, ...] = (self._standard, *profiles)
        self._metadata = _hub_metadata(label, metadata or {})
        self._timeout = timeout
        self._client_timeout = client_timeout
        self._engine: HubEngine | None = None
        self._published: Lockfile | None = None
        self._started: list[Profile] = []
        self._start_over: asyncio.Event | None = None
        self._stopped: asyncio.Event | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._up = False
        self._in_service = False
        self._idle: IdleTimeout | None = None
        self._lookout: LockfileWatch | None = None
        self._state = None if state is None else StateFile(Path(state).expanduser())
        self._keeper: StateKeeper | None = None
        self._permissions = permissions
        self._streams: weakref.WeakSet[HubEventStream] = weakref.WeakSet()

    def __repr__(self) -> str:
        state = f"at {self.url}" if self.running else "not running"
        return f"<Hub {state}, lockfile {self._location.description}>"

    @property
    def running(self) -> bool:
        """Whether the hub has started and not begun to stop."""
        return self._up

    @property
    def engine(self) -> HubEngine:
        """The engine, for profiles and `DirectConnection`.

        Raises:
            RuntimeError: The hub does not run.
        """
        if self._engine is None:
            raise RuntimeError(_NOT_RUNNING)
        return self._engine

    @property
    def url(self) -> str:
        """The XML-RPC endpoint of the Standard Profile.

        Raises:
            RuntimeError: It has never been started.
        """
        return self._standard.url

    @property
    def lockfile(self) -> Path | None:
        """Where the hub is published; None if `SAMP_HUB` names no file, and then it cannot start."""
        return self._location.path

    @property
    def clients(self) -> dict[str, ClientStanding]:
        """How each registered client stands, by its public id, without the hub's own.

        Raises:
            RuntimeError: The hub does not run.
        """
        found = ((client, self.engine.describe(client)) for client in self.engine.clients)
        return {client: standing for client, standing in found if standing is not None}

    def events(self, limit: int = 10_000) -> HubEventStream:
        """Watch who comes and goes, and what becomes of each message, from now on.

        It costs a hub nothing as long as nobody watches. A stream that is not closed ends with the hub.

        Args:
            limit: How many events wait for a slow reader before the oldest are dropped, and counted.

        Returns:
            A stream of `ClientEvent` and `MessageEvent`.

        Raises:
            RuntimeError: If the hub is not running.
        """
        stream = HubEventStream(self.engine.observe, limit)
        self._streams.add(stream)
        return stream

    async def start(self) -> Self:
        """Bind, publish, and serve until `shutdown`. Returns the hub.

        If it fails or is cancelled, nothing is left behind. A hub that has been shut down can be started
        again.

        Raises:
            HubRunningError: Another hub is alive.
            LockfileError: The lockfile cannot be written.
            OSError: The port is taken.
            StateError: The state cannot be used, or the port that it names is taken.
            RuntimeError: This hub is running already.
        """
        if self._engine is not None:
            raise RuntimeError("the hub is running already; a second one needs another Hub object")
        self._start_over, self._stopped = asyncio.Event(), asyncio.Event()
        self._stopping = None
        self._engine = engine = HubEngine(self.limits, self._metadata, self._permissions)
        engine.own_files.update(self._secret_files())
        if log.isEnabledFor(logging.DEBUG):
            engine.log_messages()
        try:
            if self._permissions is not None:
                await self._permissions.refresh()
            saved = None if self._state is None else await self._state.read()
            if saved is not None:
                self._restore(engine, saved)
            await self._start_profiles(engine, comes_back=saved is not None)
            await self._publish()
            self._in_service = True
            self._keep_state(engine)
            if saved is not None:
                engine.resume()
        except BaseException:
            closing = asyncio.get_running_loop().create_task(self._close(), name="asyncsamp-hub-close")
            self._stopping = closing
            await asyncio.shield(closing)
            raise
        finally:
            self._start_over.set()
        if self._timeout > 0 or self._client_timeout > 0:
            self._idle = IdleTimeout(engine, self._timeout, self._client_timeout, self._begin_shutdown)
        assert self._published is not None
        self._lookout = LockfileWatch(self._location, self._published, self.limits.lockfile_interval)
        self._up = self._stopping is None
        log.info("hub started at %s, lockfile %s", self.url, self._location.description)
        return self

    async def shutdown(self) -> None:
        """Stop: tell the clients, end what waits, remove the lockfile, close (HUB-9, HUB-10, HUB-62).

        Takes at most about `2 * Limits.shutdown_patience`, whatever the clients do. It goes
        on to its end when the caller is cancelled; further calls wait for the same end. A hub
        that is starting is stopped as soon as it has started.
        """
        if self._engine is None:
            return
        await asyncio.shield(self._begin_shutdown())

    async def serve_forever(self) -> None:
        """Return when the hub has been shut down. Cancelling is safe, and does not stop the hub."""
        if self._stopped is None:
            raise RuntimeError(_NOT_RUNNING)
        await self._stopped.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def _secret_files(self) -> list[str]:
        state = None if self._state is None else self._state.path
        return [str(path) for path in (self.lockfile, state) if path is not None]

    async def _start_profiles(self, engine: HubEngine, *, comes_back: bool) -> None:
        if len(self._profiles) > 1:
            # Before another one says that its port is taken, by the hub that is the reason.
            await self._refuse_beside_another()
        for profile in self._profiles:
            try:
                await profile.start(engine)
            except OSError as error:
                await self._refuse_beside_another()
                if comes_back and profile is self._standard and error.errno == errno.EADDRINUSE:
                    self._refuse_taken_port()
                raise
            self._started.append(profile)

    async def _refuse_beside_another(self) -> None:
        """Raise `HubRunningError` if a hub runs already, which may be why our address is taken."""
        sender = RpcClient()
        try:
            present = await read_lockfile(self._location)
            if await is_alive(present.url, sender):
                running = HubRunningError(self._location.place, present.url)
                raise await introduced(running, self._location, sender) from None
        except (HubNotFoundError, LockfileError):
            return
        finally:
            await sender.close()

    def _refuse_taken_port(self) -> None:
        """Raise `StateError` if it is the port of the last run, which the user has not named."""
        assert self._state is not None
        if self._standard.last_port:
            path = str(self._state.path)
            reason = f"the port of the last run, {self._standard.last_port}, is taken"
            advice = f"stop what has it, or remove {path} to begin anew"
            raise StateError(path, reason, advice) from None

    async def _publish(self) -> None:
        extra = {PID_NAME: str(os.getpid())}
        if self.label:
            extra["hub.label"] = self.label
        lockfile = Lockfile(self._standard.secret, self.url, extra=extra)
        sender = RpcClient()
        try:
            await publish(self._location, lockfile, sender)
            # Not before: with the same state as a living hub, that one's lockfile would pass for ours.
            self._published = lockfile
        except HubRunningError as error:
            raise await introduced(error, self._location, sender) from None
        finally:
            await sender.close()
        if self._location.path is not None:
            withdraw = partial(take_away, self._location.path, lockfile)
            at_exit.withdraw_at_exit(self, lockfile.url, withdraw)

    def _restore(self, engine: HubEngine, saved: Mapping[str, Any]) -> None:
        """Let everybody be registered who was before the crash. Raises `StateError`."""
        assert self._state is not None
        wrong = damage(dict(saved))
        if wrong:
            raise StateError(str(self._state.path), f"its content is damaged: {wrong}")
        try:
            known = self._standard.restore(saved["standard"])
            engine.restore(saved["hub"], dict.fromkeys(known, self._standard))
        except (LookupError, TypeError, ValueError, AttributeError, SampError) as error:
            raise StateError(str(self._state.path), "its content is damaged") from error
        log.warning("hub comes back after a crash, with %d clients", len(known))
        if len(known) > self.limits.max_clients:
            text = "it takes no more than %d: no new one gets in until some have left"
            log.warning(text, self.limits.max_clients)

    def _keep_state(self, engine: HubEngine) -> None:
        if self._state is None:
            return

        def snapshot() -> dict[str, Any]:
            return {"standard": self._standard.snapshot(), "hub": engine.snapshot()}

        self._keeper = StateKeeper(self._state, snapshot, self.limits.state_interval)
        engine.keep_state(self._keeper)

    async def _drop_state(self) -> None:
        """Stopped in order, everybody has been told to register anew: there is nothing to come back to."""
        if self._keeper is None or self._state is None:
            return
        await self._keeper.close()
        self._keeper = None
        try:
            await self._state.remove()
        except StateError as error:
            log.warning("%s", error)

    def _begin_shutdown(self) -> asyncio.Task[None]:
        self._up = False
        if self._stopping is None:
            loop = asyncio.get_running_loop()
            self._stopping = loop.create_task(self._shut_down(), name="asyncsamp-hub-shutdown")
        return self._stopping

    async def _shut_down(self) -> None:
        assert self._start_over is not None
        await self._start_over.wait()
        if self._engine is not None:  # it is None if the start failed meanwhile
            log.info("hub at %s is shutting down", self.url)
            await self._close()

    async def _close(self) -> None:
        assert self._engine is not None
        assert self._stopped is not None
        self._up = False
        if self._idle is not None:
            self._idle.close()
            self._idle = None
        if self._lookout is not None:
            await self._lookout.close()
            self._lookout = None
        try:
            self._engine.keep_state(None)
            await self._engine.shut_down(tell=self._in_service)
            self._in_service = False
            await self._drop_state()
            if self._published is not None:
                await withdraw(self._location, self._published)
                at_exit.forget(self)
                self._published = None
        finally:
            await self._stop_profiles()
            self._engine = None
            for stream in self._streams:
                stream.close()
            self._streams.clear()
            self._stopped.set()

    async def _stop_profiles(self) -> None:
        """Stop them all at once, each whatever becomes of the others."""
        profiles, self._started = self._started, []
        ended = await asyncio.gather(*(profile.stop() for profile in profiles), return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                log.error("a profile did not stop properly", exc_info=error)


def _hub_metadata(label: str, own: Mapping[str, object]) -> ValueMap:
    standard = {
        "samp.name": "Hub",
        "samp.description.text": "asyncsamp hub" + (f" {label!r}" if label else ""),
    }
    return encode_map({**standard, **own}, "metadata")
