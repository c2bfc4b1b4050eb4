"""The rules of every test with a loop hold here too."""

from ..aio.conftest import _detector, _home, _no_blocking, _no_secret_in_logs, _nothing_left

__all__ = ["_detector", "_home", "_no_blocking", "_no_secret_in_logs", "_nothing_left"]
