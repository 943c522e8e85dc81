"""MLflow as a mirror: what it shows, that it costs no run, that nothing is told twice, and that it can be rebuilt."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench.record import Alarm, Evaluation, PhaseCost, RunRecord, Score, short_hash
from bench.tracking import labels, mlflow_store
from bench.tracking.jsonl import JsonlTracker
from bench.tracking.mlflow import Configuration, MlflowTracker, default_uri, prepare
from bench.tracking.sync import sync
from bench.tracking.tracker import RunInfo

pytest.importorskip("mlflow")
NOW = 1_800_000_000.0
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without experiments: a migration takes seconds, a copy nothing."""
    folder = tmp_path_factory.mktemp("migrated")
    mlflow_store.load()
    with mlflow_store.lock(default_uri(folder)):
        mlflow_store.connect(default_uri(folder))
    return folder / "mlflow.db"


@dataclass
class Store:
    """A runs folder with a migrated database."""

    runs: Path
    uri: str

    @property
    def client(self):
        return mlflow_store.connect(self.uri)

    def all(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name("textgan-bench")
        return self.client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []

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


@pytest.fixture
def store(tmp_path: Path, migrated: Path) -> Store:
    return new_store(tmp_path / "runs", migrated)


def new_store(runs: Path, migrated: Path) -> Store:
    runs.mkdir()
    shutil.copy(migrated, runs / "mlflow.db")
    return Store(runs, default_uri(runs))


def info(seed: int = 0, model: str = "seqgan", **changes: Any) -> RunInfo:
    plain = RunInfo(
        run_id=short_hash([model, seed]),
        config_hash=short_hash(model),
        model=model,
        task="oracle_lstm",
        task_version=2,
        scale="smoke",
        seed=seed,
        params={"model.lr": 0.001, "model.filters": (1, 2, 3), "task.path": "", "n_samples": 100, "model.clip": None},
        data_sha256="0123456789abcdef" * 4,
        data_facts={"train": 100, "overlap": 0.25},
        environment={"git.sha": "abc123", "git.dirty": True, "device": "cpu", "threads": 1, "torch": "2.13.0"},
    )
    return replace(plain, **changes)


def tracker_of(store: Store, **settings: Any) -> MlflowTracker:
    return MlflowTracker(store.uri, system_metrics=False, **settings)


def folder_of(runs: Path, run: RunInfo) -> Path:
    folder = runs / f"{run.task}-{run.model}-{run.seed}-{run.run_id}"
    folder.mkdir(exist_ok=True)
    return folder


def evaluated(at: str, step: int, temperature: float = 1.0) -> Evaluation:
    values = {"bleu_2": 0.5 + step / 1000, "nll_oracle": 9.0 + temperature}
    scores = {k: Score(value=v, metric=k, signature=f"{k}|v:1", better="higher") for k, v in values.items()}
    return Evaluation(
        phase="mle", step=step, at=at, temperature=temperature, scores=scores, skipped={"validity": "none"}
    )


def tell(trackers: list[Any], first: int, last: int, time: float = NOW) -> None:
    """Steps first .. last - 1, an evaluation at 5, an alarm at 7."""
    for step in range(first, last):
        values = {"loss": 1 / (1 + step), "norm": float("inf") if step == 3 else 2.0}
        for tracker in trackers:
            tracker.log(values, phase="mle", step=step, time=time + step)
            if step == 5:
                tracker.evaluation(evaluated("cadence", 5), time=time + step)
            if step == 7:
                tracker.alarm(Alarm(kind="collapse", phase="mle", step=7, message="1% unique"), time=time + step)


def end(trackers: list[Any], folder: Path, run: RunInfo, status: str = "completed", time: float = NOW) -> None:
    """The sweep, the files, the record."""
    sweep = [evaluated("end", 10, temperature) for temperature in (0.5, 1.0, 1.3)]
    for tracker in trackers:
        for evaluation in sweep:
            tracker.evaluation(evaluation, time=time + 20)
    record = RunRecord(
        run_id=run.run_id,
        config_hash=run.config_hash,
        created_at="2027-01-15T08:00:00+00:00",
        status="completed" if status == "completed" else "failed",
        error=None if status == "completed" else "ValueError: loss is nan",
        origin="run",
        model=run.model,
        scale=run.scale,
        n_parameters=1234,
        task=run.task,
        task_version=run.task_version,
        data_sha256=run.data_sha256,
        seed=run.seed,
        evaluations=tuple(sweep),
        phases=(PhaseCost(name="mle", steps=10, seconds=2.5, real_sentences=640),),
    )
    (folder / "samples.txt").write_text("1 2 3\n")
    (folder / "samples-t0.5.txt").write_text("1 1 1\n")
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "checkpoint.pt").write_bytes(b"not for MLflow")
    record.write(folder / "record.json")
    for tracker in trackers:
        tracker.finish(record)


