"""Which row is the one to beat, and what the weights that a row scores have read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from helpers.records import evaluation, only, record, row, tables

from bench.record import PhaseCost, RunRecord
from bench.run_settings import RunSettings


def mle(name: str, seeds: int, selection: str, step: int = 10) -> list[RunRecord]:
    phases = (PhaseCost(name="mle", steps=10, seconds=1.0, real_sentences=1000),)
    run = RunSettings(selection=selection)
    end = replace(evaluation(bleu_2=0.5, phase="mle"), step=step)
    runs = [record("mle", seed, replace(end), phases=phases, run=run) for seed in range(seeds)]
    return [replace(r, run_id=f"{name}{r.seed}", config_hash=name) for r in runs]


def baseline(folder: Path, *records: RunRecord) -> str:
    return next(r.label for r in only(tables(folder, *records)).rows if r.baseline)


def test_weights_selected_by_validation_are_the_baseline(tmp_path: Path) -> None:
    last, selected = mle("last", 3, "last"), mle("selected", 3, "validation")
    assert baseline(tmp_path / "both", *last, *selected) == "mle (selection=validation)"
    assert baseline(tmp_path / "one", *last) == "mle"
    few = mle("selected", 2, "validation")
    assert baseline(tmp_path / "few", *last, *few) == "mle"  # a baseline has seeds enough for a comparison
    changed = [replace(r, changed={"lr": 1.0}, model_config={"lr": 1.0}) for r in selected]
    assert baseline(tmp_path / "changed", *last, *changed) == "mle"


def test_a_record_older_than_a_setting_differs_in_nothing(tmp_path: Path) -> None:
    old = [replace(r, model_config={"lr": 0.1}, changed={}) for r in mle("old", 1, "last")]
    new = [replace(r, model_config={"lr": 0.1, "added": 0}, changed={}) for r in mle("new", 1, "validation")]
    assert {r.label for r in only(tables(tmp_path / "a", *old, *new)).rows} == {"mle", "mle (selection=validation)"}
    other = [replace(r, model_config={"lr": 0.2, "added": 0}) for r in new]
    found = {r.label for r in only(tables(tmp_path / "b", *old, *other)).rows}
    assert found == {"mle (lr=0.1)", "mle (lr=0.2, selection=validation)"}
    third = [replace(r, config_hash="third", run_id="third0", model_config={"lr": 0.1, "added": 1}) for r in new]
    found = {r.label for r in only(tables(tmp_path / "c", *old, *new, *third)).rows}
    assert found == {"mle", "mle (added=0, selection=validation)", "mle (added=1, selection=validation)"}


def test_selected_weights_have_read_what_came_before_them(tmp_path: Path) -> None:
    """One who stops early is no reason to call the others under-trained by what was read afterwards."""
    gan = [
        record(
            "gan",
            seed,
            evaluation(bleu_2=0.5),
            phases=(
                PhaseCost(name="mle", steps=5, seconds=1.0, real_sentences=500),
                PhaseCost(name="adversarial", steps=4, seconds=1.0, real_sentences=0),
            ),
        )
        for seed in range(3)
    ]
    early = only(tables(tmp_path / "early", *gan, *mle("selected", 3, "validation", step=4)))
    assert row(early, "mle (selection=validation)").real_sentences == 400
    assert (row(early, "gan").real_sentences, row(early, "gan").status) == (500, "ranked")
    late = only(tables(tmp_path / "late", *gan, *mle("selected", 3, "validation", step=6)))
    (lacks,) = (each for each in row(late, "gan").lacks if "real sentences" in each)
    assert lacks == "the baseline's real sentences: it read 500, and each run of the baseline 600 or more"
    assert row(late, "gan").status == "under-trained"
    unequal = [*mle("selected", 2, "validation", step=6), *mle("selected", 3, "validation", step=5)[2:]]
    board = only(tables(tmp_path / "unequal", *gan, *unequal))
    assert row(board, "mle (selection=validation)").real_sentences == 1700 / 3
    assert row(board, "gan").status == "ranked"  # as many as one run of the baseline was best with
