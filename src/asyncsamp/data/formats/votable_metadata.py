"""What a VOTable says beside its columns and rows, kept in `table.meta["votable"]` for the way back.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KEY", "VotableMetadata", "from_votable", "plain_params", "to_votable"]

KEY = "votable"
"""The key in `table.meta`."""

_FILE = ("coordinate_systems", "time_systems", "params", "infos", "groups")
_RESOURCE = ("coordinate_systems", "time_systems", "params", "infos", "groups", "links")
_TABLE = ("params", "groups", "links", "infos")
_RESERVED = {"ID", "name", "ref", "ucd", "utype", "description", "samp", KEY}


@dataclass(slots=True)
class VotableMetadata:
    """The elements of `astropy.io.votable.tree`, by where they stood: file, resource, table, columns.

    `params` maps the name of each PARAM to its value; `coordinate_systems` lists the COOSYS.
    """

    file: dict[str, list[Any]] = field(default_factory=dict)
    resource: dict[str, list[Any]] = field(default_factory=dict)
    table: dict[str, list[Any]] = field(default_factory=dict)
    descriptions: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        """Name of each PARAM to its value."""
        return {
            param.name: param.value
            for level in (self.file, self.resource, self.table)
            for param in level.get("params", [])
        }

    @property
    def coordinate_systems(self) -> list[Any]:
        """Every COOSYS."""
        return [*self.file.get("coordinate_systems", []), *self.resource.get("coordinate_systems", [])]

    def __repr__(self) -> str:
        return f"<VotableMetadata params {list(self.params)}, {len(self.coordinate_systems)} COOSYS>"


def from_votable(votable: Any, resource: Any, table: Any, names: Iterable[str]) -> VotableMetadata:
    """Return what is said beside the data; `names` are those of the columns."""
    return VotableMetadata(
        file=_lists(votable, _FILE),
        resource=_lists(resource, _RESOURCE),
        table=_lists(table, _TABLE),
        descriptions={"file": votable.description, "resource": resource.description},
        columns={
            name: {key: value for key in ("ID", "ref") if (value := getattr(field, key, None)) is not None}
            for name, field in zip(names, table.fields, strict=True)
        },
    )


def to_votable(kept: VotableMetadata, votable: Any, resource: Any, table: Any) -> None:
    """Put into a new VOTable what was kept of an earlier one."""
    for element, lists in ((votable, kept.file), (resource, kept.resource), (table, kept.table)):
        for name, items in lists.items():
            getattr(element, name).extend(items)
    votable.description = votable.description or kept.descriptions.get("file")
    resource.description = resource.description or kept.descriptions.get("resource")
    for column in table.fields:
        for key, value in kept.columns.get(column.name, {}).items():
            setattr(column, key, value)


def plain_params(meta: dict[str, Any], known: Iterable[str]) -> dict[str, str | int | float | bool]:
    """Return what a user wrote into `table.meta` that a PARAM can say, but for the `known` names.

    numpy's numbers, texts and truths are returned as Python's.
    """
    left_out = {*_RESERVED, *known}
    plain = {key: value.item() if _is_numpys(value) else value for key, value in meta.items()}
    return {
        key: value
        for key, value in plain.items()
        if isinstance(key, str) and key not in left_out and isinstance(value, str | int | float | bool)
    }


def _is_numpys(value: Any) -> bool:
    """Whether it is a scalar of numpy's own; other classes have units or masks, which `item` would drop."""
    return type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()


def _lists(element: Any, names: Iterable[str]) -> dict[str, list[Any]]:
    found = {name: list(getattr(element, name, ())) for name in names}
    return {name: items for name, items in found.items() if items}
