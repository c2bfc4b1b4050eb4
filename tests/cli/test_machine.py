"""What the command does with the machine: services, programs that it runs, tools that it starts, doctor."""

from __future__ import annotations

import asyncio
import json
import os
import plistlib
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest

from asyncsamp import Client, LocalProtocolError, Message, ReplyError
from asyncsamp.cli.commands import check_command, fill
from asyncsamp.cli.doctor import about_surroundings
from asyncsamp.cli.service import desktop_entry, launchd_agent

from ..aio.odd_hub import odd_hub
from ..installed import require_program
from ..interop.web.network import own_network
from ..tools.programs import write_tools
from .command import Command
from .test_command import VOTABLE

pytestmark = pytest.mark.timeout(180)

SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$HOME/asked"
exit $(cat "$HOME/code")
"""


@pytest.fixture
def systemctl(command: Command, tmp_path: Path) -> Path:
    """A systemctl of the test's own: notes what it is asked, and ends as the file `code` says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "systemctl").write_text(SYSTEMCTL)
    (folder / "systemctl").chmod(0o755)
    (tmp_path / "code").write_text("0")
    command.env["PATH"] = f"{folder}:{command.env['PATH']}"
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        command.env.pop(variable, None)
    return tmp_path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="systemd is Linux's")
async def test_the_hub_is_installed_at_login_and_removed(command: Command, systemctl: Path) -> None:
    unit = systemctl / ".config" / "systemd" / "user" / "asyncsamp-hub.service"
    assert (await command.run("service", "status")).code == 3
    assert (await command.run("service", "install")).code == 0
    assert '" "-P" "-m" "asyncsamp.hub" "--state" "' in await asyncio.to_thread(unit.read_text)
    assert (await command.run("service", "status")).code == 0
    await asyncio.to_thread((systemctl / "code").write_text, "3")
    failing = await command.run("service", "status")
    assert (failing.code, "it does not run" in failing.out) == (1, True)
    refused = await command.run("service", "install")
    assert refused.code == 1
    assert "this failed: systemctl --user daemon-reload" in refused.err
    assert (await command.run("service", "remove")).code == 0
    assert not unit.exists()
    assert (await command.run("service", "remove")).out == "not installed\n"
    asked = await asyncio.to_thread((systemctl / "asked").read_text)
    assert "--user enable --now asyncsamp-hub.service" in asked


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other desktops have other ways")
async def test_open_is_offered_on_the_desktop(command: Command, systemctl: Path) -> None:
    """The desktop's own programs say so, of a VOTable and of a FITS file."""
    require_program("update-mime-database", "shared-mime-info")
    check = require_program("desktop-file-validate", "desktop-file-utils")
    gio = require_program("gio", "libglib2.0-bin")
    installed = await command.run("open", "--install")
    assert (installed.code, installed.err) == (0, "")
    data = systemctl / ".local" / "share"
    entry = data / "applications" / "asyncsamp-open.desktop"
    assert "asyncsamp open --start %F" in await asyncio.to_thread(entry.read_text)
    assert await said_by(command, check, entry) == ""
    for name in ("stars.vot", "stars.votable", "image.fits"):
        (systemctl / name).write_bytes(VOTABLE if name.startswith("stars") else b"SIMPLE  =")
        told = await said_by(command, gio, "info", "-a", "standard::content-type", systemctl / name)
        kind = told.split()[-1]
        assert kind in ("application/x-votable+xml", "application/fits", "image/fits")
        assert "asyncsamp-open.desktop" in await said_by(command, gio, "mime", kind)


