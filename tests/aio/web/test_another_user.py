"""Another user of the machine is refused by the port, whatever Origin he claims to have."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from asyncsamp import OriginStore, allow_origins
from asyncsamp._util.socket_table import Ends, another_user, user_in_table

from .. import users
from ..users import LINUX, ROOT
from ..webpage import ORIGIN, WebHub, web_hub

NOBODY = str(users.NOBODY)

REGISTER = """
import encodings.idna, http.client, os, socket, sys, xmlrpc.client
host, port, origin, user = sys.argv[1:]
body = xmlrpc.client.dumps(({"samp.name": "page"},), "samp.webhub.register")
if user:
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
connection = http.client.HTTPConnection("127.0.0.1", int(port))
connection.sock = socket.create_connection((host, int(port)))
connection.request("POST", "/", body, {"Origin": origin, "Content-Type": "text/xml"})
print(connection.getresponse().read().decode())
"""


async def register_as(user: str, hub: WebHub, host: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", REGISTER, host, str(hub.port), ORIGIN, user),
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    return answer.decode()


@LINUX
@ROOT
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("allowed", ["always", "listed"])
async def test_an_allowed_origin_does_not_let_another_user_in(
    allowed: str, host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = OriginStore()
    if allowed == "always":
        await store.add(ORIGIN)
    consent = allow_origins([ORIGIN] if allowed == "listed" else [])
    async with web_hub(tmp_path, consent=consent, store=store) as hub:
        answer = await register_as(NOBODY, hub, host)
        assert "another user of this machine" in answer
        assert "samp.private-key" not in answer
        assert caplog.text.count(f"user {NOBODY} of this machine") == 1
        assert "samp.private-key" in await register_as("", hub, host)


@LINUX
async def test_our_own_programs_and_who_cannot_be_found_are_not_refused() -> None:
    peer, ours = ("127.0.0.1", 1), ("127.0.0.1", 2)  # nobody has these
    assert await another_user(Ends(peer, ours)) is None
    assert await another_user(None) is None


@pytest.mark.skipif(sys.byteorder != "little", reason="the lines are of a little-endian machine")
def test_the_tables_are_read_for_the_peers_socket_alone() -> None:
    ends = Ends(("127.0.0.1", 50000), ("127.0.0.1", 21012))
    rest = "01 00000000:00000000 00:00000000 00000000"
    head = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    )
    theirs = f"   1: 0100007F:C350 0100007F:5214 {rest}  1001        0 77 1\n"
    hubs = f"   0: 0100007F:5214 0100007F:C350 {rest}  1000        0 76 1\n"
    assert user_in_table(head + hubs + theirs, ends) == 1001
    assert user_in_table(head + hubs + "   1: cut off\n", ends) is None
    mapped = "0000000000000000FFFF00000100007F"
    assert user_in_table(f"   0: {mapped}:C350 {mapped}:5214 {rest}  1002  0 7 1\n", ends) == 1002
    loop = "00000000000000000000000001000000"
    ends = Ends(("::1", 50000), ("::1", 21012))
    assert user_in_table(f"   0: {loop}:C350 {loop}:5214 {rest}  1003  0 7 1\n", ends) == 1003
