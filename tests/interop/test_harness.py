"""The harness itself, against peers that are not ours: what fails here is not our code's fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from .peers import (
    PeerError,
    PeerFaultError,
    jsamp_hub,
    ok,
    process,
    python_hub,
    raw_ds9,
    scripted_peer,
)

VALUE = ' "quoted" \\ back\tslash <&>\n '


async def test_scripted_peers_talk_on_jsamps_hub(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        jsamp_hub(lockfile, tmp_path),
        scripted_peer("pyvo", lockfile, tmp_path) as peer,
        scripted_peer("jsamp", lockfile, tmp_path) as other,
    ):
        await other.ask("declare_subscriptions", {"test.*": {}})
        await peer.ask("declare_subscriptions", {"test.echo": {"x": "y"}})
        message = {"samp.mtype": "test.echo", "samp.params": {"k": VALUE}}
        await peer.ask("call", other.id, "tag", message)
        assert (await other.event("call")).message["samp.params"] == {"k": VALUE}
        assert (await peer.event("response")).message["samp.result"] == {"k": VALUE}
        response = await other.ask("call_and_wait", peer.id, message, "30")
        assert response["samp.status"] == "samp.ok"
        await other.ask("notify_all", message)
        assert (await peer.event("notification")).sender == other.id
        with pytest.raises(PeerFaultError):
            await peer.ask("get_metadata", "nobody")


@pytest.mark.parametrize("kind", ["pyvo", "astropy"])
async def test_scripted_peers_talk_on_a_python_hub(kind: str, tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        python_hub(kind, lockfile, tmp_path),
        scripted_peer(kind, lockfile, tmp_path) as peer,
        scripted_peer("jsamp", lockfile, tmp_path) as other,
    ):
        assert other.id in await peer.ask("get_registered_clients")
        await peer.ask("declare_subscriptions", {"test.echo": {}})
        message = {"samp.mtype": "test.echo", "samp.params": {"k": VALUE}}
        assert (await other.ask("call_and_wait", peer.id, message, "30"))["samp.result"] == {"k": VALUE}


async def test_the_raw_peer_is_understood_by_jsamps_hub(tmp_path: Path) -> None:
    lockfile = tmp_path / "hub.samp"
    async with (
        jsamp_hub(lockfile, tmp_path),
        scripted_peer("jsamp", lockfile, tmp_path) as other,
        raw_ds9(lockfile, lambda message: ok({"value": message["samp.params"]["cmd"]})) as raw,
    ):
        message = {"samp.mtype": "ds9.get", "samp.params": {"cmd": "version"}}
        response = await other.ask("call_and_wait", raw.public_id, message, "30")
        assert response["samp.result"] == {"value": "version"}
        assert [method for method, _ in await raw.wait_for(1)] == ["samp.client.receiveCall"]


async def test_a_failure_shows_what_the_peer_printed(tmp_path: Path) -> None:
    async with process(["sh", "-c", "echo out; echo err >&2; exit 3"], name="sh", home=tmp_path) as peer:
        with pytest.raises(PeerError, match=r"(?s)sh \(pid \d+\) ended with exit code 3.*out.*err"):
            await peer.succeed(30)
    async with process(["sh", "-c", "echo out"], name="sh", home=tmp_path) as peer:
        with pytest.raises(PeerError, match="gave no line with 'never'"):
            await peer.line("never")


async def test_a_peer_that_ignores_sigterm_is_ended(tmp_path: Path) -> None:
    async with process(["sh", "-c", "trap '' TERM; echo up; cat"], name="sh", home=tmp_path) as peer:
        await peer.line("up")
        await peer.end(grace=0.1)
    assert await peer.exit(30) == -9
