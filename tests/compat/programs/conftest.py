"""The programs are only there where `run` has installed them."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("ASYNCSAMP_PROGRAMS") else ["test_*.py"]
