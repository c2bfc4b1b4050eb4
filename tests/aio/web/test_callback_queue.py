"""Pulling callbacks by raw HTTP: long polls, nothing lost, tabs, vanished pages (WEB-20..28)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import CallTimeoutError, Client, FaultCode, HubFaultError, Limits, ReplyError
from asyncsamp.hub.idle_timeout import IdleTimeout

from ..webpage import Page, WebHub, close, read_answer, web_hub


def note(number: int) -> dict[str, Any]:
    return {"samp.mtype": "table.note", "samp.params": {"n": str(number)}}


def numbers(pulled: list[tuple[str, list[Any]]]) -> list[int]:
    return [int(params[-1]["samp.params"]["n"]) for _, params in pulled]


async def all_numbers(page: Page, count: int) -> list[int]:
    """Pull until so many have come."""
    pulled: list[int] = []
    while len(pulled) < count:
        pulled += numbers(await page.pull())
    return pulled


async def until_gone(client: Client, page: Page) -> None:
    async with client.messages("samp.hub.event.unregister") as events:
        if page.id in await client.get_registered_clients():
            async for event in events:
                if event.params["id"] == page.id:
                    return


async def test_a_pull_waits_for_the_first_callback(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub:
        page, other = await hub.page("table.note"), await hub.page()
        pulling = asyncio.create_task(page.pull("600"))
        await other.call("ping")
        assert not pulling.done()
        await other.call("notify", page.id, note(1))
        assert numbers(await pulling) == [1]


async def test_a_pull_takes_all_that_waits_in_order_and_once(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub, Client("sender", lockfile=hub.lockfile) as client:
        page = await hub.page("table.note")
        for number in range(700):
            await client.notify(page.id, "table.note", {"n": number})
        pulled: list[int] = []
        while len(pulled) < 700:
            pulled += numbers(await page.pull())
        assert pulled == list(range(700))
        assert await page.pull("0") == []


async def test_zero_does_not_wait_and_text_is_no_timeout(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub:
        page = await hub.page("table.note")
        assert await page.pull("0") == []
        assert await page.pull("0.01") == []
        for timeout in ("soon", "", "nan", ["1"]):
            assert (await page.fault("pullCallbacks", timeout)).code == FaultCode.BAD_PARAMETERS
        assert (await page.fault("pullCallbacks")).code == FaultCode.BAD_PARAMETERS


async def test_a_pull_is_capped(tmp_path: Path) -> None:
    async with web_hub(tmp_path, limits=Limits(web_poll=0.05)) as hub:
        page = await hub.page("table.note")
        assert await page.pull("-1") == []
        assert await page.pull("1e300") == []


async def test_pulling_before_it_is_allowed_is_a_fault(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub:
        page = await hub.page()
        fault = await page.fault("pullCallbacks", "0")
        assert "allowReverseCallbacks" in fault.text
        for allow in ("perhaps", ["1"]):
            assert (await page.fault("allowReverseCallbacks", allow)).code == FaultCode.BAD_PARAMETERS


async def test_callbacks_can_be_forbidden_again(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub, Client("caller", lockfile=hub.lockfile) as client:
        page = await hub.page("table.note")
        calling = asyncio.create_task(client.call(page.id, "table.note", {"n": 1}, timeout=10))
        assert numbers(await page.pull("600")) == [1]
        calling_again = asyncio.create_task(client.call(page.id, "table.note", {"n": 3}, timeout=10))
        async with client.messages("samp.hub.event.metadata") as events:
            await page.call("declareMetadata", {"samp.name": "x"})
            await anext(events)
        impatient = client.call_and_wait(page.id, "table.note", {"n": 4}, timeout=0.05)
        with pytest.raises(CallTimeoutError):
            await impatient
        await page.call("allowReverseCallbacks", "0")
        with pytest.raises(ReplyError, match="stopped taking calls"):
            await calling_again
        assert "allowReverseCallbacks" in (await page.fault("pullCallbacks", "0")).text
        with pytest.raises(HubFaultError, match="cannot be called"):
            await client.notify(page.id, "table.note", {"n": 4})
        await page.call("allowReverseCallbacks", "1")
        await client.notify(page.id, "table.note", {"n": 5})
        assert numbers(await page.pull()) == [5]
        await page.call("unregister")
        with pytest.raises(ReplyError, match="left"):
            await calling


async def test_a_pull_that_broke_off_loses_nothing(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub, Client("sender", lockfile=hub.lockfile) as client:
        page = await hub.page("table.note")
        for number in range(50):
            _, writer = await page.begin_pull("600")
            await client.get_registered_clients()
            writer.close()
            await client.notify(page.id, "table.note", {"n": number})
            assert numbers(await page.pull()) == [number]


async def test_a_second_pull_ends_the_first(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub:
        page = await hub.page("table.note")
        first = asyncio.create_task(page.pull("600"))
        await page.call("ping")
        second = asyncio.create_task(page.pull("600"))
        assert await first == []
        await page.call("notify", page.id, note(1))
        assert numbers(await second) == [1]


async def test_what_is_kept_is_bounded(tmp_path: Path) -> None:
    limits = Limits(web_callbacks=5)
    async with web_hub(tmp_path, limits=limits) as hub, Client("sender", lockfile=hub.lockfile) as client:
        page, other = await hub.page("table.note"), await hub.page("table.note")
        for number in range(8):
            await client.notify(page.id, "table.note", {"n": number})
        with pytest.raises(ReplyError, match="no more can be kept"):
            await client.call(page.id, "table.note", {"n": 9}, timeout=10)
        await client.notify(other.id, "table.note", {"n": 1})
        assert numbers(await page.pull()) == [0, 1, 2, 3, 4]
        assert numbers(await other.pull()) == [1]
        # What its sender was not told of is not lost.
        assert await all_numbers(page, 3) == [5, 6, 7]


async def test_bytes_that_are_kept_are_bounded(tmp_path: Path) -> None:
    limits = Limits(web_callback_bytes=10_000)
    async with web_hub(tmp_path, limits=limits) as hub, Client("sender", lockfile=hub.lockfile) as client:
        page = await hub.page("table.note")
        await client.notify(page.id, "table.note", {"n": 1, "text": "x" * 6_000})
        await client.notify(page.id, "table.note", {"n": 2, "text": "x" * 6_000})
        await client.notify(page.id, "table.note", {"n": 3})
        assert await all_numbers(page, 3) == [1, 2, 3]


@pytest.mark.both_loops
async def test_who_takes_no_more_notifications_is_told_of_to_their_sender(tmp_path: Path) -> None:
    limits = Limits(web_callbacks=5, outbox=10)
    async with web_hub(tmp_path, limits=limits) as hub, Client("sender", lockfile=hub.lockfile) as client:
        page = await hub.page("table.note")
        sent = 0
        with contextlib.suppress(HubFaultError):
            while sent < 1_000:
                await client.notify(page.id, "table.note", {"n": sent})
                sent += 1
        with pytest.raises(HubFaultError, match="does not take its messages"):
            await client.notify(page.id, "table.note", {"n": sent})
        assert await all_numbers(page, sent) == list(range(sent))


async def test_who_stops_taking_callbacks_gets_none_that_waited(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, limits=Limits(web_callbacks=1)) as hub,
        Client("sender", lockfile=hub.lockfile) as client,
    ):
        page = await hub.page("table.note")
        for number in range(3):
            await client.notify(page.id, "table.note", {"n": number})
        await page.call("allowReverseCallbacks", "0")
        await page.call("allowReverseCallbacks", "1")
        await client.notify(page.id, "table.note", {"n": 9})
        assert (await all_numbers(page, 1))[-1] == 9


@pytest.mark.alone
async def test_twenty_tabs_of_one_site_share_six_connections(tmp_path: Path) -> None:
    """A stand-in for the browser: six connections for all tabs of a site, first come, first served."""
    async with web_hub(tmp_path) as hub:
        connections = asyncio.Semaphore(6)
        tabs = [await hub.page("table.note") for _ in range(20)]

        async def poll(tab: Page) -> None:
            while True:
                async with connections:
                    await tab.pull("600")

        polling = [asyncio.create_task(poll(tab)) for tab in tabs]
        loop = asyncio.get_running_loop()
        for tab in tabs[::5]:
            begun = loop.time()
            async with connections:
                await tab.call("ping")
            assert loop.time() - begun < 5  # without the rule it never ends; for the figure see docs/web.md
        for task in polling:
            task.cancel()
        await asyncio.gather(*polling, return_exceptions=True)


async def test_four_pulls_of_one_site_are_left_alone_and_the_fifth_ends_the_oldest(tmp_path: Path) -> None:
    limits = Limits(web_poll_early=0.01, web_poll_shortest=0.01)
    async with web_hub(tmp_path, limits=limits) as hub:
        tabs = [await hub.page("table.note", origin=f"https://{n}.example.org") for n in "abcd"]
        strangers = [await hub.page("table.note", origin=origin) for origin in ("", "https://x.example.com")]
        pulls = []
        for tab in tabs + strangers:
            pulls.append(asyncio.create_task(tab.pull("600")))
            await tab.call("ping")
        fifth = await hub.page("table.note", origin="https://e.example.org")
        last = asyncio.create_task(fifth.pull("600"))
        assert await pulls[0] == []
        assert not any(pull.done() for pull in [*pulls[1:], last])
        for tab, pull in zip([*tabs[1:], *strangers, fifth], [*pulls[1:], last], strict=True):
            await fifth.call("notify", tab.id, note(1))
            assert numbers(await pull) == [1]


async def test_a_page_whose_pull_broke_off_is_removed(tmp_path: Path) -> None:
    limits = Limits(web_silence_broken=0.1)
    async with web_hub(tmp_path, limits=limits) as hub, Client("watcher", lockfile=hub.lockfile) as client:
        page = await hub.page("table.note")
        calling = asyncio.create_task(client.call(page.id, "table.note", {}, timeout=10))
        assert len(await page.pull()) == 1
        _, writer = await page.begin_pull("600")
        await client.get_registered_clients()
        await close(writer)
        await until_gone(client, page)
        with pytest.raises(ReplyError, match="its page was closed"):
            await calling
        assert (await page.fault("pullCallbacks", "0")).code == FaultCode.NOT_REGISTERED


async def test_a_page_that_pulls_again_stays(tmp_path: Path) -> None:
    limits = Limits(web_silence_broken=3.0)  # a busy machine may stand still for two
    async with web_hub(tmp_path, limits=limits) as hub:
        page, other = await hub.page("table.note"), await hub.page("samp.hub.event.unregister")
        _, writer = await page.begin_pull("600")
        await page.call("ping")
        await close(writer)
        pulling = asyncio.create_task(page.pull("600"))
        assert await other.pull("4") == []
        await other.call("notify", page.id, note(1))
        assert numbers(await pulling) == [1]


@pytest.mark.parametrize("listens", [True, False])
async def test_a_silent_page_is_removed(tmp_path: Path, listens: bool) -> None:
    limits = Limits(web_silence=3.0, web_silence_sender=3.0)
    async with web_hub(tmp_path, limits=limits) as hub, Client("watcher", lockfile=hub.lockfile) as client:
        page = await hub.page(*(["table.note"] if listens else []))
        await until_gone(client, page)


async def test_a_page_that_pulls_is_not_silent(tmp_path: Path) -> None:
    async with web_hub(tmp_path, limits=Limits(web_silence=3.0)) as hub:
        page = await hub.page("table.note")
        assert await page.pull("4") == []
        assert await page.call("getRegisteredClients")


async def test_who_is_disconnected_is_told(tmp_path: Path) -> None:
    async with web_hub(tmp_path) as hub:
        page = await hub.page("samp.hub.disconnect")
        reader, writer = await page.begin_pull("600")
        await page.call("ping")
        hub.hub.engine.disconnect(page.id, "enough")
        answer = await read_answer(reader)
        await close(writer)
        assert b"samp.hub.disconnect" in answer.body
        assert b"enough" in answer.body


async def test_no_more_web_clients_than_allowed(tmp_path: Path) -> None:
    async with web_hub(tmp_path, limits=Limits(max_web_clients=2)) as hub:
        pages: list[WebHub | Page] = [await hub.page(), await hub.page()]
        assert len(pages) == 2
        answer = await Page(hub.port).post("samp.webhub.register", {"samp.name": "third"})
        assert "2 web clients" in answer.fault.text
        async with Client("desktop", lockfile=hub.lockfile) as client:
            assert len(await client.get_registered_clients()) == 3


async def test_a_page_that_only_pulls_is_not_idle(tmp_path: Path) -> None:
    """`--client-timeout` is for clients of which nobody knows whether they are there."""
    async with web_hub(tmp_path) as hub:
        page, other = await hub.page("table.note"), await hub.page()
        engine = hub.hub.engine
        watch = IdleTimeout(engine, 0.0, 3600.0, lambda: None)
        engine.last_active[page.id] -= 3600
        pulling = asyncio.create_task(page.pull("600"))
        async with asyncio.timeout(30):
            while page.id in engine.idle_since():
                await asyncio.sleep(0)
        watch._look()
        await other.call("notify", page.id, note(1))
        assert numbers(await pulling) == [1]
        watch._look()
        assert page.id in engine.clients
        watch.close()
