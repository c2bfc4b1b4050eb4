"""What others wrote does nothing to a terminal, and fills no log."""

from __future__ import annotations

import pytest

from asyncsamp._util.foreign_text import listed, plain_line, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ångström, 5″", "Ångström, 5″"),
        ("two\nlines\tand \r\n more", "two lines and more"),
        ("\x1b]0;owned\x07", "?]0;owned?"),
        ("\x9b31m red", "?31m red"),
        ("a\u202eb\u2066c\u200e", "a?b?c?"),
        ("", ""),
        ("\udc80", "?"),
    ],
)
def test_a_line_is_plain(text: str, shown: str) -> None:
    assert plain_line(text) == shown


def test_it_is_not_long() -> None:
    assert plain_line("x" * 10_000_000, 10) == "x" * 10
    assert plain_line("x" * 10, 10) == "x" * 10
    assert quoted("x" * 10_000_000, 10) == "'xxxxxxx...'"
    assert quoted("x" * 80) == repr("x" * 80)


def test_quoted_it_has_escapes() -> None:
    assert quoted("a\x1b[1m\u202e'") == '"a\\x1b[1m\\u202e\'"'


def test_a_list_is_cut() -> None:
    assert listed([]) == ""
    assert listed(str(number) for number in range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert listed(map(str, range(14)), "; ") == "0; 1; 2; 3; 4; 5; 6; 7; 8; 9; 10; 11 and 2 more"
    assert listed("abc", most=1) == "a and 2 more"
