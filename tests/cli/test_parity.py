"""What JSAMP's programs and the verbs of VOSAMP do, done by the command; docs/cli.md has a row for each."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table

from asyncsamp import Client, Message

from .command import Command
from .test_command import VOTABLE, handled

pytestmark = pytest.mark.timeout(150)

ROOT = Path(__file__).parents[2]
VERBS = [
    "snoop",
    "send",
    "status",
    "list",
    "access",
    "handle",
    "exec",
    "load",
    "loadImage",
    "loadVOTable",
    "loadFITS",
    "loadSpec",
    "pointAt",
    "showRow",
    "selectRows",
    "bibcode",
]


@pytest.mark.parametrize(
    ("verb", "words", "mtype", "params"),
    [
        ("exec", "send client.cmd.exec cmd=beep", "client.cmd.exec", {"cmd": "beep"}),
        ("load", "open stars.vot", "table.load.votable", {"url": "{home}/stars.vot"}),
        ("loadImage", "open image.fits", "image.load.fits", {"url": "{home}/image.fits"}),
        ("loadVOTable", "open stars.vot --in viewer", "table.load.votable", {"url": "{home}/stars.vot"}),
        ("loadFITS", "open stars.fits", "table.load.fits", {"url": "{home}/stars.fits"}),
        (
            "loadSpec",
            "send spectrum.load.ssa-generic url=file:///s meta:={}",
            "spectrum.load.ssa-generic",
            {"url": "file:///s", "meta": {}},
        ),
        ("pointAt", "point 10.5 -41.25", "coord.pointAt.sky", {"ra": "10.5", "dec": "-41.25"}),
        ("showRow", "select t1 3 --highlight", "table.highlight.row", {"table-id": "t1", "row": "3"}),
        ("selectRows", "select t1 1 3-4", "table.select.rowList", {"row-list": ["1", "3", "4"]}),
        ("bibcode", "send bibcode.load bibcode=1992Sci", "bibcode.load", {"bibcode": "1992Sci"}),
    ],
)
async def test_each_verb_sends_its_message(
    command: Command,
    peer: Client,
    tmp_path: Path,
    verb: str,
    words: str,
    mtype: str,
    params: dict[str, object],
) -> None:
    await asyncio.to_thread(write_files, tmp_path)
    taken = await handled(peer, mtype)
    ended = await command.run(*words.split())
    assert ended.code == 0, ended
    (message,) = taken
    expected = {key: _in(tmp_path, value) for key, value in params.items()}
    assert {key: message.params[key] for key in expected} == expected


def _in(home: Path, value: object) -> object:
    return value.replace("{home}", home.as_uri()) if isinstance(value, str) else value


def write_files(folder: Path) -> None:
    (folder / "stars.vot").write_bytes(VOTABLE)
    Table({"n": [1]}).write(folder / "stars.fits")
    fits.PrimaryHDU([[1.0]]).writeto(folder / "image.fits")


async def test_recipients_are_named_or_given_by_id(command: Command, peer: Client) -> None:
    taken = await handled(peer, "test.it")
    for who in ("viewer", "VIEWER", peer.public_id):
        assert (await command.run("send", "test.it", "--to", who)).code == 0
    assert len(taken) == 3


async def test_the_sender_says_who_it_is(command: Command, peer: Client) -> None:
    seen: list[object] = []

    @peer.on("test.it")
    async def look(message: Message) -> None:
        seen.append((await peer.get_metadata(message.sender))["author.name"])
        seen.append((await peer.get_metadata(message.sender))["samp.name"])

    await peer.settled()
    assert (await command.run("send", "test.it", "--name", "me", "--meta", "author.name=Ann")).code == 0
    assert seen == ["Ann", "me"]


async def test_the_snooper_says_who_it_is(command: Command, peer: Client) -> None:
    async with command.start(
        "snoop", "test.it", "--name", "ear", "--meta", "author.name=Ann", "-C", "1"
    ) as snoop:
        ear = await peer.find("ear", timeout=30)
        assert (await command.run("wait", "test.it", "-W", "30")).code == 0
        assert (await peer.get_metadata(ear))["author.name"] == "Ann"
        await peer.notify_all("test.it")
        assert json.loads((await snoop.end()).out)["mtype"] == "test.it"


# ---- docs/cli.md


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading of docs/cli.md."""
    section = (ROOT / "docs" / "cli.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_verb_has_a_row() -> None:
    assert [row[0].strip("`") for row in rows("From VOSAMP")] == VERBS


def test_each_option_of_jsamp_s_programs_has_a_row() -> None:
    text = " ".join(row[0] for row in rows("From JSAMP's programs"))
    programs = {"messagesender", "snooper", "sampload", "hubmonitor"}
    options = (
        "-mtype -param -mode -targetid -targetname -sendername -sendermeta -clientname -clientmeta -subs"
    )
    assert {*programs, *options.split(), "-auto"} <= set(re.findall(r"-?[a-z]+", text))


@pytest.mark.parametrize("heading", ["From VOSAMP", "From JSAMP's programs"])
def test_each_row_names_a_test_that_exists(heading: str) -> None:
    for *_, cell in rows(heading):
        path, _, name = cell.strip("`").partition("::")
        assert f"def {name}" in (ROOT / path).read_text(), cell


async def test_the_reference_is_of_this_command(command: Command) -> None:
    script = ROOT / "scripts" / "make_cli_reference.py"
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), "--check", env=command.env)
    assert await process.wait() == 0
