"""How the site is built: `scripts/docs`."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

import asyncsamp  # noqa: E402

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]

project = "asyncsamp"
author = "The asyncsamp developers"
project_copyright = author
release = version = asyncsamp.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build"]
highlight_language = "text"  # a block that names no language is a drawing or output
pygments_dark_style = "github-dark"
default_role = "py:obj"  # a name in single backticks leads to its page, if it has one
nitpicky = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # fields are described once, as members

html_theme = "furo"
html_title = "asyncsamp"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["asyncsamp.css"]
html_show_sphinx = False
html_copy_source = False
html_baseurl = URLS["Documentation"]
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5fa5", "color-brand-content": "#0b5fa5"},
    "dark_css_variables": {"color-brand-primary": "#7cc0ff", "color-brand-content": "#7cc0ff"},
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

ogp_site_url = URLS["Documentation"]
ogp_image = "_images/topcat.png"
ogp_image_alt = "TOPCAT with a table that a Python program sent"
ogp_social_cards = {"enable": False}  # they would need matplotlib; the picture is the same for all pages

PAGES_OF = {
    "ARCHITECTURE.md": "explanation/architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "benchmarks/results.md",
}
"""Files outside of docs/ that are pages of the site, too: such a page holds nothing but the include."""

INCLUDE = re.compile(r"```\{include\} (\S+)\n```\n")

SECTION = re.compile(r"[A-Z][A-Za-z ]+:$")


def mark_code(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Mark what is indented after a blank line as code, as readers of `help()` see it."""
    out: list[str] = []
    in_code = False
    for line in lines:
        indented = line.startswith("    ")
        if in_code and line and not indented:
            in_code = False
        if not in_code and indented and len(out) > 1 and not out[-1] and not _in_section(out):
            in_code = True
            out += [".. code-block:: python", ""]
        out.append(line)
    lines[:] = out


def _in_section(lines: list[str]) -> bool:
    """Whether the last line that is not indented opens a section such as "Args:", or is an item of a list."""
    for line in reversed(lines):
        if line and not line.startswith(" "):
            return SECTION.fullmatch(line) is not None or line.startswith("- ")
    return False


def lead_outside(app: Any, name: str, text: list[str]) -> None:
    """Let links to files outside of docs/ lead to the page that shows them, or to the repository."""
    folder = Path(app.srcdir, name).parent
    if included := INCLUDE.fullmatch(text[0]):
        file = (folder / included[1]).resolve()
        app.env.note_dependency(str(file))
        text[0] = file.read_text(encoding="utf-8")
        folder = file.parent

    def there(found: re.Match[str]) -> str:
        target = (folder / found[1]).resolve()
        if not target.is_file():
            return found[0]
        if target.is_relative_to(app.srcdir):
            return f"](/{target.relative_to(app.srcdir)}{found[2]})"
        within = str(target.relative_to(ROOT))
        page = PAGES_OF.get(within)
        return f"](/{page}{found[2]})" if page else f"]({URLS['Source']}/blob/main/{within}{found[2]})"

    text[0] = re.sub(r"\]\(([\w./-]+\.(?:md|py|ipynb|html))(#[\w-]*|)\)", there, text[0])


def setup(app: Any) -> dict[str, bool]:
    """Register what is done to sources; `mark_code` before napoleon, whose priority is 500."""
    app.connect("source-read", lead_outside)
    app.connect("autodoc-process-docstring", mark_code, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
