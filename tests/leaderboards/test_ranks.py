"""What a table may say of a row: places, marks, targets. Against loops over SciPy's Welch test, and by simulation."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.records import evaluation, only, record, row, tables
from scipy import stats

from bench.record import Alarm, PhaseCost, RunRecord
from leaderboards.formats import ends, uncertainty_text
from leaderboards.render.csv import lines as csv_lines
from leaderboards.render.markdown import to_markdown
from leaderboards.schema import Board, RankedMean
from leaderboards.schema import Row as BoardRow
from leaderboards.statistics import Target, beside_first, rank, seed_mean
from leaderboards.tables.board import page_tables
from leaderboards.tables.columns import is_best
from leaderboards.tables.legend import legend
from metrics.common.base import Meaning

MEANING = Meaning(
    better="higher", aspect="quality", side="higher", bounds=(0.0, 1.0), ranked=True, held_out=False, by_count=True
)


def rows_of(values: dict[str, np.ndarray], target: float | None = None) -> list[BoardRow]:
    """Ranked rows with one score, and the row of real text."""

    def made(model: str, status: str, mean: RankedMean) -> BoardRow:
        n = {"n_completed": mean.n, "n_started": mean.n}
        found = BoardRow(model=model, label=model, config_hash=model, origin="run", status=status, **n)
        found.final = {"x": mean}
        return found

    rows = [made(name, "ranked", seed_mean([float(v) for v in seeds])) for name, seeds in values.items()]
    return rows if target is None else [made("real_text", "reference", seed_mean([target])), *rows]


def places(values: dict[str, np.ndarray], better: str = "higher", target: float | None = None) -> dict[str, tuple]:
    rows = rows_of(values, target)
    rank(rows, {"x": replace(MEANING, better=better)})
    return {r.label: (r.final["x"].rank, r.final["x"].rank_high) for r in rows if r.status == "ranked"}


# Places


def test_a_target_that_is_itself_uncertain_tells_less_apart() -> None:
    """Real text between two rows, nearer to one: with the error of its own value no longer clearly."""
    values = {"near": np.array([0.50, 0.51, 0.52]), "far": np.array([0.40, 0.41, 0.42])}
    rows = rows_of(values)
    means = [r.final["x"] for r in rows]
    assert beside_first(means[::-1], "real", Target(0.49)) == [0, -1]
    assert beside_first(means[::-1], "real", Target(0.49, 0.02)) == [0, 0]
    assert beside_first(means[::-1], "higher", Target(0.45)) == [0, -1]
    assert beside_first(means[::-1], "higher", Target(0.45, 0.04)) == [0, 0]


def slow_places(values: dict[str, np.ndarray], better: str, target: float | None) -> dict[str, tuple[int, int]]:
    """Pair by pair with SciPy, Holm's procedure as it is written: the smallest p first, until one is too large."""

    def loss(mean: float) -> float:
        if better == "real":
            return abs(mean - target)
        left = mean if better == "lower" else -mean
        return left if target is None else max(0.0, left - (target if better == "lower" else -target))

    def p_of(a: np.ndarray, b: np.ndarray) -> float:
        p = stats.ttest_ind(a, b, equal_var=False).pvalue
        if better == "real":  # further from each other than from being as far on the two sides of real text
            return max(p, stats.ttest_ind(a, 2 * target - b, equal_var=False).pvalue)
        if target is None:
            return p
        worse = a if loss(a.mean()) > loss(b.mean()) else b
        return max(p, stats.ttest_1samp(worse, target).pvalue) if loss(worse.mean()) > 0 else 1.0

    found = {}
    for own in values:
        others = sorted((p_of(values[own], values[o]), o) for o in values if o != own)
        clear = []
        for i, (p, other) in enumerate(others):
            if p > 0.05 / (len(others) - i):
                break
            clear.append(other)
        means = {o: loss(values[o].mean()) for o in values}
        above, below = (sum(sign * means[o] < sign * means[own] for o in clear) for sign in (1, -1))
        found[own] = (1 + above, len(values) - below)
    return found


@pytest.mark.parametrize("better", ["higher", "lower", "real"])
@pytest.mark.parametrize("known", [True, False])
def test_places_are_those_of_a_loop_over_all_pairs(better: str, known: bool) -> None:
    target = {"higher": 0.6, "lower": 0.5, "real": 0.55}[better] if known or better == "real" else None
    random = np.random.default_rng(1)
    values = {f"m{k}": 0.4 + 0.04 * k + random.normal(0, 0.02, size=3 + k % 4) for k in range(9)}
    expected = slow_places(values, better, target)
    assert places(values, better, target) == expected
    assert len(set(expected.values())) > 3
    assert places(dict(reversed(values.items())), better, target) == expected


