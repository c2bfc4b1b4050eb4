"""asyncsamp.hub.profiles.reach.invitation: what may stand in an invitation, and what is shown of it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncsamp.errors import InvitationError
from asyncsamp.hub.profiles.reach.invitation import (
    ANYBODY,
    MAX_TEXT,
    Invitation,
    check_name,
    invitation_of_url,
    parse_headers,
    parse_invitation,
)
from asyncsamp.hub.profiles.reach.invitation_files import (
    find_again,
    find_invitation,
    read_headers,
    read_invitation,
    write_invitation,
)

SEED = "SU" + "A" * 56
CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
NOON = datetime(2027, 1, 31, 12, tzinfo=UTC)

INVITATIONS = [
    Invitation("nats://127.0.0.1:4222"),
    Invitation("tls://h.example:4222", "m31", "alice", seed=SEED, ca=CA, own=True, expires=NOON),
    Invitation("wss://h.example/user/me/proxy/4222/", "m31", "bob", user="bob", password='p"\\\u20ac\n'),
    Invitation("ws://[::1]:80", headers={"Authorization": 'token "x"', "X-Y": ""}),
    Invitation("tls://h", ca=CA + '"\\'),
]


@pytest.mark.parametrize("invitation", INVITATIONS)
def test_what_is_written_is_read(invitation: Invitation, tmp_path: Path) -> None:
    assert parse_invitation(invitation.to_text()) == invitation
    path = tmp_path / "alice.reach"
    path.write_text("what was there before")
    write_invitation(path, invitation)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_invitation(path) == invitation


def test_no_secret_is_shown() -> None:
    invitation = Invitation(
        "wss://h", "r", "m", seed="SECRET1", password="SECRET2", headers={"Authorization": "SECRET3"}
    )
    assert "SECRET" not in f"{invitation!r} {invitation}"


def test_how_it_stands() -> None:
    for url, encrypted, local in [
        ("nats://127.0.0.1:4222", False, True),
        ("nats://localhost", False, True),
        ("ws://[::1]:1", False, True),
        ("tls://h.example", True, False),
        ("wss://h.example", True, False),
        ("nats://10.0.0.1", False, False),
    ]:
        invitation = invitation_of_url(url)
        assert (invitation.is_encrypted, invitation.is_local) == (encrypted, local), url
        assert (invitation.member, invitation.has_account) == (ANYBODY, False)
    assert Invitation("tls://h", seed=SEED).has_account


def test_it_ends_when_it_says_so() -> None:
    ending = Invitation("tls://h", expires=NOON)
    assert not ending.has_expired(NOON - timedelta(seconds=1))
    assert ending.has_expired(NOON)
    assert not Invitation("tls://h").has_expired(NOON)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty; was the file copied whole?"),
        (" \n\n", "it is empty; was the file copied whole?"),
        ("# An invitation\n", "it has no url; was the file copied whole?"),
        ("nonsense", "it is not an invitation (they are TOML); was the file copied whole?"),
        (
            'url = "nats://h"\nca = """\nSECR',
            "it is not an invitation (they are TOML); was the file copied whole?",
        ),
        (
            'url = "ws://h"\n[headers]\nAuthorization: "SECRET"\n',
            'it is not an invitation (they are TOML); line 3 should be NAME = "VALUE", or [headers]',
        ),
        ("a = " + "[" * 60_000, "it is not an invitation (they are TOML)"),
        ("#" * (MAX_TEXT + 1), "it has more than 65536 characters"),
        ('url = "nats://h"\nsecret = 1', "there is no field 'secret'"),
        ('url = "nats://h"\nrom = "SECRET"', "there is no field 'rom'; did you mean 'room'?"),
        (
            'url = "ws://h"\nAuthorization = "token SECRET"',
            "there is no field 'Authorization'; it belongs under a line [headers]",
        ),
        ('url = "ws://h"\nX-Key = "SECRET"', "there is no field 'X-Key'; it belongs under a line [headers]"),
        ('url = "ws://h"\n[header]\na = "SECRET"', "there is no part [header]; did you mean [headers]?"),
        ('url = "ws://h"\n[x]\na = "SECRET"', "there is no part [x]; did you mean [headers]?"),
        (
            f'url = "ws://h"\n[headers]\nca = """{CA}"""',
            "'ca' stands below the line [headers]; it belongs above",
        ),
        ('[headers]\na = "b"\nurl = "ws://h"', "'url' stands below the line [headers]; it belongs above"),
        ('url = "nats://h"\nroom = 1', "room must be a text in quotes"),
        ('url = "nats://h"\nown = "yes"', "own must be true or false"),
        ('url = "http://h"', "'http://h' is not the URL of a server"),
        ('url = "https://h/x"', "'https://h/x' is not the URL of a server; write wss:// instead of https://"),
        ('url = "HTTP://h"', "'HTTP://h' is not the URL of a server; write ws:// instead of http://"),
        ('url = "nats://"', "'nats://' is not the URL of a server"),
        ('url = "nats://h:0"', "'nats://h:0' is not the URL of a server"),
        ('url = "nats://h:x"', "the URL cannot be read"),
        ('url = "nats://u:SECRET@h"', "the URL must hold no user, password"),
        ('url = "wss://h/?token=SECRET"', "the URL must hold no user, password, query or fragment"),
        ('url = "nats://h"\nroom = "a.b"', "'a.b' is not a valid name of a room"),
        ('url = "nats://h"\nmember = "*"', "'*' is not a valid name of a member"),
        (f'url = "nats://h"\nseed = "{SEED}"', "'' is not a valid name of a member"),
        (
            'url = "nats://h"\nmember = "a"\nseed = "SECRET"',
            "the seed is not that of a user's nkey: SU and 56 letters and digits; was",
        ),
        (f'url = "nats://h"\nseed = "{SEED}"\nuser = "u"', "it has both a seed and a user"),
        ('url = "nats://h"\nuser = "u"', "user and password go together"),
        ('url = "nats://h"\nca = "/etc/ca.pem"', "ca is not a certificate in PEM"),
        ('url = "nats://h"\nexpires = 2027-01-31', "expires must be a time with its zone"),
        ('url = "nats://h"\nexpires = 2027-01-31T00:00:00', "expires must be a time with its zone"),
        ('url = "nats://h"\n[headers]\na = "b"', "only ws:// and wss:// have headers"),
        ('url = "ws://h"\nheaders = 1', "headers must be a table"),
        ('url = "ws://h"\n[headers]\na = "b\\r\\nc: SECRET"', "the header 'a' is not valid"),
        ('url = "ws://h"\n[headers]\n"a b" = "c"', "the header 'a b' is not valid"),
        ('url = "ws://h"\n[headers]\na = 1', "the header 'a' is not valid"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(InvitationError) as caught:
        parse_invitation(text, "alice.reach")
    assert str(caught.value).startswith(f"cannot join by alice.reach: {reason}")
    assert "SECRET" not in str(caught.value)


def test_headers_of_a_file() -> None:
    assert parse_headers("# Jupyter's\n\nAuthorization:token x:y \nX-Empty:\n") == {
        "Authorization": "token x:y",
        "X-Empty": "",
    }
    with pytest.raises(
        InvitationError, match=r"line 2 .* 'Name: value', such as Authorization: token 0123"
    ) as caught:
        parse_headers("A: b\ntoken SECRET\n", "headers")
    assert "SECRET" not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "alice.reach"
    path.write_text('url = "nats://h"')
    path.chmod(0o640)
    with pytest.raises(InvitationError, match=f"first: chmod 600 {path}"):
        read_invitation(path)
    path.chmod(0o600)
    assert read_invitation(path).url == "nats://h"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvitationError, match="it cannot be read: No such file"):
        read_invitation(tmp_path / "none")
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(InvitationError, match="it is not a text"):
        read_headers(path)


