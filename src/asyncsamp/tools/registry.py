"""How tools are started: what this package knows, and what the user's tools.toml adds to it."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._util.likeness import did_you_mean
from ..errors import ToolError

__all__ = ["Tool", "known_as", "known_tools", "look_up", "user_file"]


@dataclass(frozen=True, slots=True)
class Tool:
    """How to start one tool.

    Attributes:
        name: What users call it, such as "ds9".
        samp_name: The samp.name under which it registers.
        programs: Programs to look for, the first that is found counts: names on PATH, or absolute paths.
        arguments: Arguments after the program; {home} is the folder of the lockfile.
        takes: The mtypes that it takes, by which a tool is chosen for a file.
        environment: Variables that are set beside SAMP_HUB.
        reads_variable: Whether it honours SAMP_HUB. If not, the lockfile must be called .samp.
        ready: A message, by its mtype, a parameter and its value, which it answers only once it can be used.
    """

    name: str
    samp_name: str
    programs: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    reads_variable: bool = True
    ready: tuple[str, str, str] | None = None

    def answers_to(self, name: str) -> bool:
        """Return whether users mean this tool by `name`, in any case of letters.

        Args:
            name: What a user says, or a samp.name.
        """
        return name.casefold() in (self.name.casefold(), self.samp_name.casefold())

    def program(self) -> str | None:
        """Return the program that is installed, or None."""
        return next((found for each in self.programs if (found := shutil.which(each))), None)


_TABLES = ("table.load.votable", "table.load.fits")

_BUILT_IN = (
    Tool(
        "topcat",
        "topcat",
        ("topcat", "/usr/local/bin/topcat", "/Applications/TOPCAT.app/Contents/MacOS/TOPCAT"),
        takes=_TABLES,
    ),
    Tool(
        "ds9",
        "SAOImageDS9",
        ("ds9", "/usr/local/bin/ds9", "/Applications/SAOImageDS9.app/Contents/MacOS/ds9"),
        # Debian's DS9 does not load by itself what it reads VOTables with.
        ("-source", "{files}/ds9.tcl", "-samp", "connect"),
        takes=("image.load.fits", *_TABLES),
    ),
    Tool(
        "aladin",
        "Aladin",
        ("java",),
        ("-Xmx1024m", "-Duser.home={home}", "-jar", "{jar}", "-nohub"),
        takes=("image.load.fits", *_TABLES, "script.aladin.send"),
        reads_variable=False,
        # It answers pings seconds before it has made its windows, and fails until then.
        ready=("script.aladin.send", "script", "status"),
    ),
    Tool("jsamp", "Snooper", ("jsamp",), ("snooper", "-gui")),
)

ALADIN_JARS = (
    "/usr/share/java/aladin.jar",
    "/usr/local/share/aladin/Aladin.jar",
    "/Applications/Aladin.app/Contents/Resources/Java/Aladin.jar",
)


def user_file(environ: Mapping[str, str] | None = None) -> Path:
    """Return where the user's tools.toml is: ASYNCSAMP_TOOLS, else the folder for settings of this system."""
    named = (os.environ if environ is None else environ).get("ASYNCSAMP_TOOLS")
    if named:
        return Path(named).expanduser()
    try:
        from platformdirs import user_config_path
    except ImportError:  # the extra `cli` is not installed: the folder of most systems
        return Path.home() / ".config" / "asyncsamp" / "tools.toml"
    return Path(user_config_path("asyncsamp")) / "tools.toml"


def known_tools() -> tuple[Tool, ...]:
    """Return all tools; the user's come first, and replace those of the same name. Blocking.

    Raises:
        ToolError: The user's tools.toml cannot be used.
    """
    own = _read(user_file())
    names = {tool.name.casefold() for tool in own}
    return (*own, *(tool for tool in _BUILT_IN if tool.name.casefold() not in names))


def look_up(name: str) -> Tool:
    """Return the tool that users mean by `name`. Blocking.

    Args:
        name: What a user says.

    Raises:
        ToolError: There is none of that name, with the names there are; or tools.toml cannot be used.
    """
    found = known_as(name)
    if found is not None:
        return found
    names = [tool.name for tool in known_tools()]
    raise ToolError(
        f"no tool named {name!r} can be started; known are: {', '.join(names)}{did_you_mean(name, names)}. "
        f"Add it to {user_file()}"
    )


def known_as(name: str) -> Tool | None:
    """Return the tool that users mean by `name`, None if there is none. Blocking.

    Args:
        name: What a user says.

    Raises:
        ToolError: The user's tools.toml cannot be used.
    """
    return next((tool for tool in known_tools() if tool.answers_to(name)), None)


def _read(path: Path) -> tuple[Tool, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"cannot read {path}: {error}") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ToolError(f"{path} is not valid TOML: {error}") from None
    return tuple(_tool(path, name, table) for name, table in tables.items())


def _tool(path: Path, name: str, table: Any) -> Tool:
    """Read one table of tools.toml."""
    keys = {"samp-name", "command", "takes", "environment", "reads-samp-hub"}
    if not isinstance(table, dict) or not keys >= table.keys():
        raise ToolError(f"{path}: [{name}] may have only {', '.join(sorted(keys))}")
    command = _strings(path, name, "command", table.get("command"))
    if not command:
        raise ToolError(f"{path}: [{name}] needs command = [PROGRAM, ARGUMENT, ...]")
    environment = table.get("environment", {})
    if not isinstance(environment, dict):
        raise ToolError(f"{path}: environment of [{name}] must be a table of strings")
    return Tool(
        name,
        str(table.get("samp-name", name)),
        (str(Path(command[0]).expanduser()),) if "/" in command[0] else (command[0],),
        tuple(command[1:]),
        tuple(_strings(path, name, "takes", table.get("takes", []))),
        tuple((str(key), str(value)) for key, value in environment.items()),
        bool(table.get("reads-samp-hub", True)),
    )


def _strings(path: Path, name: str, key: str, value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ToolError(f"{path}: {key} of [{name}] must be a list of strings")
    return list(value)
