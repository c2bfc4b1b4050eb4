"""Our own page in Chromium, over http and https, against the Web Profile at its real port."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error

from asyncsamp import Client, ConsentAnswer, ConsentQuestion, Limits, Message, deny_all

from ...aio.webpage import Page as RawPage
from .browser import tab_context
from .harness import FILES, VOTABLE, desktop, open_page, until_gone, web_hub
from .site import certificate, open_site

pytestmark = pytest.mark.timeout(240)

ANY_NAME = "--host-resolver-rules=MAP *.example.org 127.0.0.1"

CALL = """([to, params]) =>
samp.do('callAndWait', to, {'samp.mtype': 'table.load.votable', 'samp.params': params}, '60')"""

TIMED_CALL = """async to => {
const begun = performance.now(); await samp.do('getMetadata', to); return performance.now() - begun }"""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
async def test_a_page_speaks_with_the_desktop(scheme: str, name: str, tmp_path: Path) -> None:
    secured = await certificate(tmp_path) if scheme == "https" else None
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES, secured=secured) as site,
        tab_context(tmp_path) as context,
    ):
        url = site.url(f"page.html?hub=http://{name}:21012/")
        tab, page_id = await open_page(context, url, "page", "coord.pointAt.sky")
        assert (await client.find("page", timeout=30)).public_id == page_id
        answered = await tab.evaluate(CALL, [client.public_id, {"name": "a & <b>", "": "\t"}])
        assert answered["samp.result"]["heard"] == {"name": "a & <b>", "": "\t"}
        response = await client.call(page_id, "coord.pointAt.sky", {"ra": 10.5, "dec": -3}, timeout=30)
        assert response.result == {"ra": "10.5", "dec": "-3"}
        await tab.evaluate("samp.do('unregister')")
        assert page_id not in await client.get_registered_clients()


async def test_a_burst_arrives_in_order_and_once(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab, page_id = await open_page(context, site.url("page.html"), "page", "test.burst")
        async with asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(client.notify(page_id, "test.burst", {"n": number}))
                if number % 50 == 0:
                    await asyncio.sleep(0)
        await tab.wait_for_function("samp.received.length >= 500")
        await client.call(page_id, "test.burst", {"n": "last"}, timeout=30)
        got = await tab.evaluate("samp.received.map(one => one.message['samp.params'].n)")
        assert sorted(map(int, got[:-1])) == list(range(500))
        for number in range(500, 1000):
            await client.notify(page_id, "test.burst", {"n": number})
        await tab.wait_for_function("samp.received.length >= 1001")
        got = await tab.evaluate("samp.received.slice(501).map(one => one.message['samp.params'].n)")
        assert got == [str(number) for number in range(500, 1000)]


@pytest.mark.alone
async def test_more_tabs_of_one_site_than_connections_can_all_call(tmp_path: Path, long: bool) -> None:
    """A browser keeps six connections to a host, and each tab has a pull under way."""
    count = 20 if long else 8
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tabs = [
            await open_page(context, site.url("page.html"), f"tab {n}", "test.note") for n in range(count)
        ]
        rounds = []
        for _ in range(5):  # a busy machine may spoil one
            times = [await tab.evaluate(TIMED_CALL, client.public_id) for tab, _ in tabs]
            rounds.append(max(times))
            if max(times) <= 600:
                break
        assert min(rounds) <= 600
        await client.notify_all("test.note", {"n": 1})
        for tab, _ in tabs:
            await tab.wait_for_function("samp.received.length == 1")


async def test_an_idle_page_makes_no_requests(tmp_path: Path) -> None:
    async with web_hub(tmp_path), open_site(FILES) as site, tab_context(tmp_path) as context:
        tab, _ = await open_page(context, site.url("page.html"), "page")
        requests = await tab.evaluate("samp.requests")
        with pytest.raises(Error, match="Timeout"):
            await tab.wait_for_function(f"samp.requests > {requests}", timeout=5_000)


@pytest.mark.parametrize("how", ["closed", "crashed", "elsewhere"])
async def test_a_tab_that_goes_silently_is_noticed(how: str, tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab, page_id = await open_page(context, site.url("page.html"), "page", "test.note")
        other, other_id = await open_page(context, site.url("page.html"), "other", "test.note")
        if how == "closed":
            await tab.close()
        elif how == "elsewhere":
            await tab.goto("about:blank")
        else:
            with pytest.raises(Error):
                await tab.goto("chrome://crash")
        assert await until_gone(client, page_id, timeout=90) < 30
        await client.notify(other_id, "test.note", {})
        await other.wait_for_function("samp.received.length == 1")


@pytest.mark.parametrize("how", ["closed", "crashed"])
async def test_a_tab_that_goes_in_the_midst_of_a_call_is_noticed(how: str, tmp_path: Path) -> None:
    called, go_on = asyncio.Event(), asyncio.Event()
    slow = Client("slow", lockfile=tmp_path / "hub.samp")

    @slow.on("table.slow")
    async def answer(message: Message) -> None:
        called.set()
        await go_on.wait()

    async with web_hub(tmp_path), slow, open_site(FILES) as site, tab_context(tmp_path) as context:
        tab, page_id = await open_page(context, site.url("page.html"), "page", "test.note")
        message = {"samp.mtype": "table.slow", "samp.params": {}}
        await tab.evaluate(
            "([to, message]) => { samp.do('callAndWait', to, message, '600'); }", [slow.public_id, message]
        )
        await called.wait()
        if how == "closed":
            await tab.close()
        else:
            with pytest.raises(Error):
                await tab.goto("chrome://crash")
        go_on.set()
        assert await until_gone(slow, page_id, timeout=90) < 30


async def test_a_beacon_on_leaving_unregisters_at_once(tmp_path: Path) -> None:
    limits = Limits(web_silence_broken=600.0)  # in which it would be noticed without
    async with (
        web_hub(tmp_path, limits=limits),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab, page_id = await open_page(context, site.url("page.html?beacon"), "page", "test.note")
        await tab.close(run_before_unload=False)
        await until_gone(client, page_id, timeout=60)


async def test_a_page_that_reloads_registers_anew(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab, first = await open_page(context, site.url("page.html"), "page", "test.note")
        await tab.reload()
        second = await tab.evaluate("samp.register('page', {'test.note': {}})")
        assert await until_gone(client, first, timeout=90) < 30
        await client.notify(second, "test.note", {})
        await tab.wait_for_function("samp.received.length == 1")


async def test_a_refused_page_is_told_so(tmp_path: Path) -> None:
    async with (
        web_hub(tmp_path, consent=deny_all),
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab = await context.new_page()
        await tab.goto(site.url("page.html"))
        with pytest.raises(Error, match="did not let 'page' register"):
            await tab.evaluate("samp.register('page')")


async def test_a_page_that_is_not_let_in_reads_why_its_megabyte_is_refused(tmp_path: Path) -> None:
    async with web_hub(tmp_path), open_site(FILES) as site, tab_context(tmp_path) as context:
        tab = await context.new_page()
        await tab.goto(site.url("page.html"))
        with pytest.raises(Error, match="a known private key must come first"):
            await tab.evaluate("samp.call('declareMetadata', 'wk-unknown', {text: 'x'.repeat(1e6)})")
        await tab.evaluate("samp.register('page')")
        await tab.evaluate("samp.do('declareMetadata', {'samp.name': 'page', text: 'x'.repeat(1e6)})")


async def test_the_user_is_asked_about_the_real_origin(tmp_path: Path) -> None:
    questions: list[ConsentQuestion] = []

    async def consent(question: ConsentQuestion) -> ConsentAnswer:
        questions.append(question)
        return ConsentAnswer.ALLOW

    page = tmp_path / "page.html"
    page.write_bytes(FILES["page.html"].read_bytes())
    async with (
        web_hub(tmp_path, consent=consent),
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        await open_page(context, site.url("page.html"), "<b>page</b>")
        await open_page(context, page.as_uri(), "from a file")
    first, second = questions
    assert (first.name, first.origin, first.disagree) == ("?b?page?/b?", site.base, False)
    assert first.referer.startswith(site.base)
    assert (second.origin, second.disagree) == ("null", False)


async def test_a_site_with_many_host_names_asks_three_times(tmp_path: Path) -> None:
    origins: list[str] = []

    async def consent(question: ConsentQuestion) -> ConsentAnswer:
        origins.append(question.origin)
        return ConsentAnswer.DENY

    async with (
        web_hub(tmp_path, consent=consent),
        open_site(FILES) as site,
        tab_context(tmp_path, ANY_NAME) as context,
    ):
        pages = [site.url("page.html").replace("127.0.0.1", f"n{number}.example.org") for number in range(6)]
        for page in pages:
            with pytest.raises(Error, match="did not let"):
                await open_page(context, page, "page")
    assert origins == [page.removesuffix("/page.html") for page in pages[:3]]


async def test_a_name_of_the_pages_own_site_never_means_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: who asks for the address of the name is told this machine's."""
    loop = asyncio.get_running_loop()
    find = loop.getaddrinfo

    async def find_all(host: Any, *args: Any, **options: Any) -> Any:
        return await find("127.0.0.1" if host == "own.example.org" else host, *args, **options)

    monkeypatch.setattr(loop, "getaddrinfo", find_all)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        open_site({"secret": secret}) as private,
        tab_context(tmp_path, ANY_NAME) as context,
    ):
        page = site.url("page.html").replace("127.0.0.1", "own.example.org")
        tab, page_id = await open_page(context, page, "page", "table.load.votable")
        for number, (host, answer) in enumerate({"own.example.org": 502, "127.0.0.1": 200}.items()):
            url = private.url("secret").replace("127.0.0.1", host)
            await client.notify(page_id, "table.load.votable", {"url": url})
            await tab.wait_for_function(f"samp.received.length == {number + 1}")
            status, text = await tab.evaluate(f"samp.read(samp.translator + '{url}')")
            assert (status, text == "secret") == (answer, answer == 200)


