"""Start the runs of a command: load each task once, add its row of real text, prepare the trackers, launch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.config import Resolved, plain
from bench.environment import uncommitted
from bench.launch.options import LaunchOptions
from bench.launch.workers import Outcome, launch
from bench.places import command
from bench.record import read_start
from bench.registry import own_modules
from bench.run_folder import START
from bench.score.records import LoadedTask, record_real_text

__all__ = ["start", "table_hint"]


def start(resolved: Sequence[Resolved], options: LaunchOptions, *, console: Console) -> list[Outcome]:
    """Do all runs and say how each ended.

    Tasks are loaded first, so that what is missing is said now. Raises ValueError, KeyError or OSError before any run.
    """
    options.tracking.check()
    if (warning := _no_rows(resolved)) is not None:
        console.print(warning, style="yellow")
    loaded: dict[str, LoadedTask] = {}
    for each in resolved:
        each.folder(options.runs)  # needs the device to be there
    for each in resolved:
        key = _task_key(each)
        if key not in loaded:
            loaded[key] = LoadedTask(name=each.run.task, task=each.task, data=each.task.load(), metrics=each.metrics)
            for warning in each.task.warnings(loaded[key].data):
                console.print(f"warning: {each.run.task}: {warning}", style="yellow")
            record_real_text(loaded[key], each.run.n_samples, options.runs)
        _same_data(each.folder(options.runs), loaded[key])
    tracking = options.tracking.prepared(options.runs)
    outcomes = launch(resolved, replace(options, tracking=tracking), console=console)
    if hint := tracking.hint():
        console.print(f"\n{hint}")
    return outcomes


def _same_data(folder: Path, loaded: LoadedTask) -> None:
    """A run is of the data that it began with. Raises ValueError, where a task's data changed and no setting of it."""
    if not (path := folder / START).is_file():
        return
    if (was := read_start(path).data_sha256) != (now := loaded.data.sha256):
        raise ValueError(
            f"{folder} is a run of other data of {loaded.name} ({was[:12]}; now {now[:12]}): put the data back, or "
            "take another folder by --runs; a task whose data change gets another version"
        )


def _no_rows(resolved: Sequence[Resolved]) -> str | None:
    """Said before any compute is spent: why `leaderboards add` will refuse these runs, if it will."""
    if all(each.run.scale == "smoke" for each in resolved):
        return None
    for each in resolved:
        if beside := ", ".join(own_modules(each.run.model, each.model_class)):
            return (
                f"Not to be handed in: {each.model_name} imports {beside}, a file of its own, and a row keeps one file "
                "of a model. Move that code into it, or install it as a package, if these runs are to become rows."
            )
    if not (changed := uncommitted()):
        return None
    named = ", ".join(changed[:3]) + (" …" if len(changed) > 3 else "")
    return (
        f"Not to be handed in: this checkout's code has uncommitted changes ({named}), so `leaderboards add` will "
        "refuse these runs. Commit or stash first if they are to become rows."
    )


def table_hint(runs: Path) -> str:
    """The command that makes the table of a folder of runs."""
    return command("leaderboards", "build", runs)


def _task_key(resolved: Resolved) -> str:
    """Runs with one key share their data and their row of real text."""
    metrics = [[metric.name, plain(metric)] for metric in resolved.metrics]
    return json.dumps([resolved.run.task, resolved.task_settings, resolved.run.n_samples, metrics])
