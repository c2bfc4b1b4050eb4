"""The Web Profile's options of `python -m asyncsamp.hub`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ..errors import LocalProtocolError
from .profiles.web import (
    Consent,
    OriginStore,
    TerminalConsent,
    WebProfile,
    allow_all,
    allow_origins,
    default_path,
    deny_all,
)
from .profiles.web.mtypes import WEB_MTYPES
from .profiles.web.profile import PORT

__all__ = ["add_web_options", "manage_origins", "web_profiles"]


def add_web_options(parser: argparse.ArgumentParser, port: Callable[[str], int]) -> None:
    """Add the options to `parser`; `port` reads a port number."""
    add = parser.add_argument_group("web pages (the Web Profile)").add_argument
    add("--no-web-profile", action="store_true", help="take no web pages")
    add("--web-port", type=port, default=PORT, metavar="PORT", help="for tests: pages look at %(default)s")
    add(
        "--web-consent",
        type=_consent,
        default=TerminalConsent(),
        metavar="ask|allow|deny|ORIGIN,...",
        help="who may register: whom you allow when asked on the terminal (the default), every page, none, "
        "or pages of these origins, such as https://archive.example.org",
    )
    add(
        "--web-any-mtype",
        action="store_true",
        help="let pages send messages of every kind, those too that run commands in other tools",
    )
    add(
        "--web-plain-urls",
        action="store_true",
        help="show pages the URLs of local files and servers as they are, so that only pages that use "
        "the URL translator themselves can read them",
    )
    add("--web-policy-files", action="store_true", help="serve crossdomain.xml and clientaccesspolicy.xml")
    add(
        "--web-origins",
        nargs="*",
        metavar="remove ORIGIN",
        help="list the origins that you allowed for good, or take that back, and run no hub",
    )


def _consent(text: str) -> Consent:
    known: dict[str, Consent] = {"ask": TerminalConsent(), "allow": allow_all, "deny": deny_all}
    if text in known:
        return known[text]
    try:
        return allow_origins(origin for origin in text.split(",") if origin.strip())
    except LocalProtocolError as error:
        raise argparse.ArgumentTypeError(f"{error}, or ask, allow or deny") from None


def web_profiles(arguments: argparse.Namespace) -> list[WebProfile]:
    """Return the profiles to serve beside the Standard Profile."""
    if arguments.no_web_profile:
        return []
    return [
        WebProfile(
            consent=arguments.web_consent,
            port=arguments.web_port,
            mtypes=None if arguments.web_any_mtype else WEB_MTYPES,
            rewrite_urls=not arguments.web_plain_urls,
            policy_files=arguments.web_policy_files,
        )
    ]


def manage_origins(words: list[str]) -> int:
    """List or remove remembered origins; return the exit code."""
    store = OriginStore(default_path())
    if words[:1] == ["remove"] and len(words) > 1:
        unknown = [origin for origin in words[1:] if not store.remove(origin)]
        for origin in unknown:
            print(f"asyncsamp.hub: {origin} was not allowed", file=sys.stderr)
        return 1 if unknown else 0
    if words not in ([], ["list"]):
        print("asyncsamp.hub: --web-origins, or --web-origins remove ORIGIN ...", file=sys.stderr)
        return 2
    for origin in store.read():
        print(origin)
    return 0
