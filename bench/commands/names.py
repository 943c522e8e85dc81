"""Words of a command line that name something: how a shell goes on with them, and where a suite of ours lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from bench.places import PAPER, SUITES, check_file, suite_names

__all__ = ["RUN", "everything", "models", "presets", "suite_path", "suites", "tasks"]

RUN = "run"
"""By this name `show` tells the settings of a run."""


def _beginning(known: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """For a shell: which names go on with what is typed."""
    return lambda incomplete: [name for name in known() if name.startswith(incomplete)]


def _registered(kind: Literal["models", "tasks", "metrics"]) -> list[str]:
    from bench.registry import names  # not for --help

    return names(kind)


def _everything() -> list[str]:
    found = [*_registered("models"), *_registered("tasks"), *_registered("metrics")]
    return [*found, *suite_names(), *suite_names(PAPER), RUN]


models = _beginning(lambda: _registered("models"))
tasks = _beginning(lambda: _registered("tasks"))
suites = _beginning(suite_names)
presets = _beginning(lambda: suite_names(PAPER))
everything = _beginning(_everything)
"""All that `show` shows by name."""


def suite_path(path: Path) -> Path:
    """Of a suite file, or of one of ours by its name; that of a preset may leave out its folder, `paper/`."""
    if path.is_file():
        return path
    for name in (str(path), f"{PAPER.name}/{path}"):
        if name in suite_names():
            return SUITES / f"{name}.toml"
    if path.suffix == ".toml" or path.exists():
        check_file(path)
    from bench.registry import suggest

    raise ValueError(f"no suite file {str(path)!r}; {suggest(str(path), suite_names())}")
