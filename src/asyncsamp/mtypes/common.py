"""One frozen dataclass for each common mtype (SAMP 1.3 §6.4, and the authors' list of mtypes). No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import LocalProtocolError
from .typed import TypedMessage, param

__all__ = [
    "AppEventShutdown",
    "AppPing",
    "AppStatus",
    "BibcodeLoad",
    "ClientEnvGet",
    "CoordGetSky",
    "CoordPointAtSky",
    "CoverageLoadMocAscii",
    "CoverageLoadMocFits",
    "Ds9Get",
    "Ds9RestrictedGet",
    "Ds9RestrictedSet",
    "Ds9Set",
    "HubDisconnect",
    "HubEventMetadata",
    "HubEventRegister",
    "HubEventShutdown",
    "HubEventSubscriptions",
    "HubEventUnregister",
    "ImageLoadFits",
    "MsgProgress",
    "ScriptAladinSend",
    "SpectrumLoadSsaGeneric",
    "TableGetStil",
    "TableHighlightRow",
    "TableLoadCdf",
    "TableLoadFits",
    "TableLoadParquet",
    "TableLoadPds4",
    "TableLoadStil",
    "TableLoadVotable",
    "TableSelectRowList",
    "VoresourceLoadlist",
    "VoresourceLoadlistCone",
    "VoresourceLoadlistSiap",
    "VoresourceLoadlistSsap",
    "VoresourceLoadlistTap",
    "VoresourceLoadlistVospace",
]


# ---- administrative (MTYPE-20..33)


@dataclass(frozen=True, kw_only=True)
class HubEventShutdown(TypedMessage):
    """The hub is about to stop (MTYPE-20)."""

    mtype = "samp.hub.event.shutdown"


@dataclass(frozen=True, kw_only=True)
class HubEventRegister(TypedMessage):
    """A client has registered (MTYPE-21). `id` is its public id."""

    mtype = "samp.hub.event.register"
    id: str


@dataclass(frozen=True, kw_only=True)
class HubEventUnregister(TypedMessage):
    """A client has left, or was removed (MTYPE-22). `id` is its public id."""

    mtype = "samp.hub.event.unregister"
    id: str


@dataclass(frozen=True, kw_only=True)
class HubEventMetadata(TypedMessage):
    """A client has declared its metadata (MTYPE-23).

    `id` is its public id, `metadata` the whole new map.
    """

    mtype = "samp.hub.event.metadata"
    id: str
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class HubEventSubscriptions(TypedMessage):
    """A client has declared its subscriptions (MTYPE-24).

    `id` is its public id, `subscriptions` the whole new map.
    """

    mtype = "samp.hub.event.subscriptions"
    id: str
    subscriptions: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class HubDisconnect(TypedMessage):
    """The hub removes the client that gets this (MTYPE-25). `reason` is a text for people."""

    mtype = "samp.hub.disconnect"
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class AppPing(TypedMessage):
    """Are you there? Any answer shows life (MTYPE-30)."""

    mtype = "samp.app.ping"


@dataclass(frozen=True, kw_only=True)
class AppStatus(TypedMessage):
    """What the sender is doing (MTYPE-31). `txt` is a text for people."""

    mtype = "samp.app.status"
    txt: str


@dataclass(frozen=True, kw_only=True)
class AppEventShutdown(TypedMessage):
    """The sender is about to exit (MTYPE-32)."""

    mtype = "samp.app.event.shutdown"


@dataclass(frozen=True, kw_only=True)
class MsgProgress(TypedMessage):
    """How far the receiver of a call is (MTYPE-33).

    `msgid` is the msg-id of the call, `txt` a text for people, `percent` from 0 to 100,
    `time_left` in seconds.
    """

    mtype = "samp.msg.progress"
    msgid: str
    txt: str
    percent: float | None = None
    time_left: float | None = param("timeLeft", None)


# ---- tables, images, spectra, coverages (MTYPE-50..59)


@dataclass(frozen=True, kw_only=True)
class _TableLoad(TypedMessage):
    url: str
    table_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableLoadVotable(_TableLoad):
    """Load the VOTable at `url` (MTYPE-50).

    `table_id` is the opaque name by which later messages refer to it (MTYPE-71), `name` a
    name for people.
    """

    mtype = "table.load.votable"


@dataclass(frozen=True, kw_only=True)
class TableLoadFits(_TableLoad):
    """Load the first table of the FITS file at `url` (MTYPE-51).

    `table_id` and `name` are as those of `TableLoadVotable`.
    """

    mtype = "table.load.fits"


@dataclass(frozen=True, kw_only=True)
class TableLoadCdf(_TableLoad):
    """Load the CDF table at `url` (MTYPE-52).

    `table_id` and `name` are as those of `TableLoadVotable`.
    """

    mtype = "table.load.cdf"


@dataclass(frozen=True, kw_only=True)
class TableLoadPds4(_TableLoad):
    """Load the PDS4 table whose label is at `url` (MTYPE-52).

    `table_id` and `name` are as those of `TableLoadVotable`.
    """

    mtype = "table.load.pds4"


@dataclass(frozen=True, kw_only=True)
class TableLoadParquet(_TableLoad):
    """Load the Parquet table at `url`; named as others are (MTYPE-70).

    `table_id` and `name` are as those of `TableLoadVotable`.
    """

    mtype = "table.load.parquet"


@dataclass(frozen=True, kw_only=True)
class TableLoadStil(_TableLoad):
    """Load the table at `url` in any format that TOPCAT reads (MTYPE-70).

    `table_id` and `name` are as those of `TableLoadVotable`; `format` is STIL's name of the format ("csv",
    "fits", "votable", ...).
    """

    mtype = "table.load.stil"
    format: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableGetStil(TypedMessage):
    """Ask TOPCAT for its current table (MTYPE-70); the answer has a `url` that holds it.

    `format` is STIL's name of the format in which it is wanted, such as "votable"; TOPCAT insists on it.
    """

    mtype = "table.get.stil"
    format: str


@dataclass(frozen=True, kw_only=True)
class _OfTable(TypedMessage):
    table_id: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if self.table_id is None and self.url is None:
            raise LocalProtocolError(f"{self.mtype} needs a table_id, a url, or both, to say which table")


@dataclass(frozen=True, kw_only=True)
class TableHighlightRow(_OfTable):
    """Highlight one row of a table loaded before (MTYPE-53).

    `table_id` and `url` say which, at least one of them; `row` counts from 0.
    """

    mtype = "table.highlight.row"
    row: int


@dataclass(frozen=True, kw_only=True)
class TableSelectRowList(_OfTable):
    """Select rows of a table loaded before (MTYPE-54).

    `table_id` and `url` say which, at least one of them; `row_list` counts from 0.
    """

    mtype = "table.select.rowList"
    row_list: list[int]


@dataclass(frozen=True, kw_only=True)
class ImageLoadFits(TypedMessage):
    """Load the FITS image at `url` (MTYPE-55).

    `image_id` is an opaque name to refer to it later, `name` a name for people.
    """

    mtype = "image.load.fits"
    url: str
    image_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class CoordPointAtSky(TypedMessage):
    """Direct attention to a point of the sky (MTYPE-56). `ra` and `dec` are ICRS, in degrees."""

    mtype = "coord.pointAt.sky"
    ra: float
    dec: float


@dataclass(frozen=True, kw_only=True)
class CoordGetSky(TypedMessage):
    """Ask for the point of the sky that is shown (MTYPE-57).

    Aladin answers with `ra` and `dec`, ICRS in degrees: read them with
    `CoordPointAtSky.from_params(response.result)`.
    """

    mtype = "coord.get.sky"


@dataclass(frozen=True, kw_only=True)
class CoverageLoadMocFits(TypedMessage):
    """Load the coverage map (MOC) in the FITS file at `url` (MTYPE-58).

    `coverage_id` is an opaque name to refer to it later, `name` a name for people.
    """

    mtype = "coverage.load.moc.fits"
    url: str
    coverage_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class CoverageLoadMocAscii(CoverageLoadMocFits):
    """Load the coverage map (MOC) in the ASCII file at `url` (MTYPE-58); else as `CoverageLoadMocFits`.

    `coverage_id` is an opaque name to refer to it later, `name` a name for people.
    """

    mtype = "coverage.load.moc.ascii"


@dataclass(frozen=True, kw_only=True)
class SpectrumLoadSsaGeneric(TypedMessage):
    """Load the spectrum at `url` (MTYPE-59).

    `meta` describes it, by SSA utypes such as "Access.Format" or by UCDs, and may be empty;
    `spectrum_id` is an opaque name to refer to it later, `name` a name for people.
    """

    mtype = "spectrum.load.ssa-generic"
    url: str
    meta: dict[str, Any] = field(default_factory=dict)
    spectrum_id: str | None = None
    name: str | None = None


# ---- others (MTYPE-60..67)


@dataclass(frozen=True, kw_only=True)
class ClientEnvGet(TypedMessage):
    """Ask for the environment variable `name` (MTYPE-60); the answer has `value`, "" if it is not set."""

    mtype = "client.env.get"
    name: str


@dataclass(frozen=True, kw_only=True)
class BibcodeLoad(TypedMessage):
    """Show the publication with that `bibcode` (MTYPE-61)."""

    mtype = "bibcode.load"
    bibcode: str


@dataclass(frozen=True, kw_only=True)
class VoresourceLoadlist(TypedMessage):
    """Load a list of VO resources (MTYPE-62).

    `ids` maps each ivo:// identifier to the URL of its record, or to "". `name` is for people.
    """

    mtype = "voresource.loadlist"
    ids: dict[str, str]
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class VoresourceLoadlistCone(VoresourceLoadlist):
    """Load a list of cone search services (MTYPE-63). `ids` and `name` as those of `VoresourceLoadlist`."""

    mtype = "voresource.loadlist.cone"


@dataclass(frozen=True, kw_only=True)
class VoresourceLoadlistSiap(VoresourceLoadlist):
    """Load a list of image services (MTYPE-63). `ids` and `name` as those of `VoresourceLoadlist`."""

    mtype = "voresource.loadlist.siap"


@dataclass(frozen=True, kw_only=True)
class VoresourceLoadlistSsap(VoresourceLoadlist):
    """Load a list of spectrum services (MTYPE-63). `ids` and `name` as those of `VoresourceLoadlist`."""

    mtype = "voresource.loadlist.ssap"


@dataclass(frozen=True, kw_only=True)
class VoresourceLoadlistTap(VoresourceLoadlist):
    """Load a list of TAP services (MTYPE-63). `ids` and `name` as those of `VoresourceLoadlist`."""

    mtype = "voresource.loadlist.tap"


@dataclass(frozen=True, kw_only=True)
class VoresourceLoadlistVospace(VoresourceLoadlist):
    """Load a list of VOSpace services (MTYPE-63). `ids` and `name` as those of `VoresourceLoadlist`."""

    mtype = "voresource.loadlist.vospace"


@dataclass(frozen=True, kw_only=True)
class ScriptAladinSend(TypedMessage):
    """Have Aladin run a `script`: its commands, one a line (MTYPE-64)."""

    mtype = "script.aladin.send"
    script: str


@dataclass(frozen=True, kw_only=True)
class Ds9Set(TypedMessage):
    """Have DS9 run the command `cmd`, with the data at `url` if it takes any (MTYPE-65)."""

    mtype = "ds9.set"
    cmd: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Ds9Get(TypedMessage):
    """Ask DS9 for something by the command `cmd` (MTYPE-66).

    The answer has `value`, or `url` of a file that holds it.
    """

    mtype = "ds9.get"
    cmd: str


@dataclass(frozen=True, kw_only=True)
class Ds9RestrictedSet(Ds9Set):
    """Have DS9 run a command without danger, hence open to web clients (MTYPE-67).

    `cmd` and `url` are as those of `Ds9Set`.
    """

    mtype = "ds9.restricted-set"


@dataclass(frozen=True, kw_only=True)
class Ds9RestrictedGet(Ds9Get):
    """Ask DS9 by a command without danger, hence open to web clients (MTYPE-67).

    `cmd` is as that of `Ds9Get`.
    """

    mtype = "ds9.restricted-get"
