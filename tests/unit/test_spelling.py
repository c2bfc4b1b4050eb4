"""Texts in ASCII."""

from __future__ import annotations

import pytest

from asyncsamp._util.spelling import spelled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("M 31", "M 31"),
        ("Gr\u00f6\u00dfe", "Groesse"),
        ("\u03b1 Cen", "alpha Cen"),
        ("Jos\u00e9", "Jose"),
        ("\u2605\n", "??"),
        ("", ""),
    ],
)
def test_letters_without_their_accents(text: str, said: str) -> None:
    assert spelled(text) == said
