"""asyncsamp.client.validation: what users give is checked, and the error says where and what to do."""

from __future__ import annotations

import asyncio
import functools
from typing import Any
from unittest.mock import AsyncMock

import pytest

from asyncsamp import Client
from asyncsamp.client.tracker import RemoteClient
from asyncsamp.client.validation import (
    check_handler,
    check_patterns,
    check_progress,
    check_timeout,
    may_wait,
    message_map,
    public_id,
    taking,
)
from asyncsamp.errors import LocalProtocolError
from asyncsamp.mtypes import CoordPointAtSky
from asyncsamp.values import Message, Response


async def handler(message: Message) -> None: ...


def plain(message: Message) -> None: ...


class Awaited:
    async def __call__(self, message: Message) -> None: ...

    async def method(self, message: Message) -> None: ...


@pytest.mark.parametrize(
    "good",
    [handler, Awaited(), Awaited().method, functools.partial(handler)],
    ids=lambda good: type(good).__name__,
)
def test_handlers(good: object) -> None:
    check_handler(good)


@pytest.mark.parametrize(
    ("bad", "name", "meant"),
    [
        (plain, "plain", "plain"),
        (lambda message: None, "<lambda>", "handle"),
        (None, "None", "None"),
        ("text", "'text'", "handle"),
        (Awaited, "Awaited", "Awaited"),
    ],
)
def test_what_is_no_coroutine_function(bad: object, name: str, meant: str) -> None:
    with pytest.raises(TypeError) as caught:
        check_handler(bad)
    assert str(caught.value) == (
        f"the handler {name} must be a coroutine function: write 'async def {meant}(message):'"
    )


@pytest.mark.parametrize("handler", [plain, lambda message: 1, handler, functools.partial(plain)])
def test_a_handler_among_the_mtypes(handler: Any) -> None:
    with pytest.raises(
        LocalProtocolError, match="is not a valid mtype but a function: a handler comes after"
    ):
        Client("client").on("x-a", handler)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "'' is not the name of a client: give one by which others find it, as in Client('my tool')"),
        (" ", "' ' is not the name of a client"),
        (None, "None is not the name of a client"),
        (
            "Gr\u00f6\u00dfe",
            "the client's name 'Gr\u00f6\u00dfe' cannot go out, since SAMP has only ASCII: take 'Groesse',",
        ),
        (
            "\u65e5\u672c",
            "the client's name '\u65e5\u672c' cannot go out, since SAMP has only ASCII: take another",
        ),
    ],
)
def test_names_that_a_client_cannot_have(name: Any, text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        Client(name)
    assert str(caught.value).startswith(text)


def test_what_a_client_is_made_of() -> None:
    limits: Any = {"call_timeout": 5}
    with pytest.raises(TypeError, match=r"^limits= is a dict; expected Limits\(\.\.\.\)"):
        Client("x", limits=limits)
    metadata: Any = ["author"]
    with pytest.raises(
        LocalProtocolError, match=r"^metadata must be a mapping of names to values, not list$"
    ):
        Client("x", metadata=metadata)


def test_on_progress_is_called_and_not_awaited() -> None:
    check_progress(None)
    check_progress(plain)
    with pytest.raises(TypeError) as caught:
        check_progress(handler)
    assert str(caught.value) == (
        "on_progress is called, not awaited: write 'def handler(message):', without async"
    )


@pytest.mark.parametrize(
    ("mtype", "params", "text"),
    [
        ("a.b", {"a": None}, "params['a'] is of type NoneType; SAMP knows strings, lists and maps"),
        ("a.b", {"a": [{"b": b"x"}]}, "params['a'][0]['b'] is of type bytes"),
        ("a.b", {"a": float("nan")}, "params['a'] is nan; SAMP has no NaN and no infinity"),
        ("a.b", {"a": float("inf")}, "params['a'] is inf"),
        ("a.b", {"name": "café"}, "params['name'] has the character 'é' at position 3"),
        ("a.b", {"é": "x"}, "the key 'é' of params has the character 'é'"),
        ("a.b", {1: "x"}, "params has the key 1; keys must be strings"),
        ("a.b", ["x"], "params must be a mapping of names to values, not list"),
        (
            "a.*",
            {},
            "'a.*' is not a valid mtype: "
            "expected names of letters, digits, '-' and '_' joined by dots; wildcards",
        ),
        ("*", {}, "'*' is not a valid mtype"),
        ("", {}, "'' is not a valid mtype"),
        ({"samp.mtype": "a.b"}, None, "mtype and parameters are two arguments, and not one mapping: "),
        (CoordPointAtSky, {}, "CoordPointAtSky is a class: give a message of it with its parameters"),
        ("a..b", {}, "'a..b' is not a valid mtype"),
        (None, {}, "None is not a valid mtype"),
        (b"a.b", {}, "b'a.b' is not a valid mtype"),
    ],
)
def test_messages_that_samp_cannot_say(mtype: Any, params: Any, text: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        message_map(mtype, params)
    assert str(caught.value).startswith(text)


def test_messages() -> None:
    assert message_map("a.b", None) == {"samp.mtype": "a.b", "samp.params": {}}
    assert message_map("a.b", {"n": 1, "x": 0.5, "yes": True, "l": (1, "2")}) == {
        "samp.mtype": "a.b",
        "samp.params": {"n": "1", "x": "0.5", "yes": "1", "l": ["1", "2"]},
    }
    assert message_map(CoordPointAtSky(ra=1.5, dec=-2.5), None)["samp.params"] == {"ra": "1.5", "dec": "-2.5"}
    with pytest.raises(TypeError, match="CoordPointAtSky holds its parameters"):
        message_map(CoordPointAtSky(ra=1, dec=2), {})


def test_recipients() -> None:
    assert public_id("c2") == "c2"
    assert public_id(RemoteClient("c3")) == "c3"
    with pytest.raises(
        LocalProtocolError, match=r"^5 is neither a public id nor a client that find\(\) gave$"
    ):
        public_id(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [float("nan"), -1])
def test_timeouts_that_are_none(timeout: float) -> None:
    with pytest.raises(LocalProtocolError, match="is not a number of seconds"):
        check_timeout(timeout)


def test_patterns() -> None:
    assert check_patterns(("a.*", CoordPointAtSky)) == {"a.*": "a.*", "coord.pointAt.sky": CoordPointAtSky}
    with pytest.raises(LocalProtocolError, match=r"^no mtype is given; name those wanted, or '\*' for all$"):
        check_patterns(())
    with pytest.raises(LocalProtocolError, match="is not a valid subscription"):
        check_patterns(("a.b", "a*"))
    with pytest.raises(LocalProtocolError, match=r"^handler is not a valid mtype but a function: "):
        check_patterns((handler,))  # type: ignore[arg-type]


async def test_what_a_typed_handler_takes() -> None:
    seen: list[CoordPointAtSky] = []

    async def point(where: CoordPointAtSky) -> None:
        seen.append(where)

    assert taking("a.b", handler) is handler
    take = taking(CoordPointAtSky, point)
    assert await take(Message("coord.pointAt.sky", {"ra": "1.5", "dec": "2"})) is None
    refused = await take(Message("coord.pointAt.sky", {"ra": "north"}))
    assert isinstance(refused, Response)
    assert refused.status == "samp.error"
    assert [where.ra for where in seen] == [1.5]


# ---- metadata


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("name", "samp.name"),
        ("description", "samp.description.text"),
        ("icon.url", "samp.icon.url"),
        ("samp.documentation", "samp.documentation.url"),
        ("samp.descripton.text", "samp.description.text"),
        ("samp.icon.URL", "samp.icon.url"),
        ("samp.doc.url", "samp.documentation.url"),
    ],
)
def test_a_key_that_looks_like_a_standard_one(key: str, meant: str, caplog: pytest.LogCaptureFixture) -> None:
    client = Client("x", metadata={key: "text"})
    assert client.metadata[key] == "text"
    assert f"metadata: nobody reads '{key}'; the standard key is '{meant}'" in caplog.text


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("author", "author.name"),
        ("Author", "author.name"),
        ("affiliation", "author.affiliation"),
        ("author.afiliation", "author.affiliation"),
        ("email", "author.email"),
        ("homepage", "home.page"),
    ],
)
def test_a_key_that_looks_like_a_usual_one(key: str, meant: str, caplog: pytest.LogCaptureFixture) -> None:
    Client("x", metadata={key: "text"})
    assert f"metadata: nobody reads '{key}'; the usual key is '{meant}'" in caplog.text


