"""The Web Profile's options of `python -m asyncsamp.hub`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import LocalProtocolError
from .mtype_limits import WEB_MTYPES
from .options import add_group, names, port
from .profiles.web import (
    Consent,
    Permission,
    Permissions,
    Subject,
    TerminalConsent,
    WebProfile,
    allow_all,
    allow_origins,
    default_path,
    deny_all,
)
from .profiles.web.profile import PORT

__all__ = ["add_web_options", "manage_origins", "web_profiles"]

_CLIENT = "client:"


def _consent(text: str) -> Consent:
    known: dict[str, Consent] = {"ask": TerminalConsent(), "allow": allow_all, "deny": deny_all}
    if text in known:
        return known[text]
    try:
        return allow_origins(names(text))
    except LocalProtocolError as error:
        raise argparse.ArgumentTypeError(f"{error}, or ask, allow or deny") from None


_OPTIONS: dict[str, dict[str, Any]] = {
    "--no-web-profile": {"action": "store_true", "help": "take no web pages"},
    "--web-port": {
        "type": port,
        "default": PORT,
        "metavar": "PORT",
        "help": "for tests: pages look at %(default)s",
    },
    "--web-consent": {
        "type": _consent,
        "metavar": "ask|allow|deny|ORIGIN,...",
        "help": "who may register: whom you allow when asked on the terminal (the default), every page, "
        "none, or pages of these origins, such as https://archive.example.org",
    },
    "--web-any-mtype": {
        "action": "store_true",
        "help": "let pages send messages of every kind, those too that run commands in other tools",
    },
    "--web-plain-urls": {
        "action": "store_true",
        "help": "show pages the URLs of local files and servers as they are, so that only pages that use "
        "the URL translator themselves can read them",
    },
    "--web-policy-files": {
        "action": "store_true",
        "help": "serve crossdomain.xml and clientaccesspolicy.xml",
    },
    "--web-origins": {
        "nargs": "*",
        "metavar": "remove ORIGIN",
        "help": "list what you decided for good about web pages and clients, or take that back, "
        "and run no hub",
    },
}


def add_web_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to `parser`."""
    add_group(parser, "web pages (the Web Profile)", _OPTIONS)
    parser.set_defaults(web_consent=TerminalConsent())


def web_profiles(arguments: argparse.Namespace, permissions: Permissions) -> list[WebProfile]:
    """Return the profiles to serve beside the Standard Profile, which keep to `permissions`."""
    if arguments.no_web_profile:
        return []
    return [
        WebProfile(
            consent=arguments.web_consent,
            port=arguments.web_port,
            mtypes=None if arguments.web_any_mtype else WEB_MTYPES,
            rewrite_urls=not arguments.web_plain_urls,
            policy_files=arguments.web_policy_files,
            store=permissions,
        )
    ]


def manage_origins(words: list[str]) -> int:
    """List or remove what was decided for good; return the exit code."""
    store = Permissions(default_path())
    if words[:1] == ["remove"] and len(words) > 1:
        unknown = [word for word in words[1:] if not store.forget(_subject(word))]
        for word in unknown:
            print(f"asyncsamp.hub: nothing was decided about {word}", file=sys.stderr)
        return 1 if unknown else 0
    if words not in ([], ["list"]):
        print("asyncsamp.hub: --web-origins, or --web-origins remove ORIGIN ...", file=sys.stderr)
        return 2
    for subject, decided in store.load().items():
        print(_line(subject, decided))
    return 0


def _subject(word: str) -> Subject:
    """Read what `_line` begins with."""
    if word.startswith(_CLIENT):
        return Subject("client", word.removeprefix(_CLIENT))
    return Subject("origin", word.strip().rstrip("/").lower())


def _line(subject: Subject, decided: Mapping[Permission, bool]) -> str:
    """Return a line that tells what is decided; an origin that may register stands alone."""
    told = [f"{one.value}={'yes' if allowed else 'no'}" for one, allowed in decided.items()]
    name = f"{_CLIENT}{subject.name}" if subject.kind == "client" else subject.name
    return name if dict(decided) == {Permission.REGISTER: True} else "  ".join([name, *told])
