"""What the package offers, written down once more, so that a change of it is never an accident."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import asyncsamp
import asyncsamp.hub

NAMES = [
    "Answer",
    "AskingConsent",
    "CallTimeoutError",
    "Client",
    "ClientEvent",
    "ClientStanding",
    "Consent",
    "ConsentAnswer",
    "ConsentQuestion",
    "DataError",
    "DirectConnection",
    "FaultCode",
    "FaultError",
    "Hub",
    "HubChange",
    "HubChangeStream",
    "HubEventStream",
    "HubFaultError",
    "HubLostError",
    "HubNotFoundError",
    "HubRunningError",
    "InvitationError",
    "Limits",
    "LocalProtocolError",
    "LockfileError",
    "Message",
    "MessageEvent",
    "MessageStream",
    "MissingExtraError",
    "NoRecipientsError",
    "NobodyError",
    "NotRegisteredError",
    "NotSubscribedError",
    "OriginStore",
    "OtherClients",
    "Permission",
    "Permissions",
    "ProtocolError",
    "Received",
    "RegistrationError",
    "RemoteClient",
    "RemoteProtocolError",
    "ReplyError",
    "Response",
    "SampError",
    "Selection",
    "SendError",
    "Sent",
    "StandardConnection",
    "StateError",
    "Subject",
    "TerminalConsent",
    "ToolError",
    "UnknownClientError",
    "Value",
    "ValueMap",
    "WaitTimeoutError",
    "WebConnection",
    "WebProfile",
    "WrongLoopError",
    "allow_all",
    "allow_origins",
    "as_bool",
    "as_float",
    "as_int",
    "connect",
    "deny_all",
]

ROOT = Path(asyncsamp.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def test_the_public_names_are_these() -> None:
    assert asyncsamp.__all__ == NAMES
    assert asyncsamp.hub.__all__ == ["Hub"]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there(name: str) -> None:
    assert getattr(asyncsamp, name) is not None


def test_no_public_name_is_left_out() -> None:
    modules = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    found = {name for name in vars(asyncsamp) if not name.startswith("_")} - modules
    assert found == set(NAMES)


def test_the_package_is_typed_and_says_its_version() -> None:
    assert (ROOT / "py.typed").is_file()
    assert asyncsamp.__version__.count(".") == 2


@pytest.mark.parametrize("name", NAMES)
def test_each_method_that_a_user_may_call_is_documented(name: str) -> None:
    named = getattr(asyncsamp, name)
    if not inspect.isclass(named):
        return
    own = [key for kind in named.__mro__ if kind.__module__.startswith("asyncsamp") for key in vars(kind)]
    for key in own:
        member = inspect.getattr_static(named, key)
        if not key.startswith("_") and (callable(member) or isinstance(member, property | classmethod)):
            assert inspect.getdoc(getattr(named, key)), f"{name}.{key}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_class_and_function_that_is_public_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert [node.name for node in public(tree) if not ast.get_docstring(node)] == []


def public(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            yield node