@pytest.mark.parametrize("described", ["icon", "documentation"])
@pytest.mark.parametrize("place", ["icon.png", "/home/me/icon.png", "www.example.org/i.png"])
def test_what_should_be_a_url(described: str, place: str, caplog: pytest.LogCaptureFixture) -> None:
    arguments: dict[str, Any] = {described: place}
    Client("x", **arguments)
    assert (
        f"metadata: samp.{described}.url is '{place}', which is not a URL, so nobody can show it"
        in caplog.text
    )
    caplog.clear()
    Client("x", icon="file:///home/me/icon.png", documentation="HTTPS://example.org/")
    assert caplog.text == ""


def test_keys_that_are_as_they_should_be(caplog: pytest.LogCaptureFixture) -> None:
    Client(
        "x",
        metadata={
            **{"samp.icon.url": "http://x/u", "author.name": "me", "name": "n", "samp.name": "N"},
            **{
                "x.y": "1",
                "samp.x": "1",
                "author.mail": "a@b",
                "x-samp.homepage.url": "http://x/",
                "topcat.version": "1",
            },
        },
    )
    assert caplog.text == ""


async def test_a_client_describes_itself() -> None:
    client = Client("x", description="what it does", icon="http://x/i.png", documentation="http://x/")
    described = {
        "samp.name": "x",
        "samp.description.text": "what it does",
        "samp.icon.url": "http://x/i.png",
        "samp.documentation.url": "http://x/",
    }
    assert client.metadata == described
    await client.declare_metadata({"author.name": "me"})
    assert client.metadata == described | {"author.name": "me"}


def test_a_handler_without_await_cannot_wait() -> None:
    async def waits(message: Message) -> None:
        await handler(message)

    async def waits_in_a_block(message: Message) -> None:
        async with asyncio.timeout(1):
            pass

    async def waits_in_a_loop(message: Message) -> list[object]:
        return [each async for each in message]  # type: ignore[attr-defined]

    async def asks_for_its_task(message: Message) -> str:
        task = asyncio.current_task()
        return "" if task is None else task.get_name()

    waiting = [waits, waits_in_a_block, waits_in_a_loop, asks_for_its_task]
    for each in (*waiting, Awaited(), functools.partial(handler), plain, AsyncMock()):
        assert may_wait(each), each
    for each in (handler, Awaited().method):
        assert not may_wait(each), each
