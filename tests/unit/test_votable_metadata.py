"""What of a VOTable is kept beside an astropy Table, as far as no VOTable is needed to tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from astropy import units as u

from asyncsamp.data.formats.votable_metadata import VotableMetadata, plain_params


def test_it_says_what_it_holds() -> None:
    epoch = SimpleNamespace(name="epoch", value=2016.0)
    kept = VotableMetadata(table={"params": [epoch]}, file={"coordinate_systems": ["ICRS"]})
    assert kept.params == {"epoch": 2016.0}
    assert kept.coordinate_systems == ["ICRS"]
    assert repr(kept) == "<VotableMetadata params ['epoch'], 1 COOSYS>"


def test_what_of_the_users_own_words_a_param_can_say() -> None:
    meta: dict[Any, Any] = {
        "int": np.int64(5),
        "float": np.float32(1.5),
        "bool": np.bool_(True),
        "text": np.str_("x"),
        "zero": np.array(3),
        "plain": 7,
        "known": 1,
        "name": "reserved",
        "masked": np.ma.masked,
        "quantity": 3 * u.m,
        "array": np.array([1, 2]),
        "day": np.datetime64("2026-01-01"),
        "list": [1],
        3: 4,
    }
    params = plain_params(meta, ["known"])
    assert params == {"int": 5, "float": 1.5, "bool": True, "text": "x", "zero": 3, "plain": 7}
    assert [type(value) for value in params.values()] == [int, float, bool, str, int, int]
