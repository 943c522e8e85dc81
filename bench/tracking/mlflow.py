"""MLflow as a mirror of the run folders. A failure of MLflow is a warning of one line and never costs a run.

One parent run per model, task and configuration, one child per seed. The files of the run folder are the truth, so what
MLflow missed is told when the run ends, when it is resumed, or by `python -m bench sync`.
"""

from __future__ import annotations

import logging
import time as clock
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.record import Alarm, Evaluation, RunRecord, RunStart
from bench.tracking import mlflow_store
from bench.tracking.labels import Configuration, Configured
from bench.tracking.mlflow_run import MlflowRun
from bench.tracking.mlflow_store import default_uri

__all__ = ["EXPERIMENT", "Configuration", "MlflowIds", "MlflowTracker", "default_uri", "one_line", "prepare"]

EXPERIMENT = "textgan-bench"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class MlflowIds:
    """What the launcher found or made, for the workers. Plain values: it goes to another process."""

    experiment_id: str
    parents: Mapping[str, str]
    """config_hash -> MLflow's id of the parent run."""


def prepare(uri: str, experiment: str, infos: Iterable[Configured]) -> MlflowIds | None:
    """Make the database, the experiment and the parent runs, before workers start. None, with a warning: MLflow failed.

    A launcher that has not loaded the data, so has no `RunStart` yet, hands in a `Configuration` for each run.

    Raises ValueError if MLflow is not installed or if it refuses this kind of address.
    """
    mlflow_store.check(uri)
    try:
        mlflow_store.load()
        with mlflow_store.lock(uri):
            client = mlflow_store.connect(uri)
            experiment_id = mlflow_store.ensure_experiment(client, uri, experiment)
            now = round(clock.time() * 1000)
            parents = {i.config_hash: mlflow_store.ensure_parent(client, experiment_id, i, now) for i in infos}
        return MlflowIds(experiment_id=experiment_id, parents=parents)
    except mlflow_store.failures() as error:
        _logger.warning(
            "MLflow cannot be used at %s; the runs go on, later: python -m bench sync: %s",
            uri,
            one_line(error),
        )
        return None


class MlflowTracker:
    """The Tracker of one run. Start it after `JsonlTracker` has cut its file back, and finish it after that one."""

    def __init__(
        self,
        tracking_uri: str,
        experiment: str = EXPERIMENT,
        *,
        experiment_id: str | None = None,
        parent_run_id: str | None = None,
        flush_seconds: float = 5.0,
        system_metrics: bool = True,
    ) -> None:
        """Raises ValueError if MLflow is not installed or if it refuses this kind of address."""
        mlflow_store.check(tracking_uri)
        self._uri = tracking_uri
        self._works = True
        self._run = MlflowRun(
            tracking_uri,
            experiment,
            experiment_id=experiment_id,
            parent_run_id=parent_run_id,
            flush_seconds=flush_seconds,
            system_metrics=system_metrics,
        )

    def start(self, info: RunStart, folder: Path) -> None:
        """A run starts or goes on: its MLflow run is found by the run id, and brought up to what the folder holds."""
        self._info = info
        self._folder = folder
        self._try(partial(self._run.start, info, folder))

    def log(self, values: Mapping[str, float], *, phase: str, step: int, time: float) -> None:
        """Training values at a step; sent in batches every few seconds."""
        self._try(partial(self._run.log, values, phase=phase, step=step, time=time))

    def evaluation(self, evaluation: Evaluation, *, time: float) -> None:
        """Scores of one set of samples."""
        self._try(partial(self._run.evaluation, evaluation, time=time))

    def alarm(self, alarm: Alarm, *, time: float) -> None:
        """An alarm becomes a tag."""
        self._try(partial(self._run.alarm, alarm, time=time))

    def finish(self, record: RunRecord | None) -> None:
        """Send the rest. If MLflow failed on the way, everything is tried once more from the folder."""
        if not self._works:
            self._works = True
            self._try(partial(self._run.start, self._info, self._folder), last=True)
        self._try(partial(self._run.finish, record), last=True)
        self._run.stop()

    def _try(self, call: Callable[[], None], *, last: bool = False) -> None:
        """After a failure nothing is tried until the end: a server that is away would stop the training each time."""
        if not self._works:
            return
        try:
            call()
        except mlflow_store.failures(ValueError) as error:  # ValueError: a damaged file in the folder
            self._works = False
            then = f"later: python -m bench sync {self._folder}" if last else "it is tried again when the run ends"
            _logger.warning("MLflow failed at %s; the run goes on, %s: %s", self._uri, then, one_line(error))


def one_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
