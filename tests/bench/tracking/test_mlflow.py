"""MLflow as a mirror: what it shows, that nothing is told twice, and that it can be rebuilt from the run folders."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import tracking_runs as cases
from helpers.kills import KilledError, kill_after
from helpers.paths import TOY

from bench.config import RunConfig
from bench.run.runner import run, run_start
from bench.run_settings import RunSettings
from bench.tracking import labels, mlflow_store
from bench.tracking.diary import TrainingValues
from bench.tracking.mlflow import MlflowRun, prepare
from bench.tracking.mlflow_store import default_uri
from bench.tracking.sync import sync

pytest.importorskip("mlflow")

SEED_0, SEED_1 = (labels.child_name(cases.info(seed)) for seed in range(2))


def contact(folder: Path) -> list[object]:
    """The first one with a database in a new folder: its tables, the version of them, and all experiments."""
    folder.mkdir()
    with mlflow_store.lock(default_uri(folder)):
        client = mlflow_store.connect(default_uri(folder))
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        return [
            sorted(database.execute("SELECT type, name, sql FROM sqlite_master").fetchall(), key=str),
            database.execute("SELECT version_num FROM alembic_version").fetchall(),
            [(each.experiment_id, each.name, each.lifecycle_stage) for each in client.search_experiments()],
        ]


def test_an_empty_database_is_migrated_once_and_copied_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.db import utils

    migrations: list[object] = []
    migrate = utils._upgrade_db
    monkeypatch.setattr(utils, "_upgrade_db", lambda engine: migrations.append(engine) or migrate(engine))
    monkeypatch.setenv("TEXTGAN_BENCH_CACHE", str(tmp_path / "cache"))
    first = contact(tmp_path / "first")
    assert len(migrations) == 1
    assert contact(tmp_path / "second") == first
    assert len(migrations) == 1
    (kept,) = (tmp_path / "cache" / "derived").iterdir()
    for damage in (b"", b"no database", kept.read_bytes()[:30_000]):
        into = tmp_path / "into"
        into.write_bytes(b"")
        kept.write_bytes(damage)
        assert not mlflow_store._copy_tables(kept, into), damage[:20]
        assert into.read_bytes() == b""


def test_what_a_person_sees_of_a_run(store: cases.Store) -> None:
    cases.live(store, cases.info())
    (child,) = store.level("run")
    seen = store.snapshot()[SEED_0]
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


@pytest.mark.parametrize(("model", "task"), [("ngram", "grammar_labels"), ("copy_input", "grammar_transfer")])
def test_of_sentences_with_labels_it_says_what_the_record_says(store: cases.Store, model: str, task: str) -> None:
    sizes = {"n_train": 320, "n_valid": 40, "n_test": 60}
    config = RunConfig(model=model, task=task, scale="smoke", task_settings=sizes, n_samples=60, device="cpu")
    resolved = config.resolve()
    folder = resolved.folder(store.runs)
    record = run(resolved, store.runs)
    told = sync([folder], store.uri)
    assert (len(told.runs), told.errors) == (1, [])
    (child,), (parent,) = store.level("run"), store.level("configuration")
    end = record.final()
    assert end is not None
    of_classes = {"class_accuracy", "per_class_bleu_2", "per_class_bleu_2_worst"}
    assert (of_classes if task == "grammar_labels" else {"transfer_accuracy", "exact_match"}) <= end.scores.keys()
    shown = {key.removeprefix("score/"): value for key, value in child.data.metrics.items() if "score/" in key}
    assert shown == pytest.approx({key: score.value for key, score in end.scores.items()})
    means = {key.removeprefix("mean/"): value for key, value in parent.data.metrics.items() if "mean/" in key}
    assert means == pytest.approx(shown)
    client, place = store.client, child.info.run_id
    sentences = (folder / "samples.txt").read_text().splitlines()
    assert client.download_artifacts(place, "samples.txt")
    table = json.loads(Path(client.download_artifacts(parent.info.run_id, "samples.json")).read_text())
    column = table["columns"].index("sentence")
    assert [row[column] for row in table["data"]] == sentences[: len(table["data"])]
    if task == "grammar_labels":
        assert {line.split()[0] for line in sentences} <= {"<negative>", "<positive>"}
    else:
        inputs = (folder / "inputs.txt").read_text()
        assert [row[table["columns"].index("input")] for row in table["data"]] == inputs.splitlines()[: len(sentences)]
        assert Path(client.download_artifacts(place, "inputs.txt")).read_text() == inputs


def test_one_parent_per_configuration_one_level_of_seeds(store: cases.Store) -> None:
    assert prepare(store.uri)
    assert prepare(store.uri)
    assert store.all() == []  # nothing is shown as running that has not begun
    cases.live(store, cases.info(0))
    cases.live(store, cases.info(1))
    cases.live(store, cases.info(2), status="failed")
    cases.begin(store, cases.info(0, "mle"))
    parents = {run.info.run_name: run for run in store.level("configuration")}
    assert len(parents) == 2
    parent = parents[labels.parent_name(cases.info())]
    seeds = [run for run in store.level("run") if run.data.tags["mlflow.parentRunId"] == parent.info.run_id]
    assert {run.data.tags["seed"]: run.info.status for run in seeds} == {
        "0": "FINISHED",
        "1": "FINISHED",
        "2": "FAILED",
    }
    assert parent.info.status == "FAILED"
    assert parent.data.tags["seeds"] == "2 of 3 completed"
    assert parent.data.metrics["mean/bleu_2"] == pytest.approx(0.51)
    assert parent.data.metrics["sd/bleu_2"] == pytest.approx(0.0)
    assert parent.data.metrics["seeds"] == 2
    shared = [run.data.params for run in seeds]
    assert parent.data.params == {k: v for k, v in shared[0].items() if k in parent.data.params}
    assert {"seed", "device", "threads"} == {
        k for k in ("seed", "device", "threads", "model") if k not in parent.data.params
    }
    assert all(params.items() >= parent.data.params.items() for params in shared)
    (other,) = (run for name, run in parents.items() if name.startswith("mle "))
    assert other.info.status == "RUNNING"


def test_sync_shows_what_live_tracking_shows_and_doing_it_again_adds_nothing(
    store: cases.Store, tmp_path: Path, migrated: Path
) -> None:
    folders = [cases.live(store, cases.info(0)), cases.live(store, cases.info(1), status="failed")]
    unfinished = cases.folder_of(store.runs, cases.info(2))
    diary, tracker = cases.begin(store, cases.info(2))
    cases.go_on(diary, tracker, 0, 4)
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
    deep = "[" * 100_000
    damages = {
        "empty": ("run.json", None, "run.json"),
        "deep start": ("run.json", deep, "run.json is not a run record"),
        "start": ("run.json", "", "environment must be an object"),
        "record": ("record.json", "{", "record.json is not a run record"),
        "events": ("train.jsonl", "{\n{}\n", "line 1 is not an event"),
        "deep event": ("train.jsonl", deep + "\n", "line 1 is not an event"),
    }
    bad = {}
    for name, (file, content, _) in damages.items():
        bad[name] = cases.folder_of(store.runs, cases.info(0, model=name))
        shutil.copy(good / "run.json", bad[name] / "run.json")
        if content is None:
            (bad[name] / file).unlink()
        else:
            (bad[name] / file).write_text(content)
    start = json.loads((good / "run.json").read_text())
    (bad["start"] / "run.json").write_text(json.dumps({**start, "environment": "a text"}))
    result = sync([*bad.values(), good], store.uri)
    assert [folder for folder, _ in result.runs] == [good]
    errors = dict(result.errors)
    for name, (_, _, expected) in damages.items():
        assert expected in errors[bad[name]], name


@pytest.mark.parametrize("every", [0.0, 3600.0])
def test_a_resumed_run_goes_on_in_its_mlflow_run_without_duplicates(store: cases.Store, every: float) -> None:
    """Killed when MLflow had all that happened after the checkpoint, or nothing."""
    run = cases.info()
    diary, tracker = cases.begin(store, run, every=every)
    cases.go_on(diary, tracker, 0, 4)
    checkpoint = diary.position()
    cases.go_on(diary, tracker, 4, 9)  # and now the process is killed: nothing is finished
    assert [r.info.status for r in store.level("run")] == ["RUNNING"]
    assert ("train/mle/loss" in store.points(store.level("run")[0])) == (every == 0.0)
    diary, tracker = cases.begin(store, run, checkpoint)
    assert [r.info.status for r in store.level("run")] == ["RUNNING"]
    cases.go_on(diary, tracker, 4, 10, time=cases.NOW + 1000)
    cases.end(store, diary, tracker, run, time=cases.NOW + 1000)
    (child,) = store.level("run")
    points = store.points(child)
    assert [step for step, _, _ in points["train/mle/loss"]] == list(range(10))
    assert [value for _, value, _ in points["train/mle/loss"]] == [repr(1 / (1 + step)) for step in range(10)]
    assert [step for step, _, _ in points["score/bleu_2"]] == [5, 10]
    assert child.data.tags["alarms"] == "1"
    assert child.info.status == "FINISHED"


def test_a_run_that_was_killed_while_it_was_mirrored_is_told_whole_by_sync(store: cases.Store) -> None:
    """Of a finished folder; the states of parent and child too."""
    run = cases.info()
    diary, tracker = cases.begin(store, run, every=0.0)
    cases.go_on(diary, tracker, 0, 10)
    tracker.finish = lambda record: None  # type: ignore[method-assign]
    folder = cases.end(store, diary, tracker, run)
    assert {r.info.status for r in store.all()} == {"RUNNING"}
    assert sync([folder], store.uri).errors == []
    assert {r.info.status for r in store.all()} == {"FINISHED"}
    (child,) = store.level("run")
    assert [step for step, _, _ in store.points(child)["temperature/bleu_2"]] == [50, 100, 130]


@pytest.mark.parametrize("stopped", ["_send_files", "_summarise"])
def test_a_sync_that_is_stopped_goes_on_where_it_stopped(
    store: cases.Store, tmp_path: Path, migrated: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    """In its fifth run, or when all were told and the parents were not; of each parent one run is told again."""
    folders = [cases.untracked(store, cases.info(seed, model)) for model in ("mle", "seqgan") for seed in (1, 2, 0)]
    rebuilt = cases.new_store(tmp_path / "rebuilt", migrated)
    assert sync(folders, store.uri).errors == []
    parts: list[tuple[str, str]] = []

    def followed(patch: pytest.MonkeyPatch, part: str, stop_at: int = 0) -> None:
        method = getattr(MlflowRun, part)

        def call(run: MlflowRun) -> None:
            parts.append((part, run.run_id))
            if len([1 for name, _ in parts if name == part]) == stop_at:
                raise KeyboardInterrupt
            method(run)

        patch.setattr(MlflowRun, part, call)

    with monkeypatch.context() as patch:
        followed(patch, stopped, 5 if stopped == "_send_files" else 1)
        with pytest.raises(KeyboardInterrupt):
            sync(folders, rebuilt.uri)
    parts.clear()
    followed(monkeypatch, "_send_files")
    followed(monkeypatch, "_summarise")
    done = sync(folders, rebuilt.uri)
    assert done.errors == []
    assert [folder for folder, _ in done.runs] == folders
    assert rebuilt.snapshot() == store.snapshot()
    ids = dict(done.runs)
    first = [ids[folders[2]], ids[folders[5]]]
    again = [ids[folder] for folder in folders[2:]] if stopped == "_send_files" else first
    assert sorted(run for part, run in parts if part == "_send_files") == sorted(again)
    assert [run for part, run in parts if part == "_summarise"] == first
    parts.clear()
    assert sync(folders, rebuilt.uri) == done
    assert parts == []


@pytest.mark.parametrize("saved", [True, False])
def test_a_real_run_that_is_killed_again_and_again_is_shown_as_one_that_is_not(
    store: cases.Store, tmp_path: Path, migrated: Path, saved: bool
) -> None:
    """In its first phase, in its last, and between its record and the end; then what the same command shows."""
    values = {"model": TOY, "task": "oracle_lstm", "scale": "smoke", "n_samples": 50, "log_every": 5}
    resolved = RunConfig.model_validate({**values, "evaluate_every": 20, "temperatures": (0.5,)}).resolve()
    whole = cases.new_store(tmp_path / "whole", migrated)
    record = run(resolved, whole.runs, trackers=[cases.tracker_of(whole)])

    for last in (17, 31):
        with pytest.raises(KilledError):
            run(
                resolved,
                store.runs,
                trackers=[cases.tracker_of(store, every=0.0)],
                on_step=kill_after(last),
                save_every=0.0 if saved else 60.0,
            )
    late = cases.tracker_of(store)
    late.finish = kill_after(1)  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        run(resolved, store.runs, trackers=[late])
    assert {r.info.status for r in store.all()} == {"RUNNING"}
    again = run(resolved, store.runs, trackers=[cases.tracker_of(store)])
    assert again.content() == record.content()
    assert shown(store) == shown(whole)


def shown(store: cases.Store) -> Any:
    """All that a person sees, but times, and how long it took."""
    seen = store.snapshot()
    for one in seen.values():
        one["state"] = one["state"][0]
        one["tags"].pop("told", None)  # a digest of the folder, clock included
        points = {name: found for name, found in one["points"].items() if not name.endswith("seconds")}
        one["points"] = {name: [(step, value) for step, value, _ in found] for name, found in points.items()}
    return seen


def test_links_are_not_followed(store: cases.Store, tmp_path: Path) -> None:
    """In a folder of somebody else a link may lead to any file of this machine."""
    folder = cases.live(store, cases.info())
    (tmp_path / "secret").write_text("secret")
    (folder / "samples-x.txt").symlink_to(tmp_path / "secret")
    assert sync([folder], store.uri).errors == []
    assert "samples.txt" in store.snapshot()[SEED_0]["files"]
    assert "samples-x.txt" not in store.snapshot()[SEED_0]["files"]


@pytest.mark.parametrize("name", ["train.jsonl", "run.json", "record.json", "weights.safetensors"])
def test_nothing_is_told_of_what_a_link_leads_to(store: cases.Store, tmp_path: Path, name: str) -> None:
    folder = cases.live(store, cases.info())
    (tmp_path / "secret").write_text("secret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")
    synced = sync([folder], store.uri)
    assert [folder for folder, _ in synced.errors] == [folder] * (name != "weights.safetensors")
    assert "secret" not in str(synced.errors).replace(str(tmp_path), "")
    told = [path for path in tmp_path.rglob(name) if "mlartifacts" in path.parts]
    assert told
    assert b"secret" not in {path.read_bytes() for path in told}


def test_files_that_cannot_be_sent_leave_nothing_running_and_sync_sends_them(
    store: cases.Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a server whose artifacts lie on its own disk."""
    from mlflow import MlflowClient

    def refused(*_: object) -> None:
        raise PermissionError("/proc/nowhere")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", refused)
        folder = cases.live(store, cases.info())
    assert "/proc/nowhere" in caplog.text
    before = store.snapshot()
    assert {one["state"][0] for one in before.values()} == {"FINISHED"}
    assert before[labels.parent_name(cases.info())]["points"]["seeds"]
    assert before[SEED_0]["files"] == []
    assert sync([folder], store.uri).errors == []
    assert "samples.txt" in store.snapshot()[SEED_0]["files"]


