"""The Range header."""

from __future__ import annotations

import pytest

from asyncsamp.reading.ranges import RangeNotSatisfiableError, byte_range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", None),
        ("bytes=2-4", (2, 3)),
        ("bytes=7-", (7, 3)),
        ("bytes=-3", (7, 3)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-99", (5, 5)),
        ("lines=1-2", None),
        ("bytes=1-2,4-5", None),
        ("bytes=-", None),
        ("bytes=4-2", None),
        ("bytes=1234567890123456789-", None),
    ],
)
def test_ranges_of_ten_bytes(header: str, part: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_ranges_beyond_the_end(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        byte_range(header, size)
