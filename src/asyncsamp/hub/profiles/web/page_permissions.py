"""What one web client may do, and the one question when it wants more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ....errors import FaultError
from ....interfaces import Engine
from ....values import Value, ValueMap
from ...mtype_limits import MTypeLimits
from ...permissions import Permission, Subject, rememberable
from .consent import ConsentAnswer, ConsentQuestion, Gate, harmless

__all__ = ["PagePermissions", "command_wanted"]

_NOBODY = Subject("origin", "")
"""Stands for pages whose origin cannot be told from others: about them nothing is decided for good."""

_SENDING = {
    "notify": (0, 1),
    "call": (0, 2),
    "callAndWait": (0, 1),
    "notifyAll": (None, 0),
    "callAll": (None, 1),
}
"""Where the recipient and the message stand among the parameters of an operation."""

_NAMED = 3
"""Recipients that a question names; more are counted."""


class PagePermissions:
    """What a registered page may do: by what its user has decided for good, or answered for it alone.

    Args:
        gate: Who asks, and has what was decided for good.
        limits: What is harmless to send.
        any_mtype: Whether pages may send everything else, too, unless it was decided otherwise.
        question: What the page was asked about when it registered.
    """

    def __init__(self, gate: Gate, limits: MTypeLimits, any_mtype: bool, question: ConsentQuestion) -> None:
        self._gate = gate
        self._limits = limits
        self._any_mtype = any_mtype
        self._question = question
        self._subject = Subject("origin", question.origin) if rememberable(question.origin) else _NOBODY
        self._granted: set[Permission] = set()
        self._refused: set[Permission] = set()
        self._followed = self._decided

    @property
    def subject(self) -> Subject | None:
        """Whose decisions count for it; None if nothing can be decided for good."""
        return None if self._subject is _NOBODY else self._subject

    def may(self, permission: Permission) -> bool:
        """Whether it may do that, without a question."""
        if permission in self._granted:
            return True
        if permission is Permission.COMMAND and self._any_mtype:
            return self._decided.get(permission, True)
        return self._gate.permissions.may(self._subject, permission)

    def may_send(self, mtype: str, annotation: ValueMap) -> bool:
        """Whether it may send `mtype` to who subscribes to it with `annotation` (WEB-60..62)."""
        return self.may(Permission.SEND if self._limits.may_send(mtype, annotation) else Permission.COMMAND)

    def visible(self, subscriptions: ValueMap) -> ValueMap:
        """Return the part of a client's subscriptions that it can use (WEB-61)."""
        return subscriptions if self.may(Permission.COMMAND) else self._limits.visible(subscriptions)

    def is_command(self, mtype: str, annotation: ValueMap) -> bool:
        """Whether it lacks the permission to send `mtype` to who subscribes with `annotation`."""
        return not (self._limits.may_send(mtype, annotation) or self.may(Permission.COMMAND))

    async def ask_for(self, permission: Permission, detail: str) -> bool:
        """Return whether it may do that, if need be by asking the user: once for each registration.

        Cancelling is safe, and takes the question back.

        Args:
            permission: What it wants to do.
            detail: On what occasion, in words for the user; made harmless by who gives it.
        """
        if not self._settled(permission):
            question = replace(self._question, wants=permission, detail=detail)
            await self._gate.ask_for_more(question, lambda: self._settled(permission), self._take(permission))
        return self.may(permission)

    def follow(self) -> None:
        """Let what was decided for good meanwhile count over what was answered before."""
        if self._decided != self._followed:
            self._followed = self._decided
            self._granted.clear()
            self._refused.clear()

    @property
    def _decided(self) -> dict[Permission, bool]:
        return self._gate.permissions.decisions.get(self._subject, {})

    def _settled(self, permission: Permission) -> bool:
        if permission in self._granted or permission in self._refused:
            return True
        return permission in self._decided or self.may(permission)

    def _take(self, permission: Permission) -> Callable[[ConsentAnswer], None]:
        def take(answer: ConsentAnswer) -> None:
            (self._refused if answer is ConsentAnswer.DENY else self._granted).add(permission)

        return take


async def command_wanted(
    engine: Engine, client: str, may: PagePermissions, operation: str, params: Sequence[Value]
) -> str:
    """Return what a page is about to send that it may not, in words for the user.

    It is "" if the page may send it, or nobody takes it.

    Args:
        engine: The hub.
        client: The public id of the page.
        may: What it may do.
        operation: The operation that it calls, of whatever name.
        params: Its parameters, which nobody has checked yet.
    """
    recipient, mtype = _message_of(operation, params)
    if not mtype or may.may(Permission.COMMAND):
        return ""
    try:
        takers = await engine.operate(engine.hub_id, "getSubscribedClients", [mtype])
    except FaultError:  # not a message; the operation itself says so
        return ""
    assert isinstance(takers, dict)
    wanted = [
        taker
        for taker, annotation in takers.items()
        if taker != client
        and recipient in (None, taker)
        and isinstance(annotation, dict)
        and may.is_command(mtype, annotation)
    ]
    if not wanted:
        return ""
    names = [await _name_of(engine, taker) for taker in wanted[:_NAMED]]
    more = f" and {len(wanted) - _NAMED} more" if len(wanted) > _NAMED else ""
    return f"{harmless(mtype)} to {', '.join(names)}{more}"


def _message_of(operation: str, params: Sequence[Value]) -> tuple[Value | None, str]:
    """Return the recipient, None for all, and the mtype of what is sent; "" if that cannot be read."""
    places = _SENDING.get(operation)
    if places is None or len(params) <= places[1]:
        return None, ""
    message = params[places[1]]
    mtype = message.get("samp.mtype") if isinstance(message, dict) else None
    return (None if places[0] is None else params[places[0]]), mtype if isinstance(mtype, str) else ""


async def _name_of(engine: Engine, client: str) -> str:
    try:
        metadata = await engine.operate(engine.hub_id, "getMetadata", [client])
    except FaultError:
        return client
    name = metadata.get("samp.name") if isinstance(metadata, dict) else None
    return harmless(name, 40) if isinstance(name, str) and name.strip() else client
