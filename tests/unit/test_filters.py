"""The language in which messages are chosen."""

from __future__ import annotations

import pytest

from asyncsamp import LocalProtocolError, Message
from asyncsamp.cli.filters import parse_filter

POINT = Message("coord.pointAt.sky", {"ra": "10.68", "dec": "41.27"}, sender="c1")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("~m coord.*", True),
        ("coord.pointAt.sky", True),
        ("~m table.*", False),
        ("~f TOPCAT", True),
        ("~f c1", True),
        ("~f ds9", False),
        ("~p ra=10", True),
        ("~p ra=11", False),
        ("~p url=10", False),
        ("~t 41.27", True),
        ("~t '41.27'", True),
        ('~t "no such"', False),
        ('~t ""', True),
        ("!~m coord.*", False),
        ("~m coord.* & !~f ds9", True),
        ("~m coord.* ~f ds9", False),
        ("~f ds9 | ~m coord.*", True),
        ("~f ds9 | ~f aladin | ~f topcat", True),
        ("~f ds9 & ~m table.* | ~m coord.*", True),
        ("~f ds9 & (~m table.* | ~m coord.*)", False),
        ("!(~f ds9)", True),
        ("~m coord* & ~m *.sky", True),
        ("~m coord.pointAt.sky & ~m coord.*", True),
        ("~m ?oord.* coord.pointAt.sky", True),
        ("table.* | coord.*", True),
    ],
)
def test_a_message_is_chosen(text: str, chosen: bool) -> None:
    assert parse_filter(text)(POINT, "topcat") is chosen


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends where a term is expected"),
        ("~m coord.* |", "ends where a term is expected"),
        ("(~m coord.*", "lacks a closing bracket"),
        ("~m coord.*)", "cannot be read from ')' on"),
        ("~m", "needs a word after ~m"),
        ("~x a", "where one of ~m, ~f, ~p, ~t is expected"),
        ("& a", "'&' where one of"),
        ('~t "abc', "lacks a closing \" after '\"abc'"),
        ("~f 'a b", "lacks a closing ' after"),
        ('"', 'lacks a closing "'),
        ("'x y'", "has 'x y', which is not a pattern of mtypes such as 'coord.*'"),
        ("~m coord..*", "has 'coord..*', which is not a pattern"),
        ("~m table/load", "has 'table/load', which is not a pattern"),
        ("x y", "chooses nothing: no mtype is both 'x' and 'y'; for either write 'x | y'"),
        ("~f ds9 & ~m coord.* & ~m table.load.fits", "no mtype is both 'coord.*' and 'table.load.fits'"),
    ],
)
def test_a_bad_filter_is_refused(text: str, said: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        parse_filter(text)
    assert said in str(caught.value)