def live(store: Store, run: RunInfo, status: str = "completed", **settings: Any) -> Path:
    """A whole run, tracked as the runner tracks it."""
    folder = folder_of(store.runs, run)
    trackers = [JsonlTracker(), tracker_of(store, **settings)]
    for tracker in trackers:
        tracker.start(run, folder)
    tell(trackers, 0, 10)
    end(trackers, folder, run, status)
    return folder


def test_what_a_person_sees_of_a_run(store: Store) -> None:
    live(store, info())
    (child,) = store.level("run")
    seen = store.snapshot()["seqgan · seed 0 · oracle_lstm"]
    wanted = {"model": "seqgan", "task": "oracle_lstm", "protocol": "oracle_lstm@2", "seed": "0", "phase": "mle"}
    wanted |= {"git.sha": "abc123", "git.dirty": "true", "config_hash": info().config_hash, "run_id": info().run_id}
    wanted |= {"device": "cpu", "scale": "smoke", "status": "completed", "alarms": "1", "n_parameters": "1234"}
    wanted |= {"alarm.collapse": "1% unique (mle, step 7)", "mlflow.source.git.commit": "abc123"}
    assert wanted.items() <= seen["tags"].items()
    assert seen["params"] == {
        "seed": "0",
        "scale": "smoke",
        "model.lr": "0.001",
        "model.filters": "[1, 2, 3]",
        "task.path": '""',
        "n_samples": "100",
        "model.clip": "null",
    }
    assert [step for step, _, _ in seen["points"]["train/mle/loss"]] == list(range(10))
    assert seen["points"]["train/mle/norm"][3] == (3, "nan", 1000 * (int(NOW) + 3))
    assert [(step, value) for step, value, _ in seen["points"]["score/bleu_2"]] == [(5, "0.505"), (10, "0.51")]
    assert [(s, v) for s, v, _ in seen["points"]["temperature/nll_oracle"]] == [
        (50, "9.5"),
        (100, "10.0"),
        (130, "10.3"),
    ]
    assert child.data.metrics["usage/mle_seconds"] == 2.5
    assert child.data.metrics["usage/mle_real_sentences"] == 640
    files = ["record.json", "run.json", "samples-t0.5.txt", "samples.txt", "train.jsonl", "weights.safetensors"]
    assert seen["files"] == files
    assert seen["inputs"] == [("oracle_lstm@2", "0123456789ab", '{"overlap": 0.25, "train": 100}')]
    assert "| bleu_2 | 0.51 |" in seen["tags"]["mlflow.note.content"]
    assert "**Alarm:** collapse: 1% unique" in seen["tags"]["mlflow.note.content"]
    assert child.info.artifact_uri.startswith((store.runs / "mlartifacts").as_uri())


def test_one_parent_per_configuration_one_level_of_seeds(store: Store) -> None:
    configurations = [info(0), Configuration(config_hash="cafe", model="mle", task="t", task_version=1, scale="paper")]
    ids = prepare(store.uri, "textgan-bench", configurations)
    assert ids is not None
    assert prepare(store.uri, "textgan-bench", configurations) == ids
    given = {"experiment_id": ids.experiment_id, "parent_run_id": ids.parents[info().config_hash]}
    live(store, info(0), **given)
    live(store, info(1))  # finds the same parent by itself
    live(store, info(2), status="failed", **given)
    parents = {run.info.run_name: run for run in store.level("configuration")}
    assert len(parents) == 2
    parent = parents[f"seqgan on oracle_lstm · smoke · {info().config_hash[:4]}"]
    assert parent.info.run_id == given["parent_run_id"]
    assert {run.data.tags["mlflow.parentRunId"] for run in store.level("run")} == {parent.info.run_id}
    assert {run.data.tags["seed"]: run.info.status for run in store.level("run")} == {
        "0": "FINISHED",
        "1": "FINISHED",
        "2": "FAILED",
    }
    assert parent.info.status == "FAILED"
    assert parent.data.tags["seeds"] == "2 of 3 completed"
    assert parent.data.metrics["mean/bleu_2"] == pytest.approx(0.51)
    assert parent.data.metrics["mean/seeds"] == 2
    assert parents["mle on t · paper · cafe"].info.status == "RUNNING"