@pytest.mark.parametrize("method", ["log_inputs", "log_batch"])
def test_each_part_fails_alone(store: cases.Store, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    from mlflow import MlflowClient

    def broken(*_: object, **__: object) -> None:
        raise TypeError("of a type that nobody expected")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, method, broken)
        folder = cases.live(store, cases.info())
        cases.live(store, cases.info(seed=1), status="failed")
    seen = store.snapshot()
    assert seen[SEED_0]["state"][0] == "FINISHED"
    assert seen[SEED_1]["state"][0] == "FAILED"
    assert "samples.txt" in seen[SEED_0]["files"]
    assert sync([folder], store.uri).errors == []
    seen = store.snapshot()[SEED_0]
    assert seen["inputs"]
    assert seen["points"]["score/bleu_2"]
    assert seen["params"]


def test_a_run_that_mlflow_has_is_not_told_again(store: cases.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [cases.live(store, cases.info(seed=seed)) for seed in range(2)]
    told: list[Path] = []
    real = MlflowRun.__init__

    def counted(self: MlflowRun, folder: Path, *rest: Any) -> None:
        told.append(folder)
        real(self, folder, *rest)

    monkeypatch.setattr(MlflowRun, "__init__", counted)
    before = store.snapshot()
    again = sync(folders, store.uri)
    assert (told, again.errors) == ([], [])
    assert again.runs == [
        (f, r.info.run_id) for f in folders for r in store.level("run") if f.name.endswith(r.data.tags["run_id"])
    ]
    assert store.snapshot() == before
    with (folders[0] / "samples.txt").open("a") as file:
        file.write("1 1 1 1\n")
    store.client.set_terminated(again.runs[1][1], "RUNNING")
    assert sync(folders, store.uri).errors == []
    assert told == folders
    assert store.snapshot()[SEED_1]["state"][0] == "FINISHED"


def test_a_deleted_experiment_is_restored(store: cases.Store, caplog: pytest.LogCaptureFixture) -> None:
    first = cases.live(store, cases.info())
    client = store.client
    client.delete_experiment(store.experiments()[labels.experiment_name(cases.info())].experiment_id)
    second = cases.live(store, cases.info(seed=1))
    assert "was deleted; it is restored" in caplog.text
    assert sync([first, second], store.uri).errors == []
    assert {SEED_0, SEED_1} < store.snapshot().keys()


def test_a_folder_that_cannot_be_read_stops_no_other(store: cases.Store) -> None:
    good = cases.live(store, cases.info())
    damages = {
        "run.json": ["[" * 100_000, "[]", "null", "x"],
        "train.jsonl": ["[" * 100_000 + "\n", "3\n", "{}\n"],
        "record.json": ["[" * 100_000, "[]"],
    }
    document = json.loads((good / "run.json").read_text())
    for change in ({"environment": "text"}, {"model_config": []}, {"data_sha256": 3}, {"created_at": 5}):
        damages["run.json"].append(json.dumps(document | change))
    folders = []
    for name, contents in damages.items():
        for content in contents:
            folders.append(shutil.copytree(good, store.runs / f"bad{len(folders)}"))
            (folders[-1] / name).write_text(content)
    synced = sync([*folders, good], store.uri)
    assert [folder for folder, _ in synced.runs] == [good]
    assert [folder for folder, _ in synced.errors] == folders


@pytest.mark.parametrize(
    "spelled", [{"metric_settings": {"self_bleu": {"smoothing": "method1"}}}, {"cuda_graphs": True}]
)
def test_parameters_do_not_depend_on_how_a_setting_is_spelled(spelled: dict[str, Any]) -> None:
    values = {"model": "mle", "task": "grammar", "scale": "smoke", "device": "cpu"}
    plain, other = (RunConfig.model_validate(values | more).resolve() for more in ({}, spelled))
    assert plain.run_id == other.run_id
    data = plain.task.load()
    texts = [labels.params(run_start(each, data, "2027-01-15T08:00:00+00:00")) for each in (plain, other)]
    assert texts[0] == texts[1]


def test_a_parameter_that_is_another_now_stays_with_a_tag(store: cases.Store) -> None:
    folder = cases.live(store, cases.info())
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"lr": 0.001', '"lr": 0.5'))
    assert sync([folder], store.uri).errors == []
    seen = store.snapshot()[SEED_0]
    assert seen["params"]["model.lr"] == "0.001"
    assert seen["tags"]["params_of_an_earlier_start"] == "model.lr"


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
    run = cases.info(model_config={f"p{i}": i for i in range(250)}, run=None, task_config={})
    diary, tracker = cases.begin(store, run, every=3600.0)
    for step in range(1250):
        diary.write(TrainingValues(phase="mle", step=step, values={"loss": 1.0, "norm": 2.0}), at=cases.NOW + step)
        tracker.follow()
    diary.close()
    tracker.finish(None)
    assert sum(sizes) == 2500
    assert len([size for size in sizes if size]) <= 4
    (child,) = store.level("run")
    assert len(child.data.params) == 254
    assert len(store.points(child)["train/mle/loss"]) == 1250


def test_a_long_parameter_is_cut_and_says_so(store: cases.Store) -> None:
    _, tracker = cases.begin(store, cases.info(model_config={"long": "x" * 600, "lr": 1}))
    tracker.finish(None)
    (child,) = store.level("run")
    assert child.data.params["model.long"] == "x" * labels.PARAM_LIMIT
    assert child.data.tags["params_truncated"] == "model.long"


def test_an_mlflow_that_is_away_for_a_while_is_caught_up_with(
    store: cases.Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    diary, tracker = cases.begin(store, cases.info(), every=0.0)
    cases.go_on(diary, tracker, 0, 3)
    rename(store, "metrics", "away")
    cases.go_on(diary, tracker, 3, 10)
    rename(store, "away", "metrics")
    cases.end(store, diary, tracker, cases.info())
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert capfd.readouterr().err == ""
    (child,) = store.level("run")
    assert [step for step, _, _ in store.points(child)["train/mle/loss"]] == list(range(10))
    assert child.info.status == "FINISHED"


def rename(store: cases.Store, old: str, new: str) -> None:
    with sqlite3.connect(store.runs / "mlflow.db") as database:
        database.execute(f"ALTER TABLE {old} RENAME TO {new}")
