"""Every example and every program of the README is run, as a user runs it, against a real hub.

So are the two programs of docs/how-to/two-programs.md that talk to each other.
"""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import aiohttp
import pytest

from asyncsamp import Client

from .aio.hub_process import hub_process
from .docs.audience import audience
from .interop.conversation import until_subscribed
from .interop.peers.desktop import xvfb
from .interop.web.network import own_network
from .ports import lasting_port
from .programs import Program, cells, run, run_cells

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def lockfile(tmp_path: Path) -> Path:
    """Where there is no hub."""
    return tmp_path / "x.samp"


@pytest.fixture
async def hub(lockfile: Path) -> AsyncIterator[Path]:
    """A hub that runs; its lockfile."""
    async with hub_process(lockfile):
        yield lockfile


# ---- examples


def test_every_example_is_run_by_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    for example in EXAMPLES.iterdir():
        if example.suffix in (".py", ".ipynb"):
            assert f'"{example.name}"' in tests, f"{example.name} is run by no test"


def test_every_program_is_one() -> None:
    """`python FILE` runs it: nothing awaits outside of a function."""
    for program in EXAMPLES.glob("*.py"):
        compile(program.read_text(), program, "exec")


async def test_arguments_that_are_left_out_have_defaults(lockfile: Path) -> None:
    with own_network():  # where ports 8080 and 21012 are free
        async with Program(lockfile, EXAMPLES / "hub_in_web_app.py") as app:
            await app.lines_until("Running on http://127.0.0.1:8080 ")
            assert (await app.interrupt())[0] == 0
        async with hub_process(lockfile), Program(lockfile, EXAMPLES / "web_app.py") as app:
            await app.lines_until("Running on http://127.0.0.1:8080 ")
            assert (await app.interrupt())[0] == 0


@pytest.mark.parametrize("name", ["sender.py", "receiver.py", "conversation.py", "embedded_hub.py"])
def test_examples_are_short(name: str) -> None:
    """Lines of code, without imports, the text at the top and blank lines."""
    source = (EXAMPLES / name).read_text()
    tree = ast.parse(source)
    left_out = {
        line
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) and node.lineno < 10
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    code = [line for number, line in enumerate(source.splitlines(), 1) if line and number not in left_out]
    assert len(code) <= 20


async def test_sender_and_receiver(hub: Path) -> None:
    async with Program(hub, EXAMPLES / "receiver.py") as receiver:
        [ready] = await receiver.lines_until("listening as ")
        await point_without_dec(hub)
        assert "the parameter 'dec' is missing" in await receiver.line()
        told = await run(hub, EXAMPLES / "sender.py")
        assert told == "pointed 1 clients at M31\nthe receiver loaded 42 rows\n"
        lines = {await receiver.line(), await receiver.line()}
        assert "asked to load file:///data/m31.vot" in lines
        assert any(line.endswith(" points at 10.68 +41.27") for line in lines)
        code, rest = await receiver.interrupt()
    assert (code, rest) == (0, "")
    async with Client("witness", lockfile=hub) as witness:
        assert await witness.get_registered_clients() == ["hub"], f"{ready!r} has left properly"


async def point_without_dec(hub: Path) -> None:
    """Do what a stranger may do to a program that shows positions."""
    async with Client("stranger", lockfile=hub) as stranger:
        await stranger.notify("receiver", "coord.pointAt.sky", {"ra": 1})


