"""Curves over temperature, matched diversity, fronts: against slow, obvious ways to do it."""

import itertools
import math
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.records import evaluation, example, only, record, row, tables
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.cli import spread
from bench.config import RunConfig, assign, make_runs, parse_settings
from leaderboards.curves import quality_at
from leaderboards.render.csv import to_csv
from leaderboards.render.markdown import to_markdown
from leaderboards.schema import Boards, Curve, Trace
from leaderboards.statistics import difference, pareto, seed_mean

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=8)


def swept(model: str, seed: int, *points: tuple[float, float, float], **changes):
    """A run with (temperature, self_bleu_2, bleu_2) at its end."""
    return record(model, seed, *(evaluation(temperature=t, self_bleu_2=x, bleu_2=y) for t, x, y in points), **changes)


def curve_of(boards: Boards, name: str = "bleu_2-self_bleu_2") -> Curve:
    return next(c for c in only(boards).curves if c.name == name)


def trace_of(curve: Curve, label: str) -> Trace:
    return next(t for t in curve.traces if t.label == label)


@given(POINTS, st.integers(0, 24), st.sampled_from(["higher", "lower"]))
def test_quality_at_matched_diversity_is_the_best_point_of_the_drawn_line(points, twice, better) -> None:
    """Walk along the line in steps so small that every crossing of a multiple of 1/2 is stepped on."""
    target, met = twice / 2, []
    for (x0, y0), (x1, y1) in itertools.pairwise([*points, points[-1]]):
        n = max(1, 2 * abs(x1 - x0))
        steps = [k / n for k in range(n + 1)]
        met += [y0 + (y1 - y0) * s for s in steps if math.isclose(x0 + (x1 - x0) * s, target)]
        if x0 == x1 == target:
            met += [y0, y1]
    expected = (min if better == "lower" else max)(met, default=None)
    found = quality_at(points, target, better)
    assert (found is None) == (expected is None)
    if found is not None:
        assert found == pytest.approx(expected)


@given(POINTS)
def test_front_is_what_nothing_dominates(points) -> None:
    slow = [not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points) for x, y in points]
    assert pareto(points) == slow


def test_matched_quality_and_its_difference_to_mle(tmp_path: Path) -> None:
    mle = [(0.70, 0.50), (0.72, 0.54), (0.74, 0.55)]
    runs = [swept("mle", i, (1.0, x, y)) for i, (x, y) in enumerate(mle)]
    shift = (0.00, 0.02, 0.01)
    runs += [swept("gan", i, (0.8, 0.9, 0.8), (1.0, 0.8, 0.6 + s), (1.2, 0.6, 0.4)) for i, s in enumerate(shift)]
    curve = curve_of(tables(tmp_path, *runs))
    assert curve.baseline == "mle"
    assert curve.diversity == pytest.approx(0.72)
    gan, base = trace_of(curve, "gan"), trace_of(curve, "mle")
    values = [np.interp(0.72, (0.6, 0.8, 0.9), (0.4, 0.6 + s, 0.8)) for s in shift]
    assert gan.matched.mean == pytest.approx(np.mean(values))
    test = stats.ttest_ind(values, [y for _, y in mle], equal_var=False).confidence_interval(0.95)
    assert gan.over_baseline.mean == pytest.approx((test.low + test.high) / 2)
    assert gan.over_baseline.half_width == pytest.approx((test.high - test.low) / 2)
    assert base.matched.mean == pytest.approx(np.mean([y for _, y in mle]))
    assert base.over_baseline is None
    assert [[s[0] for s in p.seeds] for p in gan.points] == [[0, 1, 2]] * 3


def test_no_matched_quality_where_one_seed_does_not_reach_it(tmp_path: Path) -> None:
    runs = [swept("mle", i, (1.0, 0.72, 0.5)) for i in range(3)]
    runs += [swept("gan", i, (0.8, 0.9, 0.8), (1.0, 0.8 - i / 10, 0.6)) for i in range(3)]
    runs += [swept("cool", 0, (1.0, 0.9, 0.6))]
    boards = tables(tmp_path, *runs)
    gan, cool = (trace_of(curve_of(boards), label) for label in ("gan", "cool"))
    assert (gan.matched, gan.over_baseline) == (None, None)
    assert gan.reason == "self_bleu_2 0.720 is not reached by 0.800 to 0.900 (seed 0)"
    assert cool.reason == "scored at temperature 1 only"


def test_curve_front_takes_ranked_rows_only(tmp_path: Path) -> None:
    runs = [swept("mle", i, (0.8, 0.9, 0.8), (1.0, 0.7, 0.5), (1.2, 0.8, 0.4)) for i in range(3)]
    runs += [swept("copy_train", i, (1.0, 0.6, 0.9)) for i in range(3)]
    runs += [swept("one_seed", 0, (1.0, 0.5, 0.9))]
    curve = curve_of(tables(tmp_path, *runs))
    assert [p.front for p in trace_of(curve, "mle").points] == [True, True, False]
    assert not any(p.front for label in ("copy_train", "one_seed") for p in trace_of(curve, label).points)


