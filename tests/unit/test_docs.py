"""The pages of docs/ have a row for each thing that a user looks up, and lead nowhere wrong."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest

import asyncsamp
import asyncsamp.sync
import asyncsamp.testing
from asyncsamp import FaultCode, Limits, mtypes
from asyncsamp.hub import page as hub_page
from asyncsamp.hub.__main__ import main
from asyncsamp.mtypes import common
from asyncsamp.tools import known_tools
from tests.docs.pages import DOCS, ROOT, anchors, blocks, links, pages, pictures

PAGES = pages()

LONG = {
    "samp-rules.md": "a row for each rule of the standard",
    "migration.md": "a row for each name of two packages",
    "cli-reference.md": "generated",
}
"""Pages that may have more than 300 lines, and why; a test counts the rows of each."""

SOURCES = sorted((ROOT / "src").rglob("*.py"))

SHOWN = {"", "text", "console"}
"""Languages of what is output, and not code."""

RUN = {"python", "sh"}
"""Languages of what tests/docs/test_blocks.py runs."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(DOCS)))


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def in_the_api() -> set[str]:
    pages = (DOCS / "reference" / "api").glob("*.md")
    return {name for page in pages for name in re.findall(r"auto\w+:: (\S+)", page.read_text("utf-8"))}


# ---- rows


def test_each_public_name_is_in_the_api() -> None:
    public = {f"asyncsamp.{name}" for name in asyncsamp.__all__ if name != "NobodyError"}
    public |= {f"asyncsamp.sync.{name}" for name in asyncsamp.sync.__all__}
    public |= {f"asyncsamp.mtypes.{name}" for name in mtypes.__all__}
    public |= {f"asyncsamp.hub.page.{name}" for name in hub_page.__all__}
    assert sorted(public - in_the_api()) == [], "name them in a page of docs/reference/api"
    assert "`asyncsamp.NobodyError`" in reference("api/errors.md")


def test_each_name_that_a_page_or_an_example_imports_is_in_the_api() -> None:
    examples = [path for path in (ROOT / "examples").rglob("*") if path.suffix in (".py", ".ipynb")]
    imported = {
        f"{module}.{name}"
        for path in [*PAGES, ROOT / "README.md", *examples]
        for module, names in re.findall(
            r"from (asyncsamp(?:\.\w+)*) import (\w+(?:, \w+)*|\([^)]+\))", path.read_text(encoding="utf-8")
        )
        for name in re.findall(r"\w+", names)
    }
    modules = {"asyncsamp.compat"}
    assert {"asyncsamp.sync.Client", "asyncsamp.hub.page.HubPage"} <= imported
    assert sorted(imported - in_the_api() - modules) == [], "name them in a page of docs/reference/api"


def test_each_fixture_is_in_the_api() -> None:
    """The page shows the text of the module, since a fixture is no function any more."""
    text = inspect.getdoc(asyncsamp.testing) or ""
    fixtures = [name for name in asyncsamp.testing.__all__ if name != "ScriptedPeer"]
    assert [name for name in fixtures if f"`{name}`" not in text] == []


def test_each_limit_has_a_row() -> None:
    rows = set(first_cells(reference("limits.md")))
    fields = {field.name for field in dataclasses.fields(Limits)}
    assert sorted(rows ^ fields) == [], "each has a row in docs/reference/limits.md"


def test_the_row_of_a_limit_has_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+)( MiB)?", reference("limits.md"), re.MULTILINE)
    defaults = {name: float(number) * (2**20 if unit else 1) for name, number, unit in rows}
    assert defaults == dataclasses.asdict(Limits())


def test_each_error_has_a_row_with_cause_and_remedy() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", reference("errors.md"), re.MULTILINE))
    errors = {
        name
        for module in (asyncsamp, asyncsamp.sync)
        for name in module.__all__
        if inspect.isclass(kind := getattr(module, name)) and issubclass(kind, Exception)
    }
    missing = sorted((errors - {"NobodyError"}) ^ set(rows))
    assert missing == [], "each has a row in docs/reference/errors.md"
    told = {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in rows.items()}
    assert [name for name, cells in told.items() if len(cells) != 2 or not all(cells)] == []


