"""Texts in ASCII, which is all that SAMP has. No I/O."""

from __future__ import annotations

import unicodedata

__all__ = ["spelled"]

_SPELLED = str.maketrans(
    {
        "\u00e4": "ae",
        "\u00f6": "oe",
        "\u00fc": "ue",
        "\u00c4": "Ae",
        "\u00d6": "Oe",
        "\u00dc": "Ue",
        "\u00df": "ss",
        "\u00e6": "ae",
        "\u00f8": "o",
        "\u0142": "l",
        **{
            chr(code): unicodedata.name(chr(code)).split()[-1].lower()
            for code in range(0x3B1, 0x3CA)
            if code != 0x3C2
        },
    }
)
"""Letters that lose more than an accent in ASCII; Greek ones by their names ("alpha Cen")."""


def spelled(text: str) -> str:
    """Return `text` in ASCII on one line: letters without their accents, "?" for what has no spelling.

    Args:
        text: Any text.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    return "".join(char if " " <= char <= "~" else "?" for char in plain if not unicodedata.combining(char))
