"""Start the runs of a command: load each task once, add its row of real text, prepare the trackers, launch."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import Progress

from bench.config import Resolved, plain
from bench.environment import uncommitted
from bench.launch.options import LaunchOptions
from bench.launch.progress import bars
from bench.launch.workers import Outcome, launch
from bench.places import command
from bench.record import read_start
from bench.registry import own_modules
from bench.run.contract import steps_of
from bench.run_folder import START
from bench.score.records import LoadedTask, record_real_text
from bench.terminal import counted
from bench.tracking.options import TrackerName

__all__ = ["BudgetSpent", "no_rows", "prepare", "start", "summary", "table_hint", "until"]

_SETTING_UP = 15.0
"""Seconds that MLflow takes, on a slow machine with a new database: with less of a budget left nothing is begun."""


class BudgetSpent(Exception):  # noqa: N818 - it is no error: what is done is kept
    """The time of the command is up."""


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Inside, `BudgetSpent` is raised at the deadline (seconds since the epoch), wherever the main thread then is.

    For what may be cut anywhere: reading and scoring, whose files are written in one move. Where the system has no such
    timer (Windows), or in another thread, it is raised at the end.
    """
    left = deadline - time.time()
    if left <= 0:
        raise BudgetSpent
    has_timer = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if math.isinf(left) or not has_timer:
        yield
    else:

        def ring(_number: int, _frame: FrameType | None) -> None:
            raise BudgetSpent

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    if time.time() >= deadline:
        raise BudgetSpent


def start(resolved: Sequence[Resolved], options: LaunchOptions, *, console: Console) -> list[Outcome]:
    """Do all runs and say how each ended.

    Tasks are loaded and models are built first, so that what is missing or wrong is said now. Raises ValueError,
    KeyError or OSError before any run.
    """
    options.tracking.check()
    if (warning := no_rows(resolved)) is not None:
        console.print(warning, style="yellow")
    for each in resolved:
        each.folder(options.runs)  # needs the device to be there
    try:
        with until(options.deadline):
            steps = prepare(resolved, options.runs, console)
        if options.tracking.tracker is not TrackerName.none and time.time() + _SETTING_UP > options.deadline:
            raise BudgetSpent
    except BudgetSpent:
        return launch(resolved, replace(options, deadline=0.0), console=console)
    with console.status("setting up the trackers"):
        tracking = options.tracking.prepared(options.runs)
    outcomes = launch(resolved, replace(options, tracking=tracking), console=console, steps=steps)
    there = [outcome.folder for outcome in outcomes if outcome.status == "completed" and not outcome.trained]
    hints = [tracking.hint([outcome.folder for outcome in outcomes]), tracking.not_told(there, options.runs)]
    if any(hints):
        console.print("\n" + "\n".join(filter(None, hints)))
    return outcomes


def _check_selection(resolved: Resolved, loaded: LoadedTask) -> None:
    """Selection by validation needs a likelihood and a validation text. Raises ValueError."""
    if resolved.run.selection == "last":
        return
    if not hasattr(resolved.model_class, "log_prob"):
        raise ValueError(f"{resolved.model_name} has no log_prob, which selection=validation needs: use selection=last")
    if not len(loaded.data.valid):
        raise ValueError(f"{loaded.name} has no validation sentences, which selection=validation needs: see n_valid")


def _same_data(folder: Path, loaded: LoadedTask) -> None:
    """A run is of the data that it began with. Raises ValueError, where a task's data changed and no setting of it."""
    if not (path := folder / START).is_file():
        return
    try:
        start = read_start(path)
    except ValueError:  # the run itself says what is wrong, and costs no other one
        return
    if (was := start.data_sha256) != (now := loaded.data.sha256):
        raise ValueError(
            f"{folder} is a run of other data of {loaded.name} ({was[:12]}; now {now[:12]}): put the data back, or "
            "take another folder by --runs; a task whose data change gets another version"
        )


def prepare(resolved: Sequence[Resolved], runs: Path, console: Console) -> list[Mapping[str, int]]:
    """Load every task once and score its real text; build every row's model once, for the steps of its phases."""
    loaded: dict[str, LoadedTask] = {}
    steps: dict[str, Mapping[str, int]] = {}
    for each in resolved:
        key = _task_key(each)
        if key not in loaded:
            with console.status(f"loading {each.run.task}"):
                data = each.task.load()
            loaded[key] = LoadedTask(name=each.run.task, task=each.task, data=data, metrics=each.text_metrics)
            for warning in each.task.warnings(data):
                console.print(f"warning: {each.run.task}: {warning}", style="yellow")
        _check_selection(each, loaded[key])
        _same_data(each.folder(runs), loaded[key])
        if each.config_hash not in steps:
            steps[each.config_hash] = steps_of(each, loaded[key].data)
    n_samples = {_task_key(each): each.run.n_samples for each in resolved}
    with bars(console, transient=True) as progress:
        for key, n in n_samples.items():
            record_real_text(loaded[key], n, runs, track=partial(_track, progress, loaded[key].name))
    return [steps[each.config_hash] for each in resolved]


def _track(progress: Progress, task: str, metrics: Sequence[Any]) -> Iterator[Any]:
    """A bar while real text is scored."""
    bar = progress.add_task(f"real text of {task}", total=len(metrics), unit="metrics", note="", left=lambda _: "")
    for metric in metrics:
        progress.update(bar, note=f"scoring {metric.name}")
        yield metric
        progress.advance(bar)


def summary(outcomes: Sequence[Outcome], runs: Path) -> str:
    """`3 runs in runs: 1 completed, 1 already there, 1 failed`."""
    how = [
        "already there" if each.status == "completed" and not each.trained
        else "not started" if each.status == "stopped" and not each.trained
        else each.status
        for each in outcomes
    ]  # fmt: skip
    counts = ", ".join(f"{how.count(one)} {one}" for one in dict.fromkeys(how))
    return f"{counted(len(outcomes), 'run')} in {runs}: {counts}"


def no_rows(resolved: Sequence[Resolved]) -> str | None:
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
    metrics = [[metric.name, plain(metric)] for metric in resolved.text_metrics]
    return json.dumps([resolved.run.task, resolved.task_settings, resolved.run.n_samples, metrics])
