"""The command as a process, piped and on a terminal, with our hub."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from asyncsamp import Client, Hub, Message, ReplyError, Response
from asyncsamp.client.tracker import NOTHING_TAKEN
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.recording import read_recording

from ..aio.hub_process import hub_process
from ..aio.raw import call
from .command import Command

pytestmark = pytest.mark.timeout(180)

VOTABLE = b"<?xml version='1.0'?><VOTABLE version='1.3' xmlns='http://www.ivoa.net/xml/VOTable/v1.3'/>"


async def handled(peer: Client, *mtypes: str, result: dict[str, str] | None = None) -> list[Message]:
    """Let the peer take messages; returns the list of those that come."""
    taken: list[Message] = []

    async def take(message: Message) -> dict[str, str]:
        taken.append(message)
        return result or {}

    peer.on(*mtypes)(take)
    await peer.settled()
    return taken


# ---- without a hub


async def test_help_names_the_subcommands_and_exit_codes(command: Command) -> None:
    ended = await command.run("--help")
    assert ended.code == 0
    assert "open " in ended.out
    assert "27 timed out" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lst"], 2, "Did you mean 'list'?"),
        (["reach", "serve", "--room", "x"], 2, "Type: python -m asyncsamp.reach serve --room x"),
        (["list", "--jsn"], 2, "--json"),
        (["list"], 3, "start one with"),
        (["hubs"], 3, ""),
        (["send", "bad..mtype"], 2, "mtype"),
        (["send", "a.b", "x:={"], 2, "is not valid JSON after ':='"),
        (["send", "a.b", "x"], 2, "is not a parameter; write key=text, key:=JSON or @FILE"),
        (["open"], 2, "name a file or URL"),
        (["handle", "a.b", "--", "no-such-program"], 2, "is not there or may not be run"),
        (["handle", "a.b", "--", "{url}"], 2, "may not come from a message"),
        (["snoop", "--filter", "~x"], 2, "where one of ~m, ~f, ~p, ~t is expected"),
        (["point", "10"], 2, "'10' is one number; a position is two, RA and DEC in degrees, as in: "),
        (["point", "10", "20", "30"], 2, "'10 20 30' is 3 numbers; a position is two"),
        (["point", "0:42:99", "41"], 1, "'0:42:99 41' is not a position: "),
        (["point", "400", "2"], 1, "ra is 400 degrees; expected 0 to 360"),
        (["snoop", "--filter", "'x y'"], 2, "is not a pattern of mtypes"),
        (["snoop", "x y"], 2, "'x y' is not a valid subscription"),
        (["handle", "coord*", "--", "true"], 2, "'coord*' is not a valid subscription"),
        (["replay", "missing"], 1, "missing"),
        (["--hub", "x"], 2, "--hub"),
        (
            ["list", "--hub", "x"],
            3,
            "asyncsamp: no running hub is called 'x'; running: none; --hub",
        ),
        (["list"], 3, "); start one with: asyncsamp hub\n"),
        (["point", "1", "2"], 3, "); start one with: asyncsamp hub, or add --to NAME --start\n"),
        (["point", "1", "2", "--to", "ds9"], 3, "); start one with: asyncsamp hub, or add --start\n"),
        (
            ["point", "1", "2", "--start"],
            2,
            "--start starts the tool that --to names: add --to NAME, as in: ",
        ),
        (
            ["wait", "topcat", "-W", "0.1"],
            27,
            "no hub came within 0.1 s, so 'topcat' was not seen; start one with: asyncsamp hub\n",
        ),
        (["wait", "topcat", "-W", "0.1"], 27, "); start one with: asyncsamp hub\n"),
        (["get"], 2, "name the file to write, as in: asyncsamp get -o stars.vot"),
    ],
)
async def test_wrong_use_says_what_is_wrong(command: Command, words: list[str], code: int, said: str) -> None:
    ended = await command.run(*words)
    assert ended.code == code, ended
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("words", [["snoop"], ["snoop", "coord.*"], ["handle", "coord.*", "--", "true"]])
async def test_what_waits_says_so(command: Command, hub: Hub, words: list[str]) -> None:
    async with command.start(*words) as running:
        what = "coord.*" if "coord.*" in words else "messages"
        assert await running.remark() == f"asyncsamp: waiting for {what}; Ctrl-C ends it"


async def test_without_the_extra_one_line_says_what_to_install(command: Command) -> None:
    script = (
        "import sys, runpy; sys.modules['click'] = None; runpy.run_module('asyncsamp', run_name='__main__')"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env=command.env, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert err.decode().count("\n") == 1
    assert "pip install 'asyncsamp[cli]', or in a checkout pip install '.[cli]'" in err.decode()


async def test_hub_is_the_hub_of_the_module(command: Command) -> None:
    async with command.start("hub", "--no-web-profile", "--label", "hers") as running:
        assert (await running.line()).startswith("SAMP hub ready")
        assert json.loads((await command.run("hubs", "--json")).out)[0]["label"] == "hers"
        assert (await command.run("list", "--hub", "hers")).code == 0
        assert (await running.end(signal.SIGTERM)).code == 0


# ---- who is there


async def test_list_info_and_ping(command: Command, peer: Client) -> None:
    await handled(peer, "coord.pointAt.sky")
    listed = json.loads((await command.run("list", "--json")).out)
    assert [other["name"] for other in listed] == ["viewer", "Hub"]
    assert f"viewer\t{peer.public_id}\tcoord.pointAt.sky\n" in (await command.run("list")).out
    assert "samp.name = viewer" in (await command.run("info", "Viewer")).out
    assert "ms" in (await command.run("ping", "viewer")).out
    assert (await command.run("ping", "--json")).code == 0
    async with Client("sender", lockfile=command.home / ".samp") as sender:
        said = (await command.run("ping", "sender")).out
        assert said == f"sender ({sender.public_id}): no ping: {NOTHING_TAKEN}\n"
    missing = await command.run("ping", "viewr")
    assert missing.code == 3
    assert missing.err.count("did you mean 'viewer'?") == 1
    assert missing.err.startswith("asyncsamp: no client named 'viewr' is registered; there are: ")
    other = await command.run("list", "--hub", "mne")
    assert other.err == "asyncsamp: no running hub is called 'mne'; running: 'mine'; did you mean 'mine'?\n"
    sent = await command.run("send", "coord.pointAt.sk")
    assert sent.err.endswith("; did you mean 'coord.pointAt.sky'?\n")


async def test_two_clients_of_one_name_are_told_by_id(command: Command, hub: Hub, peer: Client) -> None:
    async with Client("viewer", lockfile=hub.lockfile) as twin:
        ended = await command.run("info", "viewer")
        assert ended.code == 3
        assert twin.public_id in ended.err
        assert (await command.run("info", twin.public_id)).code == 0


async def test_list_on_a_narrow_terminal_and_in_colours(command: Command, peer: Client) -> None:
    await handled(peer, "coord.pointAt.sky")
    wide = await command.on_terminal("list")
    assert "\x1b[" in wide.out
    narrow = await command.on_terminal("list", columns=20)
    assert narrow.code == 0
    command.env["NO_COLOR"] = "1"
    assert "\x1b[3" not in (await command.on_terminal("list")).out


async def test_foreign_names_are_shown_harmless(command: Command, hub: Hub) -> None:
    """A client of another make may send what the standard forbids."""
    assert isinstance(hub.lockfile, Path)
    secret = parse_lockfile(await asyncio.to_thread(hub.lockfile.read_text)).secret
    registered = await call(hub, "register", secret)
    assert isinstance(registered, dict)
    name = "[bold]x[/]\x9b31m\u202e銀\nz"
    await call(hub, "declareMetadata", registered["samp.private-key"], {"samp.name": name})
    assert "[bold]x[/]?31m?銀 z" in (await command.on_terminal("list", columns=200)).out
    assert "[bold]x[/]?31m?銀 z\tc1\t-\n" in (await command.run("list")).out


async def test_wait_for_a_name_or_an_mtype(command: Command, hub: Hub) -> None:
    assert (await command.run("wait", "late", "-W", "0.2")).code == 27
    misspelt = await command.run("wait", "hob", "-W", "3")  # in which the hub has to say who is there
    assert misspelt.err.startswith(
        "asyncsamp: no client named 'hob', and none that takes it, came within 3 s; "
    )
    assert misspelt.err.endswith("; did you mean 'Hub'?\n")
    async with (
        command.start("wait", "late", "-W", "30") as name,
        command.start("wait", "a.b") as mtype,
        Client("late", lockfile=hub.lockfile) as late,
    ):
        await handled(late, "a.b")
        assert await name.line() == f"{late.public_id}\tlate"
        assert await mtype.line() == f"{late.public_id}\tlate"
        assert (await name.end()).code == 0


async def test_wait_waits_for_a_hub_too(command: Command, tmp_path: Path) -> None:
    async with command.start("wait", "late", "-W", "30") as waiting:
        assert "is at no hub yet and goes on looking" in await waiting.remark()
        async with Hub(lockfile=tmp_path / ".samp"), Client("late", lockfile=tmp_path / ".samp") as late:
            assert await waiting.line() == f"{late.public_id}\tlate"
            assert (await waiting.end()).code == 0


async def test_what_is_not_there_may_be_started(command: Command, peer: Client, tmp_path: Path) -> None:
    """Told by subcommands that have --start, in words of the command."""
    (tmp_path / "tools.toml").write_text(
        f'[shower]\ncommand = ["{sys.executable}"]\ntakes = ["coord.pointAt.sky"]\n'
    )
    command.env["ASYNCSAMP_TOOLS"] = str(tmp_path / "tools.toml")
    named = await command.run("point", "1", "2", "--to", "shower")
    anybody = await command.run("point", "1", "2")
    for ended, advice in (
        (named, "it by hand, or add --start"),
        (anybody, "one by hand, or add --to NAME --start"),
    ):
        assert ended.code == 3
        assert ended.err.endswith(f"; start {advice}\n")
    assert (await command.run("ping", "shower")).err.endswith("; start it by hand\n")


async def test_watch_shows_changes_and_ends_by_ctrl_c_in_one_line(command: Command, peer: Client) -> None:
    ended = await command.on_terminal("list", "--watch", interrupt_at="viewer")
    assert ended.code == 130
    assert ended.out.strip().endswith("asyncsamp: interrupted")
    assert "Traceback" not in ended.out


async def test_watch_goes_on_with_the_next_hub(command: Command, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with Hub(lockfile=tmp_path / ".samp"):
            watch = await stack.enter_async_context(command.start("list", "--watch", "--json"))
            assert [other["name"] for other in json.loads(await watch.line())] == ["Hub"]
        async with Hub(lockfile=tmp_path / ".samp"), Client("late", lockfile=tmp_path / ".samp"):
            names: set[str] = set()
            while "late" not in names:
                names = {other["name"] for other in json.loads(await watch.line())}
            assert (await watch.end(signal.SIGINT)).code == 130


# ---- messages


async def test_send_with_each_kind_of_parameter(command: Command, peer: Client, tmp_path: Path) -> None:
    taken = await handled(peer, "a.b", result={"answer": "42"})
    (tmp_path / "params.json").write_text('{"z": ["1"]}')
    ended = await command.run("send", "a.b", "x=1=2", "y:=[1, true]", "@params.json", "--json")
    assert ended.code == 0, ended
    assert json.loads(ended.out)["samp.result"] == {"answer": "42"}
    assert taken[0].params == {"x": "1=2", "y": ["1", "1"], "z": ["1"]}
    for how in ("--wait", "--notify", "--call"):
        assert (await command.run("send", "a.b", how, "--to", "viewer")).code == 0
    assert len(taken) == 4


async def test_send_has_exit_codes_for_errors_and_silence(command: Command, peer: Client) -> None:
    @peer.on("test.fail")
    async def fail(message: Message) -> Response:
        return Response.failure("no\x1b[31m disk")

    @peer.on("test.sleep")
    async def sleep(message: Message) -> None:
        await asyncio.Event().wait()

    await peer.settled()
    failed = await command.run("send", "test.fail")
    assert (failed.code, failed.out) == (1, f"viewer ({peer.public_id}): samp.error no?[31m disk\n")
    assert (await command.run("send", "test.sleep", "-W", "0.3")).code == 27
    assert (await command.run("send", "test.nobody")).code == 3


async def test_snoop_shows_json_lines_when_piped(command: Command, peer: Client) -> None:
    async with command.start("snoop", "a.*", "-C", "2", "--from", "viewer") as snoop:
        assert (await command.run("wait", "a.b", "-W", "30")).code == 0
        await peer.notify_all("a.b", {"x": "1"})
        snooper = await peer.find("asyncsamp snoop")
        answer = await peer.call(snooper, "a.c")
        ended = await snoop.end()
    first, second, third = map(json.loads, ended.out.splitlines())
    assert answer.status == "samp.warning"
    assert (first["mtype"], first["params"], first["name"]) == ("a.b", {"x": "1"}, "viewer")
    assert (second["mtype"], second["kind"]) == ("a.c", "call")
    assert third["response"]["samp.error"]["samp.errortxt"] == answer.errortxt


async def test_snoop_matches_calls_between_others_with_their_answers(
    command: Command, hub: Hub, peer: Client
) -> None:
    @peer.on("a.ask")
    async def ask(message: Message) -> dict[str, str]:
        return {"n": "42"}

    await peer.settled()
    async with (
        Client("asker", lockfile=hub.lockfile) as asker,
        command.start("snoop", "a.*", "-C", "1") as snoop,
    ):
        assert (await command.run("wait", "a.other", "-W", "30")).code == 0
        await asker.call("viewer", "a.ask", {"x": "1"})
        told = [json.loads(line) for line in (await snoop.end()).out.splitlines()]
    call, answer = told[:2]
    [to] = call["to"]
    assert (call["kind"], call["name"], to["name"]) == ("call", "asker", "viewer")
    assert (answer["kind"], answer["call"], answer["by"]["name"]) == ("answered", to["call"], "viewer")
    assert answer["response"]["samp.result"] == {"n": "42"}
    assert 0 < answer["seconds"] < 30


async def test_snoop_survives_a_hub_restart(command: Command, tmp_path: Path) -> None:
    lockfile = tmp_path / ".samp"
    async with AsyncExitStack() as stack:
        async with Hub(lockfile=lockfile):
            snoop = await stack.enter_async_context(command.start("snoop", "a.b", "-C", "1"))
            assert (await command.run("wait", "a.b", "-W", "30")).code == 0
        async with Hub(lockfile=lockfile), Client("me", lockfile=lockfile) as client:
            assert (await command.run("wait", "a.b", "-W", "30")).code == 0
            await client.notify_all("a.b")
            assert '"mtype": "a.b"' in (await snoop.end()).out


async def test_handle_runs_a_program_and_answers(command: Command, peer: Client) -> None:
    async with command.start("handle", "test.it", "-C", "2", "--", "echo", "got", "{x}") as handler:
        assert (await command.run("wait", "test.it", "-W", "30")).code == 0
        other = await peer.find("asyncsamp handle", timeout=30)
        answer = await peer.call(other, "test.it", {"x": "a b; $(rm) '\""})
        assert answer.result == {"exit-code": "0", "output": "got a b; $(rm) '\"\n"}
        with pytest.raises(ReplyError, match="begins with '-'"):
            await peer.call(other, "test.it", {"x": "-e"})
        await handler.end(signal.SIGINT)


# ---- data


async def test_open_point_and_select(command: Command, peer: Client, tmp_path: Path) -> None:
    taken = await handled(
        peer, "table.load.votable", "coord.pointAt.sky", "table.select.rowList", "table.highlight.row"
    )
    path = tmp_path / "stars.vot"
    path.write_bytes(VOTABLE)
    opened = await command.run("open", path)
    assert opened.out == f"{path}: loaded by viewer ({peer.public_id})\n"
    assert (await command.run("point", "10.5", "-41.25")).code == 0
    assert (await command.run("point", "0:42:44.3", "+41:16:09")).code == 0
    assert (await command.run("select", "t1", "1,4", "7-9")).code == 0
    assert (await command.run("select", "file:///x.vot", "3", "--highlight")).code == 0
    url, point, hms, rows, row = (message.params for message in taken)
    assert url["url"] == path.as_uri()
    assert point == {"ra": "10.5", "dec": "-41.25"}
    assert float(str(hms["ra"])) == pytest.approx(10.6846, abs=1e-3)
    assert rows == {"table-id": "t1", "row-list": ["1", "4", "7", "8", "9"]}
    assert row == {"url": "file:///x.vot", "row": "3"}
    assert (await command.run("select", "t1", "9-7")).code == 2


async def test_open_refuses_what_is_not_data(command: Command, hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "x.fits").write_text("no")
    ended = await command.run("open", tmp_path / "x.fits")
    assert ended.code == 1
    assert "is not a VOTable, FITS, CDF or MOC file, but a text; convert it first" in ended.err


async def test_get_takes_a_table_or_the_next_one(command: Command, peer: Client, tmp_path: Path) -> None:
    path = tmp_path / "stars.vot"
    path.write_bytes(VOTABLE)
    asked = await handled(peer, "table.get.stil", result={"url": path.as_uri()})
    for name in ("one", "one.FITS"):
        assert (await command.run("get", "--from", "viewer", "-o", tmp_path / name)).code == 0
    assert [message.params["format"] for message in asked] == ["votable", "fits-basic"]
    assert (tmp_path / "one").read_bytes() == VOTABLE
    assert (await command.run("get", "-o", tmp_path / "none")).code == 3
    assert (await command.run("get", "-o", tmp_path / "none", "--next", "-W", "0.2")).code == 27
    async with command.start("get", "--next", "-o", tmp_path / "two") as get:
        assert (await command.run("wait", "table.load.votable", "-W", "30")).code == 0
        await peer.call_all("table.load.votable", {"url": path.as_uri()}).__anext__()
        assert (await get.end()).code == 0
    assert (tmp_path / "two").read_bytes() == VOTABLE


# ---- recordings


async def test_record_of_a_client_and_replay_as_it(command: Command, peer: Client, tmp_path: Path) -> None:
    """A script that talks to the player gets the answers that the recorded client gave."""
    counts = iter(range(1, 10))

    @peer.on("test.count")
    async def count(message: Message) -> dict[str, str]:
        return {"n": str(next(counts)), "of": str(message.params.get("what"))}

    await peer.settled()
    path = tmp_path / "session.jsonl"
    script = [{"what": "a"}, {"what": "b"}, {"what": "a"}]

    async def ask(name: str, client: Client) -> list[object]:
        other = await client.find(name, timeout=30)
        while not other.subscribes("test.count"):
            other = await client.find(name)
            await client.get_registered_clients()
        return [(await client.call(other, "test.count", params)).result for params in script]

    async with Client("script", lockfile=tmp_path / ".samp") as client:
        async with command.start("record", path, "--of", "viewer", "-C", "3") as recorder:
            was = await ask("viewer (recorded)", client)
            assert (await recorder.end()).code == 0
        await peer.unregister()
        async with command.start("replay", path, "--as", "viewer") as player:
            assert await ask("viewer", client) == was
            await player.end(signal.SIGINT)


async def test_record_of_all_has_the_answers_by_which_a_part_is_played(
    command: Command, peer: Client, tmp_path: Path
) -> None:
    @peer.on("test.add")
    async def add(message: Message) -> dict[str, str]:
        return {"sum": str(sum(int(str(number)) for number in message.params.values()))}

    await peer.settled()
    path = tmp_path / "session.jsonl"
    questions = [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    async with Client("script", lockfile=tmp_path / ".samp") as script:
        async with command.start("record", path, "-C", "4") as recorder:
            assert "recording into" in await recorder.remark()
            was = [(await script.call("viewer", "test.add", question)).result for question in questions]
            await script.notify("viewer", "test.add", {"a": "0"})
            await script.notify_all("test.all")
            assert (await recorder.end()).code == 0
        await peer.unregister()
        async with command.start("replay", path, "--as", "viewer") as player:
            player_view = await script.wait_for("viewer", timeout=30)
            async with script.messages("samp.hub.event.subscriptions") as changes, asyncio.timeout(30):
                while not player_view.subscribes("test.add"):
                    await anext(changes)
            again = [(await script.call("viewer", "test.add", question)).result for question in questions]
            assert again == was == [{"sum": "3"}, {"sum": "11"}]
            resent = await command.run("replay", path, "--speed", "0")
            assert resent.out == "sent 4 messages\n"
            await player.end(signal.SIGINT)
    lines = [json.loads(line) for line in (await asyncio.to_thread(path.read_text)).splitlines()]
    assert [line.get("to") for line in lines if "mtype" in line] == [["viewer"], ["viewer"], ["viewer"], None]


FLOOD = """
import asyncio, sys, time
from asyncsamp import Client, DirectConnection, Hub

