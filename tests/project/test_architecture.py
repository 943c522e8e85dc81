"""docs/architecture.md names every file of the product, once, and no other."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import PurePosixPath

from helpers.paths import ROOT

PACKAGES = ("baselines", "bench", "leaderboards", "metrics", "speed")


def described() -> list[str]:
    """The paths of the tree in the page: two blanks a level, a folder ends with a slash, then what it is."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = text.split("```text\n")[1].split("```")[0]
    found, folders = [], [""]
    for line in filter(str.strip, block.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, what = line.strip().partition("  ")
        assert what.strip(), f"{name} is not described"
        path = folders[depth] + name
        if name.endswith("/"):
            folders = [*folders[: depth + 1], path]
        else:
            found.append(path)
    return found


def product() -> set[str]:
    """The Python files of the product; a metric's folder holds the same three and is one line, `metrics/<name>/`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    found = {"hatch_build.py", "textgan_bench.py"}
    for name in listed:
        path = PurePosixPath(name)
        if path.parts[0] not in PACKAGES or not (ROOT / name).is_file():
            continue
        if path.name == "__init__.py" and not (ROOT / name).read_text(encoding="utf-8").strip():
            continue
        if path.parts[0] == "metrics" and path.parts[1] != "common":
            continue
        found.add(name)
    return found


def test_every_file_is_told_once_and_is_there() -> None:
    names = described()
    assert [name for name, n in Counter(names).items() if n > 1] == []
    assert sorted(set(names) - product()) == []
    assert sorted(product() - set(names)) == []
