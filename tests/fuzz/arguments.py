"""What libFuzzer is told: what it reads, and where it writes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

_CRASHES = "-artifact_prefix="


def arguments(kind: str, options: Sequence[str]) -> tuple[list[str], str]:
    """Return the arguments of libFuzzer, and a line that says where what it finds goes.

    It writes new inputs into the folder that is named first, so the project's corpus never is.
    """
    flags = ["-max_len=8192", *(option for option in options if option.startswith("-"))]
    named = [option for option in options if not option.startswith("-")]
    once = bool(named) and all(Path(each).is_file() for each in named)
    named = named or [tempfile.mkdtemp(prefix=f"asyncsamp-fuzz-{kind}-")]
    crashes = next((flag.removeprefix(_CRASHES) for flag in reversed(flags) if flag.startswith(_CRASHES)), "")
    if not crashes:
        crashes = f"{Path(named[0]).parent if once else named[0]}/"
        flags.append(f"{_CRASHES}{crashes}")
    fails = f"what fails goes to {crashes}crash-..., timeout-... and oom-..."
    if once:
        return [*flags, *named], f"each of the files is run once; {fails}"
    return [*flags, *named, str(CORPUS / kind)], f"new inputs go to {named[0]}; {fails}"
