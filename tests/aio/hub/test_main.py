"""`python -m asyncsamp.hub`, as a process that a user starts and a signal stops."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import asyncsamp
from asyncsamp._util.signals import stop_on_signals
from asyncsamp.discovery.reading import PING_TIMEOUT
from asyncsamp.hub import Hub
from asyncsamp.hub.__main__ import main
from asyncsamp.lockfile import parse_lockfile
from asyncsamp.values import ValueMap

from ...installed import require_module
from ..callees import Callee
from ..raw import call, ping_works

SECONDS = 40.0
NOTE: ValueMap = {"samp.mtype": "test.note", "samp.params": {}}
COMMAND = (sys.executable, "-m", "asyncsamp.hub", "--no-web-profile")
READY = re.compile(r"SAMP hub ready at (http://127\.0\.0\.1:[0-9]+/xmlrpc), lockfile (.*)\n")

pytestmark = pytest.mark.timeout(150)  # each test starts programs, and a busy machine is slow at that


@dataclass
class Running:
    """A hub process that has said that it is ready."""

    process: asyncio.subprocess.Process
    ready: str
    url: str
    lockfile: Path

    @property
    def gone(self) -> bool:
        return self.process.returncode is not None

    async def secret(self) -> str:
        return parse_lockfile(await asyncio.to_thread(self.lockfile.read_text)).secret

    async def join(self, callback: str = "", *mtypes: str) -> tuple[str, str]:
        """Register; return key and public id."""
        registered = await call(self.url, "register", await self.secret())
        assert isinstance(registered, dict)
        key = str(registered["samp.private-key"])
        if callback:
            await call(self.url, "setXmlrpcCallback", key, callback)
        await call(self.url, "declareSubscriptions", key, {mtype: {} for mtype in mtypes})
        return key, str(registered["samp.self-id"])

    async def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return exit code and all that the hub has said since it was ready."""
        if not self.gone:
            self.process.send_signal(number)
        return await self.over()

    async def over(self) -> tuple[int, str]:
        async with asyncio.timeout(SECONDS):
            out, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, (out + errors).decode()


async def spawn(*arguments: str, command: tuple[str, ...] = COMMAND) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


@asynccontextmanager
async def running(*arguments: str, command: tuple[str, ...] = COMMAND) -> AsyncIterator[Running]:
    """Run a hub until the end of the block."""
    process = await spawn(*arguments, command=command)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(SECONDS):
            ready = (await process.stdout.readline()).decode()
        match = READY.fullmatch(ready)
        assert match, ready
        yield Running(process, ready, match[1], Path(match[2]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def failed(*arguments: str) -> tuple[int, str]:
    """Run a hub that does not come up; return exit code and what it says, which is all on stderr."""
    process = await spawn(*arguments)
    async with asyncio.timeout(SECONDS):
        out, errors = await process.communicate()
    assert out == b""
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def exists(path: Path) -> bool:
    return await asyncio.to_thread(path.exists)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.samp"


class TestOfTheUsers:
    """Nothing of the user's is overwritten, and nothing is made outside of the home."""

    @pytest.mark.parametrize("variable", [False, True])
    async def test_a_file_that_is_not_a_lockfile_is_refused_and_untouched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
    ) -> None:
        thesis = tmp_path / "thesis.txt"
        await asyncio.to_thread(thesis.write_text, "Chapter 1\n")
        if variable:
            monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{thesis}")
        code, said = await failed(*([] if variable else ["--lockfile", str(thesis)]))
        assert code == 1
        assert f"cannot use the SAMP lockfile {thesis}: it is not a SAMP lockfile, so it is left" in said
        assert await asyncio.to_thread(thesis.read_text) == "Chapter 1\n"
        assert await asyncio.to_thread(os.listdir, tmp_path) == ["thesis.txt"]

    async def test_a_home_that_is_missing_is_not_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "nonexistent"))
        for arguments in ([], ["--multiple"]):
            code, said = await failed(*arguments)
            assert code == 1
            assert "create the folder" in said
        assert await asyncio.to_thread(os.listdir, tmp_path) == []