@pytest.mark.parametrize("name", ["t.vot", "a b&c=d.vot", "50%+\u00fc#1.vot"])
async def test_a_page_reads_what_it_is_sent(name: str, tmp_path: Path) -> None:
    """As the hub rewrote it, by the translator unencoded as samp.js does, and encoded."""
    (tmp_path / name).write_text(VOTABLE)
    url = (tmp_path / name).as_uri()
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab, page_id = await open_page(context, site.url("page.html"), "page", "table.load.votable")
        await client.notify(page_id, "table.load.votable", {"url": url})
        await tab.wait_for_function("samp.received.length == 1")
        seen = "samp.received[0].message['samp.params'].url"
        for asked in (
            seen,
            f"samp.translator + {seen}",
            f"samp.translator + encodeURIComponent({seen})",
            f"samp.translator + '{url}'",
            f"samp.translator + encodeURIComponent('{url}')",
        ):
            assert await tab.evaluate(f"samp.read({asked})") == [200, VOTABLE], asked
        status, reason = await tab.evaluate("samp.read(samp.translator + 'file:///etc/passwd')")
        assert (status, "only URLs" in reason) == (403, True)
        echoed = await tab.evaluate(CALL.replace("params}", "{url: " + seen + "}}"), [client.public_id, {}])
        assert echoed["samp.result"]["heard"]["url"] == await tab.evaluate(seen)