def test_without_mle_nothing_is_matched(tmp_path: Path) -> None:
    runs = [swept(m, i, (0.8, 0.9, 0.8), (1.0, 0.7, 0.5)) for i in range(3) for m in ("a", "b")]
    boards = tables(tmp_path, *runs)
    assert {t.reason for t in curve_of(boards).traces} == {"the board has no MLE row at temperature 1"}
    assert "matched" not in to_markdown(boards)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_difference_is_welchs(a, b) -> None:
    found = difference(seed_mean(a), seed_mean(b))
    if min(np.std(a), np.std(b)) < 1e-6:
        return  # SciPy warns of lost precision
    low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


# Rows


def test_rows_drawn_at_another_temperature_stand_apart(tmp_path: Path) -> None:
    boards = tables(tmp_path, *example())
    board = only(boards)
    (apart,) = board.apart
    assert apart.label == "leakgan (evaluation_temperature=1.5)"
    assert (apart.status, apart.n_completed) == ("apart", 3)
    assert apart.label not in {r.label for r in board.rows}
    assert all(c.rank is None for c in apart.final.values())
    for section in to_markdown(boards).split("\n### "):
        lines = [line for line in section.splitlines() if line.startswith("|")]
        here = [apart.label.split()[0] + " (evaluation" in line.replace("\\", "") for line in lines[2:]]
        assert not any(here) or all(here) or section.startswith("Cost")
    assert not [line for line in to_csv(boards).splitlines() if apart.label in line and ",final," in line]


def test_runs_learning_curves_costs_and_evidence(tmp_path: Path) -> None:
    on_the_way = replace(evaluation("cadence", phase="mle", bleu_2=0.5), step=2)
    runs = [record("seqgan", i, on_the_way, evaluation(bleu_2=0.7), n_parameters=7) for i in range(2)]
    seqgan = row(only(tables(tmp_path, *runs)), "seqgan")
    assert (seqgan.tier, seqgan.verified, seqgan.n_parameters) == ("reported", False, 7)
    assert seqgan.lacks[0].startswith("1 more completed seed")
    assert seqgan.seconds == {"mle": 1.0, "adversarial": 1.0}
    (first, _) = seqgan.runs
    assert first.path == str(tmp_path / "runs" / "r00" / "record.json")
    assert first.borders == [("mle", 3), ("adversarial", 6)]
    assert [(p.step, p.phase, p.at, p.values) for p in first.learning] == [
        (2, "mle", "cadence", {"bleu_2": 0.5}),
        (9, "adversarial", "end", {"bleu_2": 0.7}),
    ]
    assert first.values == {1.0: {"bleu_2": 0.7}}


def test_different_numbers_of_seeds_and_commits_are_said(tmp_path: Path) -> None:
    runs = [record("a", i, evaluation(bleu_2=i / 10), environment={"git.sha": str(i % 2) * 40}) for i in range(4)]
    runs += [record("b", i, evaluation(bleu_2=i / 10)) for i in range(3)]
    notes = only(tables(tmp_path, *runs)).notes
    assert "the ranked rows differ in their numbers of seeds: 3 for b; 4 for a" in notes
    assert "a: lacks one state of the code: its runs are of commits 000000000000, 111111111111" in notes


@pytest.mark.parametrize(("model", "task"), [("ngram", "text_file"), ("seqgan", "grammar"), ("leakgan", "oracle_lstm")])
def test_the_command_of_a_row_resolves_to_the_same_row(
    tmp_path: Path, model: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's 1.txt").write_text("a b c\n" * 20)
    given_ = {"path": "it's 1.txt"} if task == "text_file" else {}
    own: dict[str, Any] = {
        "n_samples": 1000,
        "temperatures": (0.8, 1),
        "evaluate_every": 9,
        "log_every": 7,
        "threads": 2,
    }
    own |= {"metrics": ("bleu", "unique"), "metric_settings": {"bleu": {"orders": (2, 3)}}, "fp32_precision": "bf16"}
    own |= {"alarm_unique": 0.1, "on_alarm": "stop"}
    run = RunConfig(model=model, task=task, scale="smoke", task_settings=given_, seed=1, **own)
    resolved = run.resolve()
    changes = {
        "task": task,
        "scale": "smoke",
        "model_config": resolved.model_settings,
        "task_config": resolved.task_settings,
        "run": resolved.run_settings,
    }
    ends = [evaluation("cadence", bleu_2=1), evaluation(temperature=0.8, bleu_2=1), evaluation(bleu_2=1)]
    boards = tables(tmp_path / "runs", *(record(model, seed, *ends, **changes) for seed in (1, 2)))
    words = spread(shlex.split(only(boards).rows[0].command))
    assert words[:6] == ["python", "-m", "bench", "run", model, task]
    options: dict[str, list[str]] = {}
    for option, value in zip(words[6::2], words[7::2], strict=True):
        options.setdefault(option, []).append(value)
    assert {k: v for k, v in options.items() if k != "--set"} == {
        "--seed": ["1", "2"],
        "--scale": ["smoke"],
        "--temperature": ["0.8"],
    }
    config = {"model": model, "task": task, "scale": "smoke", "temperatures": (0.8,)}
    again = make_runs(assign(parse_settings(options["--set"]), config), [1])[0].resolve()
    assert again.run_settings == resolved.run_settings
    assert again.run_id == resolved.run_id
