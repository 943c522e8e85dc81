"""The views that an experiment in MLflow comes with, where runs go, and what parents show."""

from __future__ import annotations

import base64
import json
import shlex
import shutil
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import tracking_runs as cases

from bench.record import Evaluation, Score
from bench.tracking import labels, pictures, views
from bench.tracking.options import TrackerName, TrackingOptions
from bench.tracking.sync import experiments_of, sync

pytest.importorskip("mlflow")

SHAPE = (480, 624, 4)
MANY = tuple(f"a_score_of_somebody_{i}" for i in range(200))


def state(tag: str) -> dict[str, Any]:
    """What MLflow's page reads out of a view's tag."""
    document = json.loads(tag)
    kind, _, packed = document["state"].partition(";")
    assert kind == "deflate"
    return {**json.loads(zlib.decompress(base64.b64decode(packed))), "name": document["name"]}


def tags(store: cases.Store) -> dict[str, str]:
    (experiment,) = store.experiments().values()
    return dict(experiment.tags)


@pytest.mark.parametrize("scores", [(), ("bleu_5", "self_bleu_5", "validity"), ("of_their_own",), MANY])
def test_a_view_fits_a_tag_and_its_charts_stand_in_its_sections(scores: tuple[str, ...]) -> None:
    found = {key: state(tag) for key, tag in views.tags_of(sorted(scores), 1_800_000_000_000).items()}
    assert [one["name"] for one in found.values()] == ["Leaderboard", "Models compared", "Training", "Samples"]
    assert all(len(tag) < 5000 for tag in views.tags_of(sorted(scores), 1_800_000_000_000).values())
    for one in found.values():
        sections = [section["uuid"] for section in one["compareRunSections"]]
        assert len(set(sections)) == len(sections)
        charts = [chart["uuid"] for chart in one["compareRunCharts"]]
        assert len(set(charts)) == len(charts) > 0
        assert {chart["metricSectionId"] for chart in one["compareRunCharts"]} <= set(sections)
    models = found[views.PREFIX + views.FIRST]
    kinds = [chart["type"] for chart in models["compareRunCharts"]]
    assert ("SCATTER" in kinds) == (scores in ((), ("bleu_5", "self_bleu_5", "validity")))
    assert {"PARALLEL", "LINE", "BAR"} <= set(kinds)
    assert models["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "row"}]


@pytest.mark.parametrize(
    ("scores", "by"),
    [
        ((), "attributes.start_time"),
        (("bleu_5", "nll_gen", "nll_oracle"), "metrics.`mean/nll_gen`"),
        (("kl_from_oracle", "nll_gen"), "metrics.`mean/kl_from_oracle`"),
        (("bleu_5", "nll_oracle"), "attributes.start_time"),
    ],
)
def test_the_leaderboard_is_in_the_order_of_a_loss_and_never_of_a_score_of_quality_alone(
    scores: tuple[str, ...], by: str
) -> None:
    found = {key.removeprefix(views.PREFIX): state(tag) for key, tag in views.tags_of(scores, 0).items()}
    assert found.pop("textgan-bench-leaderboard")["orderByKey"] == by
    assert {one["orderByKey"] for one in found.values()} == {"attributes.start_time"}
    assert all(one["orderByAsc"] for one in found.values())


def test_a_row_is_named_by_what_makes_it_another() -> None:
    start = cases.info(model="seqgan")
    digits = start.config_hash[:4]
    assert labels.row(start) == f"seqgan {digits} · smoke"
    assert start.run is not None
    early = replace(start, run=start.run.model_copy(update={"last_phase": "mle"}))
    assert labels.row(early) == f"seqgan {digits} (last_phase=mle) · smoke"


def test_views_are_there_from_the_first_moment_and_follow_the_scores(store: cases.Store) -> None:
    diary, tracker = cases.begin(store, cases.info())
    before = tags(store)
    assert {key for key in before if key.startswith(views.PREFIX)} == {views.PREFIX + view.id for view in views.VIEWS}
    assert "metrics.`mean/nll_gen`" in state(before[views.PREFIX + "textgan-bench-leaderboard"])["selectedColumns"]
    cases.go_on(diary, tracker, 0, 10)
    cases.end(store, diary, tracker, cases.info())
    board = state(tags(store)[views.PREFIX + "textgan-bench-leaderboard"])["selectedColumns"]
    shown = [f"metrics.`{group}/{name}`" for name in ("nll_oracle", "bleu_2") for group in ("mean", "sd")]
    assert [column for column in board if column.startswith("metrics")] == shown
    for view in views.VIEWS:
        (experiment,) = store.experiments().values()
        assert f"[{view.name}](#/experiments/{experiment.experiment_id}/runs" in tags(store)["mlflow.note.content"]


def test_seeding_again_writes_nothing(store: cases.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    folder = cases.live(store, cases.info())
    before = tags(store)
    written: list[str] = []
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", lambda self, experiment, key, value: written.append(key))
    cases.live(store, cases.info(1))
    assert sync([folder], store.uri).errors == []
    assert (written, tags(store)) == ([], before)


@pytest.mark.parametrize("key", [views.PREFIX + views.FIRST, "mlflow.note.content"])
@pytest.mark.parametrize("theirs", ["changed by a person", None])
def test_what_a_person_made_changed_or_removed_stays(store: cases.Store, key: str, theirs: str | None) -> None:
    cases.begin(store, cases.info())
    client, (experiment,) = store.client, store.experiments().values()
    own = views.PREFIX + "1f0c"
    client.set_experiment_tag(experiment.experiment_id, own, "a view of mine")
    if theirs is None:
        client.delete_experiment_tag(experiment.experiment_id, key)
    else:
        client.set_experiment_tag(experiment.experiment_id, key, theirs)
    cases.live(store, cases.info())
    after = tags(store)
    assert (after[own], after.get(key)) == ("a view of mine", theirs)
    board = state(after[views.PREFIX + "textgan-bench-leaderboard"])
    assert "metrics.`mean/nll_gen`" not in board["selectedColumns"]  # the others still follow the scores


def test_an_experiment_of_before_gets_views_and_keeps_what_its_owner_wrote(store: cases.Store) -> None:
    client = store.client
    client.create_experiment("mine", None, {"mlflow.note.content": "about my runs", views.PREFIX + "x": "mine"})
    folder = cases.live(store, cases.info())
    assert sync([folder], store.uri, "mine").errors == []
    found = dict(client.get_experiment_by_name("mine").tags)
    assert (found["mlflow.note.content"], found[views.PREFIX + "x"]) == ("about my runs", "mine")
    assert state(found[views.PREFIX + views.FIRST])["name"] == "Models compared"


@pytest.mark.parametrize("method", ["set_experiment_tag", "log_image", "log_text"])
def test_views_and_pictures_fail_alone_and_sync_makes_them(
    store: cases.Store, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    from mlflow import MlflowClient

    def broken(*_: object, **__: object) -> None:
        raise PermissionError("not allowed")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, method, broken)
        folder = cases.live(store, cases.info())
    seen = store.snapshot()
    assert {one["state"][0] for one in seen.values()} == {"FINISHED"}
    assert "samples.txt" in seen[labels.child_name(cases.info())]["files"]
    assert seen[labels.parent_name(cases.info())]["points"]["mean/bleu_2"]
    assert sync([folder], store.uri).errors == []
    assert views.PREFIX + views.FIRST in tags(store)
    assert {"images", "samples.json"} <= set(store.snapshot()[labels.parent_name(cases.info())]["files"])


def test_scores_of_different_texts_never_share_an_experiment(tmp_path: Path) -> None:
    grammar = replace(cases.info(), task="grammar", task_version=1, scale="paper", task_config={})
    files = {"path": "/data/mine.txt", "lower": False}
    text = replace(grammar, task="text_file", task_config=files, sources={"file of path": "0" * 64})
    own = replace(grammar, task="/home/me/my_task.py:Mine", task_config={"n": 3})
    starts = [
        grammar,
        replace(grammar, task_config={"n_train": 7}),
        replace(grammar, task_version=2),
        replace(grammar, scale="smoke"),
        text,
        replace(text, data_sha256="f" * 64),
        replace(text, task_config={**files, "lower": True}),
        replace(text, task_config={**files, "path": "/data/other.txt"}),
        own,
        replace(own, data_sha256="f" * 64),
        replace(own, task="not_installed_here"),
    ]
    names = [labels.experiment_name(start) for start in starts]
    assert len(set(names)) == len(names)
    assert names[0] == "textgan-bench/grammar@1"
    assert names[4] == "textgan-bench/text_file@1 (mine.txt, 01234567)"
    assert labels.experiment_name(replace(text, seed=5, model="other")) == names[4]
    long = replace(grammar, task_config={"words": "x" * 500})
    assert len(labels.experiment_name(long)) < 150
    assert labels.experiment_name(long) != labels.experiment_name(replace(long, data_sha256="f" * 64))


def test_two_tasks_two_experiments_and_a_name_puts_them_into_one(store: cases.Store) -> None:
    runs = [cases.info(), replace(cases.info(model="mle"), task="other", task_version=1)]
    folders = [cases.live(store, run) for run in runs]
    assert store.experiments().keys() == {labels.experiment_name(run) for run in runs}
    assert sync(folders, store.uri, "one").errors == []
    one = store.client.get_experiment_by_name("one")
    assert len(store.client.search_runs([one.experiment_id])) == 4


def test_runs_of_the_one_experiment_of_before_stay_there_and_go_on_there(store: cases.Store) -> None:
    """A new seed goes where its text's runs go."""
    old = cases.live_in(store, cases.info(), labels.EXPERIMENT)
    diary, tracker = cases.begin(store, cases.info(1), experiment=labels.EXPERIMENT)
    cases.go_on(diary, tracker, 0, 4)
    position = diary.position()
    diary, tracker = cases.begin(store, cases.info(1), position)
    cases.go_on(diary, tracker, 4, 10)
    resumed = cases.end(store, diary, tracker, cases.info(1))
    assert store.experiments().keys() == {labels.EXPERIMENT}
    assert sync([old, resumed], store.uri).errors == []
    assert store.experiments().keys() == {labels.EXPERIMENT}
    assert [run.data.tags["seeds"] for run in store.level("configuration")] == ["2 of 2 completed"]
    new = cases.live(store, cases.info(2))
    name = labels.experiment_name(cases.info())
    assert store.experiments().keys() == {labels.EXPERIMENT, name}
    found = experiments_of([old, resumed, new], store.uri)
    assert found == {each: store.experiments()[each].experiment_id for each in (labels.EXPERIMENT, name)}


def test_the_line_at_the_end_is_the_address_of_the_view(store: cases.Store) -> None:
    runs = [cases.info(), replace(cases.info(model="mle"), task="other", task_version=1)]
    folders = [cases.live(store, run) for run in runs]
    ids = [store.experiments()[labels.experiment_name(run)].experiment_id for run in runs]
    first, *opened = TrackingOptions(TrackerName.mlflow, store.uri).hint(folders).splitlines()
    assert shlex.split(first)[-4:] == ["mlflow", "ui", "--backend-store-uri", store.uri]
    address = "http://127.0.0.1:5000/#/experiments/{}/runs?viewStateShareKey=textgan-bench-models&compareRunsMode=CHART"
    address += "&workflowType=machine_learning"
    assert opened == [f"  then open {address.format(number)}" for number in ids]
    gone = replace(cases.info(), task="gone")
    shutil.rmtree(folders[1])
    assert len(TrackingOptions(TrackerName.mlflow, store.uri).hint(folders).splitlines()) == 2
    assert labels.experiment_name(gone) not in TrackingOptions(TrackerName.mlflow, store.uri).hint(folders)


def test_of_two_runs_of_a_seed_the_newest_counts(store: cases.Store) -> None:
    def made(seed: int, code: str, when: str, value: float) -> None:
        start = replace(cases.info(seed), run_id=f"{code}{seed}", created_at=when)
        plain = cases.evaluated("end", 10)
        scores = {key: replace(score, value=score.value + value) for key, score in plain.scores.items()}
        cases.live(store, start, sweep=[replace(plain, scores=scores)])

    for seed in (0, 1):
        made(seed, "old", "2027-01-15T08:00:00.000+00:00", 0.0)
    (before,) = store.level("configuration")
    for seed in (0, 1):
        made(seed, "new", "2027-01-16T08:00:00.000+00:00", 1.0)
    (after,) = store.level("configuration")
    assert after.data.tags["seeds"] == "2 of 2 completed"
    assert after.data.metrics["seeds"] == 2.0
    key = next(name for name in before.data.metrics if name.startswith("mean/"))
    assert after.data.metrics[key] == pytest.approx(before.data.metrics[key] + 1.0)


def test_a_deleted_parent_comes_back(store: cases.Store) -> None:
    folders = [cases.live(store, cases.info(seed)) for seed in (0, 1)]
    assert sync(folders, store.uri).errors == []
    (parent,) = store.level("configuration")
    store.client.delete_run(parent.info.run_id)
    assert store.level("configuration") == []
    assert sync(folders, store.uri).errors == []
    (again,) = store.level("configuration")
    assert again.data.tags["seeds"] == "2 of 2 completed"
    assert again.data.metrics == parent.data.metrics
    assert {run.data.tags["mlflow.parentRunId"] for run in store.level("run")} == {again.info.run_id}


def test_finished_runs_that_mlflow_lacks_are_named(store: cases.Store) -> None:
    tracked, untracked = cases.live(store, cases.info()), cases.untracked(store, cases.info(1))
    elsewhere = cases.untracked(store, replace(cases.info(), task="other", run_id="other"))
    tracking = TrackingOptions(TrackerName.mlflow, store.uri)
    assert tracking.not_told([tracked], store.runs) == ""
    told = tracking.not_told([tracked, untracked, elsewhere], store.runs)
    said, _, command = told.partition(" by ")
    assert said == "2 runs finished without MLflow, which learns of them"
    assert shlex.split(command)[-4:] == ["sync", str(store.runs), "--tracking-uri", store.uri]
    assert sync([tracked, untracked, elsewhere], store.uri).errors == []
    assert tracking.not_told([tracked, untracked, elsewhere], store.runs) == ""
    (broken := store.runs / "broken.db").write_text("no database")
    assert replace(tracking, uri=f"sqlite:///{broken}").not_told([tracked], store.runs) == ""


def test_the_address_at_a_server_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.tracking.sync.experiments_of", lambda *_: {"textgan-bench/grammar@1": "7"})
    hint = TrackingOptions(TrackerName.mlflow, "https://server/ml").hint([Path("runs/x")])
    address = "https://server/ml/#/experiments/7/runs?viewStateShareKey=textgan-bench-models&compareRunsMode=CHART"
    address += "&workflowType=machine_learning"
    assert hint == f"MLflow: experiment textgan-bench/grammar@1 at https://server/ml\n  open {address}"
    assert "open" not in TrackingOptions(TrackerName.mlflow, "databricks").hint([Path("runs/x")])


def test_names_differ_before_they_are_cut() -> None:
    """MLflow's column shows about 20 characters; a seed stands below its parent."""
    starts = [
        cases.info(seed, model)
        for seed in (0, 1)
        for model in ("constant_reward", "seqgan", "/home/somebody/with/a/long/path/my_gan.py:MyGAN")
    ]
    assert len({labels.child_name(start)[:20] for start in starts}) == 6
    starts += [replace(cases.info(model="constant_reward"), config_hash="0000", changed={"mle_steps": 5})]
    assert len({labels.parent_name(start)[:20] for start in starts}) == 4


def test_parents_have_sd_over_seeds_pictures_and_a_table(store: cases.Store) -> None:
    cases.live(store, cases.info(10), files={"samples.txt": "of seed ten\n"})
    two = evaluated_with(bleu_2=0.7)
    cases.live(store, cases.info(2), files={"samples.txt": "a  b $x$ \\frac\n\n a b\n"}, sweep=two)
    cases.live(store, cases.info(3), status="failed")
    (parent,) = store.level("configuration")
    assert parent.data.metrics["mean/bleu_2"] == pytest.approx((0.51 + 0.7) / 2)
    assert parent.data.metrics["sd/bleu_2"] == pytest.approx(abs(0.7 - 0.51) / 2**0.5)
    assert (parent.data.metrics["seeds"], parent.data.tags["seeds"]) == (2, "2 of 3 completed")
    client = store.client
    files = [Path(file.path).name for file in client.list_artifacts(parent.info.run_id, "images")]
    assert all(name.startswith("samples") for name in files), files  # no pair of scores to draw
    table = json.loads(Path(client.download_artifacts(parent.info.run_id, "samples.json")).read_text())
    assert table["columns"] == ["seed", "sentence", "words", "times among the samples"]
    assert table["data"] == [[2, "a  b $x$ \\frac", 4, 1], [2, "", 0, 1], [2, " a b", 2, 1]]
    assert json.loads(parent.data.tags["mlflow.loggedArtifacts"]) == [{"path": "samples.json", "type": "table"}]


def test_one_seed_has_no_sd(store: cases.Store) -> None:
    cases.live(store, cases.info())
    (parent,) = store.level("configuration")
    assert not [name for name in parent.data.metrics if name.startswith("sd/")]


def test_the_curve_is_drawn_of_all_seeds_and_again_only_if_it_changes(store: cases.Store) -> None:
    for seed in range(2):
        folder = cases.live(store, cases.info(seed), sweep=evaluated_with(bleu_5=0.2 + seed, self_bleu_5=0.4))
    (parent,) = store.level("configuration")
    client = store.client
    images = lambda: sorted(file.path for file in client.list_artifacts(parent.info.run_id, "images"))  # noqa: E731
    curves = [path for path in images() if "quality_diversity" in path and path.endswith(".png")]
    assert len(curves) == 2  # with one seed, with two
    before = images()
    (folder / "samples-t0.5.txt").write_text("other\n")  # so that it is told again
    assert sync([folder], store.uri).errors == []
    assert images() == before


def test_pictures_show_text_of_anybody_as_it_is() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = pictures.samples_picture(["$x^{$ \\frac", "中文 العربية", "\x1b[31m", "x" * 500, ""], "$title")
        assert drawn.dtype == np.uint8
        assert drawn.shape == SHAPE
        other = pictures.samples_picture(["another"], "$title")
        assert not np.array_equal(drawn, other)
        traces = {"seed 0": {50: (0.1, 0.2), 100: (0.2, 0.3)}, "seed 1": {100: (0.3, float("nan"))}}
        curve = pictures.trade_picture(traces, "self_$bleu", "bleu", "$t")
        assert curve.shape == SHAPE


def evaluated_with(**values: float) -> list[Evaluation]:
    """A sweep with these scores, the same at every temperature."""
    scores = {k: Score(value=v, metric=k, settings={"v": 1}, better="higher") for k, v in values.items()}
    return [replace(cases.evaluated("end", 10, temperature), scores=scores) for temperature in (0.5, 1.0)]
