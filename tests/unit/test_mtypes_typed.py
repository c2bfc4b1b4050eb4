"""The dataclasses of mtypes: each one there and back, and what is wrong with what comes in."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from typing import Any

import pytest

from asyncsamp import mtypes
from asyncsamp.errors import LocalProtocolError, RemoteProtocolError
from asyncsamp.mtypes import (
    CoordPointAtSky,
    MsgProgress,
    SpectrumLoadSsaGeneric,
    TableHighlightRow,
    TableLoadVotable,
    TableSelectRowList,
    TypedMessage,
    common,
    grammar,
    mtype_of,
)
from asyncsamp.values import Message

EXAMPLES: list[tuple[TypedMessage, dict[str, Any]]] = [
    (mtypes.HubEventShutdown(), {}),
    (mtypes.HubEventRegister(id="c1"), {"id": "c1"}),
    (mtypes.HubEventUnregister(id="c1"), {"id": "c1"}),
    (
        mtypes.HubEventMetadata(id="c1", metadata={"samp.name": "x"}),
        {"id": "c1", "metadata": {"samp.name": "x"}},
    ),
    (
        mtypes.HubEventSubscriptions(id="c1", subscriptions={"a.b": {"n": "1"}}),
        {"id": "c1", "subscriptions": {"a.b": {"n": "1"}}},
    ),
    (mtypes.HubDisconnect(), {}),
    (mtypes.HubDisconnect(reason="why"), {"reason": "why"}),
    (mtypes.AppPing(), {}),
    (mtypes.AppStatus(txt="busy"), {"txt": "busy"}),
    (mtypes.AppEventShutdown(), {}),
    (
        MsgProgress(msgid="m1", txt="half", percent=50.0, time_left=1.5),
        {"msgid": "m1", "txt": "half", "percent": "50.0", "timeLeft": "1.5"},
    ),
    (MsgProgress(msgid="m1", txt="half"), {"msgid": "m1", "txt": "half"}),
    (
        TableLoadVotable(url="file:///t", table_id="t1", name="T"),
        {"url": "file:///t", "table-id": "t1", "name": "T"},
    ),
    (mtypes.TableLoadFits(url="http://h/t"), {"url": "http://h/t"}),
    (mtypes.TableLoadCdf(url="http://h/t"), {"url": "http://h/t"}),
    (mtypes.TableLoadPds4(url="http://h/t"), {"url": "http://h/t"}),
    (TableHighlightRow(table_id="t1", row=3), {"table-id": "t1", "row": "3"}),
    (TableSelectRowList(url="u", row_list=[0, 5]), {"url": "u", "row-list": ["0", "5"]}),
    (TableSelectRowList(url="u", row_list=[]), {"url": "u", "row-list": []}),
    (
        mtypes.ImageLoadFits(url="u", image_id="i1", name="I"),
        {"url": "u", "image-id": "i1", "name": "I"},
    ),
    (CoordPointAtSky(ra=10.68, dec=-1e-7), {"ra": "10.68", "dec": "-1e-07"}),
    (mtypes.CoordGetSky(), {}),
    (mtypes.CoverageLoadMocAscii(url="u", coverage_id="c"), {"url": "u", "coverage-id": "c"}),
    (mtypes.TableLoadParquet(url="u", table_id="t"), {"url": "u", "table-id": "t"}),
    (mtypes.TableLoadStil(url="u", format="csv"), {"url": "u", "format": "csv"}),
    (mtypes.TableGetStil(format="votable"), {"format": "votable"}),
    (mtypes.CoverageLoadMocFits(url="u", coverage_id="c"), {"url": "u", "coverage-id": "c"}),
    (
        SpectrumLoadSsaGeneric(url="u", meta={"Access.Format": "application/fits"}, spectrum_id="s"),
        {"url": "u", "meta": {"Access.Format": "application/fits"}, "spectrum-id": "s"},
    ),
    (SpectrumLoadSsaGeneric(url="u"), {"url": "u", "meta": {}}),
    (mtypes.ClientEnvGet(name="PATH"), {"name": "PATH"}),
    (mtypes.BibcodeLoad(bibcode="2026A&A...1..1A"), {"bibcode": "2026A&A...1..1A"}),
    (mtypes.VoresourceLoadlist(ids={"ivo://a/b": ""}, name="L"), {"ids": {"ivo://a/b": ""}, "name": "L"}),
    (mtypes.VoresourceLoadlistCone(ids={"ivo://a/b": "http://r"}), {"ids": {"ivo://a/b": "http://r"}}),
    (mtypes.VoresourceLoadlistSiap(ids={}), {"ids": {}}),
    (mtypes.VoresourceLoadlistSsap(ids={}), {"ids": {}}),
    (mtypes.VoresourceLoadlistTap(ids={}), {"ids": {}}),
    (mtypes.VoresourceLoadlistVospace(ids={}), {"ids": {}}),
    (mtypes.ScriptAladinSend(script="get DSS\nsync"), {"script": "get DSS\nsync"}),
    (mtypes.Ds9Set(cmd="scale log"), {"cmd": "scale log"}),
    (mtypes.Ds9Get(cmd="version"), {"cmd": "version"}),
    (mtypes.Ds9RestrictedSet(cmd="fits", url="http://h/i"), {"cmd": "fits", "url": "http://h/i"}),
    (mtypes.Ds9RestrictedGet(cmd="version"), {"cmd": "version"}),
]


@pytest.mark.parametrize(("message", "params"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_each_mtype_encodes_and_decodes(message: TypedMessage, params: dict[str, Any]) -> None:
    assert message.to_params() == params
    assert type(message).from_params(params) == message
    assert grammar.is_mtype(message.mtype)


def test_every_class_has_an_example_a_text_and_an_mtype_of_its_own() -> None:
    classes = {getattr(common, name) for name in common.__all__}
    assert classes == {type(message) for message, _ in EXAMPLES}
    assert len({item.mtype for item in classes}) == len(classes)
    assert all(item.__doc__ and "MTYPE-" in item.__doc__ for item in classes)


def test_every_well_known_mtype_has_a_class() -> None:
    assert {getattr(common, name).mtype for name in common.__all__} == set(grammar.spelled_out("*")[1:])


def test_every_parameter_is_told_of_in_its_class() -> None:
    for name in common.__all__:
        kind = getattr(common, name)
        own = {item.name for item in fields(kind)} - {"message"}
        told = "".join(base.__doc__ or "" for base in kind.__mro__) + (kind.__doc__ or "")
        told += TableLoadVotable.__doc__ or ""
        told += mtypes.HubEventRegister.__doc__ or ""
        assert all(f"`{item}`" in told for item in own), (name, own)


def test_the_names_are_those_of_the_package() -> None:
    assert set(common.__all__) | set(grammar.__all__) <= set(mtypes.__all__)
    assert all(hasattr(mtypes, name) for name in mtypes.__all__)
    assert dir(mtypes) == sorted(mtypes.__all__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'TableLoadPaper'"):
        _ = mtypes.TableLoadPaper


def test_they_are_frozen() -> None:
    message = CoordPointAtSky(ra=1.0, dec=2.0)
    with pytest.raises(FrozenInstanceError):
        message.ra = 3.0  # type: ignore[misc]


def test_unknown_parameters_are_left_aside() -> None:
    assert CoordPointAtSky.from_params({"ra": "1", "dec": "2", "x": "3"}) == CoordPointAtSky(ra=1, dec=2)


def test_the_message_it_came_in_is_kept_and_not_compared() -> None:
    came = Message("coord.pointAt.sky", {"ra": "1", "dec": "2"}, "c1", "m1")
    read = CoordPointAtSky.from_message(came)
    assert read.message is came
    assert read == CoordPointAtSky(ra=1, dec=2)
    assert "m1" not in repr(read)


@pytest.mark.parametrize(
    ("kind", "params", "text"),
    [
        (CoordPointAtSky, {"ra": "1"}, "coord.pointAt.sky: the parameter 'dec' is missing"),
        (
            CoordPointAtSky,
            {"ra": "x", "dec": "2"},
            "coord.pointAt.sky: the parameter 'ra': 'x' is not a SAMP float",
        ),
        (
            TableHighlightRow,
            {"url": "u", "row": "1.5"},
            "table.highlight.row: the parameter 'row': '1.5' is not a SAMP int",
        ),
        (TableSelectRowList, {"url": "u", "row-list": "1"}, "the parameter 'row-list': expected a list"),
        (TableSelectRowList, {"row-list": []}, "needs a table_id, a url, or both"),
        (TableLoadVotable, {"url": ["u"]}, "the parameter 'url': expected a string, not a list"),
        (TableLoadVotable, {"url": {}}, "the parameter 'url': expected a string, not a map"),
        (mtypes.VoresourceLoadlist, {"ids": "x"}, "the parameter 'ids': expected a map"),
    ],
)
def test_parameters_that_are_wrong(kind: type[TypedMessage], params: dict[str, Any], text: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        kind.from_params(params)
    assert text in str(caught.value)


def test_which_table_must_be_said() -> None:
    with pytest.raises(LocalProtocolError, match="needs a table_id, a url, or both"):
        TableHighlightRow(row=1)


def test_what_samp_cannot_say() -> None:
    with pytest.raises(LocalProtocolError, match="NaN"):
        CoordPointAtSky(ra=float("nan"), dec=0.0).to_params()


def test_an_mtype_of_ones_own() -> None:
    @dataclass(frozen=True, kw_only=True)
    class CubeSlice(TypedMessage):
        mtype = "x-mine.cube.slice"
        channel: int
        names: list[str] | None = None

    assert CubeSlice(channel=3).to_params() == {"channel": "3"}
    assert CubeSlice.from_params({"channel": "3", "names": ["a"]}) == CubeSlice(channel=3, names=["a"])
    with pytest.raises(RemoteProtocolError, match="expected a list"):
        CubeSlice.from_params({"channel": "3", "names": "a"})


def test_every_type_of_a_field_there_and_back() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Everything(TypedMessage):
        mtype = "x-mine.everything"
        on: bool
        off: bool | None = None
        bools: list[bool]
        floats: list[float]
        whatever: Any = ""
        plain: dict[str, Any]

    sent = Everything(on=True, off=False, bools=[True, False], floats=[1.5], plain={"a": ["b"]})
    params = sent.to_params()
    assert params["off"] == "0"
    assert Everything.from_params(params) == sent
    assert Everything.from_params({**params, "on": "2"}).on is True
    with pytest.raises(RemoteProtocolError, match="'on': 'yes' is not a SAMP boolean"):
        Everything.from_params({**params, "on": "yes"})


@pytest.mark.parametrize("hint", [tuple, list[object], int | str, dict[str, int], complex])
def test_a_field_that_no_parameter_can_be(hint: Any) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd(TypedMessage):
        mtype = "x-mine.odd"
        field: None = None

    Odd.__annotations__["field"] = hint
    for use in (lambda: mtype_of(Odd), lambda: Odd.from_params({}), lambda: mtype_of(Odd())):
        with pytest.raises(TypeError, match=r"Odd\.field: no parameter of a message can be a"):
            use()


def test_mtype_of() -> None:
    assert mtype_of("a.*") == "a.*"
    assert mtype_of(CoordPointAtSky) == "coord.pointAt.sky"
    assert mtype_of(mtypes.AppPing()) == "samp.app.ping"
    with pytest.raises(LocalProtocolError, match="is not a valid mtype"):
        mtype_of(3)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        mtype_of(TypedMessage)