def test_scores_without_chance_are_the_same_or_different() -> None:
    same = {"a": [0.3, 0.3, 0.3], "b": [0.1 + 0.2] * 3, "c": [0.2, 0.2, 0.2]}
    assert places({k: np.array(v) for k, v in same.items()}) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    both_sides = {"over": np.full(3, 0.6), "under": np.full(3, 0.4)}
    assert places(both_sides, "real", 0.5) == {"over": (1, 2), "under": (1, 2)}
    assert places({"a": np.full(3, 0.5), "b": np.array([0.1, 0.11, 0.12])}) == {"a": (1, 1), "b": (2, 2)}


def test_seeds_that_are_equal_but_for_rounding_have_no_spread(tmp_path: Path) -> None:
    values = {"a": (0.3, 0.1 + 0.2, 0.3), "b": (0.2, 0.2, 0.2), "c": (0.3, 0.3, 0.3)}
    runs = [record(m, i, evaluation(bleu_2=v)) for m, seeds in values.items() for i, v in enumerate(seeds)]
    board = only(tables(tmp_path, *runs))
    assert row(board, "a").final["bleu_2"].std == 0
    found = {r.label: (r.final["bleu_2"].rank, r.final["bleu_2"].rank_high) for r in board.rows}
    assert found == {"a": (1, 2), "b": (3, 3), "c": (1, 2)}


SETTINGS = {
    "six tied": ([0.0] * 6, [1.0] * 6),
    "six tied, unequal variances": ([0.0] * 6, [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]),
    "spaced": ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 6),
    "spaced, unequal variances, two tied": ([0.0, 0.0, 1.5, 3.0, 4.5, 9.0], [1.0, 0.2, 2.0, 0.5, 1.0, 3.0]),
}
HARDEST = ("six tied, unequal variances", "spaced, unequal variances, two tied")
"""Of them few seeds are simulated each time, and all of the others with `-m slow`."""


def test_what_three_seeds_can_see_of_one_row_apart_from_five() -> None:
    """docs/method.md: three standard deviations are told in .34 by its own comparisons, in .24 by another row's."""
    rng = np.random.default_rng(0)
    own = other = 0
    for _ in range(800):
        first, *others = [seed_mean((rng.standard_normal(3) + d).tolist()) for d in (3, 0, 0, 0, 0, 0)]
        own += beside_first([first, *others], "lower", None)[1] == -1
        other += beside_first([others[0], first, *others[1:]], "lower", None)[1] == 1
    # four standard errors of .017 and .015
    assert abs(own / 800 - 0.337) < 0.067
    assert abs(other / 800 - 0.240) < 0.060


SIMULATED = [
    pytest.param(setting, n, better, marks=() if setting in HARDEST and n != 6 else pytest.mark.slow)
    for setting in SETTINGS
    for n in (3, 6, (3, 6))
    for better in ("higher", "real")
]


@pytest.mark.parametrize(("setting", "n", "better"), SIMULATED)
def test_intervals_of_ranks_cover_and_false_claims_are_rare(setting: str, n: int | tuple, better: str) -> None:
    """Of each row: its interval holds all places that ties leave it; none is called better that is not."""
    means, spreads = map(np.array, SETTINGS[setting])
    target = None if better == "higher" else 2.25
    losses = -means if target is None else np.abs(means - target)
    better_than = losses[None, :] < losses[:, None] - 1e-9
    low, high = 1 + better_than.sum(1), len(means) - better_than.sum(0)
    random, draws = np.random.default_rng(7), 1_000
    counts = [n if isinstance(n, int) else n[i % 2] for i in range(len(means))]
    covered, false_better = np.zeros(len(means)), np.zeros(len(means))
    for _ in range(draws):
        seeds = {str(i): random.normal(m, s, c) for i, (m, s, c) in enumerate(zip(means, spreads, counts, strict=True))}
        found = np.array(list(places(seeds, better, target).values()))
        covered += (found[:, 0] <= low) & (found[:, 1] >= high)
        false_better += found[:, 0] > low
    assert covered.mean() / draws >= 0.94, covered / draws
    assert covered.min() / draws >= 0.93, covered / draws
    assert false_better.mean() / draws <= 0.05


