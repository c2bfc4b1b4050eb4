"""The Web Profile: for pages in browsers (SAMP 1.3 §5)."""

from __future__ import annotations

from ...permissions import Permission, Permissions, Subject, default_path
from .consent import (
    AskingConsent,
    Consent,
    ConsentAnswer,
    ConsentQuestion,
    allow_all,
    allow_origins,
    deny_all,
)
from .origin_store import OriginStore
from .profile import WebProfile
from .terminal_consent import TerminalConsent

__all__ = [
    "AskingConsent",
    "Consent",
    "ConsentAnswer",
    "ConsentQuestion",
    "OriginStore",
    "Permission",
    "Permissions",
    "Subject",
    "TerminalConsent",
    "WebProfile",
    "allow_all",
    "allow_origins",
    "default_path",
    "deny_all",
]
