"""The rules of tests with a loop that hold here: Jupyter's own client blocks the loop, ours must not."""

from ..aio.conftest import _home

__all__ = ["_home"]
