"""Paths that strangers named, until the system says which files they are: a file has several names."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice

from ...._util.threads import in_daemon_thread
from ....interfaces import Named
from ...opened import found

__all__ = ["Unsure"]

_MOST = 20_000
"""Paths that wait. With as many of one site it is full, and then nothing is read for the room anyway."""

_BATCH = 1_000
"""Paths that one thread looks at: a thread for each would cost ten times what looking does."""

_PATIENCE = 10.0
"""Seconds that a reading waits: a path on a file server that is away takes minutes."""


class Unsure:
    """Notes what strangers named by what it is, as soon as the system says so.

    One thread at a time looks at the paths, in the order in which they were named. Nothing is forgotten: a
    file that may be one of them is not read until that is certain.

    Args:
        named: What strangers named first.
    """

    def __init__(self, named: Named) -> None:
        self._named = named
        self._paths: dict[str, tuple[str, int]] = {}  # path -> who named it, and when
        self._batch: dict[str, tuple[str, int]] = {}  # those that are looked at
        self._missed: int | None = None  # when the first was named that there was no room for
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def note(self, site: str, paths: Iterable[str]) -> None:
        """Take note that a stranger of `site` has just named `paths`, absolute ones."""
        moment = self._named.moment
        for path in paths:
            if path in self._paths:
                continue
            if len(self._paths) < _MOST:
                self._paths[path] = site, moment
            elif self._missed is None:
                self._missed = moment
        self._go_on()

    async def settled(self, moment: int) -> None:
        """Wait until all that was named up to `moment` is noted by what it is. Cancelling is safe.

        Raises:
            PermissionError: That cannot be told in time. The text may be shown to other members.
        """
        if self._missed is not None and self._missed <= moment:
            raise PermissionError(
                "others named so many files before it was sent that the hub that has it cannot tell whether "
                "this is one of them; to read it, that hub must be started again"
            )
        self._go_on()  # if there was no thread for it before
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._oldest() <= moment:
                    await self._news.wait()
        except TimeoutError:
            raise PermissionError(
                "the hub that has it cannot tell yet which files others named before it was sent, since its "
                "system does not answer; try again later"
            ) from None

    async def close(self) -> None:
        """Look at nothing more. May be called again."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))

    # ---- inside

    def _go_on(self) -> None:
        if self._closed or (self._looking is not None and not self._looking.done()):
            return
        self._looking = asyncio.get_running_loop().create_task(self._look(), name="asyncsamp-reach-looking")

    def _oldest(self) -> float:
        """Return when the first was named of those that are not noted yet; infinity if there are none."""
        for paths in (self._batch, self._paths):  # each in its order
            for _, moment in paths.values():
                return moment
        return math.inf

    async def _look(self) -> None:
        while self._batch or self._paths:
            if not self._batch:
                # Taken away before it is looked at: what is named again meanwhile may mean another file then.
                self._batch = dict(islice(self._paths.items(), _BATCH))
                for path in self._batch:
                    del self._paths[path]
            names = await in_daemon_thread(partial(found, list(self._batch)))
            self._add(names)
            self._batch = {}
            news, self._news = self._news, asyncio.Event()
            news.set()

    def _add(self, names: Mapping[str, str]) -> None:
        by_moment: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for path, name in names.items():
            by_moment[self._batch[path]].append(name)
        for (site, moment), those in by_moment.items():
            self._named.add(site, those, moment)
