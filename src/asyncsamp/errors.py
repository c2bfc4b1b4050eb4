"""Every error that asyncsamp raises, in one tree.

    SampError
      HubNotFoundError                     no hub is running
      HubRunningError                      a hub is running already
      HubLostError (ConnectionError)       the hub went away, or does not answer
      FaultError                           an operation is refused, as it goes over the wire
      HubFaultError                        the hub refused an operation of our client
        UnknownClientError                 ... since it knows no such client
        NotSubscribedError                 ... since the recipient does not subscribe
        RegistrationError                  ... since it does not let us in
      NotRegisteredError (RuntimeError)    the client is not registered (any more, or yet)
      CallTimeoutError (TimeoutError)      no response came in time
      WaitTimeoutError (TimeoutError)      what was waited for did not come in time
      ReplyError                           the recipient answered samp.error
      NoRecipientsError (LookupError)      nobody is there who takes what is to be sent
      SendError                            all who should have got some data failed
      DataError (ValueError)               data that cannot be sent, fetched or read
      MissingExtraError (ImportError)      an extra of the package is not installed
      ToolError                            a tool that is to be started does not start
      LockfileError (ValueError)           a lockfile that cannot be understood or used
      StateError (ValueError)              a hub's state file that cannot be understood or used
      InvitationError (ValueError)         an invitation to a room that cannot be understood or used
      ProtocolError
        LocalProtocolError (ValueError)    our caller's fault
          WrongLoopError (RuntimeError)    a client is used from another event loop than its own
        RemoteProtocolError                the peer's fault

An operation that failed (`HubFaultError`) and a message whose processing failed
(`ReplyError`) are kept apart, as SAMP 1.3 §3.13 does (HUB-70).

No I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar, Self

__all__ = [
    "CallTimeoutError",
    "DataError",
    "FaultCode",
    "FaultError",
    "HubFaultError",
    "HubLostError",
    "HubNotFoundError",
    "HubRunningError",
    "InvitationError",
    "LocalProtocolError",
    "LockfileError",
    "MissingExtraError",
    "NoRecipientsError",
    "NobodyError",
    "NotRegisteredError",
    "NotSubscribedError",
    "ProtocolError",
    "RegistrationError",
    "RemoteProtocolError",
    "SampError",
    "StateError",
    "ToolError",
    "UnknownClientError",
    "WaitTimeoutError",
    "WrongLoopError",
    "who",
]


class FaultCode(IntEnum):
    """The faultCode values of our hub. The standard prescribes none (STD-7).

    They begin at 1300 so that they cannot be taken for the small numbers of
    JSAMP's or astropy's hub.
    """

    INTERNAL = 1300
    MALFORMED = 1301
    UNKNOWN_METHOD = 1302
    BAD_PARAMETERS = 1303
    NOT_REGISTERED = 1304
    REGISTRATION_REFUSED = 1305
    UNKNOWN_CLIENT = 1306
    NOT_SUBSCRIBED = 1307
    UNKNOWN_MESSAGE = 1308
    TIMEOUT = 1309
    RECIPIENT_LOST = 1310
    LIMIT_REACHED = 1311
    SHUTTING_DOWN = 1312
    NOT_ALLOWED = 1313


def who(public_id: str, name: str) -> str:
    """Return how texts speak of a client: by its name, if that is known, and its public id.

    What makes a foreign name fit for that is `_util.foreign_text.plain_line`.

    Args:
        public_id: The public id of the client.
        name: Its samp.name; "" if it is not known.
    """
    if not name:
        return f"client {public_id!r}"
    return f"{name} ({public_id})"


class SampError(Exception):
    """The base of every error in this package."""


class HubNotFoundError(SampError):
    """No running hub was found.

    Attributes:
        looked_at: The places that were tried, in order.
        looking: For how many seconds the client has been looking, and goes on; None if it does not.
        waited: For how many seconds a hub was waited for, in vain.
        advice: What can be done about it.
        starts: Whether the client that is looking starts one itself if none comes.
        text: What is wrong, if not that no hub runs, such as that none has a certain name.
    """

    def __init__(
        self,
        *looked_at: str,
        looking: float | None = None,
        waited: float = 0.0,
        advice: str = "start one with: python -m asyncsamp.hub",
        starts: bool = False,
        text: str = "",
    ) -> None:
        self.looked_at = looked_at
        self.looking = looking
        self.waited = waited
        self.advice = advice
        self.starts = starts
        self.text = text
        places = ", ".join(looked_at) or "nowhere"
        within = f" within {waited:g} s" if waited else ""
        what = text or f"no running SAMP hub found{within} (looked at {places})"
        super().__init__(f"{what}; {advice}" + _search(looking, starts))

    def advised(self, advice: str) -> HubNotFoundError:
        """Return the same error with another advice.

        Args:
            advice: What can be done about it.
        """
        return HubNotFoundError(
            *self.looked_at,
            looking=self.looking,
            waited=self.waited,
            advice=advice,
            starts=self.starts,
            text=self.text,
        )


def _then(advice: str) -> str:
    return f"; {advice}" if advice else ""


def _search(looking: float | None, starts: bool, *, watches: bool = False) -> str:
    if looking is None:
        return _WATCHES if watches else ""
    next_one = "starts one itself if none comes" if starts else "goes on"
    return (
        f"; the client has been looking for a hub for {looking:.1f} s and {next_one}: "
        "wait_registered() waits until it is registered"
    )


_WATCHES = (
    "; if it has gone, the client looks for a hub by itself: "
    "try again in a moment, or await wait_registered()"
)  # fmt: skip


class HubRunningError(SampError):
    """A hub is alive already, so another one does not start (HUB-1, STD-60).

    Args:
        lockfile: Where the hub that runs is published.
        url: Its endpoint.
        program: What it says of itself, and who its clients are; "" if it is not known.
        attach: The command that joins its clients to a room, if the new hub was to join one.
    """

    def __init__(self, lockfile: str, url: str, program: str = "", *, attach: str = "") -> None:
        self.lockfile = lockfile
        self.url = url
        self.program = program
        named = f": {program}" if program else ""
        use = (
            f"if that hub is in the room already, nothing is to be done; else its clients join by: {attach};"
            if attach
            else "use that one, as every client does by itself,"
        )
        super().__init__(
            f"a SAMP hub is already running at {url} (lockfile {lockfile}){named}; "
            f"{use} or stop it in its program (many have a menu for it), or start "
            "another beside it: 'python -m asyncsamp.hub --multiple', or Hub(lockfile=...)"
        )


class HubLostError(SampError, ConnectionError):
    """The hub went away, or does not answer, while `operation` needed it.

    Attributes:
        url: Where the hub was.
        operation: What needed it.
        reason: Why it counts as lost.
        looking: For how many seconds the client has been looking for a hub; None if it is not.
        starts: Whether it starts one itself if none comes.
        watches: Whether it does not look for one yet, but will as soon as the hub is seen to be gone.
    """

    def __init__(
        self,
        url: str,
        operation: str,
        reason: str = "it does not answer",
        *,
        looking: float | None = None,
        starts: bool = False,
        watches: bool = False,
    ) -> None:
        self.url = url
        self.operation = operation
        self.reason = reason
        self.looking = looking
        self.starts = starts
        self.watches = watches
        search = _search(looking, starts, watches=watches)
        super().__init__(f"the SAMP hub at {url} was lost during {operation}: {reason}{search}")


class FaultError(SampError):
    """An operation is refused: what becomes an XML-RPC fault, or was one (SAMP 1.3 §3.13, HUB-70, STD-7).

    The hub, its profiles and a client's callback endpoint raise it, and whoever posts a request
    gets it. A `Client` turns the hub's faults into `HubFaultError`.

    Args:
        text: What is wrong, for the one who asked.
        code: The faultCode.
    """

    def __init__(self, text: str, *, code: int = FaultCode.INTERNAL) -> None:
        self.text = text
        self.code = int(code)
        super().__init__(text)


class HubFaultError(SampError):
    """The hub refused an operation of our client: the fault of SAMP 1.3 §3.13 (HUB-70, STD-7).

    Attributes:
        text: What the hub says, with the advice.
        plain: The text without the advice.

    Args:
        text: What the hub says.
        code: The faultCode; None takes that of the class. Only those of our own hub have a common meaning.
        operation: What was asked of the hub.
        advice: What can be done about it; "" for nothing.
    """

    default_code: ClassVar[FaultCode] = FaultCode.INTERNAL

    def __init__(self, text: str, *, code: int | None = None, operation: str = "", advice: str = "") -> None:
        self.plain = text
        self.advice = advice
        self.text = text + _then(advice)
        self.code = int(self.default_code if code is None else code)
        self.operation = operation
        super().__init__(f"the hub refused {operation}: {self.text}" if operation else self.text)

    def advised(self, advice: str) -> Self:
        """Return the same error with another advice.

        Args:
            advice: What can be done about it.
        """
        return type(self)(self.plain, code=self.code, operation=self.operation, advice=advice)

    @classmethod
    def from_fault(cls, code: int, text: str, operation: str) -> HubFaultError:
        """Return the error that a fault stands for.

        Only the codes of our own hub tell which subclass it is; other hubs' codes
        mean nothing in common (STD-7) and give the plain class.

        Args:
            code: The faultCode.
            text: The faultString.
            operation: What was asked of the hub.
        """
        kinds: dict[int, type[HubFaultError]] = {
            FaultCode.UNKNOWN_CLIENT: UnknownClientError,
            FaultCode.NOT_SUBSCRIBED: NotSubscribedError,
            FaultCode.REGISTRATION_REFUSED: RegistrationError,
        }
        return kinds.get(code, HubFaultError)(text, code=code, operation=operation)


class UnknownClientError(HubFaultError):
    """No client with that public id or name is registered, or several have the name.

    Attributes:
        plain: The text without the advice.
        missing: The name that nobody has; "" if something else is wrong.
        advice: What can be done about it, beside what the text says of who is there; "" for nothing.

    Args:
        text: What is wrong.
        code: The faultCode; None takes that of the class.
        operation: What was asked of the hub.
        missing: The name that nobody has.
        advice: What can be done about it.
    """

    default_code = FaultCode.UNKNOWN_CLIENT

    def __init__(
        self,
        text: str,
        *,
        code: int | None = None,
        operation: str = "",
        missing: str = "",
        advice: str = "",
    ) -> None:
        self.missing = missing
        super().__init__(text, code=code, operation=operation, advice=advice)

    def advised(self, advice: str) -> Self:
        """Return the same error with another advice.

        Args:
            advice: What can be done about it.
        """
        error = super().advised(advice)
        error.missing = self.missing
        return error


class NotSubscribedError(HubFaultError):
    """The recipient does not subscribe to the mtype, or cannot be called (MSG-31).

    Attributes:
        plain: The text without the advice.
        advice: What the recipient takes instead; "" if that is not known.

    Args:
        text: What is wrong.
        code: The faultCode; None takes that of the class.
        operation: What was asked of the hub.
        advice: What the recipient takes instead.
    """

    default_code = FaultCode.NOT_SUBSCRIBED


class RegistrationError(HubFaultError):
    """The hub does not let the client register (wrong secret, consent refused, closing)."""

    default_code = FaultCode.REGISTRATION_REFUSED


class NotRegisteredError(SampError, RuntimeError):
    """The client is not registered: not yet, or not any more.

    Args:
        name: The name of the client.
        operation: What was to be done, as a verb.
        loop_ended: Whether it left because its event loop ended.
    """

    def __init__(self, name: str, operation: str, *, loop_ended: bool = False) -> None:
        self.name = name
        self.operation = operation
        self.loop_ended = loop_ended
        super().__init__(
            f"the client {name!r} left when its event loop ended (each asyncio.run has one of its own), "
            f"so it cannot {operation}; do all in one 'async def main()', or 'async with client:' in each"
            if loop_ended
            else f"the client {name!r} is not registered, so it cannot {operation}; "
            "use it within 'async with client:' (plain scripts: 'with client:'), or call register() first"
        )


class CallTimeoutError(SampError, TimeoutError):
    """No response to a call came in time.

    Attributes:
        recipient: The public id of the client that did not answer.
        mtype: What it was asked.
        timeout: For how many seconds it was waited for.
        name: The samp.name of the client, "" if it is not known.
        advice: What can be done about it; "" for nothing.
    """

    def __init__(self, recipient: str, mtype: str, timeout: float, name: str = "", advice: str = "") -> None:
        self.recipient = recipient
        self.mtype = mtype
        self.timeout = timeout
        self.name = name
        self.advice = advice
        text = f"{who(recipient, name)} did not answer {mtype!r} within {timeout:g} s"
        super().__init__(text + _then(advice))

    def advised(self, advice: str) -> CallTimeoutError:
        """Return the same error with another advice.

        Args:
            advice: What can be done about it; "" for nothing.
        """
        return CallTimeoutError(self.recipient, self.mtype, self.timeout, self.name, advice)


class WaitTimeoutError(SampError, TimeoutError):
    """What was waited for did not come in time; the text says what.

    Attributes:
        what: What did not come, as the text has it.
        timeout: For how many seconds it was waited for.
        advice: Who is there, and what can be done; "" if nothing is known.
    """

    def __init__(self, what: str, timeout: float, advice: str = "") -> None:
        self.what = what
        self.timeout = timeout
        self.advice = advice
        super().__init__(f"{what} within {timeout:g} s" + _then(advice))


class NoRecipientsError(SampError, LookupError):
    """Nobody is registered who takes what is to be sent, or the list of recipients is empty.

    Args:
        mtypes: What was looked for.
        there: Who is registered, for the text.
        empty: Whether the list of recipients was empty.
        advice: What can be done about it; "" for nothing.
    """

    def __init__(self, mtypes: Sequence[str], there: str, *, empty: bool = False, advice: str = "") -> None:
        self.mtypes = tuple(mtypes)
        self.there = there
        self.empty = empty
        self.advice = advice
        nobody = f"nobody is registered who takes {' or '.join(mtypes)}"
        reason = "the list of recipients is empty" if empty else nobody
        super().__init__(
            f"{reason}, so nothing was sent; there are: {there or 'no other clients'}" + _then(advice)
        )

    def advised(self, advice: str) -> NoRecipientsError:
        """Return the same error with another advice.

        Args:
            advice: What can be done about it.
        """
        return NoRecipientsError(self.mtypes, self.there, empty=self.empty, advice=advice)


NobodyError = NoRecipientsError
"""Deprecated: the name that `NoRecipientsError` had at first."""


class DataError(SampError, ValueError):
    """Data that cannot be sent, fetched or read."""


class MissingExtraError(SampError, ImportError):
    """What is asked for needs an extra of the package that is not installed.

    Args:
        module: What is not installed.
        extra: The extra of this package that has it.
    """

    def __init__(self, module: str, extra: str) -> None:
        self.module = module
        self.extra = extra
        super().__init__(
            f"this needs {module}, which is not installed: pip install 'asyncsamp[{extra}]', "
            f"or in a checkout pip install '.[{extra}]'",
            name=module,
        )


class ToolError(SampError):
    """A tool that is not known, is not installed, or does not start; with the last lines that it said."""


class LockfileError(SampError, ValueError):
    """A lockfile that cannot be understood or used.

    Args:
        path: Where it is.
        reason: What is wrong with it.
        line: The line that is meant, counted from 1; 0 is the whole file.
    """

    def __init__(self, path: str, reason: str, line: int = 0) -> None:
        self.path = path
        self.line = line
        self.reason = reason
        where = f"{path}, line {line}" if line else path
        super().__init__(f"cannot use the SAMP lockfile {where}: {reason}")


class StateError(SampError, ValueError):
    """The file from which a hub comes back cannot be understood or used.

    Args:
        path: Where it is.
        reason: What is wrong with it.
        advice: What to do then.
    """

    def __init__(self, path: str, reason: str, advice: str = "remove it, or name another one") -> None:
        self.path = path
        self.reason = reason
        self.advice = advice
        super().__init__(f"cannot use the hub's state file {path}: {reason}; {advice}")


class InvitationError(SampError, ValueError):
    """An invitation to a room, or a server's URL in its place, cannot be understood or used.

    Attributes:
        where: The file it is from, or what else was said; "" if it is a name that was said.
        reason: What is wrong with it, without a secret.
    """

    def __init__(self, where: str, reason: str) -> None:
        self.where = where
        self.reason = reason
        super().__init__(f"cannot join by {where}: {reason}" if where else reason)


class ProtocolError(SampError):
    """Something that is against SAMP or XML-RPC."""


class LocalProtocolError(ProtocolError, ValueError):
    """The caller of this package asked for something that SAMP does not allow."""


class WrongLoopError(LocalProtocolError, RuntimeError):
    """A client that is registered in one event loop is used from another one, where it can do nothing.

    Attributes:
        name: The client's name.
        operation: What it was asked to do.
        ended: Whether its own loop runs no more.
    """

    def __init__(self, name: str, operation: str, *, ended: bool) -> None:
        self.name = name
        self.operation = operation
        self.ended = ended
        super().__init__(
            f"the client {name!r} cannot {operation} here: it was registered in another event loop"
            + (_ENDED if ended else _ELSEWHERE)
        )


_ENDED = (
    ", which runs no more; make a new client, and let each one leave before its loop ends, as "
    "'async with client:' does"
)
_ELSEWHERE = (
    " and belongs to it; give the work to that loop by asyncio.run_coroutine_threadsafe, or use "
    "asyncsamp.sync.Client, which any thread may use"
)


class RemoteProtocolError(ProtocolError):
    """A peer sent something that cannot be understood."""
