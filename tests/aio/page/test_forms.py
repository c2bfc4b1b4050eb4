"""asyncsamp.hub.page.forms: what the page's form knows of mtypes."""

from __future__ import annotations

from typing import Any

from asyncsamp import mtypes
from asyncsamp.hub.page.forms import forms

FORMS: dict[str, dict[str, Any]] = {form["mtype"]: form for form in forms()}


def test_every_mtype_that_a_client_may_send_has_one() -> None:
    kinds = [getattr(mtypes, name) for name in mtypes.__all__]
    sent = {kind.mtype for kind in kinds if isinstance(kind, type) and issubclass(kind, mtypes.TypedMessage)}
    sent.discard("")  # the base of all
    assert set(FORMS) == {mtype for mtype in sent if not mtype.startswith("samp.hub.")}
    assert not [mtype for mtype in FORMS if mtype.startswith("samp.hub.")]


def test_what_it_says_of_parameters() -> None:
    row = FORMS["table.highlight.row"]
    assert row["about"] == "Highlight one row of a table loaded before."
    assert row["params"] == [
        {"name": "table-id", "kind": "text", "required": False},
        {"name": "url", "kind": "text", "required": False},
        {"name": "row", "kind": "integer", "required": True},
    ]
    kinds = {param["kind"] for form in FORMS.values() for param in form["params"]}
    assert kinds == {"text", "integer", "number", "list", "map", "any"}