def test_names() -> None:
    assert check_name("room", "M31_a-b") == "M31_a-b"
    for name in ("", "a b", "a.b", ">", "a" * 65, "\u00e9"):
        with pytest.raises(InvitationError, match="not a valid name of a room"):
            check_name("room", name)


ALICE = Invitation("nats://127.0.0.1:4222", "m31", "alice", user="a", password="old")


@pytest.mark.parametrize("room", ["", "other"])
def test_what_has_taken_its_place_is_found_in_the_same_room(room: str, tmp_path: Path) -> None:
    path = tmp_path / "alice.reach"
    write_invitation(path, ALICE)
    known = find_invitation(str(path), room=room)
    assert find_again(known) == known
    write_invitation(path, replace(ALICE, url="nats://127.0.0.1:4223", password="new"))
    now = find_again(known)
    assert (now.url, now.password, now.room) == ("nats://127.0.0.1:4223", "new", room or "m31")
    write_invitation(path, replace(ALICE, password="newer"))
    assert find_again(now).password == "newer"


def test_headers_that_have_been_mended_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "headers"
    path.touch(0o600)
    path.write_text("Authorization: token old\n")
    monkeypatch.chdir(tmp_path)
    known = find_invitation("ws://127.0.0.1:8888/x", room="m31", headers=Path("headers"))
    path.write_text("Authorization: token new\n")
    monkeypatch.chdir("/")
    now = find_again(known)
    assert now == replace(known, headers={"Authorization": "token new"})
    path.write_text("Authorization: token newer\n")
    assert find_again(now).headers == {"Authorization": "token newer"}


@pytest.mark.parametrize(
    "other",
    [
        replace(ALICE, room="m33"),
        replace(ALICE, member="bob"),
        replace(ALICE, user="", password=""),  # whose server proves no name
        None,
    ],
)
def test_what_is_of_no_use_in_its_place_is_left_alone(other: Invitation | None, tmp_path: Path) -> None:
    path = tmp_path / "alice.reach"
    write_invitation(path, ALICE)
    known = find_invitation(str(path))
    if other is None:
        path.write_text("nonsense")
    else:
        write_invitation(path, other)
    assert find_again(known) is known
    path.unlink()
    assert find_again(known) is known


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes")
@pytest.mark.timeout(20)
def test_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "alice.reach"
    write_invitation(path, ALICE)
    known = find_invitation(str(path))
    path.unlink()
    os.mkfifo(path)
    assert find_again(known) is known


def test_what_is_from_no_file_stays() -> None:
    for known in (ALICE, find_invitation("nats://127.0.0.1:4222", room="m31")):
        assert find_again(known) is known
