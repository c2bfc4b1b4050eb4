"""Options of the whole test suite."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from .aio.nats_server import debians_server, wheels_server
from .effort import examples
from .installed import require_root
from .turns import turn

settings.register_profile("suite", max_examples=examples())
settings.load_profile("suite")

_TURNS = pytest.StashKey[Path]()

# Here, since more than one folder uses it.
pytest.register_assert_rewrite("tests.interop.conversation")


def pytest_configure() -> None:
    """Start programs as a terminal does, though the suite may run in the background, without Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each worker of xdist where they take turns."""
    node.workerinput["turns"] = str(_folder_of_turns(node.config))


def _folder_of_turns(config: pytest.Config) -> Path:
    if _TURNS not in config.stash:
        folder = tempfile.TemporaryDirectory(prefix="asyncsamp-turns-")
        config.add_cleanup(folder.cleanup)
        config.stash[_TURNS] = Path(folder.name)
    return config.stash[_TURNS]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that run alone come first: later ones would wait for the long test of another worker."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let the other workers rest while a test runs that is marked so; outside of the test's time limit."""
    worker: Mapping[str, Any] | None = getattr(item.config, "workerinput", None)
    if worker is None:
        return (yield)
    with turn(Path(worker["turns"]), alone=item.get_closest_marker("alone") is not None):
        return (yield)


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


@pytest.fixture(params=[wheels_server, debians_server], ids=["wheel", "debian"])
def nats_program(request: pytest.FixtureRequest) -> str:
    """A nats-server: a test that asks for this is run with the newest, and with Debian's of 2.9."""
    program: str = request.param()
    return program


@pytest.fixture
def as_root() -> None:
    """Run as root, or not at all; see `require_root`."""
    require_root()


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to run at full length: minutes instead of seconds."""
    return bool(request.config.getoption("--long"))
