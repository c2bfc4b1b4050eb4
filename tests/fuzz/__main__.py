"""`python -m tests.fuzz xmlrpc|http|reach [options of libFuzzer]`: fuzz with atheris (the extra `fuzz`).

The corpus that is part of the project is read; what is found goes to the folder named first, or nowhere.
For coverage of the HTTP parser too set AIOHTTP_NO_EXTENSIONS=1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

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

CORPUS = Path(__file__).parent / "corpus"

_CHECK_EVERY = 1000


def main() -> None:
    """Fuzz until libFuzzer is content or something fails."""
    kind, *options = sys.argv[1:]
    folders = [option for option in options if not option.startswith("-")]
    flags = [option for option in options if option.startswith("-")]
    arguments = [sys.argv[0], "-max_len=8192", *flags, *folders, str(CORPUS / kind)]
    if not folders:
        arguments.insert(2, "-reduce_inputs=0")
    target = reach_target if kind == "reach" else xmlrpc_target
    if kind == "http":
        entry = HttpEntry()

        def target(data: bytes) -> None:
            entry(data)
            if entry.count % _CHECK_EVERY == 0:
                entry.check()

    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
