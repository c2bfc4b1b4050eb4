"""Each test has a loopback network of its own, and so its own port 21012."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .network import own_network


@pytest.fixture(autouse=True)
def _network() -> Iterator[None]:
    with own_network():
        yield
