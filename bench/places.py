"""Where the project's own folders lie and how its programs are called, in a checkout and in a wheel."""

from __future__ import annotations

from pathlib import Path

__all__ = ["METRICS", "PAPER", "PUBLISHED", "RESULTS", "ROOT", "SUITES", "program"]

ROOT = Path(__file__).parent.parent
"""Holds the four packages: the top of a checkout, the folder `textgan_bench` of a wheel."""
SUITES = ROOT / "bench" / "suites"
PAPER = SUITES / "paper"
"""The presets: a suite for each published setting."""
PUBLISHED = ROOT / "leaderboards" / "published"
"""Numbers from papers."""
RESULTS = ROOT / "leaderboards" / "results"
"""The records that are part of the project; a wheel has none."""
METRICS = ROOT / "metrics"
"""Each metric's folder has its card."""

_SCRIPTS = {"bench": "textgan-bench", "leaderboards": "textgan-bench-leaderboards"}


def program(package: str) -> str:
    """How a shell calls a package's program: `python -m bench` in a checkout, `textgan-bench` from a wheel."""
    return f"python -m {package}" if __package__ == "bench" else _SCRIPTS[package]
