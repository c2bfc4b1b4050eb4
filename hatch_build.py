"""What PyPI shows is README.md, with links that are absolute there and in a checkout are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Fill in the field `readme` of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description from the README and the URLs of the project."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        urls = metadata["urls"]
        described = with_absolute_links(text, urls["Source"], urls["Documentation"])
        metadata["readme"] = {"content-type": "text/markdown", "text": described}


def with_absolute_links(text: str, source: str, documentation: str) -> str:
    """Return the text with links that lead to the site for its pages, else to the repository."""

    def absolute(found: re.Match[str]) -> str:
        target = found["target"]
        if re.match(r"[a-z]+:", target):
            return found[0]
        name, _, anchor = target.partition("#")
        page = re.fullmatch(r"docs/(.+)\.md", name)
        if found["picture"]:
            url = f"{source.rstrip('/')}/raw/main/{name}"
        elif page:
            url = f"{documentation.rstrip('/')}/{page[1]}.html"
        else:
            url = f"{source.rstrip('/')}/blob/main/{name}"
        return f"{found['picture']}[{found['text']}]({url}{'#' if anchor else ''}{anchor})"

    return LINK.sub(absolute, text)
