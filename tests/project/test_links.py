"""Every relative link of every page in the repository leads to a file that is kept, and to a heading that is there."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from urllib.parse import unquote

import pytest
from helpers.paths import ROOT
from markdown_it import MarkdownIt
from markdown_it.token import Token

_README_LINES = 90
"""A screen and a half, the figure and the table included."""


@cache
def kept() -> frozenset[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return frozenset(name for name in told.splitlines() if (ROOT / name).is_file())


def pages() -> list[str]:
    return sorted(name for name in kept() if name.endswith(".md") and not name.startswith("tests/"))


@cache
def tokens(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text(encoding="utf-8"))


def links(page: str) -> list[str]:
    inline = [child for token in tokens(page) for child in token.children or ()]
    found = [str(child.attrs.get("href") or child.attrs.get("src") or "") for child in inline]
    return [link for link in found if link and not re.match(r"[a-z]+:", link)]


def anchors(page: str) -> set[str]:
    found: dict[str, int] = {}
    for before, token in zip(tokens(page), tokens(page)[1:], strict=False):
        if before.type == "heading_open":
            shown = "".join(
                c.content for c in token.children or () if c.type in ("text", "code_inline", "text_special")
            )
            anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            found[anchor] = found.get(anchor, -1) + 1
    return {f"{name}-{i}" if i else name for name, n in found.items() for i in range(n + 1)}


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        path, _, anchor = unquote(link).partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        name = target.relative_to(ROOT).as_posix()
        assert name in kept() or (target.is_dir() and not anchor), f"{page}: {link} is not there"
        if anchor and name.endswith(".md"):
            assert anchor in anchors(name), f"{page}: {link}: {name} has no such heading"


def test_pages_with_links_are_looked_at() -> None:
    assert {"README.md", "LEADERBOARD.md", "leaderboards/boards/legend.md"} <= {page for page in pages() if links(page)}


def test_the_readme_is_short_and_leads_to_every_page_of_the_docs() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= _README_LINES
    assert {page for page in pages() if page.startswith("docs/")} - led_to("README.md") == set()


def led_to(page: str) -> set[str]:
    """The files of the repository that a page links to."""
    found = (((ROOT / page).parent / unquote(link).partition("#")[0]).resolve() for link in links(page))
    return {path.relative_to(ROOT).as_posix() for path in found}