def test_sync_shows_what_live_tracking_shows_and_doing_it_again_adds_nothing(
    store: Store, tmp_path: Path, migrated: Path
) -> None:
    folders = [live(store, info(0)), live(store, info(1), status="failed")]
    unfinished = folder_of(store.runs, info(2))
    trackers = [JsonlTracker(), tracker_of(store)]
    for tracker in trackers:
        tracker.start(info(2), unfinished)
    tell(trackers, 0, 4)
    for tracker in trackers:
        tracker.finish(None)
    rebuilt = new_store(tmp_path / "rebuilt", migrated)
    result = sync([*folders, unfinished], rebuilt.uri)
    assert result.errors == []
    assert [folder for folder, _ in result.runs] == [*folders, unfinished]
    assert rebuilt.snapshot() == store.snapshot()
    starts = [{run.info.run_name: run.info.start_time for run in s.level("run")} for s in (store, rebuilt)]
    assert starts[0] == starts[1]
    before = rebuilt.snapshot()
    assert sync([*folders, unfinished], rebuilt.uri) == result
    assert sync(folders, store.uri).errors == []
    assert rebuilt.snapshot() == before == store.snapshot()
    states = {run.data.tags["seed"]: run.data.tags["status"] for run in rebuilt.level("run")}
    assert states == {"0": "completed", "1": "failed", "2": "interrupted"}


def test_a_folder_that_cannot_be_read_is_named_and_stops_no_other(store: Store) -> None:
    good = live(store, info(0))
    bad = {name: folder_of(store.runs, info(0, model=name)) for name in ("empty", "record", "events")}
    for name in ("record", "events"):
        shutil.copy(good / "run.json", bad[name] / "run.json")
    (bad["record"] / "record.json").write_text("{")
    (bad["events"] / "train.jsonl").write_text("{\n{}\n")
    result = sync([*bad.values(), good], store.uri)
    assert [folder for folder, _ in result.runs] == [good]
    errors = {folder: why for folder, why in result.errors}  # noqa: C416 - reads as what it is
    assert "run.json" in errors[bad["empty"]]
    assert "record.json is not a run record" in errors[bad["record"]]
    assert "line 1 is not an event" in errors[bad["events"]]


@pytest.mark.parametrize("truncated_first", [True, False])
def test_a_resumed_run_goes_on_in_its_mlflow_run_without_duplicates(store: Store, truncated_first: bool) -> None:
    run, folder = info(), folder_of(store.runs, info())
    diary, mirror = JsonlTracker(), tracker_of(store, flush_seconds=0.0)
    for tracker in (diary, mirror):
        tracker.start(run, folder)
    tell([diary, mirror], 0, 4)
    checkpoint = diary.position()
    tell([diary, mirror], 4, 9)
    diary.position()  # and now the process is killed: nothing is finished
    diary, mirror = JsonlTracker(), tracker_of(store)
    diary.start(run, folder)
    if truncated_first:
        diary.truncate(checkpoint)
    mirror.start(run, folder)
    diary.truncate(checkpoint)
    assert [r.info.status for r in store.level("run")] == ["RUNNING"]
    tell([diary, mirror], 4, 10, time=NOW + 1000)
    end([diary, mirror], folder, run, time=NOW + 1000)
    (child,) = store.level("run")
    points = store.points(child)
    assert [step for step, _, _ in points["train/mle/loss"]] == list(range(10))
    assert [value for _, value, _ in points["train/mle/loss"]] == [repr(1 / (1 + step)) for step in range(10)]
    assert [step for step, _, _ in points["score/bleu_2"]] == [5, 10]
    assert child.data.tags["alarms"] == "1"
    assert child.info.status == "FINISHED"


def test_metrics_go_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    sizes: list[int] = []
    real = MlflowClient.log_batch

    def counted(self: Any, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), **rest: Any) -> Any:
        sizes.append(len(metrics))
        assert len(metrics) + len(params) + len(tags) <= 1000
        assert len(params) <= 100
        return real(self, run_id, metrics=metrics, params=params, tags=tags, **rest)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    tracker = tracker_of(store, flush_seconds=3600.0)
    folder = folder_of(store.runs, info())
    tracker.start(info(params={f"p{i}": i for i in range(250)}), folder)
    for step in range(1250):
        tracker.log({"loss": 1.0, "norm": 2.0}, phase="mle", step=step, time=NOW + step)
    tracker.finish(None)
    assert sum(sizes) == 2500
    assert len([size for size in sizes if size]) <= 4
    (child,) = store.level("run")
    assert len(child.data.params) == 252
    assert len(store.points(child)["train/mle/loss"]) == 1250


