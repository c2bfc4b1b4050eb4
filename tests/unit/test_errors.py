"""The tree of errors: whose child each one is, what it holds, what its text says."""

from __future__ import annotations

import builtins

import pytest

import asyncsamp
from asyncsamp import errors
from asyncsamp.data.results import Answer, SendError, Sent
from asyncsamp.errors import (
    CallTimeoutError,
    DataError,
    FaultCode,
    FaultError,
    HubFaultError,
    HubLostError,
    HubNotFoundError,
    HubRunningError,
    InvitationError,
    LocalProtocolError,
    LockfileError,
    MissingExtraError,
    NoRecipientsError,
    NotRegisteredError,
    NotSubscribedError,
    ProtocolError,
    RegistrationError,
    RemoteProtocolError,
    SampError,
    StateError,
    ToolError,
    UnknownClientError,
    WaitTimeoutError,
    WrongLoopError,
    who,
)
from asyncsamp.values import ReplyError, Response

TREE: dict[type[Exception], tuple[type[Exception], ...]] = {
    HubNotFoundError: (SampError,),
    HubRunningError: (SampError,),
    HubLostError: (SampError, builtins.ConnectionError),
    FaultError: (SampError,),
    HubFaultError: (SampError,),
    UnknownClientError: (HubFaultError,),
    NotSubscribedError: (HubFaultError,),
    RegistrationError: (HubFaultError,),
    NotRegisteredError: (SampError, builtins.RuntimeError),
    CallTimeoutError: (SampError, builtins.TimeoutError),
    WaitTimeoutError: (SampError, builtins.TimeoutError),
    ReplyError: (SampError,),
    NoRecipientsError: (SampError, builtins.LookupError),
    SendError: (SampError,),
    DataError: (SampError, builtins.ValueError),
    MissingExtraError: (SampError, builtins.ImportError),
    ToolError: (SampError,),
    LockfileError: (SampError, builtins.ValueError),
    StateError: (SampError, builtins.ValueError),
    InvitationError: (SampError, builtins.ValueError),
    ProtocolError: (SampError,),
    LocalProtocolError: (ProtocolError, builtins.ValueError),
    WrongLoopError: (LocalProtocolError, builtins.RuntimeError),
    RemoteProtocolError: (ProtocolError,),
}


def test_the_tree_is_as_drawn() -> None:
    for kind, parents in TREE.items():
        assert kind.__bases__ == parents
    beside = {"ReplyError", "SendError"}  # stand with `Response` and `Sent`, which they hold
    others = {"SampError", "FaultCode", "NobodyError", "who"}
    assert set(errors.__all__) | beside == {kind.__name__ for kind in TREE} | others


def test_the_old_name_of_an_error_still_means_it() -> None:
    assert asyncsamp.NobodyError is NoRecipientsError


