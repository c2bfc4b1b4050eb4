"""SAMPHubServer: a hub in this process, with the names of astropy.samp."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from ..discovery import locate_multiple
from ..errors import HubRunningError, LockfileError
from ..hub.profiles.web import WebProfile
from ..lockfile import parse_lockfile
from ..mtypes import keys_for
from ..sync import Hub
from .differences import tell_once
from .errors import SAMPHubError
from .web_profile import DialogConsent, WebProfileDialog

__all__ = ["SAMPHubServer", "WebProfileDialog"]

log = logging.getLogger("asyncsamp.hub")


class SAMPHubServer:
    """A hub in a thread of this process.

    Args:
        secret: What lets clients in; a random one if None, which is safer.
        addr: Where it listens; 127.0.0.1 if None.
        port: The port, any free one if 0.
        lockfile: Where it is published, instead of SAMP_HUB and `~/.samp`.
        timeout: Seconds without any request after which it stops; 0 means never.
        client_timeout: Seconds without a request after which a client is removed; 0 means never.
        mode: "single", or "multiple" for a lockfile in `~/.samp-1` beside other hubs.
        label: A name for this hub.
        web_profile: Whether it serves web pages, whom the user allows on the terminal.
        web_profile_dialog: A `WebProfileDialog`, which asks the user in a window instead.
        web_port: The port for web pages.
        pool_size: Not used: connections are made as they are needed.
    """

    def __init__(
        self,
        secret: str | None = None,
        addr: str | None = None,
        port: int = 0,
        lockfile: str | None = None,
        timeout: float = 0,
        client_timeout: float = 0,
        mode: str = "single",
        label: str = "",
        web_profile: bool = True,
        web_profile_dialog: Any = None,
        web_port: int = 21012,
        pool_size: int = 20,
    ) -> None:
        self._id = str(uuid.uuid4())
        self._options: dict[str, Any] = {
            "host": addr or "127.0.0.1",
            "port": port or 0,
            "label": label,
            "secret": secret,
            "timeout": float(timeout),
            "client_timeout": float(client_timeout),
        }
        self._lockfile = lockfile
        self._multiple = mode == "multiple"
        self._web_port = web_port if web_profile else None
        self._dialog = web_profile_dialog
        self._web: WebProfile | None = None
        self._hub: Hub | None = None

    @property
    def id(self) -> str:
        """An id of this hub, which its lockfile tells."""
        return self._id

    @property
    def is_running(self) -> bool:
        """Whether the hub runs."""
        return self._hub is not None and self._hub.running

    @property
    def params(self) -> dict[str, str]:
        """What the lockfile says.

        Raises:
            SAMPHubError: The hub does not run.
        """
        if self._hub is None or self._hub.lockfile is None:
            raise SAMPHubError("Hub is not running")
        found = parse_lockfile(self._hub.lockfile.read_text(encoding="utf-8"))
        return {
            "samp.secret": found.secret,
            "samp.hub.xmlrpc.url": found.url,
            "samp.profile.version": found.version,
            "hub.id": self._id,
            "hub.label": self._options["label"] or f"Hub {self._id}",
        }

    @property
    def web_port(self) -> int | None:
        """The port for web pages; None without them. Not a name of astropy.samp."""
        return self._web_port if self._web is None else self._web.port

    def start(self, wait: bool = False) -> None:
        """Start the hub.

        Args:
            wait: Whether to return when the hub has stopped; Ctrl-C ends the wait.

        Raises:
            SAMPHubError: It runs already, or another hub does.
        """
        if self.is_running:
            raise SAMPHubError("Hub is already running")
        where = self._lockfile
        if where is None and self._multiple:
            where = str(locate_multiple(self._id).path)
        self._web = None
        if self._web_port is not None:
            consent = None if self._dialog is None else DialogConsent(self._dialog)
            self._web = WebProfile(consent=consent, port=self._web_port)
        profiles = [] if self._web is None else [self._web]
        hub = Hub(lockfile=where, profiles=profiles, **self._options)
        try:
            hub.start()
        except (HubRunningError, LockfileError) as error:
            raise SAMPHubError(str(error)) from error
        self._hub = hub
        log.info("hub %s has started", self._id)
        tell_once()
        if wait:
            self.wait_stopped()

    def wait_stopped(self) -> None:
        """Return when the hub has stopped; Ctrl-C ends the wait. Not a name of astropy.samp."""
        hub = self._hub
        if hub is not None:
            hub.serve_forever()

    def stop(self) -> None:
        """Stop the hub; one that does not run is left alone."""
        hub, self._hub = self._hub, None
        if hub is not None:
            hub.shutdown()

    @staticmethod
    def get_mtype_subtypes(mtype: str) -> list[str]:
        """Return `mtype` and all wildcards that stand for it: a.b, a.*, *.

        Args:
            mtype: The mtype.
        """
        return list(keys_for(mtype))
