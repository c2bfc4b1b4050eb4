"""Secrets and private keys stay where they belong: in no log, fault, repr, traceback, URL or metadata."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from asyncsamp import Client, DirectConnection, Hub, HubFaultError, SampError, xmlrpc
from asyncsamp.hub.operations import OPERATIONS
from asyncsamp.lockfile import parse_lockfile

from .raw import post, register, stranger


async def test_no_secret_is_ever_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    async with Hub(lockfile=tmp_path / "hub.samp") as hub, Client("one", lockfile=hub.lockfile) as client:
        text = (tmp_path / "hub.samp").read_text()
        lockfile = parse_lockfile(text, "hub.samp")
        key, _ = await register(hub, "http://127.0.0.1:9/path-of-its-own", **{"a.b": {}})
        await client.get_clients()
        # Every operation with wrong parameters, a wrong key, and too few.
        for method in (*OPERATIONS, "register", "ping", "setXmlrpcCallback", "nonsense"):
            for params in ([key], [key, "x"], [key, key, key, key], [key + "x"], [lockfile.secret], []):
                if method == "unregister" and params == [key]:
                    continue
                request = post(xmlrpc.dump_call(f"samp.hub.{method}", list(params)))
                answer = xmlrpc.load_response((await stranger(hub, request))[1])
                if isinstance(answer, xmlrpc.Fault):
                    told.append(answer.text.replace(repr(key), "").replace(repr(lockfile.secret), ""))
        for failing in (client.notify("nobody", "a.b"), client.call("hub", "a.b"), client.get_metadata("x")):
            try:
                await failing
            except SampError as error:
                told += [repr(error), "".join(traceback.format_exception(error))]
        for thing in (
            hub,
            client,
            client._connection,
            DirectConnection(hub),
            hub.engine,
            hub._standard,
            lockfile,
        ):
            told += [repr(thing), str(thing)]
        for who in await client.get_registered_clients():
            told += [str(await client.get_metadata(who)), str(await client.get_subscriptions(who))]
        told += [hub.url, client._connection.url]
        keys = [*hub._standard._clients, lockfile.secret]
    caplog.set_level(logging.DEBUG)
    told.append(caplog.text)
    assert len(told) > 60
    assert len(keys) >= 3
    for one in keys:
        assert not [words for words in told if one in words]


async def test_a_client_does_not_hand_out_its_environment(tmp_path: Path) -> None:
    """Failure 13 of other libraries: every client answers client.env.get with its environment variables."""
    lockfile = tmp_path / "hub.samp"
    async with (
        Hub(lockfile=lockfile),
        Client("one", lockfile=lockfile) as one,
        Client("two", lockfile=lockfile) as two,
    ):
        await one.get_clients()
        assert "client.env.get" not in await two.get_subscriptions(one.public_id)
        with pytest.raises(HubFaultError, match=r"does not subscribe to 'client\.env\.get'"):
            await two.call(one.public_id, "client.env.get", {"name": "HOME"})
