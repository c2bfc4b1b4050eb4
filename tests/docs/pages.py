"""The pages of the site as they are written: their blocks of code, links and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "ROOT", "Block", "anchors", "blocks", "links", "pages", "pictures", "prose"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n\n?)?^```(?P<language>[^\n`]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INDENTED = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n\n?)?(?<=\n\n)(?P<code>(?:^    [^\n]*\n)+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of a page, and what the comment before it says: "not run: REASON", or nothing."""

    page: str
    line: int
    language: str
    code: str
    mark: str

    @property
    def reason(self) -> str:
        """Why it is not run; "" if it is."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Return all pages of the site."""
    return sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def pages_of(site: Path) -> list[Path]:
    """Return the pages of the site that was built, without what it offers to be downloaded."""
    return sorted(path for path in site.rglob("*.html") if "_downloads" not in path.parts)


def blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of code, fenced and indented; directives such as `{eval-rst}` are not."""
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(ROOT))
    for found in _FENCE.finditer(text):
        language = found["language"].strip()
        if not language.startswith("{"):
            line = text.count("\n", 0, found.start("language")) + 1
            yield Block(name, line, language, found["code"], found["mark"] or "")
    bare = _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in _INDENTED.finditer(bare):
        line = bare.count("\n", 0, found.start("code")) + 1
        yield Block(name, line, "indented", found["code"], found["mark"] or "")


def prose(path: Path) -> str:
    """Return the text of a page without its blocks of code and what stands in backticks."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", path.read_text(encoding="utf-8")))


def links(path: Path) -> list[str]:
    """Return where the links and pictures of a page lead."""
    return re.findall(r"\]\(([^)\s]+)[^)]*\)", prose(path))


def pictures(path: Path) -> list[tuple[str, str]]:
    """Return the alternative text and the file of each picture."""
    return re.findall(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)", prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
