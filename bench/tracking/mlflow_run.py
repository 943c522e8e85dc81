"""One run as MLflow shows it: a child run, fed by the events of a run folder. Raises what MLflow raises.

`start` tells MLflow all that the folder already holds, so a resumed run, a run whose server was away, and a run that is
synchronised afterwards are one case. What MLflow has is never told twice.
"""

from __future__ import annotations

import importlib.util
import json
import math
import time as clock
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.record import Alarm, Evaluation, RunRecord, RunStart
from bench.run_folder import DIARY, RECORD, START, WEIGHTS
from bench.tracking import labels, mlflow_store
from bench.tracking.jsonl import created_at, replay

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

__all__ = ["MlflowRun"]

_BATCH = 1000  # what `log_batch` takes, metrics, parameters and tags together
_PARAMS = 100
_STATES = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_FILES = (START, DIARY, RECORD, WEIGHTS)


class MlflowRun:
    """A Tracker that raises. Ids that the launcher has found are taken; without them they are found or made."""

    run_id: str
    """MLflow's id of the child, known after `start`."""

    def __init__(
        self,
        tracking_uri: str,
        experiment: str,
        *,
        experiment_id: str | None = None,
        parent_run_id: str | None = None,
        flush_seconds: float = 5.0,
        system_metrics: bool = True,
    ) -> None:
        self._uri = tracking_uri
        self._experiment = experiment
        self._experiment_id = experiment_id
        self._parent_id = parent_run_id
        self._flush_seconds = flush_seconds
        self._system_metrics = system_metrics
        self._monitor: SystemMetricsMonitor | None = None

    def start(self, info: RunStart, folder: Path) -> None:
        """Find the child by its run id or make it, and tell it what the folder holds."""
        self._info = info
        self._folder = folder
        self._metrics: list[Metric] = []
        self._tags: dict[str, str] = {}
        self._alarms: list[str] = []
        self._phase = ""
        self._final: Evaluation | None = None
        self._flushed_at = clock.monotonic()
        self._last_ms = self._start_ms = _start_ms(folder)
        mlflow_store.load()
        with mlflow_store.lock(self._uri):
            self._client = mlflow_store.connect(self._uri)
            if self._experiment_id is None:
                self._experiment_id = mlflow_store.ensure_experiment(self._client, self._uri, self._experiment)
            if self._parent_id is None:
                self._parent_id = mlflow_store.ensure_parent(self._client, self._experiment_id, info, self._start_ms)
            run = self._find() or self._create()
            self.run_id = str(run.info.run_id)
            self._log_data()  # two processes that write one data set at once would collide
        self._known = self._history(run)
        self._client.update_run(self._parent_id, status="RUNNING")
        self._describe()
        self._replaying = True
        replay(folder / DIARY, self)
        self._replaying = False
        self.flush()
        if self._system_metrics:
            self._watch_system()

    def log(self, values: Mapping[str, float], *, phase: str, step: int, time: float) -> None:
        """Training values as `train/<phase>/<key>`: a loss means another thing in another phase."""
        if phase != self._phase:
            self._phase = self._tags["phase"] = phase
        for key, value in values.items():
            self._metric(f"train/{phase}/{key}", value, step, time)
        if len(self._metrics) >= _BATCH or clock.monotonic() - self._flushed_at > self._flush_seconds:
            self.flush()

    def evaluation(self, evaluation: Evaluation, *, time: float) -> None:
        """Scores at temperature 1 over the steps; those at the end of training over the temperatures too."""
        if evaluation.temperature == 1.0:
            self._scores("score", evaluation, evaluation.step, time)
            if evaluation.at in ("end", "samples"):
                self._final = evaluation
        if evaluation.at == "end":
            self._scores("temperature", evaluation, round(100 * evaluation.temperature), time)

    def alarm(self, alarm: Alarm, *, time: float) -> None:
        """A tag per kind with the first alarm, the number of all, and a line in the description."""
        self._last_ms = max(self._last_ms, _ms(time))
        text = f"{alarm.message} ({alarm.phase}, step {alarm.step})"
        if not any(known.startswith(f"{alarm.kind}:") for known in self._alarms):
            self._tags[f"alarm.{alarm.kind}"] = text[:1000]
        if f"{alarm.kind}: {text}" not in self._alarms:
            self._alarms.append(f"{alarm.kind}: {text}")
        self._tags["alarms"] = str(len(self._alarms))

    def flush(self) -> None:
        """Send what is buffered. What could not be sent stays; what was sent is never sent again."""
        from mlflow.entities import RunTag

        while self._metrics or self._tags:
            tags = [RunTag(key, value) for key, value in self._tags.items()]
            metrics = self._metrics[: _BATCH - len(tags)]
            self._client.log_batch(self.run_id, metrics=metrics, tags=tags)
            del self._metrics[: len(metrics)]
            self._tags.clear()
        self._flushed_at = clock.monotonic()

    def finish(self, record: RunRecord | None) -> None:
        """Send the rest, the files and the state; bring the parent up to date. None: interrupted."""
        self.stop()
        status = record.status if record is not None else "interrupted"
        final = self._final
        if record is not None:
            self._usage(record)
            final = record.final() or final
        self._tags["status"] = status
        self._tags["mlflow.note.content"] = labels.child_note(self._info, record, final, tuple(self._alarms[:5]))
        self.flush()
        for name in (*_FILES, *sorted(path.name for path in self._folder.glob("samples*") if path.is_file())):
            if (self._folder / name).is_file():
                self._client.log_artifact(self.run_id, str(self._folder / name))
        self._client.set_terminated(self.run_id, _STATES[status], self._last_ms)
        self._summarise()

    def stop(self) -> None:
        """End the thread that watches the system, if there is one."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None

    def _find(self) -> Run | None:
        wanted = f"tags.level = 'run' and tags.run_id = '{self._info.run_id}'"
        assert self._experiment_id is not None
        found = self._client.search_runs(
            [self._experiment_id], wanted, max_results=1, order_by=["attributes.start_time ASC"]
        )
        return found[0] if found else None

    def _create(self) -> Run:
        assert self._experiment_id is not None
        assert self._parent_id is not None
        tags = labels.child_tags(self._info, self._parent_id)
        return self._client.create_run(self._experiment_id, self._start_ms, tags, labels.child_name(self._info))

    def _describe(self) -> None:
        """Tags and parameters; those of a resumed run are the same, or (another commit) newer."""
        from mlflow.entities import Param

        assert self._parent_id is not None
        self._client.update_run(self.run_id, status="RUNNING")
        self._tags |= {**labels.child_tags(self._info, self._parent_id), "status": "running"}
        params, cut = labels.params(self._info)
        if cut:
            self._tags["params_truncated"] = ", ".join(cut)[:1000]
        entities = [Param(key, value) for key, value in params.items()]
        for first in range(0, len(entities), _PARAMS):
            self._client.log_batch(self.run_id, params=entities[first : first + _PARAMS])

    def _log_data(self) -> None:
        """The data's name, hash and facts; never the data."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=labels.protocol(self._info),
            digest=self._info.data_sha256[:12],  # MLflow takes 36 characters; the tag `data_sha256` has all
            source_type="code",
            source=json.dumps({"tags": {"task": labels.protocol(self._info), "sha256": self._info.data_sha256}}),
            profile=json.dumps(dict(self._info.data_facts), sort_keys=True),
        )
        context = [InputTag("mlflow.data.context", "training and test")]
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, context)])

    def _history(self, run: Run) -> set[tuple[str, int]]:
        """Which (metric, step) the child has. Times differ when steps after a checkpoint are done again."""
        keys = [key for key in run.data.metrics if not key.startswith("system/")]
        return {(key, metric.step) for key in keys for metric in self._client.get_metric_history(self.run_id, key)}

    def _watch_system(self) -> None:
        if importlib.util.find_spec("psutil") is None:
            return
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._monitor = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self._uri)
        self._monitor.start()

    def _scores(self, group: str, evaluation: Evaluation, step: int, time: float) -> None:
        for name, score in evaluation.scores.items():
            self._metric(f"{group}/{name}", score.value, step, time)

    def _metric(self, name: str, value: float, step: int, time: float) -> None:
        """Buffer a value. One that is not finite becomes NaN, as in `train.jsonl`: MLflow would show inf as 1.8e308."""
        from mlflow.entities import Metric

        key = labels.key(name)
        self._last_ms = max(self._last_ms, _ms(time))
        if (key, step) not in self._known:
            if self._replaying:
                self._known.add((key, step))  # what the folder holds after its last checkpoint will happen again
            self._metrics.append(Metric(key, value if math.isfinite(value) else math.nan, _ms(time), step))

    def _usage(self, record: RunRecord) -> None:
        """What the run took, so that quality can be plotted against cost."""
        when = self._last_ms / 1000
        for phase in record.phases:
            self._metric(f"usage/{phase.name}_seconds", phase.seconds, 0, when)
            self._metric(f"usage/{phase.name}_real_sentences", phase.real_sentences, 0, when)
        if record.phases:
            self._metric("usage/seconds", math.fsum(phase.seconds for phase in record.phases), 0, when)
        if record.n_parameters is not None:
            self._tags["n_parameters"] = str(record.n_parameters)

    def _summarise(self) -> None:
        """The parent's state, and the mean of the last scores over its completed seeds.

        At step 0, whatever the number of seeds: MLflow then draws bars that compare the configurations.
        """
        from mlflow.entities import Metric

        assert self._experiment_id is not None
        assert self._parent_id is not None
        wanted = f"tags.mlflow.parentRunId = '{self._parent_id}' and tags.level = 'run'"
        seeds = self._client.search_runs([self._experiment_id], wanted, max_results=1000)
        done = [run for run in seeds if run.info.status == "FINISHED"]
        self._client.set_tag(self._parent_id, "seeds", f"{len(done)} of {len(seeds)} completed")
        if all(run.info.status != "RUNNING" for run in seeds):
            state = next((s for s in ("KILLED", "FAILED") if any(run.info.status == s for run in seeds)), "FINISHED")
            end = max((run.info.end_time or 0 for run in seeds), default=self._last_ms)
            self._client.set_terminated(self._parent_id, state, end)
        told = self._client.get_run(self._parent_id).data.metrics
        if not done or told.get("mean/seeds") == len(done):
            return
        end = max(run.info.end_time or 0 for run in done)
        names = [name for name in done[0].data.metrics if name.startswith("score/")]
        means = {
            f"mean/{name.removeprefix('score/')}": math.fsum(run.data.metrics[name] for run in done) / len(done)
            for name in names
            if all(name in run.data.metrics for run in done)
        }
        means["mean/seeds"] = float(len(done))
        self._client.log_batch(self._parent_id, metrics=[Metric(key, value, end, 0) for key, value in means.items()])


def _start_ms(folder: Path) -> int:
    """When the run first started, after its `run.json`; now if there is none."""
    first = created_at(folder)
    return _ms(clock.time() if first is None else datetime.fromisoformat(first).timestamp())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
