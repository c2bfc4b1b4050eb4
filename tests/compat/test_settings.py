"""The settings are kept, and can be set for a while."""

from __future__ import annotations

import pytest

from asyncsamp import compat as samp


def test_a_setting_is_set_for_a_while() -> None:
    assert (samp.conf.use_internet, samp.conf.n_retries) == (True, 10)
    with samp.conf.set_temp("use_internet", False):
        assert samp.conf.use_internet is False
    assert samp.conf.use_internet is True
    with pytest.raises(AttributeError), samp.conf.set_temp("other", 1):
        pass
