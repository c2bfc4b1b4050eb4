"""`python -m asyncsamp.hub` as a person starts it on a terminal: it has its page, and says the link once."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from ..webpage import Page
from .test_server import Browser

LINK = re.compile(r"Hub's page, by a link that works once: (http://127\.0\.0\.1:[0-9]+/#[\w-]+)\r?\n")


class Terminal:
    """A hub on a terminal, and what it has written there and to its log."""

    def __init__(self, process: asyncio.subprocess.Process, descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.seen = ""

    async def until(self, pattern: re.Pattern[str]) -> re.Match[str]:
        loop = asyncio.get_running_loop()
        while not (found := pattern.search(self.seen)):
            readable = loop.create_future()
            loop.add_reader(self.descriptor, readable.set_result, None)
            try:
                async with asyncio.timeout(45):
                    await readable
            finally:
                loop.remove_reader(self.descriptor)
            self.seen += os.read(self.descriptor, 4096).decode()
        return found

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    async def end(self) -> str:
        """Stop the hub; return all that it said on the terminal and in its log."""
        self.process.send_signal(signal.SIGINT)
        _, errors = await self.process.communicate()
        with suppress(OSError):  # the end of a terminal is an error
            while more := os.read(self.descriptor, 65536).decode():
                self.seen += more
        assert self.process.returncode == 0
        return self.seen + errors.decode()


@asynccontextmanager
async def on_terminal(home: Path, *options: str, **environment: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asyncsamp.hub", "--lockfile", str(home / "hub.samp"), *options),
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        os.close(ours)


async def test_it_is_on_and_its_token_is_said_once(tmp_path: Path) -> None:
    async with on_terminal(tmp_path, "--no-web-profile", "--log-level", "debug") as terminal:
        browser = Browser((await terminal.until(LINK))[1])
        await browser.enter()
        async with browser.events() as events:
            assert (await anext(events))[0] == "hello"
        again = await browser.do("/link")
        assert (await browser.post("/session", {"token": "wrong"})).status == 403
        said = await terminal.end()
    assert said.count(browser.token) == 1
    secrets = [browser.headers["X-Asyncsamp-Page"], browser.headers["Cookie"].partition("=")[2]]
    for secret in (*secrets, again["link"].partition("#")[2]):
        assert secret not in said


async def test_it_can_be_left_out(tmp_path: Path) -> None:
    async with on_terminal(tmp_path, "--no-web-profile", "--no-page") as terminal:
        await terminal.until(re.compile(r"SAMP hub ready at .*\n"))
        assert "Hub's page" not in await terminal.end()


async def test_the_browser_is_opened_if_asked_for(tmp_path: Path) -> None:
    program, opened = tmp_path / "browser", tmp_path / "opened"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part && mv {opened}.part {opened}\n')
    program.chmod(0o700)
    async with on_terminal(tmp_path, "--no-web-profile", "--open", BROWSER=f"{program} %s") as terminal:
        link = (await terminal.until(LINK))[1]
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(opened.exists):
                await asyncio.sleep(0)
        assert await asyncio.to_thread(opened.read_text) == link
        await Browser(link).enter()
        await terminal.end()


@pytest.mark.parametrize("where", ["page", "terminal"])
async def test_a_question_is_asked_on_both_and_each_is_told_of_the_other(where: str, tmp_path: Path) -> None:
    async with on_terminal(tmp_path, "--web-port", "0", "--log-level", "info") as terminal:
        browser = Browser((await terminal.until(LINK))[1])
        await browser.enter()
        assert terminal.process.stderr is not None
        port = 0
        while not port:
            line = (await terminal.process.stderr.readline()).decode()
            port = int(line.rpartition(" ")[2]) if "Web Profile at port" in line else 0
        async with browser.events() as events:
            await anext(events)
            asking = asyncio.create_task(Page(port).post("samp.webhub.register", {"samp.name": "page"}))
            await terminal.until(re.compile(r"\[N\]o: "))
            [question] = await questions(events, 1)
            if where == "page":
                assert await browser.do("/consent", number=question["number"], answer="allow") == {}
                await terminal.until(re.compile("the question was answered on the hub's page"))
            else:
                terminal.type("y\n")
                assert await questions(events, 0) == []
                late = await browser.do("/consent", number=question["number"], answer="deny")
                assert "answered already" in late["error"]
            assert b"<fault>" not in (await asking).body
        await terminal.end()


async def questions(events: AsyncIterator[tuple[str, dict[str, object]]], count: int) -> list[dict[str, str]]:
    async for _, batch in events:
        for extra in json.loads(json.dumps(batch["extra"])):
            if "questions" in extra and len(extra["questions"]) == count:
                return list(extra["questions"])
    raise AssertionError("the stream has ended")
