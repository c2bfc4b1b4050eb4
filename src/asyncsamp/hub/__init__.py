"""The hub: `python -m asyncsamp.hub` runs one."""

from .hub import Hub

__all__ = ["Hub"]
