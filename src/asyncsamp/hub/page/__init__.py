"""The hub's own page for its user's browser: who is here, and what is said."""

from __future__ import annotations

from .consent import PageConsent
from .server import HubPage

__all__ = ["HubPage", "PageConsent"]
