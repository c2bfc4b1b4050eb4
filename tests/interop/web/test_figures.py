"""How fast it is, compared with JSAMP's Web Profile in the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .browser import tab_context
from .figures import Latency, asyncsamp_hub, measure_calls, measure_notifications
from .harness import FILES, jsamp_web_hub
from .site import open_site

pytestmark = [pytest.mark.alone, pytest.mark.timeout(180)]

RUNS = 3
"""A busy machine is unfair now to the one, now to the other: one run of these has to show it."""


async def test_a_message_is_at_the_page_as_soon_as_from_jsamp(tmp_path: Path, long: bool) -> None:
    seen: list[tuple[Latency, Latency]] = []
    async with open_site(FILES) as site, tab_context(tmp_path) as context:
        for _ in range(RUNS):
            async with asyncsamp_hub(tmp_path) as (lockfile, _):
                ours = await measure_notifications(context, site, lockfile, 200)
            async with jsamp_web_hub(tmp_path) as lockfile:
                theirs = await measure_notifications(context, site, lockfile, 200)
            seen.append((ours, theirs))
            # Two messages of 200 that are held up are the 99th percentile.
            if ours.p50 <= theirs.p50 and ours.p99 <= max(0.0 if long else 0.05, theirs.p99):
                return
    pytest.fail("; ".join(f"ours {ours}, JSAMP's {theirs}" for ours, theirs in seen))


async def test_a_call_from_the_page_is_answered_as_soon_as_by_jsamp(tmp_path: Path) -> None:
    seen: list[tuple[Latency, Latency]] = []
    async with open_site(FILES) as site, tab_context(tmp_path) as context:
        for _ in range(RUNS):
            async with asyncsamp_hub(tmp_path) as (lockfile, _):
                ours = await measure_calls(context, site, lockfile, 200)
            async with jsamp_web_hub(tmp_path) as lockfile:
                theirs = await measure_calls(context, site, lockfile, 200)
            seen.append((ours, theirs))
            if ours.p50 <= max(0.004, theirs.p50):
                return
    pytest.fail("; ".join(f"ours {ours}, JSAMP's {theirs}" for ours, theirs in seen))
