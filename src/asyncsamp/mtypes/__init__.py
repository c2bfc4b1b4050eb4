"""MTypes: their grammar and matching, and a dataclass for each common one (SAMP 1.3 §3.7, §6). No I/O."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .grammar import (
    HUB_EVENTS,
    annotation_key,
    check_mtype,
    check_subscription,
    is_mtype,
    is_subscription,
    keys_for,
    lookup,
    matches,
    spelled_out,
)
from .typed import TypedMessage, mtype_of, param

if TYPE_CHECKING:
    from .common import (
        AppEventShutdown,
        AppPing,
        AppStatus,
        BibcodeLoad,
        ClientEnvGet,
        CoordGetSky,
        CoordPointAtSky,
        CoverageLoadMocAscii,
        CoverageLoadMocFits,
        Ds9Get,
        Ds9RestrictedGet,
        Ds9RestrictedSet,
        Ds9Set,
        HubDisconnect,
        HubEventMetadata,
        HubEventRegister,
        HubEventShutdown,
        HubEventSubscriptions,
        HubEventUnregister,
        ImageLoadFits,
        MsgProgress,
        ScriptAladinSend,
        SpectrumLoadSsaGeneric,
        TableGetStil,
        TableHighlightRow,
        TableLoadCdf,
        TableLoadFits,
        TableLoadParquet,
        TableLoadPds4,
        TableLoadStil,
        TableLoadVotable,
        TableSelectRowList,
        VoresourceLoadlist,
        VoresourceLoadlistCone,
        VoresourceLoadlistSiap,
        VoresourceLoadlistSsap,
        VoresourceLoadlistTap,
        VoresourceLoadlistVospace,
    )

__all__ = [
    "HUB_EVENTS",
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
    "TypedMessage",
    "VoresourceLoadlist",
    "VoresourceLoadlistCone",
    "VoresourceLoadlistSiap",
    "VoresourceLoadlistSsap",
    "VoresourceLoadlistTap",
    "VoresourceLoadlistVospace",
    "annotation_key",
    "check_mtype",
    "check_subscription",
    "is_mtype",
    "is_subscription",
    "keys_for",
    "lookup",
    "matches",
    "mtype_of",
    "param",
    "spelled_out",
]


def __getattr__(name: str) -> Any:
    """Make the dataclasses when the first is asked for: it takes as long as a tenth of all imports."""
    common = import_module(f"{__name__}.common")  # the statement would ask here for the module itself
    if name in common.__all__:
        return getattr(common, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
