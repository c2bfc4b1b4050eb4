"""Options of the whole test suite."""

from __future__ import annotations

import pytest

# Here, since more than one folder uses it.
pytest.register_assert_rewrite("tests.interop.conversation")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run what is shortened in the suite at full length")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to run at full length: minutes instead of seconds."""
    return bool(request.config.getoption("--long"))
