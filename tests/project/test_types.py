"""mypy finds nothing: here, because beside other tests it takes no time of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.paths import ROOT


def test_types_are_right() -> None:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
