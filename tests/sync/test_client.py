"""The synchronous client: messages, handlers, streams, threads, and what it refuses."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from asyncsamp import (
    DirectConnection,
    HubLostError,
    HubNotFoundError,
    Limits,
    LocalProtocolError,
    Message,
    NotRegisteredError,
    ReplyError,
    Response,
    SampError,
    WaitTimeoutError,
)
from asyncsamp.mtypes import CoordPointAtSky
from asyncsamp.sync import Client, Hub, MessageStream
from asyncsamp.sync.portal import portal

NewClient = Callable[[str], Client]


class Stop(BaseException):
    """What a program of the user's may raise past all that take errors."""

    def __init__(self) -> None:
        super().__init__("it is wrong")


def test_three_lines_send_and_receive(hub: Hub, new_client: NewClient) -> None:
    viewer = new_client("viewer")
    with viewer.messages("coord.pointAt.sky", timeout=30) as pointings:
        with Client("me") as client:
            assert client.notify_all("coord.pointAt.sky", {"ra": 10.5, "dec": 41}) == [viewer.public_id]
        message = next(pointings)
    assert message.params == {"ra": "10.5", "dec": "41"}
    assert not client.registered


def test_a_handler_answers_and_may_call_again(new_client: NewClient) -> None:
    one, two = new_client("one"), new_client("two")
    threads = set()

    @one.on("test.outer")
    def outer(message: Message) -> dict[str, str]:
        threads.add(threading.current_thread())
        answer = one.call(message.sender, "test.inner", timeout=30)
        return {"inner": str(answer.result["it"])}

    @two.on("test.inner")
    def inner(message: Message) -> dict[str, str]:
        return {"it": "works"}

    assert two.call(one.public_id, "test.outer", timeout=30).result == {"inner": "works"}
    assert threading.main_thread() not in threads


def test_handlers_that_wait_for_one_another_do_not_run_out_of_threads(new_client: NewClient) -> None:
    one, two = new_client("one"), new_client("two")
    together = threading.Barrier(40, timeout=30)

    @one.on("test.wait")
    def answer(message: Message) -> None:
        together.wait()

    with ThreadPoolExecutor(40) as pool:
        calls = [pool.submit(two.call, one.public_id, "test.wait", timeout=40) for _ in range(40)]
        assert [call.result().status for call in calls] == ["samp.ok"] * 40


