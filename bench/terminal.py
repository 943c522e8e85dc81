"""What the commands share: the two consoles, how an error of the user is said, and options that several take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.streams import SafeConsole, console, errors

__all__ = [
    "Experiment",
    "Metrics",
    "Runs",
    "SafeConsole",
    "Seeds",
    "Settings",
    "TrackingUri",
    "UserErrors",
    "console",
    "counted",
    "errors",
]


def counted(n: int, noun: str) -> str:
    """`1 run`, `2 runs`, `1,000 runs`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of model, task, run or metric, in TOML: rollouts=8, task.length=40, bleu.orders=[2,3].",
        metavar="KEY=VALUE",
    ),
]
Seeds = Annotated[
    list[str] | None, typer.Option("--seed", help="Seeds, as many as you like: --seed 0 1 2, or 0-2.", metavar="SEED")
]
Metrics = Annotated[list[str] | None, typer.Option("--metric", help="Metrics by name; default: the task's own.")]
Runs = Annotated[Path, typer.Option(help="Folder that holds the run folders.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow tracking URI. Default: sqlite in the runs folder."),
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
