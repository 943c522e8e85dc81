"""What every engine does: it takes batches of runs, and says of each job whether it has ended."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from bench.config import RunConfig
from bench.executors.settings import ExecutorSettings
from bench.tracking.options import TrackingOptions

__all__ = ["FOR_EVER", "Batch", "Executor", "Job", "JobState", "library"]

FOR_EVER = 10**6
"""Times that a job may run out of time: submitit raises an error inside the training after the last, and that would be
recorded as a failure of the model."""

JobState = Literal["queued", "running", "ended"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The runs of a job, one after another."""

    configs: Sequence[RunConfig]
    run_ids: Sequence[str]
    """As the submitting side knows them."""
    runs: Path
    """Holds the run folders, the same for all machines."""
    save_every: float
    tracking: TrackingOptions = field(default_factory=TrackingOptions)


@dataclass(frozen=True)
class Job:
    """A job that was submitted."""

    folder: Path
    """Of its submission: what jobs print lies there."""
    id: str
    """The engine's; unique in the folder."""


class Executor(Protocol):
    """An engine."""

    elsewhere: bool
    """Jobs may be on machines with other devices than this one."""
    pause: float
    """Seconds between two questions, for somebody who waits."""

    def check(self) -> None:
        """Raise ValueError where it cannot be used from here, with what to install."""

    def submit(self, batches: Sequence[Batch], settings: ExecutorSettings, folder: Path) -> list[Job]:
        """A job for each batch. Raises ValueError or OSError where the engine does not take them."""

    def states(self, jobs: Sequence[Job], settings: ExecutorSettings) -> Mapping[Job, JobState]:
        """Of each job. Raises OSError where the engine cannot be asked: nothing is then known to be lost."""

    def cancel(self, jobs: Sequence[Job], settings: ExecutorSettings) -> None:
        """End those that have not ended, at once or after they saved. Raises OSError where the engine does not."""


def library(name: str) -> Any:
    """What an engine is reached by. Raises ValueError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"--executor needs {name}: pip install {name}") from None