NO_HUB = "no running SAMP hub found .*; start one with: python -m asyncsamp.hub"


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        *(
            (f"{name}.py", (), NO_HUB)
            for name in ("send_table", "send_image", "sender", "receiver", "conversation", "tutorial")
        ),
        ("web_app.py", ("abc",), r"usage: python web_app\.py \[PORT\]"),
        ("relay_app.py", ("abc",), r"usage: python relay_app\.py \[PORT\]"),
        ("hub_in_web_app.py", ("abc",), r"usage: python hub_in_web_app\.py \[PORT \[WEB_PROFILE_PORT\]\]"),
    ],
)
def test_what_an_example_lacks_is_told_in_one_line(
    name: str, arguments: tuple[str, ...], text: str, lockfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run in this process, where all that they import is there already."""
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{lockfile.as_uri()}")
    monkeypatch.setattr("sys.argv", [name, *arguments])
    with pytest.raises(SystemExit, match=f"^{text}$"):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("name", ["tk_window.py", "qt_window.py"])
async def test_a_window_without_a_hub(name: str, lockfile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with xvfb(lockfile.parent) if name == "tk_window.py" else nullcontext("") as display:
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
        await ends_in_one_line(lockfile, EXAMPLES / name, text=NO_HUB)


@pytest.mark.parametrize("name", ["tk_window.py", "qt_window.py", "qt_consent.py"])
async def test_a_window_without_a_desktop(name: str, lockfile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(variable, raising=False)
    text = r"this shows a window, so start it on a desktop: .*\$DISPLAY.*"
    await ends_in_one_line(lockfile, EXAMPLES / name, text=text)


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("tk_window.py", "tkinter", "apt install python3-tk"),
        ("qt_window.py", "PySide6", "pip install PySide6"),
        ("qt_consent.py", "PySide6", "pip install PySide6"),
    ],
)
def test_a_window_without_what_draws_it(
    name: str, module: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(SystemExit, match=rf"^this needs {module} \(.*\): .*{install}$"):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.parametrize("name", ["hub_in_web_app.py", "qt_consent.py"])
async def test_a_hub_of_an_example_beside_one_that_runs(
    name: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    text = "a SAMP hub is already running at .*; use that one, .*"
    await ends_in_one_line(hub, EXAMPLES / name, "0", text=text)


async def ends_in_one_line(lockfile: Path, *arguments: str | Path, text: str) -> None:
    async with Program(lockfile, "-W", "ignore::ResourceWarning", *arguments) as program:
        code, output = await program.end()
    assert code == 1
    assert len(output.splitlines()) == 1, output
    assert re.fullmatch(text, output.rstrip("\n"))


async def test_conversation(hub: Path) -> None:
    output = await run(hub, EXAMPLES / "conversation.py")
    assert output == "the adder is taking my shoes off\nthe sum is 15\n"


async def test_an_embedded_hub_beside_the_one_of_the_session(hub: Path) -> None:
    assert (await run(hub, EXAMPLES / "embedded_hub.py")).endswith("the tool answers samp.ok\n")


async def test_embedded_hub(lockfile: Path) -> None:
    output = await run(lockfile, EXAMPLES / "embedded_hub.py")
    assert not (lockfile.parent / "program.samp").exists()
    lines = output.splitlines()
    assert re.fullmatch(r"the hub is at http://127\.0\.0\.1:[0-9]+/xmlrpc", lines[0])
    assert {line.split()[-1] for line in lines[1:3]} == {"Hub", "program"}
    assert lines[3:] == ["the tool answers samp.ok"]
    assert not lockfile.exists()


async def test_web_app(hub: Path) -> None:
    port = lasting_port()
    async with Client("receiver", lockfile=hub) as receiver, receiver.messages("coord.pointAt.sky") as stream:
        async with Program(hub, EXAMPLES / "web_app.py", str(port)) as app:
            await app.lines_until("Running on")
            url = f"http://127.0.0.1:{port}/point"
            query = {"ra": "1.5", "dec": "-2"}
            async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
                assert await answer.json() == {"told": [receiver.public_id]}
            assert (await anext(stream)).params == {"ra": "1.5", "dec": "-2.0"}
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                assert (answer.status, await answer.text()) == (
                    400,
                    "say where, in degrees: /point?ra=10.68&dec=41.27",
                )
            code, rest = await app.interrupt()
            assert code == 0, rest
            assert "Traceback" not in rest
        assert await receiver.get_registered_clients() == ["hub"]


async def test_web_app_without_a_hub(lockfile: Path) -> None:
    port = lasting_port()
    async with Program(lockfile, EXAMPLES / "web_app.py", str(port)) as app:
        await app.lines_until("Running on")
        url = f"http://127.0.0.1:{port}/point?ra=1&dec=2"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert answer.status == 503
            assert "no running SAMP hub found" in await answer.text()
        code, rest = await app.interrupt()
        assert code == 0, rest
        assert "Traceback" not in rest


async def test_notebook(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{hub.as_uri()}")
    names = await run_cells(cells(EXAMPLES / "messages.ipynb"))
    assert capsys.readouterr().out == "hub Hub\npointed at 10.68 41.27\n"
    client = names["client"]
    assert isinstance(client, Client)
    assert not client.registered


# ---- the README


TWO = "docs/how-to/two-programs.md"


def blocks(page: str = "README.md") -> list[str]:
    """Return the programs of a page. One that begins `# notebook` is a cell for each line."""
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def block(mark: str, page: str) -> str:
    [found] = [text for text in blocks(page) if text.startswith(f"# {mark}\n")]
    return found


WHOLE = [text for text in blocks() if not text.startswith("# notebook\n")]


def test_the_readme_has_programs() -> None:
    assert len(blocks()) >= 3


async def test_a_sender_and_a_receiver_of_the_site(hub: Path, tmp_path: Path) -> None:
    for name in ("sender", "receiver"):
        (tmp_path / f"{name}.py").write_text(block(name, TWO))
    async with (
        Client("witness", lockfile=hub) as witness,
        Program(hub, "-u", tmp_path / "receiver.py") as receiver,
    ):
        view = await witness.find("receiver", timeout=30)
        await until_subscribed(witness, view, "coord.pointAt.sky")
        await point_without_dec(hub)
        assert "the parameter 'dec' is missing" in await receiver.line()
        told = await run(hub, tmp_path / "sender.py")
        assert told.splitlines()[-1] == "the receiver loaded 42 rows"
        lines = {await receiver.line(), await receiver.line()}
        assert "10.68 41.27" in lines
        assert any(line.startswith("asked to load file:///data/m31.vot") for line in lines)
        await receiver.interrupt()


async def test_tables_and_selections_between_two_clients_of_the_site(hub: Path) -> None:
    program = hub.parent / "both.py"
    program.write_text(block("both sides", TWO))
    assert "40.87" in await run(hub, program)


async def test_the_readmes_notebook(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{hub.as_uri()}")
    lines = block("notebook", "README.md").splitlines(keepends=True)
    names = await run_cells(lines)
    assert isinstance(names["client"], Client)
    assert not names["client"].registered


async def test_the_readmes_programs_in_their_order_and_in_the_reverse(lockfile: Path) -> None:
    """In one session, with the hub that README starts first, and a TOPCAT whose user selects rows."""
    program = lockfile.parent / "program.py"
    async with hub_process(lockfile), audience(lockfile):
        for text in (*WHOLE, *reversed(WHOLE)):
            program.write_text(text)
            assert await run(lockfile, program)
        async with Program(lockfile, "-m", "asyncsamp.hub", "--no-web-profile") as second:
            code, said = await second.end()
    assert code == 1
    assert "a SAMP hub is already running" in said
    for way_out in ("use that one", "python -m asyncsamp.hub --multiple", "Hub(lockfile=...)"):
        assert way_out in said
