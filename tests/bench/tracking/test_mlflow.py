"""MLflow as a mirror: what it shows, that nothing is told twice, and that it can be rebuilt from the run folders."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from helpers import tracking_runs as cases

from bench.run_settings import RunSettings
from bench.tracking import labels, mlflow_store
from bench.tracking.jsonl import JsonlTracker
from bench.tracking.mlflow import Configuration, default_uri, prepare
from bench.tracking.sync import sync

pytest.importorskip("mlflow")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without experiments: a migration takes seconds, a copy nothing."""
    folder = tmp_path_factory.mktemp("migrated")
    mlflow_store.load()
    with mlflow_store.lock(default_uri(folder)):
        mlflow_store.connect(default_uri(folder))
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path: Path, migrated: Path) -> cases.Store:
    return cases.new_store(tmp_path / "runs", migrated)


def test_what_a_person_sees_of_a_run(store: cases.Store) -> None:
    cases.live(store, cases.info())
    (child,) = store.level("run")
    seen = store.snapshot()["seqgan · seed 0 · oracle_lstm"]
    wanted = {"model": "seqgan", "task": "oracle_lstm", "protocol": "oracle_lstm@2", "seed": "0", "phase": "mle"}
    wanted |= {
        "git.sha": "abc123",
        "git.dirty": "true",
        "config_hash": cases.info().config_hash,
        "run_id": cases.info().run_id,
    }
    wanted |= {"device": "cpu", "scale": "smoke", "status": "completed", "alarms": "1", "n_parameters": "1234"}
    wanted |= {"alarm.collapse": "1% unique (mle, step 7)", "mlflow.source.git.commit": "abc123"}
    assert wanted.items() <= seen["tags"].items()
    wanted = {"seed": "0", "scale": "smoke", "model": "seqgan", "task": "oracle_lstm", "n_samples": "100"}
    wanted |= {"model.lr": "0.001", "model.filters": "[1, 2, 3]", "model.clip": "null", "task.path": '""'}
    assert wanted.items() <= seen["params"].items()
    assert seen["params"]["metrics"] == "the task's own"
    others = RunSettings(n_samples=100).model_dump(exclude={"metrics"})
    assert seen["params"].keys() == wanted.keys() | others.keys() | {"metrics"}
    assert [step for step, _, _ in seen["points"]["train/mle/loss"]] == list(range(10))
    assert seen["points"]["train/mle/norm"][3] == (3, "nan", 1000 * (int(cases.NOW) + 3))
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


def test_one_parent_per_configuration_one_level_of_seeds(store: cases.Store) -> None:
    configurations = [
        cases.info(0),
        Configuration(config_hash="cafe", model="mle", task="t", task_version=1, scale="paper"),
    ]
    ids = prepare(store.uri, "textgan-bench", configurations)
    assert ids is not None
    assert prepare(store.uri, "textgan-bench", configurations) == ids
    given = {"experiment_id": ids.experiment_id, "parent_run_id": ids.parents[cases.info().config_hash]}
    cases.live(store, cases.info(0), **given)
    cases.live(store, cases.info(1))  # finds the same parent by itself
    cases.live(store, cases.info(2), status="failed", **given)
    parents = {run.info.run_name: run for run in store.level("configuration")}
    assert len(parents) == 2
    parent = parents[f"seqgan on oracle_lstm · smoke · {cases.info().config_hash[:4]}"]
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
    store: cases.Store, tmp_path: Path, migrated: Path
) -> None:
    folders = [cases.live(store, cases.info(0)), cases.live(store, cases.info(1), status="failed")]
    unfinished = cases.folder_of(store.runs, cases.info(2))
    trackers = [JsonlTracker(), cases.tracker_of(store)]
    for tracker in trackers:
        tracker.start(cases.info(2), unfinished)
    cases.tell(trackers, 0, 4)
    for tracker in trackers:
        tracker.finish(None)
    rebuilt = cases.new_store(tmp_path / "rebuilt", migrated)
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