async def said_by(command: Command, *words: object) -> str:
    """Return what a program of the desktop says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words), env=command.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return out.decode()


def test_names_with_odd_characters_are_quoted_for_the_system() -> None:
    assert 'Exec="/a \\$b/100%%/python" -P -m asyncsamp' in desktop_entry("/a $b/100%/python")
    agent = plistlib.loads(launchd_agent("/a b/python", Path("/s t/hub.state")))
    assert agent["ProgramArguments"][:6] == [
        "/a b/python",
        "-P",
        "-m",
        "asyncsamp.hub",
        "--state",
        "/s t/hub.state",
    ]


def test_what_a_message_says_stays_within_its_argument() -> None:
    message = Message("a.b", {"url": "x y; $(rm)", "map": {}, "zero": "a\0b"}, sender="c1")
    assert fill(["echo", "{mtype}:{sender}", "{url}"], message) == ["echo", "a.b:c1", "x y; $(rm)"]
    assert fill(["echo", "--url={url}"], message) == ["echo", "--url=x y; $(rm)"]
    for word, said in (
        ("{no}", "no text parameter"),
        ("{map}", "no text parameter"),
        ("{zero}", "zero byte"),
    ):
        with pytest.raises(LocalProtocolError, match=said):
            fill(["echo", word], message)


async def test_a_parameter_is_no_part_of_a_shell_s_script(command: Command, peer: Client) -> None:
    refused = await command.run("handle", "test.it", "--", "timeout", "9", "sh", "-c", "echo {x}")
    assert (refused.code, "would be run as a part of it" in refused.err) == (2, True)
    safe = ["sh", "-c", 'echo "got $1"', "sh", "{x}"]
    async with command.start("handle", "test.it", "-C", "1", "--", *safe) as handler:
        assert (await command.run("wait", "test.it", "-W", "30")).code == 0
        answer = await peer.call("asyncsamp handle", "test.it", {"x": "$(echo no); `echo no`"})
        assert answer.result["output"] == "got $(echo no); `echo no`\n"
        assert (await handler.end()).code == 0


@pytest.mark.parametrize(
    "line",
    [
        "sh -c {x}",
        "/bin/bash -ec {x}",
        "sh -ce 'echo {x}'",
        "sh -c -e 'echo {x}'",
        "bash -c -- 'echo {x}'",
        "bash -c -o pipefail 'echo {x}'",
        "bash --rcfile {x} -c true",
        "bash --rcfile file -c 'echo {x}'",
        "fish -c'echo {x}'",
        "fish --command='echo {x}'",
        "sh {x}",
        "timeout 9 sh -c 'echo {x}'",
        "env A=b nice -n 5 ash -c 'echo {x}'",
        "sudo -u someone mksh -c 'echo {x}'",
        "busybox sh -c 'echo {x}'",
    ],
)
def test_the_script_of_a_shell_is_found_wherever_it_stands(line: str) -> None:
    with pytest.raises(LocalProtocolError, match="would be run as a part of it"):
        check_command(shlex.split(line))


@pytest.mark.parametrize(
    "line",
    [
        "sh -c 'echo $1' sh {x}",
        "sh -ec -o noglob 'echo $1' sh {x} --name={x}",
        "env A={x} sh -c 'echo $A'",
        "sh file {x}",
        "env sh file {x}",
        "echo sh {x}",
        "echo -c {x}",
    ],
)
def test_what_comes_after_the_script_may_be_a_parameter(line: str) -> None:
    check_command(shlex.split(line))


async def test_a_program_that_fails_is_an_error_with_its_output(command: Command, peer: Client) -> None:
    script = "print('a\\x1b\\u00e9'); raise SystemExit(3)"
    program = (sys.executable, "-X", "utf8", "-c", script)
    async with command.start("handle", "test.it", "-C", "1", "--", *program) as handler:
        handle = await peer.find("asyncsamp handle", timeout=30)
        assert (await command.run("wait", "test.it", "-W", "30")).code == 0
        with pytest.raises(ReplyError, match="ended with exit code 3") as caught:
            await peer.call(handle, "test.it")
        assert caught.value.response.result == {"exit-code": "3", "output": "a???\n"}
        assert (await handler.end()).code == 0


async def test_of_a_tool_that_dies_the_last_lines_are_shown(
    command: Command, peer: Client, tmp_path: Path
) -> None:
    command.env["ASYNCSAMP_TOOLS"] = str(await asyncio.to_thread(write_tools, tmp_path))
    ended = await command.run("point", "1", "2", "--to", "dies", "--start")
    assert ended.code == 1
    assert "asyncsamp: dies died while it started; it said:" in ended.err
    assert "?[31mno display" in ended.err
    assert (await command.run("point", "1", "2", "--to", "nothing", "--start")).code == 1


async def test_a_hub_and_a_tool_are_started_by_one_command(command: Command, tmp_path: Path) -> None:
    """On a machine where nothing runs; both go on when the command has ended."""
    command.env["ASYNCSAMP_TOOLS"] = str(await asyncio.to_thread(write_tools, tmp_path))
    (tmp_path / "stars.vot").write_bytes(VOTABLE)
    assert (await command.run("open", "stars.vot")).code == 3
    assert not (tmp_path / ".samp").exists()
    opened = await command.run("open", "stars.vot", "--start")
    assert opened.code == 0, opened
    hub, tool = opened.err.splitlines()
    pid = int(hub.removeprefix("asyncsamp: a hub was started: pid "))
    assert re.fullmatch(r"asyncsamp: viewer was started: pid \d+, id c\d+", tool)
    assert opened.out.startswith("stars.vot: loaded by The Viewer (")
    again = await command.run("open", "stars.vot", "--start")
    assert (again.code, again.err) == (0, "")
    async with Client("watcher", lockfile=tmp_path / ".samp", reconnect=False) as watcher:
        changes = watcher.hub_changes()
        await watcher.notify_all("test.quit")
        os.kill(pid, signal.SIGTERM)
        await anext(changes)


async def test_a_hub_that_cannot_start_says_why(command: Command, tmp_path: Path) -> None:
    command.env["SAMP_HUB"] = f"std-lockurl:{(tmp_path / 'no' / 'folder' / 'samp').as_uri()}"
    ended = await command.run("open", "stars.vot", "--start")
    assert ended.code == 1
    assert "asyncsamp: the hub died while it started; it said:" in ended.err
    assert "folder" in ended.err.splitlines()[-1]


async def test_doctor_notes_proxies_ssh_and_a_missing_home(command: Command, tmp_path: Path) -> None:
    command.env |= {
        "HTTP_PROXY": "http://user:s3cret@proxy:1",
        "SSH_CONNECTION": "1",
        "HOME": str(tmp_path / "no"),
    }
    command.env.pop("no_proxy", None)
    command.env.pop("NO_PROXY", None)
    ended = await command.run("doctor", "--json")
    found = {each["what"]: each for each in json.loads(ended.out)}
    assert ended.code == 1
    assert found["proxies"]["text"] == "set: http_proxy"
    assert found["ssh"]["state"] == "note"
    assert "docs/remote.md" in found["ssh"]["advice"]
    assert "is not there" in found["home folder"]["text"]
    assert "s3cret" not in ended.out + ended.err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whose a socket is")
async def test_doctor_says_who_has_the_web_port_and_which_hubs_run(command: Command, tmp_path: Path) -> None:
    with own_network():
        command.env["HOME"] = str(tmp_path)
        free = json.loads((await command.run("doctor", "--json")).out)
        for folder in ("", ".samp-1"):
            (tmp_path / folder).mkdir(exist_ok=True)
        async with (
            command.start("hub", "--label", "mine") as one,
            command.start("hub", "--label", "other", "--multiple", "--no-web-profile") as two,
        ):
            for hub in (one, two):
                assert (await hub.line()).startswith("SAMP hub ready")
            taken = json.loads((await command.run("doctor", "--json")).out)
            pid = one.process.pid
            for hub in (one, two):
                await hub.end(signal.SIGTERM)
    [port] = [each for each in free if each["what"] == "web port"]
    assert (port["state"], port["text"]) == ("note", "nobody listens on 21012")
    [port] = [each for each in taken if each["what"] == "web port"]
    assert port["state"] == "ok"
    assert f"(pid {pid}) listens on 21012" in port["text"]
    assert 'allow="loopback-network"' in port["advice"]
    [hubs] = [each for each in taken if each["what"] == "hubs"]
    assert (hubs["state"], hubs["text"]) == ("note", "2 run")
    assert {"mine at", "other at"} <= {
        each["text"].partition(" http")[0] for each in taken if each["what"] == "hub"
    }


@pytest.mark.parametrize(
    ("marker", "release", "expected"),
    [
        (".dockerenv", "6.1.0-debian", {"container"}),
        ("run/.containerenv", "6.1.0-debian", {"container"}),
        ("", "5.15.90.1-microsoft-standard-WSL2", {"WSL"}),
        ("", "6.1.0-debian", set()),
    ],
)
def test_doctor_notes_a_container_and_wsl(
    tmp_path: Path, marker: str, release: str, expected: set[str]
) -> None:
    if marker:
        (tmp_path / marker).parent.mkdir(exist_ok=True)
        (tmp_path / marker).touch()
    findings = about_surroundings(root=tmp_path, release=release)
    assert {finding.what for finding in findings} == expected
    assert all(finding.state == "note" and finding.advice for finding in findings)


async def test_doctor_names_clients_that_fail_or_are_silent(command: Command, peer: Client) -> None:
    @peer.on("samp.app.ping")
    async def fail(message: Message) -> None:
        raise ValueError("no disk")

    await peer.settled()
    ended = await command.run("doctor")
    assert ended.code == 1
    assert f"viewer ({peer.public_id})" in ended.out
    assert (await command.run("ping", "viewer")).code == 1

    @peer.on("samp.app.ping")
    async def never(message: Message) -> None:
        await asyncio.Event().wait()

    await peer.settled()
    ended = await command.run("doctor", "-W", "0.3")
    assert ended.code == 1
    assert f"viewer ({peer.public_id}): no answer within 0.3 s\n      it is busy, hangs" in ended.out


async def test_doctor_says_that_the_hub_does_not_reach_us(command: Command, tmp_path: Path) -> None:
    """A hub that takes a call and never delivers it, as behind a firewall."""
    async with odd_hub(tmp_path / ".samp"):
        found = json.loads((await command.run("doctor", "--json", "-W", "0.3")).out)
    [callback] = [each for each in found if each["what"] == "callback"]
    assert callback["state"] == "wrong"
    assert "is a firewall between programs" in callback["advice"]


@pytest.mark.parametrize(
    ("text", "said"), [("samp.secret=x\n", "samp.hub.xmlrpc.url"), ("\0\1", "samp.secret")]
)
async def test_doctor_says_what_a_lockfile_lacks(
    command: Command, tmp_path: Path, text: str, said: str
) -> None:
    lockfile = tmp_path / ".samp"
    lockfile.write_text(text)
    lockfile.chmod(0o600)
    ended = await command.run("doctor", "--json")
    [hub] = [each for each in json.loads(ended.out) if each["what"] == "hub"]
    assert (ended.code, hub["state"]) == (1, "wrong")
    assert said in hub["text"]
    assert ended.out.count(said) == 1
    assert hub["advice"] == "remove it, and start a hub"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="rights of folders are Linux's here")
async def test_doctor_says_that_the_home_folder_cannot_be_written(command: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    command.env["HOME"] = str(home)
    if os.geteuid() == 0:  # root may write everywhere, unless it gives that up
        command.before = [require_program("setpriv", "util-linux"), "--bounding-set=-dac_override", "--"]
    found = json.loads((await command.run("doctor", "--json")).out)
    [about] = [each for each in found if each["what"] == "home folder"]
    assert (about["state"], "cannot be written" in about["text"]) == ("wrong", True)
    assert "set SAMP_HUB=" in about["advice"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no", "line 1 is not a line of a recording"),
        ('{"asyncsamp": 2}', "another version"),
        ('{"asyncsamp": 1}\n{"t": 0, "mtype": 1, "params": {}}', "line 2 is not a line"),
        ('{"asyncsamp": 1}\n', "the recording has no client 'topcat'"),
        ('{"asyncsamp": 1}\n\xff', "session.jsonl is not a recording: it is not a text in UTF-8"),
    ],
)
async def test_what_is_not_a_recording_is_refused(
    command: Command, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "session.jsonl").write_bytes(text.encode("latin-1"))
    ended = await command.run("replay", "session.jsonl", "--as", "topcat")
    assert ended.code == 1
    assert said in ended.err
