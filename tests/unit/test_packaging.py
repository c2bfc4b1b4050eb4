"""What is written of the package in several files agrees, and the README shows on PyPI."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import asyncsamp
from tests.docs.pages import anchors
from tests.installed import require_module

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
URLS = PROJECT["urls"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FIGURES = re.compile(r"<!-- figures of speed: begin.*?-->\n(.*?)<!-- figures of speed: end -->", re.DOTALL)


def test_each_file_has_the_version() -> None:
    version = re.escape(asyncsamp.__version__)
    assert re.search(rf"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert re.search(rf'set version = "{version}"', (ROOT / "recipe" / "meta.yaml").read_text())


# ---- the README


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 200


def test_the_first_screen_says_what_it_is_with_ten_lines_and_a_picture() -> None:
    title, text, *rest = README.split("\n\n")
    assert title == "# asyncsamp"
    assert "Simple Application Messaging Protocol" in text
    program, picture = "\n\n".join(rest).split("\n## ")[0].split("```python\n")[1].split("```\n")
    assert len(program.splitlines()) <= 10
    assert [mark for mark, _, _ in LINK.findall(picture) if mark] == ["!"]
    assert picture.strip().startswith("![")


def test_links_of_the_readme_lead_to_files_that_are_there() -> None:
    for _, _, target in LINK.findall(README):
        name, _, anchor = target.partition("#")
        if not re.match(r"[a-z]+:", target):
            assert (ROOT / name).exists(), target
            assert not anchor or anchor in anchors(ROOT / name), target


def test_the_readmes_figures_of_speed_stand_in_one_place() -> None:
    [figures] = FIGURES.findall(README)
    assert len(figures.splitlines()) <= 12
    assert re.findall(r"\d,\d{3}|\d+(?:\.\d+)? (?:x|times)\b", FIGURES.sub("", README)) == []


@pytest.fixture(scope="module")
def described() -> str:
    """The description as PyPI gets it."""
    require_module("hatchling", "hatchling")
    command = [sys.executable, "-m", "hatchling", "metadata"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    readme = json.loads(shown)["readme"]
    assert readme["content-type"] == "text/markdown"
    return str(readme["text"])


def test_every_link_on_pypi_is_absolute(described: str) -> None:
    found = LINK.findall(described)
    assert [(mark, text) for mark, text, _ in found] == [
        (mark, text) for mark, text, _ in LINK.findall(README)
    ]
    for mark, _, url in found:
        ours = url.startswith((f"{URLS['Source']}/", URLS["Documentation"]))
        assert ours or url.startswith("https://"), url
        if mark:
            assert url.startswith(f"{URLS['Source']}/raw/main/"), url
            assert (ROOT / url.removeprefix(f"{URLS['Source']}/raw/main/")).is_file(), url
        elif url.startswith(URLS["Documentation"]):
            page = url.removeprefix(URLS["Documentation"]).partition("#")[0]
            assert (ROOT / "docs" / page).with_suffix(".md").is_file(), url


def test_all_but_the_links_is_the_readme(described: str) -> None:
    assert LINK.sub("", described) == LINK.sub("", README)


# ---- what is to be set before it is published


def test_no_other_address_is_made_up() -> None:
    """Addresses of the project come from [project.urls] alone."""
    texts = [path for path in ROOT.glob("*.*") if path.suffix in (*TEXTS, ".toml", ".cff")]
    texts += (ROOT / "recipe").iterdir()
    texts += [
        path for folder in ("docs", "src") for path in (ROOT / folder).rglob("*") if path.suffix in TEXTS
    ]
    for path in texts:
        if path.is_file() and "_build" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(github\.com|gitlab\.com)/asyncsamp|asyncsamp\.readthedocs", text), path


INSTALLS = re.compile(r"pip install (?:-e )?'(asyncsamp|\.)\[([^\]{]+)\]'")


def test_every_line_that_installs_us_names_extras_that_are_there() -> None:
    """In texts and errors: `pip install 'asyncsamp[cli]'`, and `pip install '.[cli]'` for a checkout."""
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("docs", "src", "examples"):
        found = (path for path in (ROOT / folder).rglob("*") if path.suffix in (*TEXTS, ".ipynb"))
        texts += [path for path in found if "_build" not in path.parts]
    lines: list[str] = []
    for path in texts:
        told = INSTALLS.findall(path.read_text(encoding="utf-8"))
        ways = {how: {extras for name, extras in told if name == how} for how in ("asyncsamp", ".")}
        assert ways["asyncsamp"] <= ways["."], f"{path} does not say how it is in a checkout"
        lines += [extras for _, extras in told]
    assert len(lines) > 10
    named = {extra.strip() for line in lines for extra in line.split(",")}
    assert named <= set(PROJECT["optional-dependencies"])


TEXTS = (".md", ".py", ".html", ".js", ".toml")


def release(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "release")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_release_is_refused_while_something_is_not_set(tmp_path: Path) -> None:
    for name in (
        "pyproject.toml",
        "CHANGELOG.md",
        "CITATION.cff",
        "recipe",
        "scripts",
        "src/asyncsamp/__init__.py",
    ):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    project, changes = tmp_path / "pyproject.toml", tmp_path / "CHANGELOG.md"
    nobodys = re.sub(
        r'(Source|Documentation) = "[^"]+"', r'\1 = "https://example.org/x"', project.read_text()
    )
    project.write_text(nobodys)
    refused = release(tmp_path)
    assert refused.returncode == 1
    for name in ("Source", "Documentation"):
        assert f"pyproject.toml: {name} is https://example.org/x, which belongs to nobody" in refused.stderr
    project.write_text(nobodys.replace("example.org", "codeberg.org"))
    version = asyncsamp.__version__
    dated = f"## [{version}] - 2026-11-24\n\n- A line.\n"
    for text, said in (
        ("## [Unreleased]\n", f"no '## [{version}] - YYYY-MM-DD' with what is under 'Unreleased'"),
        (
            f"## [Unreleased]\n\n### Added\n\n- A line.\n\n{dated}",
            f"there is something under 'Unreleased': put it under '## [{version}]'",
        ),
    ):
        changes.write_text(text)
        assert release(tmp_path).stderr == f"CHANGELOG.md: {said}\n"
    assert not (tmp_path / "dist").exists()
    changes.write_text(f"## [Unreleased]\n\n{dated}")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "asyncsamp-0.0.1.tar.gz").touch()
    assert (
        release(tmp_path).stderr
        == "dist: it is not empty, and all of it would be uploaded: remove what is there\n"
    )


# ---- the changelog and the citation


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    first, *versions = re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)
    assert "https://keepachangelog.com/" in first
    assert versions[0].startswith("[Unreleased]\n")
    for version in versions:
        title, *parts = re.split(r"^### ", version, flags=re.MULTILINE)
        assert re.match(r"\[(Unreleased\]|\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)\n", title), title
        names = [part.partition("\n")[0] for part in parts]
        assert names == sorted(set(names), key=kinds.index), title


def test_the_citation_has_what_its_form_asks_for() -> None:
    """`cffconvert --validate` says more."""
    loaded = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(loaded)
    assert loaded["license"] == PROJECT["license"]
