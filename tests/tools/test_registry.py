from __future__ import annotations

from pathlib import Path

import pytest

from asyncsamp import ToolError
from asyncsamp.tools import known_tools, look_up
from asyncsamp.tools.registry import user_file

from .programs import write_tools


@pytest.fixture(autouse=True)
def tools_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_tools(tmp_path)
    monkeypatch.setenv("ASYNCSAMP_TOOLS", str(path))
    return path


def test_the_users_tools_come_before_those_that_are_known() -> None:
    names = [tool.name for tool in known_tools()]
    assert names == ["viewer", "dies", "twins", "hangs", "missing", "topcat", "ds9", "aladin", "jsamp"]


def test_a_tool_of_the_user_replaces_the_known_one(tools_file: Path) -> None:
    tools_file.write_text('[topcat]\ncommand = ["/opt/topcat", "-verbose"]\n')
    assert look_up("TOPCAT").programs == ("/opt/topcat",)
    assert look_up("TOPCAT").arguments == ("-verbose",)


def test_a_tool_is_known_by_its_samp_name_too() -> None:
    assert look_up("SAOImageDS9").name == "ds9"
    assert look_up("the viewer").name == "viewer"


def test_an_unknown_tool_names_those_that_are_known() -> None:
    with pytest.raises(ToolError, match="no tool named 'gaia' can be started; known are: viewer, dies"):
        look_up("gaia")


def test_a_misspelt_tool() -> None:
    with pytest.raises(ToolError, match=r"; did you mean 'topcat'\?\. Add it to "):
        look_up("topcta")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[x", "is not valid TOML"),
        ("x = 1", r"\[x\] may have only command, environment"),
        ("[x]\nshell = 'rm'", r"\[x\] may have only"),
        ("[x]\ntakes = []", r"\[x\] needs command"),
        ("[x]\ncommand = 'topcat -v'", r"command of \[x\] must be a list of strings"),
        ("[x]\ncommand = ['a']\nenvironment = 1", "must be a table of strings"),
    ],
)
def test_a_bad_tools_file_says_where(tools_file: Path, text: str, complaint: str) -> None:
    tools_file.write_text(text)
    with pytest.raises(ToolError, match=complaint):
        known_tools()


def test_without_a_file_there_are_the_known_ones(tools_file: Path) -> None:
    tools_file.unlink()
    assert known_tools()[0].name == "topcat"


def test_the_file_is_in_the_folder_for_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_file({}).name == "tools.toml"
    assert user_file({"ASYNCSAMP_TOOLS": "/x/y.toml"}) == Path("/x/y.toml")