NAME_MANY = """([to, load]) => samp.do('notify', to, {'samp.mtype': 'table.load.votable', 'samp.params':
{urls: Array.from({length: 1500}, (_, n) => `https://h.example.net/${load}/${n}`)}})"""


async def test_a_page_that_is_reloaded_again_and_again_disturbs_no_other_site(tmp_path: Path) -> None:
    """What a page names is remembered, and is closed to it; more of it than is kept for one site."""
    (tmp_path / "stars.vot").write_text(VOTABLE)
    url = (tmp_path / "stars.vot").as_uri()
    read = f"samp.read(samp.translator + '{url}')"
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        open_site(FILES, host="127.0.0.2") as elsewhere,
        tab_context(tmp_path) as context,
    ):
        tab, page_id = await open_page(context, site.url("page.html"), "page", "table.load.votable")
        for load in range(20):
            await tab.evaluate(NAME_MANY, [client.public_id, load])
            await tab.reload()
            page_id = await tab.evaluate("samp.register('page', {'table.load.votable': {}})")
        other, other_id = await open_page(context, elsewhere.url("page.html"), "other", "table.load.votable")
        for public_id in (page_id, other_id):
            await client.notify(public_id, "table.load.votable", {"url": url})
        for each, status in ((tab, 403), (other, 200)):
            await each.wait_for_function("samp.received.length == 1")
            assert (await each.evaluate(read))[0] == status


