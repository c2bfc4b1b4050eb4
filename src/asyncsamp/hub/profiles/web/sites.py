"""Which pages belong together: the site of an Origin. No I/O."""

from __future__ import annotations

__all__ = ["site_of"]


def site_of(origin: str) -> str:
    """Return the part of an Origin by which browsers count connections: scheme and registered domain.

    Origins without a host ("null", "file://", "") stand for themselves. Without the list of public suffixes
    the last two labels are taken for the domain; where that is too much in one pot, its pages poll a little
    more often, and share a no of the user.
    """
    scheme, _, rest = origin.partition("://")
    host = rest.rpartition(":")[0] if ":" in rest and not rest.endswith("]") else rest
    labels = host.split(".")
    if labels[-1].isdigit() or host.startswith("["):
        return f"{scheme}://{host}"
    return f"{scheme}://{'.'.join(labels[-2:])}"
