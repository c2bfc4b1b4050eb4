"""The synchronous Hub, written by scripts/make_sync.py from the asynchronous one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from ..hub.core import ClientStanding
from ..hub.engine import HubEngine
from ..hub.observer import HubEvent
from ..hub.permissions import Permissions
from ..interfaces import Profile
from ..limits import Limits
from .base import AsyncHub, BaseHub
from .stream import Stream

__all__ = ["Hub"]


class Hub(BaseHub):
    """A SAMP hub for plain, synchronous Python.

        with Hub() as hub:
            hub.serve_forever()

    It has the methods of `asyncsamp.Hub` without `await`, and runs in the event loop that all
    synchronous clients and hubs of this process share. A hub that nobody shuts down ends with the program.

    Args:
        lockfile, host, port, label, profiles, metadata, timeout: As those of `asyncsamp.Hub`.
        client_timeout, secret, state, permissions, limits, pass_raw: As those of `asyncsamp.Hub`.
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
        super().__init__(
            AsyncHub(
                lockfile=lockfile,
                host=host,
                port=port,
                label=label,
                profiles=profiles,
                metadata=metadata,
                timeout=timeout,
                client_timeout=client_timeout,
                secret=secret,
                state=state,
                permissions=permissions,
                limits=limits,
                pass_raw=pass_raw,
            )
        )

    @property
    def running(self) -> bool:
        """Whether the hub has started and not begun to stop."""
        return self._inner.running

    @property
    def engine(self) -> HubEngine:
        """The engine, for profiles and `DirectConnection`.

        Raises:
            RuntimeError: The hub does not run.
        """
        return self._inner.engine

    @property
    def url(self) -> str:
        """The XML-RPC endpoint of the Standard Profile.

        Raises:
            RuntimeError: It has never been started.
        """
        return self._inner.url

    @property
    def lockfile(self) -> Path | None:
        """Where the hub is published; None if `SAMP_HUB` names no file, and then it cannot start."""
        return self._inner.lockfile

    @property
    def clients(self) -> dict[str, ClientStanding]:
        """How each registered client stands, by its public id, without the hub's own.

        Raises:
            RuntimeError: The hub does not run.
        """
        return self._inner.clients

    def events(self, limit: int = 10000, *, timeout: float | None = None) -> Stream[HubEvent]:
        """Watch who comes and goes, and what becomes of each message, from now on.

        It costs a hub nothing as long as nobody watches. A stream that is not closed ends with the hub.

        Args:
            limit: How many events wait for a slow reader before the oldest are dropped, and counted.
            timeout: Seconds without anything after which it ends; None waits for ever.

        Returns:
            A stream of `ClientEvent` and `MessageEvent`.

        Raises:
            RuntimeError: If the hub is not running.
        """
        return self._received(lambda client: client.events(limit), timeout)

    def start(self) -> Self:
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
        self._run(self._inner.start())
        return self

    def shutdown(self) -> None:
        """Stop: tell the clients, end what waits, remove the lockfile, close (HUB-9, HUB-10, HUB-62).

        Takes at most about `2 * Limits.shutdown_patience`, whatever the clients do. It goes
        on to its end when the caller is cancelled; further calls wait for the same end. A hub
        that is starting is stopped as soon as it has started.
        """
        return self._run(self._inner.shutdown())

    def serve_forever(self) -> None:
        """Return when the hub has been shut down. Ctrl-C is safe, and does not stop the hub."""
        return self._run(self._inner.serve_forever())