async def main():
    hub = Hub(lockfile=sys.argv[1])
    async with hub, Client("sender", connection=DirectConnection(hub)) as sender:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        begun = time.process_time()
        for number in range(10_000):
            await sender.notify_all("test.load", {"n": str(number)})
        print(time.process_time() - begun, flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.mark.alone
async def test_record_loses_none_of_ten_thousand_within_a_second(command: Command, tmp_path: Path) -> None:
    """They come as fast as a hub can take them: nothing is between it and the sender."""
    command.measured = False  # which makes it slow
    path = tmp_path / "recorded.jsonl"
    flood = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", FLOOD, str(tmp_path / ".samp")),
        env=command.env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert flood.stdin is not None
    assert flood.stdout is not None
    try:
        assert await flood.stdout.readline() == b"ready\n"
        async with command.start("record", path, "-C", "10000") as recorder:
            assert "recording into" in await recorder.remark()
            flood.stdin.write(b"go\n")
            assert float(await flood.stdout.readline()) < 10  # of the processor's time, on a slow machine
            ended = await recorder.end()
    finally:
        await flood.communicate(b"end\n")
    assert (ended.code, ended.err) == (0, f"asyncsamp: 10000 messages are in {path}\n")
    recording = await asyncio.to_thread(read_recording, path)
    assert [m["params"]["n"] for m in recording.messages] == [str(number) for number in range(10_000)]


async def test_record_loses_none_of_ten_thousand_sent_at_once(command: Command, tmp_path: Path) -> None:
    command.measured = False  # which makes it slow
    sent, recorded = tmp_path / "sent.jsonl", tmp_path / "recorded.jsonl"
    messages = [{"t": 0, "mtype": "test.load", "params": {"n": str(number)}} for number in range(10_000)]
    sent.write_text("\n".join(map(json.dumps, [{"asyncsamp": 1}, *messages])))
    async with hub_process(tmp_path / ".samp"), command.start("record", recorded, "-C", "10000") as recorder:
        assert (await command.run("wait", "test.load", "-W", "30")).code == 0
        assert (await command.run("replay", sent, "--speed", "0")).code == 0
        assert (await recorder.end()).code == 0
    recording = await asyncio.to_thread(read_recording, recorded)
    assert [m["params"]["n"] for m in recording.messages] == [str(number) for number in range(10_000)]


# ---- the machine


async def test_doctor_is_content_with_a_good_hub(command: Command, peer: Client) -> None:
    found = json.loads((await command.run("doctor", "--json")).out)
    assert not [each for each in found if each["state"] == "wrong"]
    assert {"home folder", "lockfile", "hub", "callback", "client"} <= {each["what"] for each in found}


async def test_doctor_names_what_is_wrong_and_shows_no_secret(command: Command, tmp_path: Path) -> None:
    secret = "s3cret-of-the-hub"
    lockfile = tmp_path / ".samp"
    lockfile.write_text(
        f"samp.secret={secret}\nsamp.hub.xmlrpc.url=http://127.0.0.1:9/\nsamp.profile.version=1.3\n"
    )
    lockfile.chmod(0o644)
    ended = await command.run("doctor")
    assert ended.code == 1
    assert "can be read by others (mode 644)" in ended.out
    assert f"chmod 600 {lockfile}" in ended.out
    assert ended.out.count("no hub answers") == 1
    assert "cannot register" not in ended.out
    assert secret not in ended.out + ended.err


@pytest.mark.skipif(sys.platform != "linux", reason="what other programs look for is told on Linux only")
@pytest.mark.parametrize("here", [False, True])
async def test_doctor_finds_a_hub_under_another_home(command: Command, tmp_path: Path, here: bool) -> None:
    """It is what is wrong if there is none here."""
    other = Command(tmp_path / "other")
    other.home.mkdir()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(other.start("hub", "--no-web-profile"))
        assert (await running.line()).startswith("SAMP hub ready")
        if here:
            await stack.enter_async_context(Hub(lockfile=tmp_path / ".samp"))
        ended = await command.run("doctor", "--json")
        published = f"published in {other.home}/.samp"  # other tests have hubs elsewhere, too
        (found,) = [each for each in json.loads(ended.out) if published in each["text"]]
        assert (found["what"], found["state"]) == ("hub elsewhere", "note" if here else "wrong")
        assert (
            f"(pid {running.process.pid}, by HOME={other.home}) looks; this shell looks at " in found["text"]
        )
        assert found["advice"].endswith(f"export SAMP_HUB=std-lockurl:file://{other.home}/.samp")
        command.env["SAMP_HUB"] = found["advice"].partition("=")[2]
        assert (await command.run("list")).code == 0  # as the advice says
        again = json.loads((await command.run("doctor", "--json")).out)
        assert not [each for each in again if f"published in {other.home}/" in each["text"]]


async def test_doctor_says_where_samp_hub_leads(command: Command, hub: Hub, tmp_path: Path) -> None:
    command.env["SAMP_HUB"] = f"std-lockurl:file://{tmp_path}/none"
    ended = await command.run("doctor")
    assert ended.code == 1
    assert f"{tmp_path}/none, named by SAMP_HUB: no lockfile" in ended.out
    text = (
        f"SAMP_HUB: it names {tmp_path}/none, but a hub runs in {tmp_path}/.samp, which this shell does not"
    )
    assert text in ended.out
    assert "to use that one: unset SAMP_HUB" in ended.out
    assert "cannot register" not in ended.out, "the same fault once more"


@pytest.mark.alone
async def test_list_is_nearly_as_fast_as_importing_aiohttp(command: Command, tmp_path: Path) -> None:
    """With modules compiled, as pip leaves them; where the tests run, nothing may be written."""
    env = {**command.env, "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def seconds(*words: str) -> float:
        """Return the processor's time, which other programs disturb less than the clock's: best of three."""
        times = []
        for _ in range(3):
            process = subprocess.Popen([sys.executable, *words], env=env, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = status
            assert status == 0
            times.append(used.ru_utime + used.ru_stime)
        return min(times)

    async with hub_process(tmp_path / ".samp"):
        bare = await asyncio.to_thread(seconds, "-c", "import aiohttp")
        assert await asyncio.to_thread(seconds, "-m", "asyncsamp", "list") < bare + 0.5