def test_the_row_of_an_error_says_which_of_python_s_it_is_too() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", reference("errors.md"), re.MULTILINE))
    for name, cause in told.items():
        kind = getattr(asyncsamp, name, None) or getattr(asyncsamp.sync, name)
        of_python = [base for base in kind.__mro__ if base.__module__ == "builtins"]
        near = [base for base in of_python if not any(base in other.__mro__[1:] for other in of_python)]
        said = re.findall(r"`(\w+)`", cause.partition("also a")[2])
        assert sorted(said) == sorted({base.__name__ for base in near} - {"Exception"}), name


def test_each_fault_code_has_a_row() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| [^|]+ \| [^|]+ \|$", reference("errors.md"), re.MULTILINE)
    assert rows == [(str(code.value), code.name) for code in FaultCode]


def test_each_fault_code_is_one_that_the_hub_gives() -> None:
    source = "".join(path.read_text() for path in SOURCES if path.name != "errors.py")
    assert [code.name for code in FaultCode if f"FaultCode.{code.name}" not in source] == []


INNER = {
    "BusError": "only logged",
    "ForeignFileError": "a LockfileError",
    "InRoomAlreadyError": "of the command `python -m asyncsamp.reach`, which shows its text",
    "NoRoomError": "a RemoteProtocolError",
    "RoomError": "of the command `python -m asyncsamp.reach`, which shows its text",
    "ServiceError": "of the command `asyncsamp service`, which shows its text",
}
"""Errors that no caller of the library has to know."""


def test_no_other_error_reaches_a_user() -> None:
    rows = set(first_cells(reference("errors.md")))
    classes = [
        (node.name, {base.id for base in node.bases if isinstance(base, ast.Name)})
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    ours = {"SampError"}
    while more := {name for name, bases in classes if bases & ours} - ours:
        ours |= more
    assert sorted(ours - rows) == sorted(INNER)


def test_each_mtype_has_a_row_with_its_parameters() -> None:
    rows = {
        mtype: (kind, set(re.findall(r"`([^`]+)` \(", parameters)))
        for mtype, kind, parameters in re.findall(
            r"^\| `([\w.-]+)` \| `(\w+)` \| ([^|]+) \|", reference("mtypes.md"), re.MULTILINE
        )
    }
    for name in common.__all__:
        kind = getattr(mtypes, name)
        fields = [field for field in dataclasses.fields(kind) if field.name != "message"]
        spelled = {field.metadata.get("samp", field.name.replace("_", "-")) for field in fields}
        assert rows.pop(kind.mtype) == (name, spelled)
    assert rows == {}


def test_each_option_of_the_hub_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"^ +(--[\w-]+(?:, --[\w-]+)*)", capsys.readouterr().out, re.MULTILINE))
    rows = re.findall(r"^\| ([^|]+)", reference("hub-command.md"), re.MULTILINE)
    shown = {option for row in rows for option in re.findall(r"`(--[\w-]+)", row)}
    assert sorted({option for each in options for option in each.split(", ")} ^ shown) == []


def test_each_variable_of_the_environment_has_a_row() -> None:
    source = "".join(path.read_text() for path in SOURCES)
    used = set(re.findall(r'(?:environ\)?(?:\.get\(|\[)|_home\()"([A-Z_]+)"', source))
    used -= {
        "SSH_CONNECTION",
        "TERM",
        "APPDATA",
        "DBUS_SESSION_BUS_ADDRESS",
        "JPY_PARENT_PID",
        "XDG_RUNTIME_DIR",
    }  # of the system and of Jupyter, not for users to set
    assert {"SAMP_HUB", "NO_COLOR", "ASYNCSAMP_TOOLS"} <= used
    assert sorted(used - set(re.findall(r"`([A-Z_]+)`", reference("environment.md")))) == []


def test_each_file_has_a_row() -> None:
    source = "".join(path.read_text() for path in SOURCES)
    kinds = "service|desktop|json|toml|state|page|damaged|reach"
    written = set(re.findall(rf'["}}]([\w.-]*\.(?:{kinds})|\.samp(?:-1)?)"', source)) - {
        "package.json",
        "asyncsamp.reach",
        "home.page",
    }
    assert {".samp", "tools.toml", "hub.state", ".page"} <= written
    files = reference("environment.md").split("## Files")[1].split("\n## ")[0]
    assert sorted(name for name in written if name not in files) == []


# ---- what else they must say


