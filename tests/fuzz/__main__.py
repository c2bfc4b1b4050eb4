"""`python -m tests.fuzz xmlrpc|http|reach [FOLDER] [options of libFuzzer]`: fuzz with atheris.

The corpus that is part of the project is only read. New inputs, and what fails, go to FOLDER, or to a
temporary one that stays; it is said which. With files in place of FOLDER each of them is run once.
atheris is in the extra `fuzz`. For coverage of the HTTP parser too set AIOHTTP_NO_EXTENSIONS=1.
"""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.arguments import arguments

INSTRUMENTED = [
    *(
        "asyncsamp.xmlrpc",
        "asyncsamp.xmlrpc.fast_parser",
        "asyncsamp.xmlrpc.raw_passing",
        "asyncsamp.rpc",
        "asyncsamp.hub.core",
        "asyncsamp.hub.validation",
        "asyncsamp.hub.profiles.reach.invitation",
        "asyncsamp.hub.profiles.reach.link",
        "asyncsamp.hub.profiles.reach.transfer",
        "asyncsamp.hub.profiles.reach.urls",
        "asyncsamp.hub.profiles.reach.wire",
    ),
    *("asyncsamp.hub.profiles.standard", "aiohttp.http_parser", "aiohttp.web_protocol"),
]

with atheris.instrument_imports(include=INSTRUMENTED):
    from tests.fuzz.reach_targets import reach_target
    from tests.fuzz.targets import HttpEntry, xmlrpc_target

_CHECK_EVERY = 1000


def main() -> None:
    """Fuzz until libFuzzer is content or something fails."""
    kind, *options = sys.argv[1:]
    given, told = arguments(kind, options)
    print(told, file=sys.stderr, flush=True)
    target = reach_target if kind == "reach" else xmlrpc_target
    if kind == "http":
        entry = HttpEntry()

        def target(data: bytes) -> None:
            entry(data)
            if entry.count % _CHECK_EVERY == 0:
                entry.check()

    atheris.Setup([sys.argv[0], *given], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
