"""What a misspelt word may have been meant for."""

from __future__ import annotations

import pytest

from asyncsamp._util.likeness import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("topcta", "TOPCAT"),
        ("TOPCAT ", "TOPCAT"),
        ("image", "SAOImageDS9"),
        ("ds", ""),  # too short for a part
        ("gaia", ""),
        ("", ""),
    ],
)
def test_the_nearest(word: str, meant: str) -> None:
    assert nearest(word, ["Aladin", "", "TOPCAT", "SAOImageDS9"]) == meant


def test_of_nothing() -> None:
    assert did_you_mean("topcat", []) == ""


def test_the_end_of_a_text() -> None:
    assert did_you_mean("topcta", ["TOPCAT"]) == "; did you mean 'TOPCAT'?"
    assert did_you_mean("a\x1b[2J", ["a\x1b[2Jb"]) == r"; did you mean 'a\x1b[2Jb'?"


@pytest.mark.timeout(5)
def test_foreign_names_may_be_long_and_many() -> None:
    names = ["x" * 10_000_000, *(f"client {number}" * 50 for number in range(100_000))]
    assert len(did_you_mean("x" * 10_000_000, names, 20)) < 50
