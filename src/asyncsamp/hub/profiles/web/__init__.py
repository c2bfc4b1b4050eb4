"""The Web Profile: for pages in browsers (SAMP 1.3 §5)."""

from __future__ import annotations

from .consent import Consent, ConsentAnswer, ConsentQuestion, allow_all, allow_origins, deny_all
from .origin_store import OriginStore, default_path
from .profile import WebProfile
from .terminal_consent import TerminalConsent

__all__ = [
    "Consent",
    "ConsentAnswer",
    "ConsentQuestion",
    "OriginStore",
    "TerminalConsent",
    "WebProfile",
    "allow_all",
    "allow_origins",
    "default_path",
    "deny_all",
]
