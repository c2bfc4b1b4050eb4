"""How a notebook shows clients: tidy, and without what a stranger could smuggle in."""

from __future__ import annotations

from asyncsamp.client.notebook_html import clients_table, one_client
from asyncsamp.client.tracker import ClientList, OtherClients


def test_a_table_of_clients() -> None:
    shown = clients_table(
        [
            (
                "c1",
                {"samp.name": "topcat", "samp.icon.url": "http://h/i.gif", "samp.description.text": "tables"},
                {"table.load.votable": {}, "samp.app.ping": {}, "image.load.fits": {}},
            )
        ]
    )
    assert "<td>topcat</td>" in shown
    assert "<code>c1</code>" in shown
    assert "image.load.fits, table.load.votable" in shown
    assert "samp.app.ping" not in shown  # everybody does
    assert '<img src="http://h/i.gif"' in shown
    assert 'title="tables"' in shown


def test_nothing_of_a_stranger_is_markup() -> None:
    evil = '"><script>alert(1)</script>'
    shown = clients_table([(evil, {"samp.name": evil, "samp.description.text": evil}, {evil: {}})])
    assert "<script>" not in shown
    assert '""' not in shown


def test_icons_come_from_the_web_only() -> None:
    for url in ("file:///etc/passwd", "javascript:alert(1)", "data:image/svg+xml,x", "http://[", ""):
        assert "<img" not in clients_table([("c1", {"samp.icon.url": url}, {})])
    assert "<img" not in clients_table([("c1", {"samp.icon.url": ["http://h/i.gif"]}, {})])


def test_many_mtypes_are_cut_short() -> None:
    shown = clients_table([("c1", {}, {f"a.m{number:02}": {} for number in range(40)})])
    assert "and 28 more" in shown
    assert "a.m39" not in shown


def test_nobody() -> None:
    assert clients_table([]) == "<i>no other clients</i>"
    assert ClientList()._repr_html_() == "<i>no other clients</i>"


def test_one_client() -> None:
    assert one_client("<me>", "not registered", None) == "<b>&lt;me&gt;</b> <i>not registered</i>"
    others = OtherClients()
    others.seen("c1")
    others.declared("c1", metadata={"samp.name": "topcat"})
    assert "topcat" in others._repr_html_()
    client = others["c1"]
    assert "<i>registered</i>" in client._repr_html_()
    others.left("c1")
    assert "<i>gone</i>" in client._repr_html_()
