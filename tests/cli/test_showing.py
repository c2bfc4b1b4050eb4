"""open, point and get: each kind of data by its content, URLs, names of objects, tables by number."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest
from aiohttp import web

from asyncsamp import Client, Hub

from ..aio.data.test_recognising import CASES, SENT_AS
from ..aio.web_server import Server
from .command import Command
from .test_command import VOTABLE, handled

pytestmark = pytest.mark.timeout(150)


async def test_open_knows_each_kind_by_its_content(command: Command, peer: Client, tmp_path: Path) -> None:
    """Files of all kinds and a URL, whose names say nothing."""
    taken = await handled(peer, *SENT_AS.values())
    for index in SENT_AS:
        (tmp_path / f"file {index}").write_bytes(CASES[index][0])
    url = await peer.share(CASES[8][0], name="something")
    ended = await command.run("open", *(f"file {index}" for index in SENT_AS), url)
    assert ended.code == 0, ended
    assert ended.out.count("loaded by viewer") == len(SENT_AS) + 1
    assert [message.mtype for message in taken] == [*SENT_AS.values(), "image.load.fits"]
    assert taken[0].params["url"] == (tmp_path / "file 0").as_uri()
    assert taken[-1].params["url"] == url


async def test_open_says_who_could_not_load(command: Command, peer: Client, hub: Hub, tmp_path: Path) -> None:
    await handled(peer, "table.load.votable")
    (tmp_path / "x.vot").write_bytes(VOTABLE)
    async with Client("broken", lockfile=hub.lockfile) as broken:

        @broken.on("table.load.votable")
        async def fail(message: object) -> None:
            raise ValueError("no\x1b[31m memory")

        await broken.settled()
        ended = await command.run("open", "x.vot")
    assert ended.code == 1
    assert "x.vot: loaded by viewer" in ended.out
    assert "x.vot: not loaded by broken" in ended.out
    assert "no?[31m memory" in ended.out


async def sesame(request: web.BaseRequest) -> web.Response:
    """Answer as the name resolver of CDS: it knows M31 and nothing else."""
    known = request.query_string == "M31"
    answer = "%J 10.68470833 +41.26875 = 00:42:44.33 +41:16:07.5" if known else "#!SIMBAD: Nothing found"
    return web.Response(text=answer + "\n")


ANOTHER_SESAME = """
from astropy.coordinates import name_resolve
name_resolve.sesame_url.set(["{url}/"])
"""


async def test_point_takes_the_name_of_an_object(command: Command, peer: Client, tmp_path: Path) -> None:
    taken = await handled(peer, "coord.pointAt.sky")
    paths = [str(tmp_path), command.env.get("PYTHONPATH", "")]
    command.env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    async with Server(sesame) as url:
        (tmp_path / "sitecustomize.py").write_text(ANOTHER_SESAME.format(url=url))
        assert (await command.run("point", "M31", "--to", "viewer")).code == 0
        unknown = await command.run("point", "M", "310")
    assert [float(str(taken[0].params[key])) for key in ("ra", "dec")] == [10.68470833, 41.26875]
    assert unknown.code == 1
    assert "'M 310' is not a position, and no object of that name was found: Unable to find" in unknown.err


async def test_point_without_a_name_server(command: Command, peer: Client, tmp_path: Path) -> None:
    paths = [str(tmp_path), command.env.get("PYTHONPATH", "")]
    command.env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # where nobody listens any more
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_SESAME.format(url=f"http://127.0.0.1:{port}"))
    ended = await command.run("point", "M31")
    assert ended.code == 1
    assert "the name server, which knows where 'M31' is, could not be asked: http://127.0.0.1:" in ended.err
    assert ended.err.endswith("; give RA and DEC in degrees, or try again with the Internet\n")
    assert "no object" not in ended.err


async def test_point_without_astropy_takes_degrees_and_says_what_names_need(
    command: Command, peer: Client
) -> None:
    taken = await handled(peer, "coord.pointAt.sky")
    script = (
        "import sys, runpy; sys.modules['astropy'] = None; runpy.run_module('asyncsamp', run_name='__main__')"
    )

    async def point(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, "point", *words), env=command.env, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
        return process.returncode, err.decode()

    assert await point("10.5", "-41") == (0, "")
    assert len(taken) == 1
    code, said = await point("M31")
    assert (code, "pip install 'asyncsamp[astropy]'" in said) == (1, True)


async def test_get_takes_a_table_by_its_number(command: Command, peer: Client, tmp_path: Path) -> None:
    (tmp_path / "stars.vot").write_bytes(VOTABLE)
    url = (tmp_path / "stars.vot").as_uri()
    asked = await handled(peer, "table.get.stil", result={"url": url})
    assert (await command.run("get", "2", "--from", "viewer", "-o", "two.vot")).code == 0
    assert asked[0].params == {"format": "votable", "index": "2"}
    assert (tmp_path / "two.vot").read_bytes() == VOTABLE
    ending = await command.run("get", "2", "--from", "viewer", "-o", "x.parquet")
    assert (ending.code, "use one of .vot, .xml" in ending.err) == (2, True)
    wrong = await command.run("get", "stars", "--from", "viewer", "-o", "x")
    assert (wrong.code, "is not the number of a table in TOPCAT's list" in wrong.err) == (2, True)


async def test_get_waits_for_a_table_of_that_id(command: Command, peer: Client, tmp_path: Path) -> None:
    (tmp_path / "stars.vot").write_bytes(VOTABLE)
    async with command.start("get", "mine", "--next", "-o", "next.vot") as get:
        assert (await command.run("wait", "table.load.votable", "-W", "30")).code == 0
        for table_id, url in (("other", "file:///none"), ("mine", (tmp_path / "stars.vot").as_uri())):
            await peer.notify_all("table.load.votable", {"url": url, "table-id": table_id})
        assert (await get.end()).code == 0
    assert (tmp_path / "next.vot").read_bytes() == VOTABLE
