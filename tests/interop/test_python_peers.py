"""pyvo.samp and astropy.samp: their clients on our hub, our client on their hubs."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import conversation

KINDS = ["pyvo", "astropy"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_python_client_speaks_to_ours_on_our_hub(kind: str, tmp_path: Path) -> None:
    async with conversation.both("asyncsamp", kind, tmp_path) as (client, peer):
        await conversation.peer_speaks(client, peer)
        await conversation.peer_leaves(client, peer)


@pytest.mark.parametrize("kind", KINDS)
async def test_our_client_speaks_to_a_python_one_on_our_hub(kind: str, tmp_path: Path) -> None:
    async with conversation.both("asyncsamp", kind, tmp_path) as (client, peer):
        await conversation.ours_speaks(client, peer)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_python_client_speaks_to_ours_on_its_hub(kind: str, tmp_path: Path) -> None:
    async with conversation.both(kind, kind, tmp_path) as (client, peer):
        await conversation.peer_speaks(client, peer, faithful=False)
        await conversation.peer_leaves(client, peer)


@pytest.mark.parametrize("kind", KINDS)
async def test_our_client_speaks_to_a_python_one_on_its_hub(kind: str, tmp_path: Path) -> None:
    async with conversation.both(kind, kind, tmp_path) as (client, peer):
        await conversation.ours_speaks(client, peer, faithful=False)