def test_known_words_rank_where_every_ranked_row_has_them(tmp_path: Path) -> None:
    def ranks(*models: str) -> tuple[bool, bool]:
        known = {"mle": True, "seqgan": True, "old": False}
        scores = {"reverse_lm_score": 5.0}
        runs = [
            record(m, i, evaluation(**scores, **({"reverse_lm_score_known": 4.0} if known[m] else {})))
            for m in models
            for i in range(3)
        ]
        board = only(tables(tmp_path / "-".join(models), *runs))
        best = row(board, models[0]).final
        return best["reverse_lm_score"].rank is not None, best["reverse_lm_score_known"].rank is not None

    assert ranks("mle", "seqgan") == (False, True)
    assert ranks("mle", "seqgan", "old") == (True, True)


def test_what_is_behind_in_a_test_of_its_own_is_not_bold(tmp_path: Path) -> None:
    """p = .014 of this pair of five rows: both may be first after Holm's correction, and one is bold."""
    values = {"mle": (0.6, 0.5, 0.7), "b": (0.36, 0.26, 0.16), **dict.fromkeys("cde", (0.1, 0.3, 0.5))}
    assert 0.05 / 4 < stats.ttest_ind(values["mle"], values["b"], equal_var=False).pvalue < 0.05
    runs = [record(m, i, evaluation(bleu_2=v)) for m, seeds in values.items() for i, v in enumerate(seeds)]
    board = only(tables(tmp_path, *runs))
    assert [row(board, name).final["bleu_2"].rank for name in ("mle", "b")] == [1, 1]
    assert [is_best(row(board, name), "bleu_2") for name in ("mle", "b")] == [True, False]


def test_a_test_of_its_own_is_at_five_percent(tmp_path: Path) -> None:
    """p = .033 of this pair: behind at 5%, not at 2.5%."""
    values = {"mle": (0.6, 0.5, 0.7), "b": (0.44, 0.34, 0.24), **dict.fromkeys("cde", (0.1, 0.3, 0.5))}
    assert 0.025 < stats.ttest_ind(values["mle"], values["b"], equal_var=False).pvalue < 0.05
    runs = [record(m, i, evaluation(bleu_2=v)) for m, seeds in values.items() for i, v in enumerate(seeds)]
    board = only(tables(tmp_path, *runs))
    assert [is_best(row(board, name), "bleu_2") for name in ("mle", "b")] == [True, False]


@pytest.mark.parametrize(
    ("behind", "noisy"), [((0.60, 0.61, 0.62), (0.2, 0.5, 0.9)), ((0.40, 0.41, 0.42), (0.35, 0.65, 0.95))]
)
def test_what_is_told_from_nobody_is_not_bold(
    behind: tuple[float, ...], noisy: tuple[float, ...], tmp_path: Path
) -> None:
    """Neither with a worse mean than one that is behind, nor beside the best."""
    values = {"first": (0.70, 0.71, 0.72), "behind": behind, "noisy": noisy}
    others = [stats.ttest_ind(values[name], noisy, equal_var=False).pvalue for name in ("first", "behind")]
    assert min(others) > 0.05
    runs = [record(m, i, evaluation(bleu_2=v)) for m, seeds in values.items() for i, v in enumerate(seeds)]
    board = only(tables(tmp_path, *runs))
    assert [name for name in values if is_best(row(board, name), "bleu_2")] == ["first"]


def test_a_collapsed_row_takes_no_bold_from_others(tmp_path: Path) -> None:
    values = {"good": 0.5, "worse": 0.4, "collapsed": 0.9}
    runs = [r for name, v in values.items() for r in three(name, bleu_2=v)]
    runs = [replace(r, alarms=(COLLAPSE,)) if r.model == "collapsed" else r for r in runs]
    board = only(tables(tmp_path, *runs))
    assert {name: is_best(row(board, name), "bleu_2") for name in values} == {
        "good": True, "worse": False, "collapsed": False,
    }  # fmt: skip
    assert rank_of(board, "collapsed", "bleu_2") == 1


def test_where_nobody_is_behind_nobody_is_bold(tmp_path: Path) -> None:
    runs = [record(m, i, evaluation(bleu_2=v)) for m in ("mle", "b") for i, v in enumerate((0.3, 0.5, 0.7))]
    board = only(tables(tmp_path, *runs))
    assert not any(cell.strong for table in page_tables(board) for line in table.lines for cell in line.cells)
    assert not any("Bold" in line for line in legend(only_boards(tmp_path)))


