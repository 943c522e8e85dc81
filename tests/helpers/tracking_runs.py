"""Runs to be tracked, and all that a person can see of them in MLflow. Not a test."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.record import Alarm, Evaluation, PhaseCost, RunRecord, RunStart, Score, short_hash
from bench.run_settings import RunSettings
from bench.tracking import mlflow_store
from bench.tracking.diary import Diary, TrainingValues
from bench.tracking.mlflow import MlflowTracker
from bench.tracking.mlflow_store import default_uri

NOW = 1_800_000_000.0


class Store:
    """A runs folder with a migrated database."""

    def __init__(self, runs: Path, uri: str) -> None:
        self.runs = runs
        self.uri = uri

    @property
    def client(self):
        return mlflow_store.connect(self.uri)

    def experiments(self) -> dict[str, Any]:
        """By name, without MLflow's own."""
        return {e.name: e for e in self.client.search_experiments() if e.name != "Default"}

    def all(self) -> list[Any]:
        places = [experiment.experiment_id for experiment in self.experiments().values()]
        return self.client.search_runs(places, max_results=1000) if places else []

    def level(self, name: str) -> list[Any]:
        return [run for run in self.all() if run.data.tags["level"] == name]

    def points(self, run: Any) -> dict[str, list[tuple[int, str, int]]]:
        """Every point of every metric: step, value (as text, so that NaN equals NaN), time."""
        keys = sorted(run.data.metrics)
        history = {key: self.client.get_metric_history(run.info.run_id, key) for key in keys}
        return {key: sorted((m.step, repr(m.value), m.timestamp) for m in points) for key, points in history.items()}

    def snapshot(self) -> dict[str, Any]:
        """All that a person can see of all runs, without MLflow's own ids."""
        names = {run.info.run_id: run.info.run_name for run in self.all()}
        return {run.info.run_name: self._seen(run, names) for run in self.all()}

    def _seen(self, run: Any, names: dict[str, str]) -> dict[str, Any]:
        tags = {key: names.get(value, value) for key, value in run.data.tags.items()}
        files = sorted(file.path for file in self.client.list_artifacts(run.info.run_id))
        inputs = [(i.dataset.name, i.dataset.digest, i.dataset.profile) for i in run.inputs.dataset_inputs]
        state = (run.info.status, run.info.end_time)
        return {"tags": tags, "params": run.data.params, "points": self.points(run), "files": files} | {
            "inputs": inputs,
            "state": state,
        }


def new_store(runs: Path, migrated: Path) -> Store:
    runs.mkdir()
    shutil.copy(migrated, runs / "mlflow.db")
    return Store(runs, default_uri(runs))


def info(seed: int = 0, model: str = "seqgan", **changes: Any) -> RunStart:
    plain = RunStart(
        run_id=short_hash([model, seed]),
        config_hash=short_hash(model),
        model=model,
        task="oracle_lstm",
        task_version=2,
        scale="smoke",
        seed=seed,
        created_at="2027-01-15T08:00:00.000+00:00",
        origin="run",
        model_config={"lr": 0.001, "filters": (1, 2, 3), "clip": None},
        task_config={"path": ""},
        run=RunSettings(n_samples=100),
        data_sha256="0123456789abcdef" * 4,
        data_facts={"train": 100, "overlap": 0.25},
        environment={"git.sha": "abc123", "git.dirty": True, "device": "cpu", "threads": 1, "torch": "2.13.0"},
    )
    return replace(plain, **changes)


def tracker_of(store: Store, **settings: Any) -> MlflowTracker:
    return MlflowTracker(store.uri, system_metrics=False, **settings)


def folder_of(runs: Path, run: RunStart) -> Path:
    folder = runs / f"{run.task}-{run.model}-{run.seed}-{run.run_id}"
    folder.mkdir(exist_ok=True)
    return folder


def evaluated(at: str, step: int, temperature: float = 1.0) -> Evaluation:
    values = {"bleu_2": 0.5 + step / 1000, "nll_oracle": 9.0 + temperature}
    scores = {k: Score(value=v, metric=k, settings={"v": 1}, better="higher") for k, v in values.items()}
    return Evaluation(
        phase="mle", step=step, at=at, temperature=temperature, scores=scores, skipped={"validity": "none"}
    )


def begin(store: Store, run: RunStart, position: int = 0, **settings: Any) -> tuple[Diary, MlflowTracker]:
    """As the runner begins a run, or goes on with it from a checkpoint."""
    folder = folder_of(store.runs, run)
    diary, tracker = Diary(folder, run), tracker_of(store, **settings)
    diary.cut(position)
    tracker.start(folder)
    return diary, tracker


def go_on(diary: Diary, tracker: MlflowTracker | _Untracked, first: int, last: int, time: float = NOW) -> None:
    """Steps first .. last - 1, an evaluation at 5, an alarm at 7."""
    for step in range(first, last):
        values = {"loss": 1 / (1 + step), "norm": float("inf") if step == 3 else 2.0}
        diary.write(TrainingValues(phase="mle", step=step, values=values), at=time + step)
        if step == 5:
            diary.write(evaluated("cadence", 5), at=time + step)
        if step == 7:
            diary.write(Alarm(kind="collapse", phase="mle", step=7, message="1% unique"), at=time + step)
        diary.position()  # on the disk, where the tracker looks
        tracker.follow()


def end(
    store: Store,
    diary: Diary,
    tracker: MlflowTracker | _Untracked,
    run: RunStart,
    status: str = "completed",
    time: float = NOW,
    *,
    sweep: Sequence[Evaluation] = (),
    files: Mapping[str, str] | None = None,
) -> Path:
    """The sweep, the files, the record; the run's folder."""
    folder = folder_of(store.runs, run)
    sweep = sweep or [evaluated("end", 10, temperature) for temperature in (0.5, 1.0, 1.3)]
    for evaluation in sweep:
        diary.write(evaluation, at=time + 20)
    diary.close()
    record = run.ended(
        status="completed" if status == "completed" else "failed",
        error=None if status == "completed" else "ValueError: loss is nan",
        n_parameters=1234,
        evaluations=tuple(sweep),
        phases=(PhaseCost(name="mle", steps=10, seconds=2.5, real_sentences=640),),
    )
    (folder / "samples.txt").write_text("1 2 3\n")
    for name, content in (files or {}).items():
        (folder / name).write_text(content)
    (folder / "samples-t0.5.txt").write_text("1 1 1\n")
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "checkpoint.pt").write_bytes(b"not for MLflow")
    record.write(folder / "record.json")
    tracker.finish(record)
    return folder


def live(store: Store, run: RunStart, status: str = "completed", **of_end: Any) -> Path:
    """A whole run, tracked as the runner tracks it."""
    diary, tracker = begin(store, run)
    go_on(diary, tracker, 0, 10)
    return end(store, diary, tracker, run, status, **of_end)


class _Untracked:
    """A tracker that tells nobody."""

    def follow(self) -> None: ...

    def finish(self, record: RunRecord | None) -> None: ...


def untracked(store: Store, run: RunStart) -> Path:
    """A whole run that MLflow was not told of."""
    diary, tracker = Diary(folder_of(store.runs, run), run), _Untracked()
    go_on(diary, tracker, 0, 10)
    return end(store, diary, tracker, run)


def live_in(store: Store, run: RunStart, experiment: str) -> Path:
    """A whole run in an experiment of that name."""
    diary, tracker = begin(store, run, experiment=experiment)
    go_on(diary, tracker, 0, 10)
    return end(store, diary, tracker, run)