def test_the_module_draws_the_tree_that_there_is() -> None:
    drawn = (errors.__doc__ or "").split("SampError\n", 1)[1]
    for kind, parents in TREE.items():
        line = next(line for line in drawn.splitlines() if line.split()[:1] == [kind.__name__])
        for builtin in parents[1:]:
            assert f"({builtin.__name__})" in line


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            HubNotFoundError("SAMP_HUB=std-lockurl:file:///x", "~/.samp"),
            "no running SAMP hub found (looked at SAMP_HUB=std-lockurl:file:///x, ~/.samp); "
            "start one with: python -m asyncsamp.hub",
        ),
        (
            HubNotFoundError(),
            "no running SAMP hub found (looked at nowhere); start one with: python -m asyncsamp.hub",
        ),
        (
            HubRunningError("/home/me/.samp", "http://127.0.0.1:1/xmlrpc"),
            "a SAMP hub is already running at http://127.0.0.1:1/xmlrpc (lockfile /home/me/.samp); "
            "use that one, as every client does by itself, or stop it in its program (many have a menu for "
            "it), or start another beside it: 'python -m asyncsamp.hub --multiple', or Hub(lockfile=...)",
        ),
        (
            HubRunningError("f", "u", "'Hub', 'by TOPCAT'; its clients are 'topcat'"),
            "a SAMP hub is already running at u (lockfile f): 'Hub', 'by TOPCAT'; its clients are 'topcat'; "
            "use that one, as every client does by itself, or stop it in its program (many have a menu for "
            "it), or start another beside it: 'python -m asyncsamp.hub --multiple', or Hub(lockfile=...)",
        ),
        (
            HubLostError("http://127.0.0.1:1/xmlrpc", "notify"),
            "the SAMP hub at http://127.0.0.1:1/xmlrpc was lost during notify: it does not answer",
        ),
        (
            HubLostError("http://127.0.0.1:1/xmlrpc", "notify", "it shut down"),
            "the SAMP hub at http://127.0.0.1:1/xmlrpc was lost during notify: it shut down",
        ),
        (
            HubNotFoundError("~/.samp", waited=0.5),
            "no running SAMP hub found within 0.5 s (looked at ~/.samp); "
            "start one with: python -m asyncsamp.hub",
        ),
        (
            HubLostError("u", "call", "it shut down", looking=2.04),
            "the SAMP hub at u was lost during call: it shut down; "
            "the client has been looking for a hub for 2.0 s and goes on: "
            "wait_registered() waits until it is registered",
        ),
        (
            HubLostError("u", "call", "it shut down", looking=0.2, starts=True),
            "the SAMP hub at u was lost during call: it shut down; the client has been looking for a hub for "
            "0.2 s and starts one itself if none comes: wait_registered() waits until it is registered",
        ),
        (
            HubLostError("u", "call", "it broke off", watches=True),
            "the SAMP hub at u was lost during call: it broke off; if it has gone, the client looks for a "
            "hub by itself: try again in a moment, or await wait_registered()",
        ),
        (
            HubNotFoundError("~/.samp", looking=0.5),
            "no running SAMP hub found (looked at ~/.samp); start one with: python -m asyncsamp.hub; "
            "the client has been looking for a hub for 0.5 s and goes on: "
            "wait_registered() waits until it is registered",
        ),
        (
            HubNotFoundError(text="no running hub is called 'evning'", advice="did you mean 'evening'?"),
            "no running hub is called 'evning'; did you mean 'evening'?",
        ),
        (FaultError("no"), "no"),
        (HubFaultError("no"), "no"),
        (HubFaultError("no", operation="notify"), "the hub refused notify: no"),
        (
            NotRegisteredError("viewer", "notify"),
            "the client 'viewer' is not registered, so it cannot notify; "
            "use it within 'async with client:' (plain scripts: 'with client:'), or call register() first",
        ),
        (
            NotRegisteredError("viewer", "notify", loop_ended=True),
            "the client 'viewer' left when its event loop ended (each asyncio.run has one of its own), so it "
            "cannot notify; do all in one 'async def main()', or 'async with client:' in each",
        ),
        (
            CallTimeoutError("c2", "samp.app.ping", 10),
            "client 'c2' did not answer 'samp.app.ping' within 10 s",
        ),
        (CallTimeoutError("c2", "a.b", 0.25), "client 'c2' did not answer 'a.b' within 0.25 s"),
        (
            CallTimeoutError("c2", "a.b", 0.25, "TOPCAT"),
            "TOPCAT (c2) did not answer 'a.b' within 0.25 s",
        ),
        (
            CallTimeoutError("c2", "a.b", 0.25).advised("wait longer"),
            "client 'c2' did not answer 'a.b' within 0.25 s; wait longer",
        ),
        (NotSubscribedError("no 'a.b'", advice="it takes c.d"), "no 'a.b'; it takes c.d"),
        (
            NotSubscribedError("no 'a.b'", operation="call").advised("it takes c.d"),
            "the hub refused call: no 'a.b'; it takes c.d",
        ),
        (
            WrongLoopError("me", "call", ended=False),
            "the client 'me' cannot call here: it was registered in another event loop and belongs to it; "
            "give the work to that loop by asyncio.run_coroutine_threadsafe, or use asyncsamp.sync.Client, "
            "which any thread may use",
        ),
        (
            WrongLoopError("me", "call", ended=True),
            "the client 'me' cannot call here: it was registered in another event loop, which runs no more; "
            "make a new client, and let each one leave before its loop ends, as 'async with client:' does",
        ),
        (WaitTimeoutError("no table came", 1), "no table came within 1 s"),
        (
            WaitTimeoutError("no table came", 1, "nobody is there"),
            "no table came within 1 s; nobody is there",
        ),
        (UnknownClientError("no client named 'a'", advice="start it"), "no client named 'a'; start it"),
        (UnknownClientError("no 'a'", advice="start it").advised("--start"), "no 'a'; --start"),
        (
            HubNotFoundError("~/.samp", waited=1).advised("wait"),
            "no running SAMP hub found within 1 s (looked at ~/.samp); wait",
        ),
        (
            NoRecipientsError(["a.b"], "", advice="x").advised("start one"),
            "nobody is registered who takes a.b, so nothing was sent; there are: no other clients; start one",
        ),
        (
            ReplyError("c2", Response.failure("no table"), "TOPCAT"),
            "TOPCAT (c2) answered samp.error: no table",
        ),
        (ReplyError("c2", Response.failure("no table")), "client 'c2' answered samp.error: no table"),
        (ReplyError("c2", Response("samp.error")), "client 'c2' answered samp.error: no reason given"),
        (
            NoRecipientsError(["a.b", "a.c"], "'x' (c1)"),
            "nobody is registered who takes a.b or a.c, so nothing was sent; there are: 'x' (c1)",
        ),
        (
            NoRecipientsError(["a.b"], ""),
            "nobody is registered who takes a.b, so nothing was sent; there are: no other clients",
        ),
        (
            SendError("the table", Sent([Answer("c1", "x", "a.b", None, CallTimeoutError("c1", "a.b", 1))])),
            "the table reached nobody: x (c1): client 'c1' did not answer 'a.b' within 1 s",
        ),
        (
            MissingExtraError("astropy", "astropy"),
            "this needs astropy, which is not installed: pip install 'asyncsamp[astropy]', "
            "or in a checkout pip install '.[astropy]'",
        ),
        (
            StateError("/x/state", "why"),
            "cannot use the hub's state file /x/state: why; remove it, or name another one",
        ),
        (InvitationError("a.reach", "it is empty"), "cannot join by a.reach: it is empty"),
        (InvitationError("", "'a b' is not a valid name"), "'a b' is not a valid name"),
        (LockfileError("/x/.samp", "it is empty"), "cannot use the SAMP lockfile /x/.samp: it is empty"),
        (LockfileError("/x/.samp", "no '='", 3), "cannot use the SAMP lockfile /x/.samp, line 3: no '='"),
    ],
)
def test_texts(error: SampError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "client 'c2'"),
        ("TOPCAT", "TOPCAT (c2)"),
    ],
)
def test_how_texts_speak_of_a_client(name: str, text: str) -> None:
    assert who("c2", name) == text


