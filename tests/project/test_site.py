"""The documentation site: strict, whole, and without a request to any other machine."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from helpers.paths import ROOT

from bench.registry import names

pytest.importorskip("mkdocs", reason="the group `docs` is not installed")


class Requests(HTMLParser):
    """Addresses that a browser loads by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.found.append(given.get("href") or "")
        elif tag in ("script", "img", "iframe"):
            self.found.append(given.get("src") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def words(page: Path) -> str:
    """What a reader sees, tags left out."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))).split())


def test_every_model_and_every_metric_has_a_page(site: Path) -> None:
    assert {path.stem for path in (site / "models").glob("*.html")} == {*names("models"), "compared", "losses"}
    assert {path.stem for path in (site / "metrics").glob("*.html")} == set(names("metrics"))


def test_a_models_page_has_equations_numbers_rows_and_settings(site: Path) -> None:
    page = site / "models" / "seqgan.html"
    assert page.read_text(encoding="utf-8").count("<math>") > 20
    text = words(page)
    for part in (
        "LantaoYu/SeqGAN/issues/21",
        "seqgan-oracle20",
        "8.736",
        "small scale",
        "real_text (train)",
        "mle_steps",
    ):
        assert part in text, part
    assert "maligan-oracle20" not in text


def test_nothing_is_loaded_from_elsewhere_and_search_works_from_a_file(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        seen = Requests()
        seen.feed(page.read_text(encoding="utf-8"))
        assert [address for address in seen.found if re.match(r"(https?:)?//", address)] == [], page
    assert "url(http" not in "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert (site / "search" / "search_index.js").stat().st_size > 100_000


def test_escapes_of_our_own_markdown_are_not_shown(site: Path) -> None:
    shown = words(site / "leaderboard.html")
    intervals = re.findall(r"\\\[(\d\.\d+, \d\.\d+)\\\]", (ROOT / "LEADERBOARD.md").read_text(encoding="utf-8"))
    assert intervals
    assert all(f"[{interval}]" in shown for interval in intervals)
    assert "\\" not in shown
