"""Members of a room as they are kept, and the server's configuration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from asyncsamp import InvitationError
from asyncsamp.reach.accounts import Listen, Member, Members, server_config

KEY = "U" + "A" * 55
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def test_who_may_join_is_kept_without_a_secret() -> None:
    members = Members("m31", [Member("alice", KEY), Member("bob", KEY, NOW + timedelta(days=1))])
    again = Members.load(members.dump(), "a file")
    assert (
        again.at(NOW)
        == members.at(NOW)
        == [Member("alice", KEY), Member("bob", KEY, NOW + timedelta(days=1))]
    )
    assert [one.name for one in again.at(NOW + timedelta(days=2))] == ["alice"]
    assert "alice" in again
    assert again.remove("alice")
    assert not again.remove("alice")
    again.add(Member("carol", KEY))
    assert [one.name for one in again.at(NOW)] == ["bob", "carol"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"room": "a.b", "members": {}}',
        '{"room": "m31", "members": {"a": {"key": "x", "expires": null}}}',
        '{"room": "m31", "members": {"a b": {"key": "' + KEY + '", "expires": null}}}',
        '{"room": "m31", "members": {"a": {"key": "' + KEY + '", "expires": "soon"}}}',
        '{"room": "m31", "members": {"a": 1}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_list_of_members_is_refused(text: str) -> None:
    with pytest.raises(InvitationError, match="a file"):
        Members.load(text, "a file")


def test_the_configuration() -> None:
    text = server_config("m31", [Member("alice", KEY)], Listen(websocket=4223))
    assert 'listen: "127.0.0.1:4222"' in text
    assert "no_tls: true, allowed_origins:" in text
    assert f"nkey: {KEY}" in text
    assert '"samp.m31.alice.>"' in text
    tls = server_config("m31", [], Listen("::1", 1, 2, "c.pem", "k.pem"))
    assert 'listen: "[::1]:1"' in tls
    assert tls.count('cert_file: "c.pem"') == 2
    assert "users: [\n    { user: nobody, password:" in tls, "an empty list lets everybody in"
    assert 'cert_file: "/home/j\u00e9r\u00f4me/c"' in server_config(
        "r", [], Listen(cert="/home/j\u00e9r\u00f4me/c")
    )
    assert "users" not in server_config("m31", [], Listen(), open_to_all=True)