def test_a_long_parameter_is_cut_and_says_so(store: Store) -> None:
    tracker = tracker_of(store)
    tracker.start(info(params={"model.long": "x" * 600, "model.lr": 1}), folder_of(store.runs, info()))
    tracker.finish(None)
    (child,) = store.level("run")
    assert child.data.params["model.long"] == "x" * labels.PARAM_LIMIT
    assert child.data.tags["params_truncated"] == "model.long"


@pytest.mark.parametrize("place", ["below a file", "not a database", "no server"])
def test_an_mlflow_that_cannot_be_reached_is_a_warning_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").write_text("no database, no folder, but long enough")
    uri = {
        "below a file": default_uri(tmp_path / "file"),
        "not a database": f"sqlite:///{tmp_path / 'file'}",
        "no server": "http://127.0.0.1:9",
    }[place]
    assert prepare(uri, "textgan-bench", [info()]) is None
    runs = tmp_path / "runs"
    runs.mkdir()
    folder = live(Store(runs, uri), info())
    assert (folder / "record.json").exists()
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 3
    assert "the runs are only in their folders" in warnings[0]
    assert "it is tried again when the run ends" in warnings[1]
    assert f"python -m bench sync {folder}" in warnings[2]
    assert all("\n" not in warning and "Traceback" not in warning for warning in warnings)


def test_an_mlflow_that_is_away_for_a_while_is_caught_up_with(
    store: Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    run, folder = info(), folder_of(store.runs, info())
    trackers = [JsonlTracker(), tracker_of(store, flush_seconds=0.0)]
    for tracker in trackers:
        tracker.start(run, folder)
    tell(trackers, 0, 3)
    rename(store, "metrics", "away")
    tell(trackers, 3, 10)
    rename(store, "away", "metrics")
    end(trackers, folder, run)
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert capfd.readouterr().err == ""
    (child,) = store.level("run")
    assert [step for step, _, _ in store.points(child)["train/mle/loss"]] == list(range(10))
    assert child.info.status == "FINISHED"


def rename(store: Store, old: str, new: str) -> None:
    with sqlite3.connect(store.runs / "mlflow.db") as database:
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/mlruns", "/tmp/mlruns"])
def test_a_folder_as_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"MLflow 3 refuses folders .* sqlite:///"):
        MlflowTracker(uri)


def test_without_mlflow_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_store.importlib.util, "find_spec", lambda name: None)
    for start in (MlflowTracker, lambda uri: prepare(uri, "e", []), lambda uri: sync([], uri)):
        with pytest.raises(ValueError, match=r"`pip install mlflow`.*`--tracker none`"):
            start("sqlite:///x.db")


def test_import_loads_no_mlflow_and_writes_no_environment() -> None:
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "from bench.tracking import jsonl, mlflow, sync\n"
        "print('mlflow' in sys.modules, dict(os.environ) == before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_odd_folder_names(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c?ü"
    assert mlflow_store._sqlite_path(default_uri(folder)) == folder / "mlflow.db"
    assert labels.key("a:b/../c//d") == "a_b/c/d"


WORKER = """
import sys, time
from pathlib import Path
from bench.tracking.mlflow import MlflowTracker, default_uri
from bench.tracking.tracker import RunInfo
runs, seed = Path(sys.argv[1]), int(sys.argv[2])
info = RunInfo(run_id=f"run{seed}", config_hash="same", model="mle", task="t", task_version=1, scale="smoke", seed=seed,
               params={"lr": 1}, data_sha256="d" * 64, data_facts={"n": 1}, environment={"device": "cpu"})
folder = runs / str(seed)
folder.mkdir()
tracker = MlflowTracker(default_uri(runs), system_metrics=False)
tracker.start(info, folder)
for step in range(50):
    tracker.log({"loss": 1.0}, phase="mle", step=step, time=time.time())
tracker.finish(None)
"""


def test_eight_processes_at_once_on_an_empty_database(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, str(runs)]
    started = [
        subprocess.Popen([*command, str(seed)], cwd=ROOT, stdout=-1, stderr=-1, env=environment) for seed in range(8)
    ]
    ended = [(process.communicate(timeout=600), process.returncode) for process in started]
    assert ended == [((b"", b""), 0)] * 8  # nothing printed: no warning, no noise
    store = Store(runs, default_uri(runs))
    assert len(store.level("configuration")) == 1
    assert sorted(run.data.tags["seed"] for run in store.level("run")) == [str(seed) for seed in range(8)]
    assert all(len(store.points(run)["train/mle/loss"]) == 50 for run in store.level("run"))
