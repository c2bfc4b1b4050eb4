"""Whole synchronous programs: their end, Ctrl-C, forks, and what importing them starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asyncsamp import HubLostError
from asyncsamp.sync import Client, Hub

pytestmark = pytest.mark.timeout(120)


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=50)
    assert process.returncode == 0, output
    return output


def test_importing_asyncsamp_starts_nothing() -> None:
    assert finish(
        start(
            "import asyncsamp, sys, threading\n"
            "print([name for name in sys.modules if name.startswith(('asyncsamp.sync', 'asyncsamp.compat'))],"
            " threading.active_count())\n"
            "import asyncsamp.sync\n"
            "print(threading.active_count())\n"
        )
    ).split("\n")[:2] == ["[] 1", "1"]


def test_a_program_that_closes_nothing_unregisters_and_ends(hub: Hub) -> None:
    with Client("watcher") as watcher:
        leaving = watcher.messages("samp.hub.event.unregister", timeout=30)
        output = finish(
            start(
                "from asyncsamp.sync import Client\n"
                "client = Client('careless').register()\n"
                "client.on('test.x')(lambda message: None)\n"
                "stream = client.messages('test.y')\n"
                "print(client.public_id)\n"
            )
        )
        assert next(leaving).params["id"] == output.strip()
        leaving.close()


def test_a_hub_that_nobody_stops_takes_its_lockfile_away(tmp_path: Path) -> None:
    finish(
        start(
            "from asyncsamp.sync import Client, Hub\nhub = Hub().start()\nclient = Client('me').register()\n"
        )
    )
    assert not (tmp_path / "hub.samp").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize(
    "wait",
    [
        "for message in client.messages('test.never'): pass",
        "client.call(client.public_id, 'test.never', timeout=3000)",
        "client.receive_table()",
        "hub.serve_forever()",
    ],
)
def test_ctrl_c_ends_a_wait_at_once(wait: str) -> None:
    process = start(
        "import signal, threading\n"
        "from asyncsamp.sync import Client, Hub\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        "with Hub() as hub, Client('me') as client:\n"
        "    client.on('test.never')(lambda message: threading.Event().wait())\n"
        "    try:\n"
        "        print('ready', flush=True)\n"  # the signal may come before the wait begins
        f"        {wait}\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', client.registered)\n"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "interrupted True" in finish(process)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal cannot be given to a thread here")
def test_ctrl_c_that_the_system_gives_to_another_thread_ends_a_wait() -> None:
    """As one does that comes just before the wait begins: neither wakes the thread that waits."""
    process = start(
        "import signal, threading, time\n"
        "from asyncsamp.sync import Client, Hub\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with Hub() as hub, Client('me') as client:\n"
        "    @client.on('test.never')\n"
        "    def handle(message):\n"  # so the caller waits by now
        "        time.sleep(0.2)\n"
        "        signal.pthread_kill(threading.get_ident(), signal.SIGINT)\n"
        "        threading.Event().wait()\n"
        "    try:\n"
        "        client.call(client.public_id, 'test.never', timeout=3000)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', client.registered)\n"
    )
    assert "interrupted True" in finish(process)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_says_what_was_lost_and_has_a_loop_of_its_own(hub: Hub) -> None:
    output = finish(
        start(
            "import os\n"
            "from asyncsamp.sync import Client, ForkedError\n"
            "client = Client('parent').register()\n"
            "stream = client.messages('test.x')\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    for work in (client.get_registered_clients, client.unregister):\n"
            "        try:\n"
            "            work()\n"
            "        except ForkedError as error:\n"
            "            print(error, error.pid == os.getppid())\n"
            "    with Client('child') as own:\n"
            "        print(sorted(c.name for c in own.get_clients()), flush=True)\n"
            "else:\n"
            "    print(os.waitpid(child, 0)[1], client.registered, len(client.get_registered_clients()))\n"
            "    client.unregister()\n"
        )
    )
    assert output.count("belongs to process") == 2
    assert output.count("True") == 3
    assert "['Hub', 'parent']" in output
    assert "0 True 1" in output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_workers_of_multiprocessing_have_clients_of_their_own(hub: Hub) -> None:
    output = finish(
        start(
            "import multiprocessing\n"
            "from asyncsamp.sync import Client\n"
            "def work(number):\n"
            "    with Client(f'worker {number}') as client:\n"
            "        return client.get_metadata(client.public_id)['samp.name']\n"
            "if __name__ == '__main__':\n"
            "    with Client('parent') as client:\n"
            "        context = multiprocessing.get_context('fork')\n"
            "        with context.Pool(2) as pool:\n"
            "            print(pool.map(work, range(3)))\n"
        )
    )
    assert output.strip() == "['worker 0', 'worker 1', 'worker 2']"


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-i", "-q"],
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
    ],
    ids=["python", "IPython"],
)
def test_it_works_at_a_prompt(hub: Hub, tmp_path: Path, command: list[str]) -> None:
    """Line by line; the end of the input ends the program, and its client leaves."""
    typed = (
        "from asyncsamp.sync import Client\n"
        "client = Client('typed').register()\n"
        "@client.on('test.ask')\n"
        "def ask(message):\n"
        "    return {'it': 'works'}\n"
        "\n"
        "with Client('other') as other:\n"
        "    print(other.call('typed', 'test.ask', timeout=30).result['it'], 'here')\n"
        "\n"
    )
    with Client("watcher") as watcher, watcher.messages("samp.hub.event.unregister", timeout=30) as leaving:
        done = subprocess.run(
            command,
            input=typed,
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
            env={**os.environ, "IPYTHONDIR": str(tmp_path)},
        )
        assert "works here" in done.stdout, done.stdout + done.stderr
        assert len({next(leaving).params["id"], next(leaving).params["id"]}) == 2


def test_a_function_at_exit_may_use_the_client_or_is_told_that_it_is_too_late(hub: Hub) -> None:
    """What is registered after the client was made runs before it leaves, and what was before, afterwards."""
    output = finish(
        start(
            "import atexit\n"
            "from asyncsamp.sync import Client\n"
            "def late():\n"
            "    try:\n"
            "        client.get_registered_clients()\n"
            "    except RuntimeError as error:\n"
            "        print(error)\n"
            "atexit.register(late)\n"
            "client = Client('me').register()\n"
            "atexit.register(lambda: print(len(client.get_registered_clients()), 'there'))\n"
        )
    )
    assert output == "1 there\nthe event loop of asyncsamp.sync has ended with the program\n"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_hub_that_is_killed_ends_the_wait(tmp_path: Path) -> None:
    hub = start(
        "from asyncsamp.sync import Hub\n"
        "with Hub() as hub:\n"
        "    print('ready', flush=True)\n"
        "    hub.serve_forever()\n"
    )
    assert hub.stdout is not None
    try:
        assert hub.stdout.readline() == "ready\n"
        with Client("me", reconnect=False) as me, Client("silent", reconnect=False) as silent:
            silent.on("test.silent")(lambda message: hub.kill())
            with pytest.raises(HubLostError):
                me.call(silent.public_id, "test.silent", timeout=50)
    finally:
        hub.kill()
        hub.communicate()