def test_a_folder_that_cannot_be_read_is_named_and_stops_no_other(store: cases.Store) -> None:
    good = cases.live(store, cases.info(0))
    bad = {name: cases.folder_of(store.runs, cases.info(0, model=name)) for name in ("empty", "record", "events")}
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
def test_a_resumed_run_goes_on_in_its_mlflow_run_without_duplicates(store: cases.Store, truncated_first: bool) -> None:
    run, folder = cases.info(), cases.folder_of(store.runs, cases.info())
    sent = 0.0 if truncated_first else 3600.0  # MLflow has all that happened before the kill, or nothing
    diary, mirror = JsonlTracker(), cases.tracker_of(store, flush_seconds=sent)
    for tracker in (diary, mirror):
        tracker.start(run, folder)
    cases.tell([diary, mirror], 0, 4)
    checkpoint = diary.position()
    cases.tell([diary, mirror], 4, 9)
    diary.position()  # and now the process is killed: nothing is finished
    diary, mirror = JsonlTracker(), cases.tracker_of(store)
    diary.start(run, folder)
    if truncated_first:
        diary.truncate(checkpoint)
    mirror.start(run, folder)
    diary.truncate(checkpoint)
    assert [r.info.status for r in store.level("run")] == ["RUNNING"]
    cases.tell([diary, mirror], 4, 10, time=cases.NOW + 1000)
    cases.end([diary, mirror], folder, run, time=cases.NOW + 1000)
    (child,) = store.level("run")
    points = store.points(child)
    assert [step for step, _, _ in points["train/mle/loss"]] == list(range(10))
    assert [value for _, value, _ in points["train/mle/loss"]] == [repr(1 / (1 + step)) for step in range(10)]
    assert [step for step, _, _ in points["score/bleu_2"]] == [5, 10]
    assert child.data.tags["alarms"] == "1"
    assert child.info.status == "FINISHED"


def test_metrics_go_in_batches(store: cases.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    sizes: list[int] = []
    real = MlflowClient.log_batch

    def counted(self: Any, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), **rest: Any) -> Any:
        sizes.append(len(metrics))
        assert len(metrics) + len(params) + len(tags) <= 1000
        assert len(params) <= 100
        return real(self, run_id, metrics=metrics, params=params, tags=tags, **rest)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    tracker = cases.tracker_of(store, flush_seconds=3600.0)
    folder = cases.folder_of(store.runs, cases.info())
    tracker.start(cases.info(model_config={f"p{i}": i for i in range(250)}, run=None, task_config={}), folder)
    for step in range(1250):
        tracker.log({"loss": 1.0, "norm": 2.0}, phase="mle", step=step, time=cases.NOW + step)
    tracker.finish(None)
    assert sum(sizes) == 2500
    assert len([size for size in sizes if size]) <= 4
    (child,) = store.level("run")
    assert len(child.data.params) == 254
    assert len(store.points(child)["train/mle/loss"]) == 1250


def test_a_long_parameter_is_cut_and_says_so(store: cases.Store) -> None:
    tracker = cases.tracker_of(store)
    tracker.start(cases.info(model_config={"long": "x" * 600, "lr": 1}), cases.folder_of(store.runs, cases.info()))
    tracker.finish(None)
    (child,) = store.level("run")
    assert child.data.params["model.long"] == "x" * labels.PARAM_LIMIT
    assert child.data.tags["params_truncated"] == "model.long"


def test_an_mlflow_that_is_away_for_a_while_is_caught_up_with(
    store: cases.Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    run, folder = cases.info(), cases.folder_of(store.runs, cases.info())
    trackers = [JsonlTracker(), cases.tracker_of(store, flush_seconds=0.0)]
    for tracker in trackers:
        tracker.start(run, folder)
    cases.tell(trackers, 0, 3)
    rename(store, "metrics", "away")
    cases.tell(trackers, 3, 10)
    rename(store, "away", "metrics")
    cases.end(trackers, folder, run)
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert capfd.readouterr().err == ""
    (child,) = store.level("run")
    assert [step for step, _, _ in store.points(child)["train/mle/loss"]] == list(range(10))
    assert child.info.status == "FINISHED"


def rename(store: cases.Store, old: str, new: str) -> None:
    with sqlite3.connect(store.runs / "mlflow.db") as database:
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")