@pytest.mark.parametrize(
    "error", [ValueError("it is wrong"), StopIteration("it is wrong"), SystemExit(3), Stop()]
)
def test_a_handler_that_raises_is_the_senders_error(
    new_client: NewClient, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = new_client("one"), new_client("two")

    @one.on("test.raise")
    def fail(message: Message) -> None:
        raise error

    with pytest.raises(ReplyError, match=type(error).__name__):
        two.call(one.public_id, "test.raise", timeout=30)
    assert two.call(one.public_id, "samp.app.ping", timeout=30).status == "samp.ok"


def test_handlers_are_typed_and_can_be_taken_off(new_client: NewClient) -> None:
    one, two = new_client("one"), new_client("two")
    seen: list[float] = []

    @one.on(CoordPointAtSky)
    def point(message: CoordPointAtSky) -> Response:
        seen.append(message.ra)
        return Response.warning({}, "not quite")

    assert two.call(one.public_id, CoordPointAtSky(ra=1.5, dec=2), timeout=30).status == "samp.warning"
    one.off("coord.pointAt.sky")
    one.settled()
    assert two.get_subscribed_clients("coord.pointAt.sky") == {}
    assert seen == [1.5]


def test_a_dispatcher_decides_where_handlers_run(hub: Hub) -> None:
    due: list[Callable[[], None]] = []
    given = threading.Event()
    ran_in: list[threading.Thread] = []

    def later(work: Callable[[], None]) -> None:
        due.append(work)
        given.set()

    with Client("gui", dispatcher=later) as gui, Client("caller") as caller:

        @gui.on("test.gui")
        def handle(message: Message) -> dict[str, str]:
            ran_in.append(threading.current_thread())
            return {"in": "gui"}

        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(caller.call, gui.public_id, "test.gui", timeout=30)
            assert given.wait(30)
            due[0]()  # as the GUI's loop would
            assert answer.result().result == {"in": "gui"}
    assert ran_in == [threading.current_thread()]


def test_streams_end_after_their_timeout_and_next_says_so(new_client: NewClient) -> None:
    one = new_client("one")
    stream = one.messages("test.never", timeout=0.05)
    assert list(stream) == []
    with pytest.raises(TimeoutError, match=r"no message of test\.never came within 0\.01 s; "):
        stream.next(timeout=0.01)
    stream.close()
    stream.close()
    assert stream.closed
    with pytest.raises(EOFError, match="the stream has ended"):
        stream.next()
    assert list(stream) == []


def test_a_handler_among_the_mtypes() -> None:
    with pytest.raises(
        LocalProtocolError, match="is not a valid mtype but a function: a handler comes after"
    ):
        Client("one").on("x-a", lambda message: None)  # type: ignore[call-overload]


def test_a_wait_for_rows_says_which_button_sends_them(new_client: NewClient) -> None:
    one, _ = new_client("one"), new_client("TOPCAT")
    rows = one.selections("t")
    with pytest.raises(
        WaitTimeoutError, match=r"no selection came within 0\.01 s; .*, then Transmit Subset, or"
    ):
        rows.next(timeout=0.01)
    rows.close()
    with pytest.raises(EOFError, match="the stream has ended"):
        rows.next()


def test_a_stream_that_is_forgotten_is_closed(new_client: NewClient) -> None:
    one, two = new_client("one"), new_client("two")
    stream = one.messages("test.forgotten")
    assert list(two.get_subscribed_clients("test.forgotten")) == [one.public_id]
    del stream
    gc.collect()
    one.get_metadata(one.public_id)  # what was asked of the loop before has been done then
    one.settled()
    assert two.get_subscribed_clients("test.forgotten") == {}


def test_a_stream_counts_what_it_drops(new_client: NewClient) -> None:
    one, two = new_client("one"), new_client("two")
    with one.messages("test.many", limit=2, timeout=30) as stream, one.messages("test.many") as all_of_them:
        for number in range(3):
            two.notify(one.public_id, "test.many", {"n": number})
        for _ in range(3):
            all_of_them.next(timeout=30)
        assert isinstance(stream, MessageStream)
        assert (len(stream), stream.dropped, stream.closed) == (2, 1, False)
        assert [next(stream).params["n"], next(stream).params["n"]] == ["1", "2"]


def test_calls_to_all_are_an_iterator(new_client: NewClient) -> None:
    one, two, three = map(new_client, ("one", "two", "three"))
    for each in (two, three):
        each.on("test.all")(lambda message: {"name": "x"})
    answers = dict(one.call_all("test.all", timeout=30))
    assert set(answers) == {two.public_id, three.public_id}


def _slow_and_quick(new_client: NewClient) -> tuple[Client, Callable[[], None]]:
    """Return a caller of two, of which one answers only when what is returned is called."""
    caller, quick, slow = map(new_client, ("caller", "quick", "slow"))
    let = threading.Event()
    quick.on("test.all")(lambda message: {"by": "quick"})

    @slow.on("test.all")
    def answer(message: Message) -> dict[str, str]:
        assert let.wait(30)
        return {"by": "slow"}

    return caller, let.set


def test_a_wait_that_times_out_loses_no_answer(new_client: NewClient) -> None:
    caller, let = _slow_and_quick(new_client)
    with caller.call_all("test.all", timeout=30) as answers:
        assert answers.next(timeout=30)[1].result == {"by": "quick"}
        for _ in range(2):
            with pytest.raises(WaitTimeoutError):
                answers.next(timeout=0.05)
        let()
        assert answers.next(timeout=30)[1].result == {"by": "slow"}
        with pytest.raises(EOFError, match="the stream has ended"):
            answers.next()


def test_ctrl_c_in_a_wait_for_answers_loses_none(new_client: NewClient) -> None:
    caller, let = _slow_and_quick(new_client)
    answers = caller.call_all("test.all", timeout=30)
    assert next(answers)[1].result == {"by": "quick"}
    pressed = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])

    def wait_until_pressed() -> None:
        pressed.start()
        next(answers)

    with pytest.raises(KeyboardInterrupt):
        wait_until_pressed()
    let()
    assert [response.result for _, response in answers] == [{"by": "slow"}]


def test_answers_are_closed_while_a_thread_waits_for_one(new_client: NewClient) -> None:
    caller, let = _slow_and_quick(new_client)
    answers = caller.call_all("test.all", timeout=30)
    next(answers)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, answers)
        assert not wait([reading], 0.1).done, "it waits"
        answers.close()
        assert reading.result(30) == []
    assert list(answers) == []
    let()


