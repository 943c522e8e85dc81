"""Start the runs of a command: load each task once, add its row of real text, prepare the trackers, launch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.config import Resolved, plain
from bench.launch.workers import Outcome, Way, launch
from bench.places import program
from bench.run.runner import run_start
from bench.score.records import LoadedTask, record_real_text
from bench.tracking.options import TrackingOptions

__all__ = ["start", "table_hint"]


def start(
    resolved: Sequence[Resolved],
    *,
    slots: Sequence[str],
    runs: Path,
    tracking: TrackingOptions,
    console: Console,
    **how: Any,
) -> list[Outcome]:
    """Do all runs, as many at once as there are `slots`, and say how each ended; `how` is handed to `Way`.

    Tasks are loaded first, so that what is missing is said now. Raises ValueError, KeyError or OSError before any run.
    """
    tracking.check(runs)
    for each in resolved:
        each.folder(runs)  # needs the device to be there
    boards: dict[str, LoadedTask] = {}
    for each in resolved:
        key = _board_key(each)
        if key not in boards:
            boards[key] = LoadedTask(name=each.run.task, task=each.task, data=each.task.load(), metrics=each.metrics)
            record_real_text(boards[key], each.run.n_samples, runs)
    first = {each.config_hash: each for each in reversed(resolved)}
    infos = [run_start(each, boards[_board_key(each)].data, "") for each in first.values()]
    way = Way(runs, trackers_of=tracking.prepare(infos, runs), **how)
    return launch(resolved, way, slots=slots, console=console)


def table_hint(runs: Path) -> str:
    """The command that makes the table of a folder of runs."""
    return f"{program('leaderboards')} build {runs}"


def _board_key(resolved: Resolved) -> str:
    """Runs with one key share their data and their row of real text."""
    metrics = [[metric.name, plain(metric)] for metric in resolved.metrics]
    return json.dumps([resolved.run.task, resolved.task_settings, resolved.run.n_samples, metrics])
