"""Tools that can be started on demand: where TOPCAT, DS9 and Aladin are, and waiting until they answer."""

from .registry import Tool, known_as, known_tools, look_up
from .starting import StartedTool, start, start_hub

__all__ = ["StartedTool", "Tool", "known_as", "known_tools", "look_up", "start", "start_hub"]
