"""Which table or image a message means: by its id, or by its URL (MTYPE-71)."""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import DataError

__all__ = ["Item", "Known", "TableRegistry"]


@dataclass(frozen=True, slots=True)
class Item:
    """What others know of a table: the id and the URL that it was sent or received with."""

    item_id: str
    url: str

    def is_meant(self, item_id: object, url: object) -> bool:
        """Whether a message with that table-id and that url (either may be None) means it.

        The id decides if both have one; URLs are compared as text.
        """
        if item_id and self.item_id:
            return item_id == self.item_id
        return bool(url) and url == self.url


class Known:
    """A table as the others know it: each recipient by the id under which it has got it.

    TOPCAT refuses an id that it has already, so a table that is sent twice has two. `rows` is
    None if it is not known how many there are.
    """

    def __init__(self, item: Item, rows: int | None, holders: Iterable[str] = ()) -> None:
        self.latest = item
        self.rows = rows
        self._items = [item]
        self._holders = dict.fromkeys(holders, item)

    def __repr__(self) -> str:
        return f"<Known {self.latest.item_id or self.latest.url}>"

    def add(self, item: Item, rows: int | None, holders: Iterable[str]) -> None:
        """It was sent once more."""
        self.latest = item
        self.rows = rows
        if item not in self._items:
            self._items.append(item)
        self._holders.update(dict.fromkeys(holders, item))

    def is_meant(self, item_id: object, url: object) -> bool:
        """Whether a message means it, by any of its ids."""
        return any(item.is_meant(item_id, url) for item in self._items)

    def to(self, public_id: str) -> Item:
        """Return what that recipient knows it as."""
        return self._holders.get(public_id, self.latest)

    def names(self) -> set[str]:
        """Return all ids and URLs of it."""
        return {name for item in self._items for name in (item.item_id, item.url)}

    def is_held(self, public_id: str) -> bool:
        """Whether that client has got it already."""
        return public_id in self._holders


class TableRegistry:
    """The tables that were sent or received, while they live; and the ids that they had."""

    def __init__(self) -> None:
        self._by_object: dict[int, tuple[weakref.ref[Any], Known]] = {}
        self._by_name: dict[str, Known] = {}

    def __len__(self) -> int:
        return len(self._by_object)

    def remember(self, thing: Any, item: Item, rows: int | None = None, holders: Iterable[str] = ()) -> None:
        """Note that `thing` is known to `holders` as `item`."""
        place = str(thing) if isinstance(thing, str | os.PathLike) else ""
        known = self._by_name.get(place) if place else self._of_object(thing)
        if known is None:
            known = Known(item, rows, holders)
        else:
            known.add(item, rows, holders)
        for name in (item.item_id, item.url, place):
            if name:
                self._by_name[name] = known
        key = id(thing)
        try:
            reference = weakref.ref(thing, lambda _: self._forget(key, known))
        except TypeError:
            return  # a path or a URL, or nothing that can be seen to die: known by its names
        if not place:
            self._by_object[key] = (reference, known)

    def find(self, thing: Any) -> Known:
        """Return what others know `thing` as; a text is taken for an id or a URL, or a path that was sent.

        Raises `DataError` if `thing` was neither sent nor received.
        """
        if isinstance(thing, str):
            return self._by_name.get(thing) or Known(_named(thing), None)
        path = isinstance(thing, os.PathLike)
        known = self._by_name.get(str(thing)) if path else self._of_object(thing)
        if known is None:
            raise DataError(
                "nobody knows this table yet: send it with send_table (or give the table-id or URL "
                "by which the others know it)"
            )
        return known

    def id_for(self, thing: Any, recipients: Iterable[str]) -> str:
        """Return the id that `thing` has, or a new one if a recipient has got that already."""
        known = self._of_object(thing)
        if known is not None and known.latest.item_id and not any(map(known.is_held, recipients)):
            return known.latest.item_id
        return f"asyncsamp-{secrets.token_hex(6)}"

    def _forget(self, key: int, known: Known) -> None:
        """A table has died: nobody can mean it any more but others, by names that they know."""
        self._by_object.pop(key, None)
        for name in known.names():
            if self._by_name.get(name) is known:
                del self._by_name[name]

    def _of_object(self, thing: Any) -> Known | None:
        found = self._by_object.get(id(thing))
        return found[1] if found is not None and found[0]() is thing else None


def _named(text: str) -> Item:
    return Item("", text) if "://" in text else Item(text, "")
