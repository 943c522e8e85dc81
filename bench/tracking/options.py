"""Where the runs of a command are tracked: chosen on the command line, prepared before any worker starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.record import RunStart
from bench.tracking import mlflow_store
from bench.tracking.mlflow import EXPERIMENT, MlflowIds, MlflowTracker, default_uri, prepare
from bench.tracking.tracker import Tracker

__all__ = ["EXPERIMENT", "TrackerName", "TrackersOf", "TrackingOptions", "no_trackers"]

TrackersOf = Callable[[str], Sequence[Tracker]]
"""Makes the trackers of one run, beside its files, from its `config_hash`. Goes to worker processes by pickle."""


class TrackerName(StrEnum):
    """Trackers beside the files, which are always written."""

    mlflow = "mlflow"
    none = "none"


def no_trackers(_config_hash: str) -> Sequence[Tracker]:
    """Files only."""
    return ()


@dataclass(frozen=True)
class _MlflowTrackers:
    uri: str
    experiment: str
    ids: MlflowIds

    def __call__(self, config_hash: str) -> Sequence[Tracker]:
        parent = self.ids.parents[config_hash]
        return (MlflowTracker(self.uri, self.experiment, experiment_id=self.ids.experiment_id, parent_run_id=parent),)


@dataclass(frozen=True)
class TrackingOptions:
    """What the command line says."""

    tracker: TrackerName
    tracking_uri: str | None
    experiment: str

    def uri(self, runs: Path) -> str:
        """The MLflow tracking URI: as given, or a sqlite database in the runs folder."""
        return self.tracking_uri or default_uri(runs)

    def check(self, runs: Path) -> None:
        """Raise ValueError, before anything slow, if MLflow is not installed or refuses this kind of address."""
        if self.tracker is not TrackerName.none:
            mlflow_store.check(self.uri(runs))

    def prepare(self, infos: Iterable[RunStart], runs: Path) -> TrackersOf:
        """Make database, experiment and parent runs now, in one process. If MLflow fails: a warning, and files only."""
        if self.tracker is TrackerName.none:
            return no_trackers
        ids = prepare(self.uri(runs), self.experiment, infos)
        return no_trackers if ids is None else _MlflowTrackers(self.uri(runs), self.experiment, ids)

    def hint(self, runs: Path) -> str:
        """The command that opens MLflow's pages; empty where nothing is tracked there."""
        if self.tracker is TrackerName.none:
            return ""
        return f"MLflow: mlflow ui --backend-store-uri {self.uri(runs)}"
