"""Examples of astropy's documentation, character for character, by `python -m asyncsamp.compat`."""

from __future__ import annotations

import asyncio
import doctest
import re
import textwrap
from pathlib import Path

import pytest

import asyncsamp

from ...interop.peers import hub_variable, process, screen
from .test_programs import PYTHON, VENV, environment, run

DOCS = VENV / "docs" / "samp"

_NOTE = 8
"""Blanks before what is in a note: there it is Python 2."""

pytestmark = pytest.mark.timeout(60)


def session(page: str, heading: str = "") -> str:
    """Return what is typed at the prompts of a page, or of the section under a heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if heading:
        underlined = r"[^\n]+\n=+\n"
        (text,) = re.findall(
            rf"^{re.escape(heading)}\n=+\n([\s\S]*?)(?=^{underlined}|\Z)", text, re.MULTILINE
        )
    found = doctest.DocTestParser().get_examples(text)
    return "".join(example.source for example in found if example.indent < _NOTE)


def block(page: str, number: int) -> str:
    """Return a literal block of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return textwrap.dedent(re.findall(r"::\n\n((?:    .*\n|\n)+)", text)[number])


async def run_example(
    source: str, tmp_path: Path, mtype: str = "x.none", count: int = 0
) -> tuple[str, list[asyncsamp.Message]]:
    """Run it beside a client that takes `mtype`; return what it printed, and `count` messages that came."""
    (tmp_path / "example.py").write_text(source)
    lockfile = tmp_path / "lock"
    async with (
        asyncsamp.Hub(lockfile=lockfile),
        asyncsamp.Client("topcat", lockfile=lockfile) as topcat,
        topcat.messages(mtype) as messages,
    ):
        await topcat.settled()
        assert topcat.public_id == "c1"  # as in the example
        script = tmp_path / "example.py"
        told = await run(tmp_path, "-m", "asyncsamp.compat", script, env=hub_variable(lockfile))
        return told, [await anext(messages) for _ in range(count)]


@pytest.mark.parametrize(
    ("heading", "mtype", "count"),
    [
        ("Sending a Table to TOPCAT and DS9", "table.load.votable", 2),
        ("Sending an Image to DS9 and Aladin", "image.load.fits", 1),
    ],
)
async def test_a_table_and_an_image_are_sent(heading: str, mtype: str, count: int, tmp_path: Path) -> None:
    source = session("example_table_image.rst", heading)
    _, messages = await run_example(source, tmp_path, mtype, count)
    assert all(str(message.params["url"]).startswith("file:///Users/tom/Desktop/") for message in messages)


async def test_two_clients_talk(tmp_path: Path) -> None:
    told, _ = await run_example(session("example_clients.rst"), tmp_path)
    for text in ("Notification:", "Call:", "Response:", "SYNC Call:", "'txt': 'printed sync'"):
        assert text in told
    assert "Error" not in told


@pytest.mark.parametrize("number", [0, 1])
async def test_a_hub_is_embedded(number: int, tmp_path: Path) -> None:
    source = block("advanced_embed_samp_hub.rst", number)
    assert "SAMPHubServer(" in source
    await run(tmp_path, "-m", "asyncsamp.compat", written(tmp_path, source))
    assert not (tmp_path / ".samp").exists()


@pytest.mark.alone  # one at a time has that port
@pytest.mark.parametrize(("keys", "allowed"), [("alt+y", True), ("alt+n", False)])
async def test_a_tk_application_asks_in_a_dialog(keys: str, allowed: bool, tmp_path: Path) -> None:
    """Its hub has the port 21012, as in the example."""
    source = block("advanced_embed_samp_hub.rst", 2)
    assert "SAMPHubServer(web_profile_dialog=TkWebProfileDialog(root))" in source
    command: list[str | Path] = [PYTHON, "-m", "asyncsamp.compat", written(tmp_path, source)]
    lockfile = tmp_path / ".samp"
    async with (
        screen(tmp_path) as display,
        process(command, name="tk", home=tmp_path, env=environment(DISPLAY=display.display)),
        asyncsamp.Client("other", lockfile=lockfile, wait_for_hub=True) as other,
    ):
        await other.wait_registered(timeout=30)
        page = asyncsamp.Client("page", connection=asyncsamp.WebConnection())
        registering = asyncio.create_task(page.register())
        await display.press("^SAMP Hub$", keys)
        if allowed:
            await registering
            assert await other.find("page", timeout=30)
            await page.unregister()
        else:
            with pytest.raises(asyncsamp.RegistrationError, match="did not let"):
                await registering


async def test_a_hub_is_started_and_stopped(tmp_path: Path) -> None:
    source = session("example_hub.rst")
    assert source.endswith("hub.stop()\n")
    await run(tmp_path, "-m", "asyncsamp.compat", written(tmp_path, source))


def written(folder: Path, source: str) -> Path:
    path = folder / "example.py"
    path.write_text(source)
    return path
