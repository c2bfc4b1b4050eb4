"""The Web Profile spoken by a program (SAMP 1.3 §5, WEB-72): no lockfile, no port of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from ..errors import FaultError, HubFaultError, HubLostError, HubNotFoundError, RemoteProtocolError, SampError
from ..interfaces import Receiver, Registration
from ..limits import Limits
from ..values import Value
from .callback import receive
from .rpc_connection import RpcConnection

__all__ = ["WebConnection"]

log = logging.getLogger("asyncsamp.client")

PORT = 21012
"""The fixed port of the Web Profile (WEB-1)."""

CONSENT_TIME = 900.0
"""Seconds in which the hub's user may answer whether we may register."""

_PREFIXES = ("samp.webclient.", "samp.client.")
_GRACE = 15.0
"""Seconds that a pull may take longer than it was asked to."""

_QUICK = 1.0
"""Seconds: a pull that is answered sooner, and with nothing, comes from a hub that does not wait."""

_PACES = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between pulls at such a hub, from one empty answer to the next. astropy's never waits."""

_MAX_FAILURES = 3


class WebConnection(RpcConnection):
    """A connection by the Web Profile, for programs that cannot read the lockfile or be called back.

    `Client` uses it by itself where SAMP_HUB is `web-appname:NAME`.

    Args:
        name: What the hub's user is asked about; by default the client's own name.
        port: Where the hub listens, on this machine.
        limits: Timeouts in seconds, and sizes in bytes.
    """

    def __init__(self, name: str = "", *, port: int = PORT, limits: Limits | None = None) -> None:
        super().__init__("samp.webhub", limits)
        self._name = name
        self.proxy.url = f"http://127.0.0.1:{port}/"
        self._pulling: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<WebConnection {self.url}>"

    async def resume(self) -> bool:
        """Return whether the hub still knows us; see `Connection.resume`. Cancelling is safe.

        Web clients have to ask for consent anew when their hub has gone.

        Raises:
            HubNotFoundError: There is no hub; it may be asked again.
        """
        return False

    async def _enter(self, name: str, receiver: Receiver) -> Registration:
        """Register, once the hub's user has consented."""
        proxy = self.proxy
        await self._open()
        try:
            await proxy.call("ping")
        except (HubLostError, RemoteProtocolError) as error:
            raise HubNotFoundError(f"{self.url}, the Web Profile") from error
        identity: Value = {"samp.name": self._name or name}
        return await proxy.register(identity, receiver, timeout=CONSENT_TIME)

    async def _open(self) -> None:
        """Open the proxy."""
        self.proxy.open()

    def _is_listening(self) -> bool:
        return self._pulling is not None

    async def _begin_listening(self, receiver: Receiver) -> None:
        """Allow callbacks, and begin to pull them (WEB-71)."""
        await self.ask_hub("allowReverseCallbacks", "1")
        pulling = self._pull(receiver)
        self._pulling = asyncio.get_running_loop().create_task(pulling, name="asyncsamp-pull")

    async def _end_listening(self) -> None:
        pulling, self._pulling = self._pulling, None
        if pulling is not None and pulling is not asyncio.current_task():
            pulling.cancel()
            await asyncio.wait({pulling})

    async def _pull(self, receiver: Receiver) -> None:
        """Pull callbacks for ever, without hurry at a hub that does not wait (WEB-24)."""
        clock = asyncio.get_running_loop().time
        empty = failures = 0
        while True:
            begun = clock()
            try:
                pulled = await self._pull_once()
            except HubFaultError as error:
                receiver.connection_lost(f"it gives no callbacks any more: {error.text}")
                return
            except (HubLostError, RemoteProtocolError) as error:
                failures += 1
                if failures == _MAX_FAILURES:
                    receiver.connection_lost(str(error))
                    return
                log.info("pulling callbacks failed: %s", error)
                await asyncio.sleep(self._limits.refused_pause)
                continue
            failures = 0
            for callback in pulled:
                await self._hand_over(receiver, callback)
            if pulled or clock() - begun >= _QUICK:
                empty = 0
            else:
                await asyncio.sleep(_PACES[min(empty, len(_PACES) - 1)])
                empty += 1

    async def _pull_once(self) -> Sequence[Value]:
        seconds = self._limits.web_poll
        pulled = await self.ask_hub("pullCallbacks", f"{seconds:.0f}", timeout=seconds + _GRACE)
        if not isinstance(pulled, list):
            raise RemoteProtocolError("the hub answered pullCallbacks with no list")
        return pulled

    async def _hand_over(self, receiver: Receiver, callback: Value) -> None:
        values = callback if isinstance(callback, dict) else {}
        method, params = values.get("samp.methodName"), values.get("samp.params")
        if not isinstance(method, str) or not isinstance(params, list):
            log.warning("the hub gave a callback that is not valid: it needs a method name and parameters")
            return
        for prefix in _PREFIXES:
            method = method.removeprefix(prefix)  # DS9's hub has them (WEB-23)
        try:
            receive(receiver, method, params)
        except FaultError as error:
            log.info("a callback was refused: %s", error)
            if method == "receiveCall" and len(params) == 3 and isinstance(params[1], str):
                await self._refuse(params[1], error.text)

    async def _refuse(self, msg_id: str, reason: str) -> None:
        """Answer a call that was not taken: by this profile there is no other way to refuse it."""
        response: Value = {
            "samp.status": "samp.error",
            "samp.result": {},
            "samp.error": {"samp.errortxt": reason},
        }
        with contextlib.suppress(SampError):  # whatever becomes of it, the pulling goes on
            await self.ask_hub("reply", msg_id, response)
