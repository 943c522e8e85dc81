"""The code behind a score: what it uses changes its hash, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.paths import ROOT

from bench.registry import names, source_file
from leaderboards.repository import code
from leaderboards.repository.code import Code, code_of, library_versions

FILES = {
    "metric.py": """
from mine.parts import used
from mine import whole
from . import beside
SIZE = 3
class Metric:
    def compute(self, x):
        import wave, numpy
        return used(x) + whole.value + beside.near + SIZE
""",
    "parts.py": """
from mine.deep import deepest
def used(x):
    return helper(x)
def helper(x):
    return deepest(x)
def other(x):
    from scipy import stats
    return stats
""",
    "deep.py": "def deepest(x):\n    return x\ndef not_this(x):\n    return x\n",
    "whole.py": "value = 1\n",
    "beside.py": "near = 1\n",
    "__init__.py": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    for name, text in FILES.items():
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path / "mine"


def fresh(path: Path) -> Code:
    code_of.cache_clear()
    code._read.cache_clear()
    return code_of(path)


def test_code_is_followed_over_files_and_libraries_are_named(package: Path) -> None:
    found = fresh(package / "metric.py")
    assert {path.name for path in found.files} == set(FILES)
    assert found.libraries == {"numpy"}, "scipy is imported by a function that is not used"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metric.py", "SIZE = 3", "SIZE = 4"),
        ("parts.py", "return helper(x)", "return helper(x) + 1"),
        ("parts.py", "return deepest(x)", "return 2 * deepest(x)"),
        ("deep.py", "    return x\n", "    return -x\n"),
        ("whole.py", "1", "2"),
        ("beside.py", "1", "2"),
        ("__init__.py", "", "import os\nos.environ['x'] = 'y'\n"),
    ],
)
def test_a_change_of_what_is_used_is_seen(package: Path, file: str, old: str, new: str) -> None:
    before = fresh(package / "metric.py").hash
    text = (package / file).read_text()
    (package / file).write_text(text.replace(old, new, 1))
    assert fresh(package / "metric.py").hash != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("parts.py", "return stats", "return None"),
        ("deep.py", "def not_this(x):\n    return x", "def not_this(x):\n    return -x"),
        ("parts.py", "def used(x):", 'def used(x):\n    """Says what it does."""\n    # and why'),
        ("deep.py", "def deepest(x):\n    return x\n", "\n\ndef deepest(  x ):\n    return (x)\n"),
    ],
)
def test_a_change_of_anything_else_is_not(package: Path, file: str, old: str, new: str) -> None:
    before = fresh(package / "metric.py").hash
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new, 1))
    assert fresh(package / "metric.py").hash == before


@pytest.mark.parametrize("kind", ["metrics", "tasks"])
def test_every_score_rests_on_files_of_ours(kind: str) -> None:
    for name in names(kind):
        path = source_file(kind, name)
        found = code_of(path)
        assert path in found.files
        assert "numpy" in found.libraries
        assert ROOT / "metrics" / "common" / "tokens.py" in found.files
        assert not any("test" in file.name for file in found.files)
    assert "sacrebleu" in code_of(source_file("metrics", "corpus_bleu")).libraries
    assert "mauve" in code_of(source_file("metrics", "mauve")).libraries, "imported by its name as text"


def test_the_scoring_is_followed_and_the_harness_around_it_is_not() -> None:
    files = code_of(ROOT / "leaderboards" / "repository" / "rescore.py", "recompute").files
    assert ROOT / "bench" / "score" / "scoring.py" in files
    assert not {ROOT / "bench" / "run" / "runner.py", ROOT / "bench" / "text" / "sample_files.py"} & files


def test_versions_are_those_that_are_installed() -> None:
    found = library_versions(["numpy", "no_such_library"])
    assert found.keys() == {"numpy", "python"}
