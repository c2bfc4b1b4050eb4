"""What clients may do by their name, told to the core."""

from __future__ import annotations

from ..interfaces import MaySend
from ..values import ValueMap
from .core import HubCore
from .mtype_limits import MTypeLimits
from .permissions import Permission, Permissions, Subject

__all__ = ["ClientPermissions"]

_HARMLESS = MTypeLimits()


class ClientPermissions:
    """Holds the clients that no profile answers for to what the user has decided about their names."""

    def __init__(self, core: HubCore, permissions: Permissions) -> None:
        self._core = core
        self._permissions = permissions
        self._names: dict[str, str] = {}
        self._end = permissions.observe(self._changed)

    def close(self) -> None:
        """Follow no further changes."""
        self._end()

    def named(self, client: str, name: str) -> None:
        """A client has said its name, or another one."""
        if self._names.get(client) != name:
            self._names[client] = name
            self._judge(client, name)

    def forget(self, client: str) -> None:
        """A client has left."""
        self._names.pop(client, None)

    def _changed(self) -> None:
        for client, name in self._names.items():
            self._judge(client, name)

    def _judge(self, client: str, name: str) -> None:
        subject = Subject("client", name)
        may = self._permissions.may
        send, command = may(subject, Permission.SEND), may(subject, Permission.COMMAND)
        self._core.permit(client, _may_send(send, command), may(subject, Permission.RECEIVE))


def _may_send(send: bool, command: bool) -> MaySend | None:
    if send and command:
        return None

    def may_send(mtype: str, annotation: ValueMap) -> bool:
        return send if _HARMLESS.may_send(mtype, annotation) else command

    return may_send
