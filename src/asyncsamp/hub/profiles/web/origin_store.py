"""The origins that may always register, as earlier versions kept them (WEB-51)."""

from __future__ import annotations

import logging

from ...permissions import Permission, Permissions, Subject

__all__ = ["OriginStore"]

log = logging.getLogger("asyncsamp.hub")


class OriginStore(Permissions):
    """`Permissions`, by the name and with the methods that it had when it kept origins only.

    Args:
        path: The file; None keeps the decisions for this run only.
    """

    async def has(self, origin: str) -> bool:
        """Return whether `origin` was allowed to register for good. Cancelling is safe.

        Args:
            origin: The site.
        """
        await self.refresh()
        return self.decided(Subject("origin", origin), Permission.REGISTER) is True

    async def add(self, origin: str) -> None:
        """Allow `origin` to register for good. A file that cannot be written is only logged.

        Cancelling is safe.

        Args:
            origin: The site, such as "https://archive.example.org".
        """
        try:
            await self.decide(Subject("origin", origin), Permission.REGISTER, True)
        except OSError as error:
            log.warning("cannot remember web origin %s: %s", origin, error)

    def read(self) -> list[str]:
        """Return the origins that were allowed to register for good. Blocks."""
        decided = self.load()
        return [subject.name for subject, each in decided.items() if each.get(Permission.REGISTER)]

    def remove(self, origin: str) -> bool:
        """Forget all that was decided about `origin`. Blocks.

        Args:
            origin: The site.

        Returns:
            Whether there was something.

        Raises:
            OSError: The file cannot be written.
        """
        return self.forget(Subject("origin", origin.strip().rstrip("/").lower()))