def test_the_pages_say_that_aladin_reads_no_samp_hub() -> None:
    """Where the variable is looked up, and where somebody looks whose Aladin is not there."""
    for name in ("reference/environment.md", "reference/hub-command.md", "how-to/why-not.md", "desktop.md"):
        text = (DOCS / name).read_text(encoding="utf-8")
        assert re.search(r"`SAMP_HUB`.*Aladin ignores it|Aladin ignores `SAMP_HUB`", text), name


def test_the_times_that_pages_name_are_the_defaults() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = re.findall(r"([\d.]+) s \(`Limits\.(\w+)`\)", text)
    assert {name for _, name in named} >= {"request_timeout", "call_timeout", "reach_refused"}
    for seconds, name in named:
        assert getattr(Limits(), name) == float(seconds), name


# ---- form


@by_page
def test_a_page_is_short(page: Path) -> None:
    lines = len(page.read_text(encoding="utf-8").splitlines())
    assert lines <= 300 or page.name in LONG


@by_page
def test_every_picture_has_a_text_and_is_there(page: Path) -> None:
    for text, file in pictures(page):
        assert len(text.split()) >= 3, f"{file} needs a text that says what is to be seen"
        assert (page.parent / file).is_file(), file


def test_every_picture_is_shown() -> None:
    shown = {Path(file).name for page in [*PAGES, ROOT / "README.md"] for _, file in pictures(page)}
    linked = {Path(link).name for page in PAGES for link in links(page)}
    assert sorted({path.name for path in (DOCS / "images").iterdir()} - shown - linked) == []


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@by_page
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    for block in () if LONG.get(page.name) == "generated" else blocks(page):
        if block.reason or block.language in RUN or block.mark.startswith("run by: "):
            continue
        if block.language == "toml":
            tomllib.loads(block.code)
        elif block.language == "json":
            json.loads(block.code)
        else:
            assert block.language in SHOWN, f"{block}: put <!-- not run: REASON --> before it"
            code = re.search(r"^\s*(import|from|async with|with) |\bawait ", block.code, re.MULTILINE)
            assert not code, f"{block}: code that is not run needs <!-- not run: REASON --> before it"


@by_page
def test_what_runs_a_block_elsewhere_is_there(page: Path) -> None:
    for block in blocks(page):
        if block.mark.startswith("run by: "):
            name, _, test = block.mark.removeprefix("run by: ").partition("::")
            assert (ROOT / name).is_file(), str(block)
            assert defines(ROOT / name, test), f"{block}: {name} has no {test}"


@by_page
def test_each_test_that_a_page_names_is_there(page: Path) -> None:
    """`FILE::TEST`, or `::TEST` of the file that was named before."""
    file = ROOT
    for name, test in re.findall(
        r"`(tests/[\w/]+\.py|(?=::[tT]est))(?:::([\w:]+))?", page.read_text("utf-8")
    ):
        file = ROOT / name if name else file
        assert file.is_file(), name
        assert defines(file, test), f"{file}::{test}"


def defines(file: Path, test: str) -> bool:
    """Return whether a test, or a class of tests, is in a file; so is what has no name."""
    kind = rf"^ *(?:async )?(?:def|class) {test.split('::')[-1]}\b" if test else ""
    return re.search(kind, file.read_text(encoding="utf-8"), re.MULTILINE) is not None


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = set()
    for page in PAGES:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            entries = [line for line in tree.splitlines() if line and not line.startswith(":")]
            for entry in entries:
                base = DOCS if entry.startswith("/") else page.parent
                listed.add((base / f"{entry.lstrip('/')}.md").resolve())
    assert sorted(set(PAGES) - listed - {DOCS / "index.md"}) == []


def test_a_tool_that_is_started_takes_what_the_page_of_mtypes_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the real tools are asked for in tests/interop/desktop/test_mtypes.py."""
    rows = dict(
        re.findall(r"^\| `([\w.-]+)` \| `\w+` \| [^|]+ \| ([^|]+) \|", reference("mtypes.md"), re.MULTILINE)
    )
    monkeypatch.setenv("ASYNCSAMP_TOOLS", str(tmp_path / "none"))
    for tool in known_tools():
        for mtype in tool.takes:
            assert tool.name in rows[mtype].casefold(), f"{tool.name} does not take {mtype}"