def test_fields() -> None:
    assert HubNotFoundError("a", "b").looked_at == ("a", "b")
    running = HubRunningError("f", "u")
    assert (running.lockfile, running.url, running.program) == ("f", "u", "")
    lost = HubLostError("u", "call", "why")
    assert (lost.url, lost.operation, lost.reason) == ("u", "call", "why")
    timed_out = CallTimeoutError("c1", "a.b", 1.5)
    assert (timed_out.recipient, timed_out.mtype, timed_out.timeout) == ("c1", "a.b", 1.5)
    response = Response.failure("no")
    replied = ReplyError("c1", response)
    assert replied.recipient == "c1"
    assert replied.response is response
    lockfile = LockfileError("p", "why", 2)
    assert (lockfile.path, lockfile.reason, lockfile.line) == ("p", "why", 2)
    invitation = InvitationError("a.reach", "why")
    assert (invitation.where, invitation.reason) == ("a.reach", "why")
    unregistered = NotRegisteredError("n", "call")
    assert (unregistered.name, unregistered.operation, unregistered.loop_ended) == ("n", "call", False)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (HubFaultError, FaultCode.INTERNAL),
        (UnknownClientError, FaultCode.UNKNOWN_CLIENT),
        (NotSubscribedError, FaultCode.NOT_SUBSCRIBED),
        (RegistrationError, FaultCode.REGISTRATION_REFUSED),
    ],
)
def test_a_fault_has_the_code_of_its_kind_unless_told_otherwise(
    kind: type[HubFaultError], code: FaultCode
) -> None:
    error = kind("no")
    assert (error.text, error.code, error.operation) == ("no", code, "")
    assert type(error.code) is int
    assert kind("no", code=7).code == 7


@pytest.mark.parametrize(
    "error",
    [
        NotSubscribedError("no", code=7, operation="call", advice="first"),
        UnknownClientError("no", code=7, operation="call", advice="first", missing="topcat"),
    ],
)
def test_another_advice_changes_nothing_else(error: HubFaultError) -> None:
    other = error.advised("second")
    assert type(other) is type(error)
    assert (other.text, str(other)) == ("no; second", "the hub refused call: no; second")
    unlike = {"text", "advice"}
    assert {name: value for name, value in vars(other).items() if name not in unlike} == {
        name: value for name, value in vars(error).items() if name not in unlike
    }


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (FaultCode.UNKNOWN_CLIENT, UnknownClientError),
        (FaultCode.NOT_SUBSCRIBED, NotSubscribedError),
        (FaultCode.REGISTRATION_REFUSED, RegistrationError),
        (FaultCode.TIMEOUT, HubFaultError),
        (1, HubFaultError),
        (0, HubFaultError),
        (-32601, HubFaultError),
    ],
)
def test_a_fault_of_the_wire_becomes_the_error_that_its_code_names(
    code: int, kind: type[HubFaultError]
) -> None:
    error = HubFaultError.from_fault(int(code), "no such thing", "notify")
    assert type(error) is kind
    assert (error.code, error.text, error.operation) == (code, "no such thing", "notify")
    assert str(error) == "the hub refused notify: no such thing"


def test_our_fault_codes_are_told_apart_from_those_of_other_hubs() -> None:
    assert min(FaultCode) == 1300
    assert len(set(FaultCode)) == len(FaultCode.__members__)
