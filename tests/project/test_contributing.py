"""CONTRIBUTING.md says where a change goes: one file or two, which are there or have neighbours of their kind."""

from __future__ import annotations

import re

import pytest
from helpers.paths import ROOT

LINES = [
    line
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    if line.startswith(("| a ", "| an "))
]


def test_ten_changes_are_told() -> None:
    assert len(LINES) == 10


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip())
def test_a_change_touches_one_file_or_two_that_are_there(line: str) -> None:
    named = re.findall(r"`([\w./-]+)`", line)
    assert 1 <= len(named) <= 2
    for name in named:
        path = ROOT / name
        if "/my_" in name:  # new: the folder, and what a member of it looks like
            kind = "*/metric.py" if name.endswith("/") else f"*{path.suffix}"
            assert list(path.parent.glob(kind)), name
        else:
            assert path.is_file(), name
