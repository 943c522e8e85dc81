"""The submitting side: check all as a command that trains does, give the runs to an engine, and end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.config import Resolved, RunConfig
from bench.executors.base import Executor
from bench.executors.jobs import Options, executor_of, planned, submit
from bench.executors.settings import ExecutorSettings, read_executor
from bench.launch.options import LaunchOptions
from bench.launch.start import no_rows, prepare
from bench.places import command
from bench.terminal import counted
from bench.tracking.options import TrackerName, TrackingOptions

__all__ = ["Target", "submit_runs", "target"]


@dataclass(frozen=True)
class Target:
    """Where runs are given to."""

    settings: ExecutorSettings
    engine: Executor

    def resolve(self, run: RunConfig) -> Resolved:
        """The run on the device that a job is given. Raises ValueError where its settings want another one."""
        return _placed(run, self.settings).resolve(elsewhere=self.engine.elsewhere)

    def planned(self, resolved: Sequence[Resolved], runs: Path) -> dict[str, str | int]:
        """What would be submitted: `engine`, and how many `runs` in how many `jobs`."""
        n_runs, n_jobs = planned(resolved, self.settings, runs)
        return {"engine": self.settings.engine, "runs": n_runs, "jobs": n_jobs}


def target(executor: str, options: LaunchOptions) -> Target:
    """As `--executor` names it. Raises ValueError or OSError for what cannot be, or does not go with it."""
    if options.rerun or len(options.slots) > 1 or not math.isinf(options.deadline):
        raise ValueError("--executor says where runs go: --jobs, --jobs-per-gpu, --rerun and --budget go without it")
    settings = read_executor(executor)
    (engine := executor_of(settings.engine)).check()
    return Target(settings, engine)


def submit_runs(resolved: Sequence[Resolved], options: LaunchOptions, executor: str, *, console: Console) -> None:
    """Submit what is neither done nor under way, and say how many. Raises ValueError, KeyError or OSError before."""
    to = target(executor, options)
    (tracking := _of_workers(options.tracking)).check()
    there = [to.resolve(each.run) for each in resolved]
    if (warning := no_rows(there)) is not None:
        console.print(warning, style="yellow")
    for each in there:
        each.folder(options.runs)  # needs the device to be there
    prepare(there, options.runs, console)
    how = Options(settings=to.settings, save_every=options.save_every, tracking=tracking.prepared(options.runs))
    n = submit(there, how, options.runs)
    rest = f"; {len(there) - n} done or under way" if n < len(there) else ""
    console.print(f"{counted(n, 'run')} submitted{rest}")
    console.print(f"How far they are: {command('bench', 'collect', '--runs', options.runs)}")


def _placed(run: RunConfig, settings: ExecutorSettings) -> RunConfig:
    """On the device that a job is given. Raises ValueError where its settings want another one."""
    kind = "cuda" if settings.gpus else "cpu"
    if run.device == "auto":
        return run.model_copy(update={"device": kind})
    if run.device != "cpu" and not settings.gpus:
        raise ValueError(f"device is {run.device}, and the executor gives a job no GPU: set its gpus")
    return run


def _of_workers(tracking: TrackingOptions) -> TrackingOptions:
    """A server may be told by all; into a database on a shared disk nobody writes but `sync`."""
    return tracking if tracking.uri.startswith(("http:", "https:")) else TrackingOptions(TrackerName.none)
