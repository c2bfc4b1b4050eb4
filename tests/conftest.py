"""Options of the whole test suite."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import signal
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import settings

from .effort import examples

settings.register_profile("suite", max_examples=examples())
settings.load_profile("suite")

# Here, since more than one folder uses it.
pytest.register_assert_rewrite("tests.interop.conversation")


def pytest_configure() -> None:
    """Start programs as a terminal does, though the suite may run in the background, without Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run what is shortened in the suite at full length")


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what is marked so on uvloop too, which a hub takes where it is installed."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.get_closest_marker("both_loops") and importlib.util.find_spec("uvloop"):
        factories["uvloop"] = importlib.import_module("uvloop").new_event_loop
    return factories


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to run at full length: minutes instead of seconds."""
    return bool(request.config.getoption("--long"))
