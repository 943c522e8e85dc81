"""What the commands share: the two consoles, how an error of the user is said, and options that several take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.streams import SafeConsole, console, errors
from bench.tracking.options import TrackerName

__all__ = [
    "PLAN_FIELDS",
    "DryRun",
    "ExecutorOption",
    "Experiment",
    "Jobs",
    "JobsPerGpu",
    "Measure",
    "Metrics",
    "PlanAsJson",
    "Rerun",
    "Runs",
    "SafeConsole",
    "SaveEvery",
    "Seeds",
    "Settings",
    "TrackerOption",
    "TrackingUri",
    "UserErrors",
    "check_dry",
    "console",
    "counted",
    "errors",
]


def check_dry(dry_run: bool, *, measure: bool, json: bool = False) -> None:
    """Raise ValueError for what goes with `--dry-run` and stands alone."""
    if measure and not dry_run:
        raise ValueError("--measure goes with --dry-run: a run measures itself")
    if json and not dry_run:
        raise ValueError("--json goes with --dry-run: the scores of runs are in their record.json")


def counted(n: int, noun: str) -> str:
    """`1 run`, `2 runs`, `1,000 runs`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of model, task, run or metric: rollouts=8, task.length=40, lm_score.order=3.",
        metavar="KEY=VALUE",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Runs side by side, each in its own process; 1 if not given.", show_default=False),
]
JobsPerGpu = Annotated[
    int | None, typer.Option(min=1, help="Instead of --jobs: runs side by side on each GPU.", show_default=False)
]
Seeds = Annotated[
    list[str] | None, typer.Option("--seed", help="Seeds, as many as you like: --seed 0 1 2, or 0-2.", metavar="SEED")
]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Metrics by name; default: the task's own.")]
Runs = Annotated[Path, typer.Option(help="Folder that holds the run folders.")]
SaveEvery = Annotated[float, typer.Option(min=0, help="Seconds between checkpoints.")]
Rerun = Annotated[bool, typer.Option("--rerun", help="Train again what is finished already.")]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Only print what would be done, what is done already, and the time. Writes nothing."
    ),
]
PLAN_FIELDS = (
    "the plan. `plan` has a row for each setting: label, model, task, scale, config_hash; its phases (name, steps, "
    "seconds_per_step or null, measured_on); its runs (run_id, seed, folder, state: new, begun or completed, "
    "steps_done by phase, completed). `scored`: what is scored without training (label, task). "
    "`executor`: null, or what --executor would submit (engine, runs, jobs). Of all: jobs, runs, runs_left, "
    "steps_left, seconds_left as far as it is known, unknown_time (label: phases)."
)
"""What `--dry-run --json` prints, for `--help`."""
PlanAsJson = Annotated[
    bool, typer.Option("--json", help=f"With --dry-run: print one JSON document and no text, {PLAN_FIELDS}")
]
Measure = Annotated[
    bool,
    typer.Option("--measure", help="With --dry-run: where no time is known, try a few steps of each phase here."),
]
TrackerOption = Annotated[TrackerName, typer.Option("--tracker", help="Where runs are shown, beside the files.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow tracking URI. Default: sqlite in the runs folder."),
]
ExecutorOption = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="Submit the runs and end; `collect` follows them. A TOML file, or slurm, ray or local.",
    ),
]
Experiment = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_EXPERIMENT_NAME", help="MLflow experiment. Default: one for each task and text."),
]


class UserErrors:
    """Errors of names, settings, files and missing libraries are one line and exit code 2.

    Anything else is our bug and shows itself.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        missing = _missing(error)
        if missing or isinstance(error, KeyError | ValueError | OSError | MemoryError):
            message = error.args[0] if isinstance(error, KeyError) else missing or error
            if isinstance(error, MemoryError):
                message = f"this machine's memory does not hold it{f' ({error})' if str(error) else ''}: ask for less"
            errors.print(f"error: {message}", style="red")
            raise typer.Exit(2) from None


def _missing(error: BaseException | None) -> str:
    """Which library is not installed, where that is the error; a part of our own that is not there is a bug."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:  # that of a distribution is of this kind, too
        return ""
    library = error.name.partition(".")[0]
    if library in ("baselines", "bench", "leaderboards", "metrics", "textgan_bench"):
        return ""
    return f"this needs {library}, which is not installed here: `pip install {library}`"
