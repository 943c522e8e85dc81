"""One rule for the run of a seed that counts, on the leaderboard as in `reproduce`; mean and interval over seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.records import evaluation, only, record, row, tables
from scipy import stats

from bench.record import RunRecord
from bench.reproduce import presets
from bench.reproduce.state import read_found, state_of
from bench.seeds import mean_over_seeds, newest_of_each

SUITE = """
seeds = [0]
[[runs]]
model = "mle"
task = "grammar"
metrics = ["unique"]
"""


def runs_of_one_seed(**changes: object) -> list[RunRecord]:
    """A completed run, and a newer one of the same seed that failed."""
    done = record("mle", 0, evaluation(unique=0.5), created_at="2026-01-01T00:00:00Z", **changes)
    failed = replace(
        done, status="failed", error="nan", evaluations=(), created_at="2026-02-01T00:00:00Z", run_id="later"
    )
    return [done, failed]


def test_leaderboard_and_reproduce_speak_of_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest: it failed, so the seed was started and gave nothing."""
    (tmp_path / "one.toml").write_text(SUITE)
    monkeypatch.setattr(presets, "PAPER", tmp_path)
    preset = presets.read_preset("one")
    resolved = preset.trained[0].resolved
    records = runs_of_one_seed(
        task="grammar",
        task_version=resolved.task.version,
        task_config=resolved.task_settings,
        model_config=resolved.model_settings,
        scale="paper",
    )
    board = only(tables(tmp_path, *records))
    assert (row(board, "mle").n_completed, row(board, "mle").n_started) == (0, 1)
    (state,) = state_of(preset, read_found([tmp_path / "runs"])).rows
    assert (state.done, state.failed) == ((), (0,))
    older_first = board.notes
    board = only(tables(tmp_path / "other", *reversed(records)))
    assert board.notes == older_first


def test_the_newest_counts_and_each_other_is_named_with_what_replaced_it() -> None:
    first, second = runs_of_one_seed()
    third = replace(first, created_at="2026-03-01T00:00:00Z", run_id="third")
    other = record("mle", 1)
    counted, replaced = newest_of_each([third, first, other, second], key=lambda one: one.seed, record=lambda one: one)
    assert {one.run_id for one in counted} == {"third", "mle-1"}
    assert [(a.run_id, b.run_id) for a, b in replaced] == [("mle-0", "later"), ("later", "third")]


def test_mean_and_interval() -> None:
    assert mean_over_seeds([]) is None
    alone = mean_over_seeds([2.5])
    assert alone is not None
    assert (alone.mean, alone.std, alone.half_width, alone.n) == (2.5, None, None, 1)
    values = [9.07, 9.12, 9.05, 9.11]
    found = mean_over_seeds(values)
    assert found is not None
    low, high = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high), abs=1e-12)
