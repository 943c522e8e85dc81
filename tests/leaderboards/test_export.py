"""`leaderboards export`: every score in one file for other programs, and what is said where that cannot be."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers.commands import call_leaderboards
from helpers.paths import ROOT
from helpers.records import evaluation, example, record, tables

from bench.record import Evaluation, PhaseCost
from leaderboards.render.every_eval_ever import SCHEMA_VERSION, documents
from leaderboards.render.scores import SCORE_COLUMNS, score_lines


@pytest.mark.parametrize(("form", "read"), [("parquet", pd.read_parquet), ("csv", pd.read_csv)], ids=["parquet", "csv"])
def test_every_score_of_every_seed_is_in_the_file(form: str, read: object, tmp_path: Path) -> None:
    wanted = list(score_lines(tables(tmp_path, *example())))
    target = tmp_path / "scores"
    done = call_leaderboards("export", tmp_path / "runs", "--format", form, "--out", target)
    assert done.stdout == ""
    assert callable(read)
    found = read(target)
    assert list(found.columns) == list(SCORE_COLUMNS)
    assert found["value"].tolist() == [line["value"] for line in wanted]
    assert found["run_id"].tolist() == [line["run_id"] for line in wanted]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "scores"}


def test_a_score_at_the_end_is_of_the_step_that_was_selected(tmp_path: Path) -> None:
    def at(place: str, step: int, value: float) -> Evaluation:
        return replace(evaluation(place, phase="mle", bleu_2=value), step=step)

    phases = (PhaseCost(name="mle", steps=120, seconds=1.0, real_sentences=9),)
    points = (at("cadence", 50, 0.6), at("cadence", 100, 0.4), at("end", 50, 0.6))
    lines = score_lines(tables(tmp_path, record("mle", 0, *points, phases=phases)))
    assert [(line["at"], line["step"], line["value"]) for line in lines] == [
        ("end", 50, 0.6), ("cadence", 50, 0.6), ("cadence", 100, 0.4)
    ]  # fmt: skip


def test_parquet_is_what_is_written_where_nothing_is_said(tmp_path: Path) -> None:
    tables(tmp_path, *example())
    call_leaderboards("export", tmp_path / "runs", "--out", tmp_path / "s")
    assert (tmp_path / "s").read_bytes()[:4] == b"PAR1"


def test_what_cannot_be_read_is_named_and_costs_nothing_else(tmp_path: Path) -> None:
    wanted = list(score_lines(tables(tmp_path, *example())))
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "record.json").write_text("{")
    done = call_leaderboards("export", tmp_path / "runs", "--out", tmp_path / "s", code=1)
    assert "broken" in done.stderr
    assert len(pd.read_parquet(tmp_path / "s")) == len(wanted)


def test_mistakes_are_told_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    target = tmp_path / "s.parquet"
    for arguments, code, told in (
        (["nowhere", "--out", str(target)], 2, "nowhere"),
        ([str(tmp_path / "runs"), "--out", str(tmp_path)], 2, "is a folder"),
        ([str(tmp_path / "runs"), "--out", str(target)], 1, "no record"),
        ([str(tmp_path / "runs"), "--out", str(target), "--format", "xlsx"], 2, "parquet"),
        ([str(tmp_path / "runs")], 2, "--out"),
    ):
        done = call_leaderboards("export", *arguments, code=code)
        assert told in done.stderr
    assert not target.exists()


@pytest.fixture(scope="module")
def schema() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="the group `test` is not installed")
    document = json.loads(
        (ROOT / "tests" / "data" / "every_eval_ever" / "eval.schema.json").read_text(encoding="utf-8")
    )
    assert document["version"] == SCHEMA_VERSION
    return jsonschema.Draft7Validator(document)


def test_every_run_is_a_document_of_every_eval_ever(schema: Any, tmp_path: Path) -> None:
    boards = tables(tmp_path, *example(), record("my.py:M", 0, evaluation(bleu_2=0.5, self_bleu_2=0.4)))
    target = tmp_path / "exchange"
    arguments = ["export", str(tmp_path / "runs"), "--format", "every-eval-ever", "--out", str(target)]
    call_leaderboards(*arguments)
    files = sorted(target.rglob("*.json"))
    first = {path: path.read_bytes() for path in files}
    found = [json.loads(content) for content in first.values()]
    for document in found:
        schema.validate(document)
        assert document["schema_version"] == SCHEMA_VERSION
    runs = {run.run_id: run for board in boards.boards for row in (*board.rows, *board.apart) for run in row.runs}
    assert sorted(d["model_info"]["additional_details"]["run_id"] for d in found) == sorted(runs)
    assert len({d["evaluation_id"] for d in found}) == len(found)
    for path in files:
        benchmark, _, _, name = path.relative_to(target).parts
        assert benchmark == "textgan-bench"
        assert str(uuid.UUID(name.removesuffix(".json"), version=4)) == name.removesuffix(".json")
    call_leaderboards(*arguments)
    assert {path: path.read_bytes() for path in target.rglob("*.json")} == first


def test_scores_stand_with_their_direction_or_are_named_as_left_out(tmp_path: Path) -> None:
    scored = record("mle", 0, evaluation(bleu_2=0.5, self_bleu_2=0.9), evaluation(temperature=0.5, bleu_2=0.6))
    ((path, document),) = documents(tables(tmp_path, scored))
    assert path.parts[:3] == ("textgan-bench", "textgan-bench", "mle")
    results = document["evaluation_results"]
    assert [(r["metric_config"]["metric_name"], r["score_details"]["score"]) for r in results] == [
        ("bleu_2", 0.5),
        ("bleu_2", 0.6),
    ]
    assert [r["generation_config"]["generation_args"]["temperature"] for r in results] == [1.0, 0.5]
    first = results[0]["metric_config"]
    assert first["lower_is_better"] is False
    assert (first["min_score"], first["max_score"]) == (0, 1)
    assert document["eval_library"]["additional_details"]["scores_without_a_better_end"] == "self_bleu_2"
    assert document["source_metadata"]["evaluator_relationship"] == "first_party"
