"""mypy finds nothing: here, because beside other tests it takes no time of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT


def test_types_are_right() -> None:
    pytest.importorskip("mypy")
    cache = [] if (ROOT / ".mypy_cache").is_dir() else ["--cache-dir", os.devnull]  # only who has one uses it again
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *cache], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
