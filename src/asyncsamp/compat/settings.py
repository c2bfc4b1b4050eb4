"""The settings of astropy.samp, which programs set; nothing here depends on them. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Conf", "conf"]


class Conf:
    """`use_internet` and `n_retries`, as astropy.samp has them.

    They are kept and change nothing: nothing is looked up on the Internet, and no message is sent twice.
    """

    def __init__(self) -> None:
        self.use_internet = True
        self.n_retries = 10

    @contextmanager
    def set_temp(self, attr: str, value: object) -> Iterator[None]:
        """Set one of them for the length of a `with` block.

        Args:
            attr: Its name.
            value: Its value.

        Returns:
            What to enter.

        Raises:
            AttributeError: There is none of that name.
        """
        before = getattr(self, attr)
        setattr(self, attr, value)
        try:
            yield
        finally:
            setattr(self, attr, before)


conf = Conf()
