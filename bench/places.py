"""Where the project's own folders lie and how its programs are called, in a checkout and in a wheel."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from bench.text.escapes import shell_words

__all__ = ["METRICS", "PAPER", "PUBLISHED", "RESULTS", "ROOT", "SUITES", "command", "program"]

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
    """How any shell calls a package's program: `python -m bench` in a checkout, `textgan-bench` from a wheel."""
    return f"python -m {package}" if __package__ == "bench" else _SCRIPTS[package]


def command(package: str, *words: str | Path, here: bool = True) -> str:
    """A command to be copied into a shell: every command that is printed or written comes from here.

    `package` is one of ours, or another that `python -m` runs. `here`: it is printed, and works in this environment,
    activated or not; otherwise it is kept, for readers anywhere.
    """
    called = _called_here(package) if here or package not in _SCRIPTS else program(package)
    return " ".join([called, *([shell_words(words)] if words else [])])


def _called_here(package: str) -> str:
    """By name where a shell would find this environment's, else by the path of this Python."""
    if __package__ != "bench" and package in _SCRIPTS:
        if _is_ours(script := _SCRIPTS[package]):
            return script
        package = f"{__package__.removesuffix('.bench')}.{package}"
    python = "python" if _is_ours("python") or not sys.executable else shlex.quote(sys.executable)
    return f"{python} -m {package}"


def _is_ours(name: str) -> bool:
    found = shutil.which(name)
    return found is not None and Path(found).parent.absolute() == Path(sys.executable).parent.absolute()