def test_several_threads_share_the_answers(new_client: NewClient) -> None:
    caller, let = _slow_and_quick(new_client)
    let()
    answers = caller.call_all("test.all", timeout=30)
    with ThreadPoolExecutor(2) as pool:
        taken = [pool.submit(answers.next, 30) for _ in range(2)]
        found = sorted(str(each.result(30)[1].result["by"]) for each in taken)
    assert found == ["quick", "slow"]
    assert list(answers) == []


def test_answers_that_are_given_up_are_silent_when_the_hub_goes(
    hub: Hub, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    caller, let = _slow_and_quick(new_client)
    answers = caller.call_all("test.all", timeout=30)
    next(answers)
    with pytest.raises(WaitTimeoutError):
        answers.next(timeout=0.05)
    caller.unregister()
    with pytest.raises(SampError):
        next(answers)
    assert list(answers) == []
    let()
    assert not [each for each in caplog.records if each.name == "asyncio"]


def test_a_client_leaves_with_its_callbacks(hub: Hub) -> None:
    left = threading.Event()
    client = Client("me", limits=Limits(call_timeout=3)).register()
    client.on_leaving(left.set)
    assert client.limits.call_timeout == 3
    assert client.name == "me"
    assert repr(client).startswith("<sync.Client 'me' registered as ")
    client.unregister()
    assert left.is_set()
    with pytest.raises(NotRegisteredError):
        client.notify_all("test.x")


def test_many_threads_use_one_client(new_client: NewClient) -> None:
    one, two = new_client("one"), new_client("two")

    @two.on("test.echo")
    def echo(message: Message) -> dict[str, object]:
        return dict(message.params)

    def ask(number: int) -> object:
        return one.call(two.public_id, "test.echo", {"n": number}, timeout=40).result["n"]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(80))) == [str(number) for number in range(80)]


async def test_it_may_be_used_where_a_loop_runs(hub: Hub) -> None:
    """As in Jupyter, or in an `async def` route: it blocks that loop, and works."""
    with Client("me") as client:
        assert client.get_metadata(client.public_id)["samp.name"] == "me"
    assert asyncio.get_running_loop() is not None


def test_an_embedded_hub_is_reached_without_a_socket(hub: Hub) -> None:
    with Client("direct", connection=DirectConnection(hub)) as client:
        assert client.get_registered_clients() == [client.hub_id]


def test_the_loops_own_thread_is_refused(new_client: NewClient) -> None:
    client = new_client("one")
    with pytest.raises(RuntimeError, match="the thread of asyncsamp's own event loop"):
        portal().call(client.get_registered_clients)


def bad(message: Message, more: int) -> None: ...


async def wrong(message: Message) -> None: ...


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (wrong, "'async def', which asyncsamp.sync cannot run: write 'def wrong"),
        (bad, "the handler bad must take one argument, the message: missing"),
        (None, "cannot be called"),
    ],
)
def test_handlers_that_cannot_work_are_refused(handler: Any, text: str) -> None:
    decorate: Callable[[Any], object] = Client("me").on("test.x")
    with pytest.raises(TypeError, match=text):
        decorate(handler)


def test_no_hub_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(HubNotFoundError, match=r"asyncsamp\.hub"):
        Client("me", lockfile=tmp_path / "none").register()


def test_a_hub_that_goes_ends_the_wait(hub: Hub) -> None:
    asked = threading.Event()
    with Client("me", reconnect=False) as me, Client("silent") as silent:
        release = threading.Event()

        @silent.on("test.silent")
        def never(message: Message) -> None:
            asked.set()
            release.wait(60)

        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(me.call, silent.public_id, "test.silent", timeout=60)
            assert asked.wait(30)
            hub.shutdown()
            begun = time.monotonic()
            with pytest.raises((HubLostError, ReplyError)):
                call.result()
            assert time.monotonic() - begun < 30
        release.set()


def test_a_client_that_is_collected_unregisters(new_client: NewClient) -> None:
    watcher = new_client("watcher")
    with watcher.messages("samp.hub.event.unregister", timeout=30) as leaving:
        client = Client("forgotten").register()
        its_id = client.public_id
        del client
        gc.collect()
        assert next(leaving).params["id"] == its_id


def test_a_hub_is_started_and_says_what_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hub = Hub(lockfile=tmp_path / "own", label="mine")
    assert not hub.running
    assert hub.start() is hub
    assert hub.running
    assert hub.lockfile == tmp_path / "own"
    assert repr(hub).startswith("<sync.Hub at http://127.0.0.1")
    done = threading.Thread(target=hub.serve_forever)
    done.start()
    hub.shutdown()
    done.join(30)
    assert not done.is_alive()
