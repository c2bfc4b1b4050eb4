"""Whether two tables are the same."""

from __future__ import annotations

import numpy as np
from astropy.table import Table


def same(one: Table, other: Table) -> None:
    """Fail unless they have the same columns, values, gaps and descriptions."""
    assert one.colnames == other.colnames
    for name in one.colnames:
        a, b = np.ma.asarray(one[name]), np.ma.asarray(other[name])
        assert a.dtype.kind == b.dtype.kind
        np.testing.assert_array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
        np.testing.assert_array_equal(a[~np.ma.getmaskarray(a)].data, b[~np.ma.getmaskarray(b)].data)
        assert (one[name].unit, one[name].description) == (other[name].unit, other[name].description)
        assert one[name].meta.get("ucd") == other[name].meta.get("ucd")