class TestReady:
    @pytest.mark.usefixtures("hangups_end")
    async def test_one_line_says_where_it_is_and_no_secret(self, path: Path) -> None:
        async with running("--lockfile", str(path)) as hub:
            secret = await hub.secret()
            assert secret not in hub.ready
            assert hub.lockfile == path
            await ping_works(hub.url)
            assert await hub.end(signal.SIGHUP) == (0, "")  # by default nothing but warnings is said

    async def test_without_a_word_it_takes_the_home_folder(self, tmp_path: Path) -> None:  # STD-51
        async with running() as hub:
            assert hub.lockfile == tmp_path / ".samp"
            await ping_works(hub.url)

    async def test_it_honours_samp_hub(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # STD-50
        monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://localhost{path}")
        async with running() as hub:
            assert hub.lockfile == path
            assert await exists(path)

    async def test_an_argument_goes_before_samp_hub(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SAMP_HUB", "std-lockurl:http://127.0.0.1:9/not-this")
        async with running("--lockfile", str(path)) as hub:
            assert hub.lockfile == path

    async def test_port_and_label_can_be_chosen(self, path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        async with running("--lockfile", str(path), "--port", str(port), "--label", "mine") as hub:
            assert hub.url == f"http://127.0.0.1:{port}/xmlrpc"
            assert "hub.label=mine\n" in await asyncio.to_thread(path.read_text)
            key, _ = await hub.join()
            metadata = await call(hub.url, "getMetadata", key, "hub")
            assert isinstance(metadata, dict)
            assert metadata["samp.description.text"] == "asyncsamp hub 'mine'"

    async def test_several_hubs_have_files_of_their_own(self, tmp_path: Path) -> None:  # STD-67
        async with running("--multiple") as one, running("--multiple") as two:
            assert one.lockfile != two.lockfile
            for hub in (one, two):
                assert hub.lockfile.parent == tmp_path / ".samp-1"
                assert hub.lockfile.name.startswith("samp-hub-")
                await ping_works(hub.url)
            await two.end()
            assert not await exists(two.lockfile)
            await ping_works(one.url)

    async def test_several_hubs_go_where_samp_hub_says(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SAMP_HUB", f"std-lockurl:file://{path}")
        async with running("--multiple") as hub:
            assert hub.lockfile == path

    @pytest.mark.alone
    async def test_it_is_ready_half_a_second_after_aiohttp_is_imported(self, path: Path) -> None:
        async def seconds(work: str) -> float:
            begun = time.monotonic()
            if work == "hub":
                async with running("--lockfile", str(path)):
                    return time.monotonic() - begun
            process = await spawn(command=(sys.executable, "-c", "import aiohttp"))
            await process.communicate()
            return time.monotonic() - begun

        # The best of some, turn by turn: other work on the machine only adds.
        times: list[tuple[float, float]] = []
        for _ in range(10):
            times.append((await seconds("import"), await seconds("hub")))
            if min(hub for _, hub in times) - min(bare for bare, _ in times) < 0.5:
                return
        raise AssertionError(times)

    @pytest.mark.alone
    async def test_an_idle_one_does_nothing(self, path: Path) -> None:
        async with running("--lockfile", str(path)) as hub, Callee() as callee:
            key, client = await hub.join(callee.url, "test.note")
            for _ in range(20):
                await call(hub.url, "notify", key, client, NOTE)
            await callee.until(20)
            await self.wakes(hub.process, 0.5)  # it settles
            assert await self.wakes(hub.process, 1.0) < 10  # the look at its lockfile may fall into it

    @staticmethod
    async def wakes(process: asyncio.subprocess.Process, seconds: float) -> int:
        """Return how often any thread of the process came to wait anew within that time."""

        def count() -> int:
            statuses = Path(f"/proc/{process.pid}/task").glob("*/status")
            counts = (re.findall(r"\nvoluntary_ctxt_switches:\s*(\d+)", one.read_text()) for one in statuses)
            return sum(int(number) for numbers in counts for number in numbers)

        before = await asyncio.to_thread(count)
        assert process.stdout is not None
        with pytest.raises(TimeoutError):  # it says nothing meanwhile
            await asyncio.wait_for(process.stdout.readline(), seconds)
        return await asyncio.to_thread(count) - before


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.alone
    async def test_a_signal_stops_it_whatever_the_clients_do(
        self, path: Path, number: signal.Signals
    ) -> None:
        hanging = asyncio.Event()

        async def answer(method: str, params: object) -> bytes:
            await hanging.wait()
            return b""

        async with running("--lockfile", str(path)) as hub, Callee() as bad, Callee() as good:
            secret = await hub.secret()
            bad.answer = answer
            key, client = await hub.join(bad.url, "test.note", "samp.hub.event.shutdown")
            await hub.join(good.url, "samp.hub.event.shutdown")
            for _ in range(3):  # patience is over with one, and still two more are to come
                await call(hub.url, "call", key, client, "t", NOTE)
            await bad.until(1)
            begun = time.monotonic()
            hub.process.send_signal(number)
            await good.until(1)
            code, said = await hub.end(signal.SIGINT)  # a second one does not break the first
            assert time.monotonic() - begun < 10
            assert code == 0
            assert "Traceback" not in said
            assert secret not in said
            assert not await exists(path)
            (shutdown,) = good.received
            assert shutdown[1][2] == {"samp.mtype": "samp.hub.event.shutdown", "samp.params": {}}
            hanging.set()

    async def test_idle_it_stops_by_itself(self, path: Path) -> None:
        async with running("--lockfile", str(path), "--timeout", "0.1") as hub:
            assert await hub.over() == (0, "")
            assert not await exists(path)

    async def test_idle_clients_are_told_to_go(self, path: Path) -> None:
        async with running("--lockfile", str(path), "--client-timeout", "3") as hub, Callee() as callee:
            _, client = await hub.join(callee.url, "samp.hub.disconnect")
            received = await callee.until(1)
            assert "idle for 3 s" in str(received[0])
            assert f"client {client} is removed: idle for 3 s" in (await hub.end())[1]

    async def test_a_log_of_everything_holds_no_secret(self, path: Path) -> None:  # HUB-71
        async with running("--lockfile", str(path), "--log-level", "DEBUG") as hub, Callee() as callee:
            secret = await hub.secret()
            key, client = await hub.join(callee.url, "test.note")
            await call(hub.url, "notify", key, client, NOTE)
            await callee.until(1)
            code, said = await hub.end()
            assert code == 0
            assert "INFO asyncsamp.hub: hub started at" in said
            assert secret not in said
            assert key not in said

    async def test_the_log_can_be_turned_off(self, path: Path) -> None:
        async with running("--lockfile", str(path), "--log-level", "off") as hub:
            await hub.join("http://192.0.2.1:9/")
            assert await hub.end() == (0, "")


class TestNoStart:
    async def test_another_hub_is_named(self, path: Path) -> None:  # HUB-1
        async with running("--lockfile", str(path)) as hub:
            port = hub.url.partition("127.0.0.1:")[2].partition("/")[0]
            for more in ([], ["--port", port]):
                code, said = await failed("--lockfile", str(path), *more)
                assert code == 1
                assert said == (
                    f"asyncsamp.hub: a SAMP hub is already running at {hub.url} (lockfile {path}): "
                    "'Hub', 'asyncsamp hub'; use that one, as every client does by itself, or stop it in its "
                    "program (many have a menu for it), or start another beside it: "
                    "'python -m asyncsamp.hub --multiple', or Hub(lockfile=...)\n"
                )
            await ping_works(hub.url)

    async def test_a_port_that_is_taken_is_named(self, path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, said = await failed("--lockfile", str(path), "--port", str(port))
        assert code == 1
        assert said == f"asyncsamp.hub: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
        assert not await exists(path)

    @pytest.mark.alone
    async def test_a_signal_that_comes_during_the_start_is_heard(self, path: Path) -> None:
        """A lockfile that names a server which never answers: the start waits for it for seconds."""
        accepted = asyncio.Event()

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(never, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        lines = f"samp.secret=x\nsamp.hub.xmlrpc.url=http://127.0.0.1:{port}/\n"
        await asyncio.to_thread(path.write_text, lines)
        process = await spawn("--lockfile", str(path))
        async with asyncio.timeout(SECONDS):
            await accepted.wait()
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            out, errors = await process.communicate()
        assert time.monotonic() - begun < PING_TIMEOUT - 0.5
        assert (process.returncode, out, errors) == (0, b"", b"")
        assert await asyncio.to_thread(path.read_text) == lines
        server.close()
        await server.wait_closed()


class TestMain:
    """What needs no process of its own."""

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--port", "99999"], "'99999' is not a valid port number (0 to 65535)"),
            (["--port", "-1"], "'-1' is not a valid port number"),
            (["--port", "x"], "'x' is not a valid port number"),
            (["--port", "\u0663"], "is not a valid port number"),
            (["--timeout", "-1"], "'-1' is not a number of seconds (0 for never)"),
            (["--timeout", "nan"], "'nan' is not a number of seconds"),
            (["--client-timeout", "inf"], "'inf' is not a number of seconds"),
            (["--client-timeout", "soon"], "'soon' is not a number of seconds"),
            (["--log-level", "loud"], "invalid choice: 'loud'"),
            (["--lockfile"], "expected one argument"),
            (["--nonsense"], "unrecognized arguments: --nonsense"),
            (["--reach-lable", "x"], "arguments: --reach-lable x; did you mean '--reach-label'?"),
        ],
    )
    def test_wrong_arguments_are_named(
        self, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
        assert says in capsys.readouterr().err

    def test_it_says_its_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["--version"])
        assert end.value.code == 0
        assert capsys.readouterr().out == f"asyncsamp {asyncsamp.__version__}\n"

    def test_its_help_names_all_options(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["--help"])
        assert end.value.code == 0
        out = capsys.readouterr().out
        for option in ("lockfile", "host", "port", "label", "multiple", "timeout", "client-timeout"):
            assert f"--{option}" in out
        assert "--log-level" in out
        assert "--version" in out

    @pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
    def test_it_runs_on_uvloop_where_it_is_installed(
        self, tmp_path: Path, loop: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loops: list[str] = []
        start = Hub.start

        async def starting(hub: Hub) -> Hub:
            loops.append(type(asyncio.get_running_loop()).__module__.partition(".")[0])
            return await start(hub)

        monkeypatch.setattr(Hub, "start", starting)
        if loop == "asyncio":
            monkeypatch.setitem(sys.modules, "uvloop", None)
        else:
            require_module("uvloop", "uvloop>=0.19")
        assert main(["--multiple", "--port", "0", "--timeout", "0.01", "--no-web-profile"]) == 0
        assert loops == [loop]
        ready = READY.fullmatch(capsys.readouterr().out)
        assert ready
        assert Path(ready[2]).parent == tmp_path / ".samp-1"
        assert not Path(ready[2]).exists()

    @pytest.mark.parametrize(
        ("variable", "arguments", "says"),
        [
            ("std-lockurl:http://127.0.0.1:9/x", [], "a hub cannot write to a URL that is not a file's"),
            ("jsamp-class:x", [], "asyncsamp knows nothing of 'jsamp-class'"),
            ("jsamp-class:x", ["--multiple"], "asyncsamp knows nothing of 'jsamp-class'"),
            ("", ["--label", "\u00e9"], "metadata['samp.description.text'] has the character"),
            ("", ["--label", "a=b"], "the value of hub.label in a lockfile must not hold '='"),
            ("", ["--host", "no..host"], "cannot listen on 'no..host': "),
            ("", ["--lockfile", "/proc/no/x.samp"], "it cannot be written"),
        ],
    )
    def test_why_it_does_not_start_is_said_in_one_line(
        self,
        variable: str,
        arguments: list[str],
        says: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(sys.modules, "uvloop", None)  # coverage cannot follow errors through it
        if variable:
            monkeypatch.setenv("SAMP_HUB", variable)
        assert main([*arguments, "--no-web-profile"]) == 1
        out, errors = capsys.readouterr()
        assert out == ""
        assert errors.startswith("asyncsamp.hub: ")
        assert says in errors
        assert errors.count("\n") == 1

    async def test_without_signals_in_the_loop_the_plain_way_has_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = asyncio.get_running_loop()

        def none(*_: object) -> None:
            raise NotImplementedError

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        hangup = signal.getsignal(signal.SIGHUP)
        monkeypatch.setattr(loop, "add_signal_handler", none)
        monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
        stop = asyncio.Event()
        try:
            assert stop_on_signals(loop, stop) == []
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(stop.wait(), 30)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        monkeypatch.undo()
        assert signal.getsignal(signal.SIGHUP) == hangup
