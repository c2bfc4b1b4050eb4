"""Chromium, as Debian packages it, driven by Playwright."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...installed import require_file, require_module, require_program
from ..peers.process import process

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

__all__ = ["chromium", "plain_chromium", "require_web_clients", "tab_context"]

WEB_CLIENTS = Path(__file__).parent / "node_modules"

_ARGUMENTS = (
    "--no-sandbox",  # the tests run as root
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--mute-audio",
)
_PATIENCE = 60_000
"""Milliseconds for a page to do what is expected: on a busy machine a browser takes seconds for a click."""

_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@contextlib.asynccontextmanager
async def chromium(
    home: Path, *arguments: str, gl: bool = False, display: str = ""
) -> AsyncIterator[Browser]:
    """Run a Chromium: headless, unless it has a display. With `gl` it draws by software."""
    require_module("playwright", "playwright")
    program = require_program("chromium", "chromium")
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=_PATIENCE)
    graphics = _SOFTWARE_GL if gl else ("--disable-gpu",)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            headless=not display,
            args=[*_ARGUMENTS, *graphics, *arguments],
            env={"HOME": str(home), "DISPLAY": display},
        )
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def tab_context(
    home: Path, *arguments: str, gl: bool = False, display: str = ""
) -> AsyncIterator[BrowserContext]:
    """Run a Chromium and open a profile in it that accepts any certificate."""
    async with chromium(home, *arguments, gl=gl, display=display) as browser:
        context = await browser.new_context(ignore_https_errors=True, viewport={"width": 900, "height": 600})
        context.set_default_timeout(_PATIENCE)
        yield context


@contextlib.asynccontextmanager
async def plain_chromium(home: Path, url: str) -> AsyncIterator[None]:
    """Run a headless Chromium that shows a page and is driven by nobody."""
    program = require_program("chromium", "chromium")
    options = ["--headless", "--disable-gpu", f"--user-data-dir={home / 'profile'}"]
    async with process([program, *_ARGUMENTS, *options, url], name="Chromium", home=home):
        yield


def require_web_clients(name: str) -> Path:
    """Return the folder of a web client from npm."""
    folder = WEB_CLIENTS / name
    if not (folder / "package.json").exists():
        require_file(folder, "npm; cd tests/interop/web && npm ci")
    return folder
