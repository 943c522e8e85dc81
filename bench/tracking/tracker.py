"""What is told to a tracker while a run goes on. JSONL is always on; MLflow is fed from the same events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from bench.record import Alarm, Evaluation, RunRecord, RunStart

__all__ = ["Tracker"]


class Tracker(Protocol):
    """One run's tracker. A mirror never raises for its own troubles: it warns, and the run goes on.

    The run's own diary, `JsonlTracker`, raises OSError: without it a run could not be resumed.
    """

    def start(self, info: RunStart, folder: Path) -> None:
        """A run starts, or goes on after a kill; `folder` is the run's folder."""

    def log(self, values: Mapping[str, float], *, phase: str, step: int, time: float) -> None:
        """Training values at a step (steps of all phases done); `time` is seconds since the epoch."""

    def evaluation(self, evaluation: Evaluation, *, time: float) -> None:
        """Scores of one set of samples."""

    def alarm(self, alarm: Alarm, *, time: float) -> None:
        """A loss that is not finite, samples that collapse."""

    def finish(self, record: RunRecord | None) -> None:
        """The run ended; None: it was interrupted and will be resumed."""
