"""The table of hub operations: names, arity and types are checked in one place (STD-3, STD-12..25)."""

from __future__ import annotations

import itertools

import pytest

from asyncsamp.errors import FaultCode, FaultError
from asyncsamp.hub.core import HubCore
from asyncsamp.hub.operations import OPERATIONS, find_operation
from asyncsamp.hub.validation import check_message, check_mtype
from asyncsamp.values import Value

PARAMETERS: dict[str, list[Value]] = {
    "unregister": [],
    "declareMetadata": [{"samp.name": "x"}],
    "getMetadata": ["c1"],
    "declareSubscriptions": [{"a.b": {}}],
    "getSubscriptions": ["c1"],
    "getRegisteredClients": [],
    "getSubscribedClients": ["a.b"],
    "notify": ["c1", {"samp.mtype": "a.b"}],
    "notifyAll": [{"samp.mtype": "a.b"}],
    "call": ["c1", "tag", {"samp.mtype": "a.b"}],
    "callAll": ["tag", {"samp.mtype": "a.b"}],
    "callAndWait": ["c1", {"samp.mtype": "a.b"}, "5"],
    "reply": ["m1", {"samp.status": "samp.ok"}],
}


def test_the_operations_are_those_of_the_standard() -> None:  # STD-12..25
    assert set(OPERATIONS) == set(PARAMETERS)
    assert all(operation.name == name for name, operation in OPERATIONS.items())


@pytest.mark.parametrize("name", PARAMETERS)
def test_right_parameters_are_bound_as_they_are(name: str) -> None:
    assert find_operation(name).bind(PARAMETERS[name]) == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_has_one_type(name: str) -> None:
    operation = find_operation(name)
    words: dict[type, str] = {str: "string", list: "list", dict: "map"}
    others: list[Value] = ["text", ["list"], {"map": "x"}]
    for place, (parameter, kind) in enumerate(operation.params):
        for wrong in others:
            if type(wrong) is kind:
                continue
            params = list(PARAMETERS[name])
            params[place] = wrong
            with pytest.raises(FaultError) as error:
                operation.bind(params)
            assert error.value.code == FaultCode.BAD_PARAMETERS
            assert (
                error.value.text == f"{name}: {parameter} must be a {words[kind]}, not a {words[type(wrong)]}"
            )


def test_a_type_that_is_none_of_samp_is_not_named() -> None:
    with pytest.raises(FaultError, match="metadata must be a map, not a type that SAMP does not have"):
        find_operation("declareMetadata").bind([5])  # type: ignore[list-item]


@pytest.mark.parametrize("name", PARAMETERS)
def test_too_many_or_too_few_parameters_are_a_fault(name: str) -> None:  # STD-34
    operation = find_operation(name)
    right = PARAMETERS[name]
    wrong = [[*right, "more"]] + ([right[:-1]] if right else [])
    for params in wrong:
        with pytest.raises(FaultError) as error:
            operation.bind(params)
        assert error.value.code == FaultCode.BAD_PARAMETERS
        assert error.value.text.startswith(f"{name} takes {len(right)} parameters (")
        assert error.value.text.endswith(f"), not {len(params)}")


def test_the_fault_names_the_parameters() -> None:
    with pytest.raises(FaultError, match=r"takes 3 parameters \(recipient-id, msg-tag, message\), not 0"):
        find_operation("call").bind([])
    with pytest.raises(FaultError, match=r"unregister takes 0 parameters \(none\), not 1"):
        find_operation("unregister").bind(["x"])


@pytest.mark.parametrize("name", ["", "Notify", "notify ", "register", "ping", "__class__", "x" * 100_000])
def test_an_unknown_operation_is_a_fault(name: str) -> None:
    with pytest.raises(FaultError, match="the hub has no operation '") as error:
        find_operation(name)
    assert error.value.code == FaultCode.UNKNOWN_METHOD
    assert len(error.value.text) < 150


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name != "callAndWait"])
def test_each_runs_on_the_core(name: str) -> None:
    core = HubCore(client_ids=iter(["c1"]), msg_ids=(f"m{n}" for n in itertools.count(1)))
    client = core.register()
    core.set_callable(client, True)
    core.declare_subscriptions(client, {"a.b": {}})
    core.call("hub", client, "tag", {"samp.mtype": "a.b"})  # m1, to have something to reply to
    operation = find_operation(name)
    assert operation.run is not None
    returned = operation.run(core, client, *operation.bind(PARAMETERS[name]))
    assert returned is None or isinstance(returned, str | list | dict)


def test_only_the_wait_is_left_to_the_engine() -> None:
    assert [name for name, operation in OPERATIONS.items() if operation.run is None] == ["callAndWait"]


class TestChecks:
    def test_a_message_keeps_all_its_keys(self) -> None:  # MSG-3
        message: dict[str, Value] = {"samp.mtype": "a.b", "samp.params": {"x": "1"}, "more": ["y"]}
        assert check_message(message) == ("a.b", message)

    def test_missing_params_are_filled_in(self) -> None:  # MSG-2
        assert check_message({"samp.mtype": "a.b"}) == ("a.b", {"samp.mtype": "a.b", "samp.params": {}})

    @pytest.mark.parametrize(
        ("message", "says"),
        [
            ({}, "no samp.mtype"),
            ({"samp.mtype": {}}, "no samp.mtype"),
            ({"samp.mtype": "a.*"}, "wildcards are for subscriptions only"),
            ({"samp.mtype": "a.b", "samp.params": ["x"]}, "samp.params is not a map"),
        ],
    )
    def test_what_is_no_message_is_refused(self, message: dict[str, Value], says: str) -> None:  # MSG-1
        with pytest.raises(FaultError, match=says) as error:
            check_message(message)
        assert error.value.code == FaultCode.BAD_PARAMETERS

    def test_the_length_of_an_mtype_is_bounded(self) -> None:
        check_mtype("a" * 1000)
        with pytest.raises(FaultError, match="too long for an mtype: more than 1000 characters"):
            check_mtype("a" * 1001)
