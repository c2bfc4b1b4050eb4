"""Write src/asyncsamp/sync/client.py and hub.py from the asynchronous Client and Hub.

    python scripts/make_sync.py

Each public method is written with the same name, parameters, types and docstring, without `await`.
tests/sync/test_generated.py fails if what is written differs from what is there, so run it after a
change of `Client` or `Hub`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1] / "src" / "asyncsamp"
SYNC = ROOT / "sync"

STREAMS = {"MessageStream", "Received", "AsyncGenerator", "HubChangeStream", "HubEventStream"}
PLAIN_STREAMS = {"HubChangeStream": "HubChange", "HubEventStream": "HubEvent"}
"""Streams that are not generic, and what they give."""

BY_HAND = {"on", "on_leaving"}
"""What the base class in sync/base.py has, since it takes functions of the user's."""

HEADS = {
    "Client": '''
class Client(BaseClient):
    """A SAMP client for plain, synchronous Python.

        with Client("my tool") as client:
            client.send_table(table, "topcat")

    or `client = Client("my tool").register()` and later `client.unregister()`; `asyncsamp.sync.connect` makes
    one that may join a room. It has the methods of `asyncsamp.Client` without `await`. They may be called
    from any number of threads, and inside a running event loop, which they block. Ctrl-C ends every wait at
    once. The work is done by one event loop in a daemon thread, which all clients and hubs of the process
    share; it starts with the first.

    Handlers are plain functions. Each message runs its handler in a thread of its own, which may use the
    client again; what a handler returns is the answer. Functions that tell of progress are called in
    the loop's thread: they must be quick, and not call the client. What receives is an iterator:

        for table in client.tables(timeout=60): ...

    A client that nobody closes unregisters when the program ends, or when it is collected. A fork of
    the process cannot use it (`ForkedError`): make a new one there.

    Args:
        name: What others call the client (samp.name).
        dispatcher: Where handlers run instead of a thread of their own: it is called with a function
            of no arguments, and sees to it that it is called soon, for instance in the thread of a GUI:
            `lambda work: root.after(0, work)` for Tk, the `emit` of a signal for Qt.
        metadata, description, icon, documentation, lockfile, connection: As those of `asyncsamp.Client`.
        callback_host, reconnect, start_hub, profiles, wait_for_hub, limits: As those of `asyncsamp.Client`.
    """
''',
    "Hub": '''
class Hub(BaseHub):
    """A SAMP hub for plain, synchronous Python.

        with Hub() as hub:
            hub.serve_forever()

    It has the methods of `asyncsamp.Hub` without `await`, and runs in the event loop that all
    synchronous clients and hubs of this process share. A hub that nobody shuts down ends with the program.

    Args:
        lockfile, host, port, label, profiles, metadata, timeout: As those of `asyncsamp.Hub`.
        client_timeout, secret, state, permissions, limits, pass_raw: As those of `asyncsamp.Hub`.
    """
''',
}