def test_a_score_of_fewer_seeds_than_a_rank_needs_has_none_though_its_row_is_ranked(tmp_path: Path) -> None:
    def of(model: str, bleu: float) -> list[RunRecord]:
        return [record(model, i, evaluation(bleu_2=bleu + i / 1000, nll_gen=2.0)) for i in range(3)]

    without = [record("c", i, evaluation(nll_gen=2.0, **({"bleu_2": 0.9 + i / 1000} if i else {}))) for i in range(3)]
    board = only(tables(tmp_path, *of("a", 0.5), *of("b", 0.6), *without))
    assert (row(board, "c").status, row(board, "c").final["bleu_2"].n) == ("ranked", 2)
    assert {name: row(board, name).final["bleu_2"].rank for name in "abc"} == {"a": 2, "b": 1, "c": None}


def test_a_difference_from_the_baseline_is_judged_by_the_same_rule() -> None:
    random = np.random.default_rng(3)
    for target in (None, 0.62):
        values = {"mle": random.normal(0.5, 0.01, 3)}
        values |= {f"m{k}": random.normal(0.48 + k / 25, 0.01, 4) for k in range(5)}
        rows = rows_of(values, target)
        rank(rows, {"x": MEANING})
        means = [r.final["x"] for r in rows if r.status == "ranked"]
        found = beside_first(means, "higher", None if target is None else Target(target))
        assert (1 + found.count(-1), len(means) - found.count(1)) == (means[0].rank, means[0].rank_high)
        assert -1 in found


# Real text


def at_end(model: str, *seeds: dict[str, float], **changes: object) -> list[RunRecord]:
    return [record(model, i, evaluation(**values), **changes) for i, values in enumerate(seeds)]


def three(model: str, width: float = 0.001, **values: float) -> list[RunRecord]:
    """A row whose three seeds are `width` apart."""
    return at_end(model, *({key: v + d * width for key, v in values.items()} for d in (-1, 0, 1)))


def real(model: str = "real_text", **values: float) -> RunRecord:
    return record(model, None, evaluation("samples", phase="samples", **values))


def rank_of(board: Board, label: str, key: str) -> int | None:
    return row(board, label).final[key].rank


@pytest.mark.parametrize("key", ["self_bleu_2", "nll_oracle", "lm_score"])
def test_beyond_real_text_is_no_gain_and_the_records_word_is_not_asked(tmp_path: Path, key: str) -> None:
    scored = {"near": 0.52, "far": 0.58, "beyond": 0.40}
    runs = [r for model, value in scored.items() for r in three(model, **{key: value})]
    for i, one in enumerate(runs):  # as they were written when the direction was another
        old = {k: replace(s, better="lower") for k, s in one.evaluations[0].scores.items()}
        runs[i] = replace(one, evaluations=(replace(one.evaluations[0], scores=old),))
    board = only(tables(tmp_path, real(**{key: 0.5}), *runs))
    assert board.better[key] == "real"
    assert [rank_of(board, model, key) for model in ("near", "far", "beyond")] == [1, 2, 3]
    assert [row(board, model).final[key].beyond_real for model in scored] == [False, False, True]


def test_a_score_with_an_end_gains_nothing_beyond_real_text(tmp_path: Path) -> None:
    board = only(tables(tmp_path, real(bleu_2=0.7), *three("at", bleu_2=0.7), *three("over", bleu_2=0.8)))
    assert [rank_of(board, model, "bleu_2") for model in ("at", "over")] == [1, 1]
    assert not any(is_best(row(board, model), "bleu_2") for model in ("at", "over"))
    without = only(tables(tmp_path / "without", *three("at", bleu_2=0.7), *three("over", bleu_2=0.8)))
    assert [rank_of(without, model, "bleu_2") for model in ("at", "over")] == [2, 1]


def test_no_cell_beyond_real_text_is_bold(tmp_path: Path) -> None:
    scored = {"a": (0.71, 0.55), "b": (0.50, 0.90), "c": (0.90, 0.20)}
    runs = [r for m, (x, y) in scored.items() for r in three(m, bleu_2=x, self_bleu_2=y, unique=x)]
    board = only(tables(tmp_path, real(bleu_2=0.7, self_bleu_2=0.6, unique=0.7), *runs))
    cells = [cell for table in page_tables(board) for line in table.lines for cell in line.cells]
    assert any("†" in cell.mark for cell in cells)
    assert any(cell.strong for cell in cells)
    assert not any("†" in cell.mark and cell.strong for cell in cells)