@pytest.mark.parametrize("said", ["as a key", "within a text"])
async def test_what_a_page_has_named_to_a_tool_is_closed_to_it(said: str, tmp_path: Path) -> None:
    """The tool says it back, as one that tells what it has loaded."""
    secret = tmp_path / "secret.vot"
    secret.write_text(VOTABLE)
    params = {secret.as_uri(): "1"} if said == "as a key" else {"script": f"load {secret}; quit"}
    async with (
        web_hub(tmp_path),
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        tab, page_id = await open_page(context, site.url("page.html"), "page", "table.load.votable")
        answered = await tab.evaluate(CALL, [client.public_id, params])
        assert answered["samp.result"]["heard"] == params
        await client.notify(page_id, "table.load.votable", {"url": secret.as_uri()})
        await tab.wait_for_function("samp.received.length == 1")
        status, reason = await tab.evaluate(f"samp.read(samp.translator + '{secret.as_uri()}')")
        assert (status, "star 1" in reason) == (403, False)


async def test_a_public_page_that_the_browser_lets_through(tmp_path: Path) -> None:
    """Chromium's own permission, Local Network Access: granted, then refused."""
    secured = await certificate(tmp_path)
    async with open_site(FILES, secured=secured) as site:
        port = site.base.rpartition(":")[2]
        public = f"--ip-address-space-overrides=127.0.0.1:{port}=public"
        async with web_hub(tmp_path), tab_context(tmp_path, public) as context:
            tab = await context.new_page()
            await tab.goto(site.url("page.html"))
            with pytest.raises(Error, match="Failed to fetch"):
                await tab.evaluate("samp.call('ping')")
            await context.grant_permissions(["local-network-access"], origin=site.base)
            assert await tab.evaluate("samp.register('public page')")


async def test_the_hub_goes_and_the_page_is_told(tmp_path: Path) -> None:
    async with open_site(FILES) as site, tab_context(tmp_path) as context:
        async with web_hub(tmp_path):
            tab, _ = await open_page(context, site.url("page.html"), "page", "samp.hub.event.shutdown")
        await tab.wait_for_function("samp.received.length == 1")


async def test_two_hundred_pages_at_once(tmp_path: Path) -> None:
    """Not each in a tab: connections of their own, as from many windows; one real tab among them."""
    async with (
        web_hub(tmp_path) as hub,
        desktop(tmp_path) as client,
        open_site(FILES) as site,
        tab_context(tmp_path) as context,
    ):
        assert hub.running
        tab, page_id = await open_page(context, site.url("page.html"), "page", "test.note")
        pages = [RawPage(21012, f"https://site{n}.example{n}.org") for n in range(200)]
        for page in pages:
            await page.register()
            await page.listen("test.note")
        pulls = [asyncio.create_task(page.pull("60")) for page in pages]
        told = await client.notify_all("test.note", {"n": 1})
        assert set(told) == {page_id, *(page.id for page in pages)}
        for pull in pulls:
            assert len(await pull) == 1
        await tab.wait_for_function("samp.received.length == 1")