@dataclass
class Source:
    """The methods of one class, with the imports of their module."""

    path: Path
    name: str
    imports: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.path.read_text(encoding="utf-8"))
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom):
                module = self._absolute(node)
                for alias in node.names:
                    name = alias.asname or alias.name
                    self.imports[name] = f"from {module} import {alias.name}" + (
                        f" as {alias.asname}" if alias.asname else ""
                    )
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = f"import {alias.name}"
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name):
                    here = ".".join(self.path.relative_to(ROOT).with_suffix("").parts)
                    self.imports[target.id] = f"from ..{here} import {target.id}"

    def methods(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == self.name:
                yield from (
                    each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
                )

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        folder = self.path.relative_to(ROOT).parent.parts
        above = [*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]
        return ".." + ".".join(part for part in above if part)


def decorators(method: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {ast.unparse(each).rpartition(".")[2] for each in method.decorator_list}


def docstring(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    text = ast.get_docstring(method) or ""
    text = re.sub(r"await anext\(([^\n]*)\)\]", r"next(\1)]", text)
    text = re.sub(r"\bawait ", "", text).replace("async for", "for").replace("async with", "with")
    text = text.replace("and await its response", "and wait for its response")
    text = re.sub(r"Cancelling is safe", "Ctrl-C is safe", text)
    return textwrap.indent(f'"""{text}' + ('\n"""' if "\n" in text else '"""'), " " * 8)


def passed(arguments: ast.arguments) -> str:
    """Return the call's arguments, each given on as it came."""
    plain = [each.arg for each in [*arguments.posonlyargs, *arguments.args][1:]]
    star = [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    named = [f"{each.arg}={each.arg}" for each in arguments.kwonlyargs]
    rest = [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return ", ".join([*plain, *star, *named, *rest])


_TIMEOUT = """\
            timeout: Seconds without anything after which it ends; None waits for ever.
"""
_SECTION = re.compile(r"^        (Returns|Raises):\n", re.MULTILINE)


def with_timeout_said(said: str) -> str:
    """Return the docstring of a stream with its `timeout` among the arguments."""
    text = said.removesuffix('"""').rstrip() + "\n"
    head, args, rest = text.partition("        Args:\n")
    section = _SECTION.search(rest if args else head)
    if args:
        at = section.start() - 1 if section else len(rest)
        text = head + args + rest[:at] + _TIMEOUT + rest[at:]
    else:
        at = section.start() if section else len(head)
        text = head[:at].rstrip() + "\n\n        Args:\n" + _TIMEOUT + ("\n" + head[at:] if section else "")
    return text + '        """'


def with_timeout(arguments: ast.arguments) -> ast.arguments:
    keyword = ast.arg("timeout", ast.parse("float | None", mode="eval").body)
    arguments.kwonlyargs.append(keyword)
    arguments.kw_defaults.append(ast.Constant(None))
    return arguments


def constructor(method: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> str:
    """Write the constructor: the same parameters and, for a client, where its handlers run."""
    given = passed(method.args)
    more = ""
    if name == "Client":
        method.args.kwonlyargs.append(ast.arg("dispatcher", ast.Name("Dispatcher | None")))
        method.args.kw_defaults.append(ast.Constant(None))
        more = ", dispatcher"
    body = f"super().__init__(Async{name}({given}){more})"
    return f"    def __init__({ast.unparse(method.args)}) -> None:\n        {body}\n"


def stream(method: ast.FunctionDef, kind: ast.Subscript | ast.Name) -> str:
    """Write a method that returns a stream; all but `call_all`, which has one, get a timeout."""
    given = passed(method.args)
    outer = kind.id if isinstance(kind, ast.Name) else ast.unparse(kind.value)
    if outer == "AsyncGenerator":
        assert isinstance(kind, ast.Subscript)
        assert isinstance(kind.slice, ast.Tuple)
        returns, make = f"Stream[{ast.unparse(kind.slice.elts[0])}]", "self._generated"
        body = f"return {make}(lambda client: client.{method.name}({given}))"
    else:
        with_timeout(method.args)
        item = ast.unparse(kind.slice) if isinstance(kind, ast.Subscript) else PLAIN_STREAMS.get(outer)
        returns = f"Stream[{item}]" if item else outer
        make = "self._messages" if outer == "MessageStream" else "self._received"
        body = f"return {make}(lambda client: client.{method.name}({given}), timeout)"
    said = docstring(method)
    if outer != "AsyncGenerator":
        said = with_timeout_said(said)
    return f"    def {method.name}({ast.unparse(method.args)}) -> {returns}:\n{said}\n        {body}\n"


def write_method(method: ast.FunctionDef | ast.AsyncFunctionDef, inner: str) -> str:
    marks, returns = decorators(method), method.returns
    if isinstance(method, ast.FunctionDef) and isinstance(returns, ast.Subscript | ast.Name):
        outer = ast.unparse(returns.value) if isinstance(returns, ast.Subscript) else returns.id
        if outer in STREAMS:
            return stream(method, returns)
    result = ast.unparse(returns) if returns is not None else "None"
    head = f"    def {method.name}({ast.unparse(method.args)}) -> {result}:\n{docstring(method)}\n"
    call = f"self.{inner}.{method.name}"
    if "property" in marks:
        return f"    @property\n{head}        return {call}\n"
    given = passed(method.args)
    if isinstance(method, ast.FunctionDef):
        return f"{head}        return self._call({', '.join(filter(None, [call, given]))})\n"
    if result == "Self":
        return f"{head}        self._run({call}({given}))\n        return self\n"
    return f"{head}        return self._run({call}({given}))\n"


def write_class(name: str, sources: list[Source], inner: str) -> str:
    """Return the module for one class."""
    seen: set[str] = set()
    parts: list[str] = []
    imports: dict[str, str] = {}
    for source in sources:
        for method in source.methods():
            first = method.name not in seen
            seen.add(method.name)
            if method.name == "__init__" and first:
                parts.insert(0, constructor(method, name))
            elif first and not method.name.startswith("_") and method.name not in BY_HAND:
                parts.append(write_method(method, inner))
        imports |= {key: value for key, value in source.imports.items() if key not in imports}
    code = HEADS[name].rstrip() + "\n\n" + "\n".join(parts)
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    lines = {line for key, line in imports.items() if key in used and key not in STREAMS}
    lines.add(f"from .base import Async{name}, Base{name}")
    if name == "Client":
        lines |= {
            "from ..client.hub_changes import HubChange",
            "from .handlers import Dispatcher",
            "from .stream import MessageStream, Stream",
        }
    else:
        lines |= {"from ..hub.observer import HubEvent", "from .stream import Stream"}
    head = (
        f'"""The synchronous {name}, written by scripts/make_sync.py from the asynchronous one."""\n\n'
        "from __future__ import annotations\n\n" + "\n".join(sorted(lines)) + f'\n\n__all__ = ["{name}"]\n'
    )
    return tidy(head + code, SYNC / f"{name.lower()}.py")


def tidy(code: str, path: Path) -> str:
    for command in (["check", "--quiet", "--fix-only", "--select", "I,UP"], ["format", "--quiet"]):
        done = subprocess.run(  # noqa: S603 (ruff, on text of our own)
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"],
            input=code,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT.parents[1],
        )
        code = done.stdout
    return code


def made() -> dict[Path, str]:
    """Return the files, with what they must hold."""
    client = [
        Source(ROOT / "data" / "client.py", "Client"),
        Source(ROOT / "client" / "messaging.py", "MessagingClient"),
    ]
    hub = [Source(ROOT / "hub" / "hub.py", "Hub")]
    return {
        SYNC / "client.py": write_class("Client", client, "_inner"),
        SYNC / "hub.py": write_class("Hub", hub, "_inner"),
    }


if __name__ == "__main__":
    for path, code in made().items():
        path.write_text(code, encoding="utf-8")