def test_what_compares_with_the_training_text_has_held_out_text_as_its_real_text(tmp_path: Path) -> None:
    runs = [*three("honest", novelty=0.894), *three("copies", novelty=0.1)]
    train = real(novelty=0.081, unique=0.9)
    without = only(tables(tmp_path / "without", train, *runs))
    assert rank_of(without, "honest", "novelty") is None
    assert any("novelty: no ranks" in note and "real_text_test" in note for note in without.notes)
    board = only(tables(tmp_path / "with", train, real("real_text_test", novelty=0.8975, unique=0.9), *runs))
    assert [rank_of(board, model, "novelty") for model in ("honest", "copies")] == [1, 2]
    assert [r.label for r in board.rows[:2]] == ["real_text (train)", "real_text (test)"]
    assert not any("no ranks" in note for note in board.notes)


def test_real_text_of_fewer_sentences_is_no_target_of_what_their_number_moves(tmp_path: Path) -> None:
    values = {"self_bleu_2": 0.6, "unique": 0.9, "nll_oracle": 2.0}
    few = record("real_text", None, evaluation("samples", phase="samples", n=200, **values))
    runs = [*three("a", **values), *three("b", **{key: v + 0.05 for key, v in values.items()})]
    board = only(tables(tmp_path, few, *runs))
    assert [rank_of(board, model, "nll_oracle") for model in "ab"] == [1, 2]
    assert {rank_of(board, model, key) for model in "ab" for key in ("self_bleu_2", "unique")} == {None}
    assert any("self_bleu_2, unique: no ranks" in note and "fewer sentences" in note for note in board.notes)
    assert not any(r.final[key].beyond_real for r in board.rows for key in ("self_bleu_2", "unique"))


def test_nobody_is_ranked_by_the_likelihood_of_the_valid_samples_alone(tmp_path: Path) -> None:
    runs = [*three("few", nll_oracle_valid=1.7), *three("many", nll_oracle_valid=2.0)]
    board = only(tables(tmp_path, real(nll_oracle_valid=2.1), *runs))
    assert all(r.final["nll_oracle_valid"].rank is None for r in board.rows)


# Broken rows and small budgets

COLLAPSE = Alarm(kind="collapse", phase="adversarial", step=6, message="0.0% of the samples are distinct")


def joint(model: str, jaccard: float, reverse: float, **more: float) -> list[RunRecord]:
    return three(model, ms_jaccard_2=jaccard, reverse_lm_score=reverse, **more)


def test_the_front_is_of_scores_that_no_broken_row_wins_and_no_row_that_fails_a_floor(tmp_path: Path) -> None:
    invalid = joint("invalid", 0.9, 2.1, validity=0.2)
    collapsed = [replace(r, alarms=(COLLAPSE,)) if r.seed == 1 else r for r in joint("collapsed", 0.95, 2.0)]
    good = [*joint("a", 0.8, 2.4, validity=0.95), *joint("b", 0.7, 2.3, validity=0.9), *joint("c", 0.6, 2.6)]
    board = only(tables(tmp_path, *invalid, *collapsed, *good))
    assert [r.label for r in board.rows if r.front] == ["a", "b"]
    assert rank_of(board, "collapsed", "ms_jaccard_2") == 1
    assert not is_best(row(board, "collapsed"), "ms_jaccard_2")
    again = [replace(r, alarms=(COLLAPSE,)) for r in three("collapsed", bleu_2=0.9, self_bleu_2=0.1)]
    curve = only(tables(tmp_path / "curve", *again, *three("a", bleu_2=0.5, self_bleu_2=0.5))).curves[0]
    assert {trace.label: trace.points[0].front for trace in curve.traces} == {"a": True, "collapsed": False}
    text = to_markdown(only_boards(tmp_path))
    assert "front of ms_jaccard_2 and reverse_lm_score" in text
    assert "1 of 3" in text


def only_boards(folder: Path):
    from leaderboards.boards import build

    return build([folder / "runs"])


