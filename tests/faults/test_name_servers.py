"""A callback host that no name server answers for: nobody else notices.

In a mount and network namespace of its own, whose name server is a socket that never answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from ..installed import skip_or_fail

ROOT = Path(__file__).parents[2]

SILENT = """
import asyncio, json, socket, sys, time
from pathlib import Path
from asyncsamp import Client, Hub
from tests.aio.raw import register

async def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    clock, seen = time.monotonic, {}
    async with Hub(lockfile=Path(sys.argv[1])) as hub, Client("well", lockfile=hub.lockfile) as well:
        for number in range(40):
            await register(hub, f"http://host{number}.example.org:1234/", **{"a.b": {}})
        async with well.messages("a.b") as stream, Client("sender", lockfile=hub.lockfile) as sender:
            assert len(await sender.notify_all("a.b", {"n": 0})) == 41
            server.recv(100)  # the name server was asked
            begun = clock()
            await asyncio.to_thread(int)
            seen["executor"] = clock() - begun
            begun = clock()
            await sender.notify(well.public_id, "a.b", {"text": "x" * 300_000})
            assert (await anext(stream)).params["n"] == "0"
            assert len((await anext(stream)).params["text"]) == 300_000
            seen["large message"] = clock() - begun
            begun = clock()
            await well.declare_metadata({"x.large": "y" * 300_000})
            seen["metadata"] = clock() - begun
    print(json.dumps(seen), flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
@pytest.mark.usefixtures("as_root")
@pytest.mark.both_loops
@pytest.mark.alone
async def test_a_callback_host_that_is_never_found_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:10 attempts:1\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    mounts = "".join(
        f"touch /etc/{name}; mount --bind '{tmp_path / name}' /etc/{name}; "
        for name in ("resolv.conf", "nsswitch.conf")
    )
    script = f'set -e; ip link set lo up; {mounts} exec "$0" -c "$1" "$2"'
    running = await asyncio.create_subprocess_exec(
        *(
            "unshare",
            "--mount",
            "--net",
            "sh",
            "-c",
            script,
            sys.executable,
            SILENT,
            str(tmp_path / "hub.samp"),
        ),
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert running.stdout is not None
    seen = json.loads(await running.stdout.readline() or b"{}")
    begun = asyncio.get_running_loop().time()
    _, errors = await running.communicate()
    if b"Operation not permitted" in errors:
        skip_or_fail("namespaces are not allowed here")
    assert running.returncode == 0, errors.decode()
    seen["end"] = asyncio.get_running_loop().time() - begun
    assert max(seen.values()) < 4.0, seen
    assert len(seen) == 4