def test_an_alarm_before_the_last_phase_is_no_collapse_of_the_result(tmp_path: Path) -> None:
    early = replace(COLLAPSE, phase="mle")
    runs = [replace(r, alarms=(early,)) for r in three("recovered", bleu_2=0.5)]
    assert row(only(tables(tmp_path, *runs)), "recovered").collapsed == 0


def reading(model: str, real_sentences: int, scale: str) -> list[RunRecord]:
    phases = (PhaseCost(name="mle", steps=3, seconds=1.0, real_sentences=real_sentences),)
    return [replace(r, phases=phases, scale=scale) for r in three(model, bleu_2=0.5)]


def test_rows_on_fewer_real_sentences_than_the_baseline_are_under_trained_at_a_reduced_scale(tmp_path: Path) -> None:
    for scale, expected in (("small", "under-trained"), ("paper", "ranked")):
        rows = [("mle", 900), ("short", 899), ("long", 900)]
        board = only(tables(tmp_path / scale, *(r for model, n in rows for r in reading(model, n, scale))))
        assert {r.label: r.status for r in board.rows} == {"mle": "ranked", "long": "ranked", "short": expected}
        assert row(board, "short").real_sentences == 899
        assert (rank_of(board, "short", "bleu_2") is None) == (scale == "small")
        lines = csv_lines(only_boards(tmp_path / scale))
        found = {(line["label"], line["real_sentences"], line["status"]) for line in lines}
        assert ("short", 899, expected) in found
        assert any(c.title == "real sentences read" for table in page_tables(board) for c in table.columns)
    alone = only(tables(tmp_path / "alone", *reading("short", 1, "small")))
    assert row(alone, "short").status == "ranked"  # no baseline, nothing to be short of


# Intervals


def test_one_seed_has_no_interval_no_rank_and_no_mark(tmp_path: Path) -> None:
    board = only(tables(tmp_path, real(bleu_2=0.5), record("one", 0, evaluation(bleu_2=0.9))))
    mean = row(board, "one").final["bleu_2"]
    assert (mean.half_width, mean.rank, mean.beyond_real) == (None, None, False)
    assert "One seed: no interval, no rank" in to_markdown(only_boards(tmp_path))


@pytest.mark.parametrize(
    ("value", "half", "bounds", "text"),
    [
        (0.605, 1.015, (0.0, 1.0), " [0.000, 1.000]"),
        (0.008, 0.013, (0.0, 1.0), " [0.000, 0.021]"),
        (0.5, 0.1, (0.0, 1.0), "±.100"),
        (1.0, 0.0, (0.0, 1.0), "±0"),
        (2.1, 3.0, (0.0, None), " [0.000, 5.100]"),
        (2.1, 3.0, (None, None), "±3.000"),
    ],
)
def test_no_interval_is_printed_beyond_the_range_of_its_score(value, half, bounds, text) -> None:
    assert uncertainty_text(value, half, "score", bounds) == text
    low, high = ends(value, half, bounds)
    assert low <= value <= high


def test_no_table_has_an_interval_beyond_the_range_of_its_score(tmp_path: Path) -> None:
    wild = {"bleu_2": (0.1, 0.9, 0.4), "unique": (0.99, 1.0, 0.2), "nll_gen": (0.1, 4.0, 9.0), "validity": (0, 0.1, 0)}
    seeds = [{key: values[i] for key, values in wild.items()} for i in range(3)]
    first = [evaluation("phase_end", phase="mle", **{k: 0.9 - v / 10 for k, v in one.items()}) for one in seeds]
    before = [replace(one, step=3) for one in first]
    runs = [record("wild", i, before[i], evaluation(**s)) for i, s in enumerate(seeds)]
    board = only(tables(tmp_path, *runs))
    printed = 0
    for table in page_tables(board):
        for column, line in itertools.product(range(len(table.columns)), table.lines):
            cell, own = line.cells[column], table.columns[column]
            if cell.uncertainty and own.kind in ("score", "change"):
                low, high = own.bounds
                clipped = "[" in own.text(cell)
                beyond = [low is not None and cell.value - cell.uncertainty < low]
                beyond += [high is not None and cell.value + cell.uncertainty > high]
                assert clipped == any(beyond), own.title
                printed += clipped
    assert printed >= 5
    found = [line for line in csv_lines(only_boards(tmp_path)) if line["half_width"]]
    assert all(line["low"] >= 0 or line["table"] == "gain" for line in found)
    assert all(-1 <= line["low"] <= line["high"] <= 1 for line in found if line["key"] != "nll_gen")
