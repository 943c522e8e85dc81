"""Means, intervals and ranks over seeds. The unit of replication is the seed, never the sentence.

The interval is Student's t over seeds, 95%, two-sided: half width = t(0.975, n - 1) s / sqrt(n). With one seed there is
none. Nothing is rounded here.

**Whether two rows are told apart.** Welch's t for their two means over seeds (Welch, The generalization of "Student's"
problem when several different population variances are involved, Biometrika 34, 1947); the p-values of one row's
comparisons with all others are corrected by Holm's procedure (A simple sequentially rejective multiple test procedure,
Scandinavian Journal of Statistics 6, 1979) at 5%. So all that is said of one row is right with probability 95%, and
its places, from 1 + the clearly better rows to all but the clearly worse, are a marginal confidence interval of its
rank: for one row, not for all rows of a table at once. What a row is over the baseline is judged the same way, by the
baseline's comparisons. Bold asks for more than the first place: even without the correction
some row is worse and none is better, nor is one better than any row with a better mean.

**Beyond real text nothing is gained.** With t the value of real text, whose standard error over its sentences is known:

- direction "real": the loss of a mean m is |m - t|. |m_1 - t| < |m_2 - t| says that m_1 - m_2 and m_1 + m_2 - 2 t have
  opposite signs; both signs must be shown (an intersection-union test: the larger p counts).
- "higher" and "lower": the loss is what is missing to real text, 0 beyond it. One row is better than another if its
  mean is better and the other's is short of real text; again both must be shown.

Means whose seeds are all equal have no error: two such are the same or different, without a test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bench.record import HELD_OUT_TEXT, REAL_TEXT
from bench.seeds import CONFIDENCE, half_width, mean_over_seeds
from leaderboards.headline import REWRITING
from leaderboards.schema import (
    RANKED_SEEDS,
    RankedMean,
    Row,
)
from metrics.common.base import Better, Meaning, Side

__all__ = [
    "INSTEAD",
    "Target",
    "beside_first",
    "difference",
    "discoveries",
    "fill",
    "front_keys",
    "is_beyond",
    "mark_beyond_real",
    "mark_front",
    "one_sample",
    "pareto",
    "rank",
    "seed_mean",
    "targets",
    "two_sample",
]

Floats = NDArray[np.float64]

INSTEAD = {"lm_score": "lm_score_known", "reverse_lm_score": "reverse_lm_score_known"}
"""A score that words outside the test's vocabulary move -> what ranks in its place where all ranked rows have it."""
_EQUAL = 1e-12
"""A smaller difference of what has no error is one of rounding; between seeds, of max(1, |value|)."""
_BOTH = 1.96 * math.sqrt(2)
"""Standard errors of the 95% interval of a difference, where the other side has an error as large."""
_MANY = 1e9
"""Degrees of freedom of an error that is known."""


@dataclass(frozen=True)
class Target:
    """What real text has."""

    value: float
    error: float = 0.0
    """Standard error over its sentences: another draw of real text would have another value."""


def targets(rows: Iterable[Row], meanings: Mapping[str, Meaning]) -> dict[str, Target]:
    """Score key -> the value of real text, where it is known.

    What compares with the training text has held-out text as its real text: training sentences are copies of it. Of
    fewer sentences than the models drew, real text has no value for a score that their number moves.
    """
    real = {row.model: row for row in rows if row.model in (REAL_TEXT, HELD_OUT_TEXT)}
    found = {}
    for key, meaning in meanings.items():
        row = real.get(HELD_OUT_TEXT if meaning.held_out else REAL_TEXT)
        if row is not None and key in row.final and not (row.own_count and meaning.by_count):
            errors = [run.standard_errors.get(key, 0.0) for run in row.runs]
            found[key] = Target(row.final[key].mean, errors[0] if errors else 0.0)
    return found


def rank(rows: Sequence[Row], meanings: Mapping[str, Meaning]) -> None:
    """Places per key. "real" ranks by the distance to real text, and not at all where its value is not known."""
    ranked = [row for row in rows if row.status == "ranked"]
    known = targets(rows, meanings)
    for key, meaning in meanings.items():
        if not meaning.ranked or (meaning.better == "real" and key not in known) or _is_replaced(key, ranked):
            continue
        having = [row for row in ranked if key in row.final and row.final[key].n >= RANKED_SEEDS]
        if not having:
            continue
        means = [row.final[key] for row in having]
        better, worse, ahead = _apart(means, meaning.better, known.get(key))
        sound = np.array([not row.fails_floor for row in having])
        leads = _leading(_loss(np.array([mean.mean for mean in means]), meaning.better, known.get(key)), ahead, sound)
        for i, mean in enumerate(means):
            mean.rank, mean.rank_high = 1 + int(better[i].sum()), len(means) - int(worse[i].sum())
            mean.leads = bool(leads[i])


def _leading(loss: Floats, ahead: NDArray[np.bool_], sound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(k,): `RankedMean.leads`, among the rows that are `sound` (k,). `ahead` (k, k): row j is better than row i."""
    ahead = ahead & sound[:, None] & sound[None, :]
    behind = ahead.any(1)
    first = loss[behind].min() if behind.any() else -math.inf
    return ahead.any(0) & (loss < first)


def _is_replaced(key: str, ranked: Sequence[Row]) -> bool:
    """Whether every ranked row that has a score has the one that ranks in its place (`INSTEAD`)."""
    return key in INSTEAD and all(INSTEAD[key] in row.final for row in ranked if key in row.final)


def beside_first(means: Sequence[RankedMean], better: Better, target: Target | None) -> list[int]:
    """-1 of each mean that is clearly better than the first one, 1 if clearly worse, else 0, by the rule of the ranks.

    It is told by the comparisons of the first one. All have that many seeds that a rank needs.
    """
    above, below, _ = (found[0] for found in _apart(means, better, target))
    return [int(worse) - int(better) for better, worse in zip(above, below, strict=True)]


def discoveries(p: Sequence[float], sides: Sequence[int]) -> list[bool]:
    """Which of a family of two-sided tests are told on their side, -1 or 1 (0: on neither, never told).

    Each side's count has a false discovery rate of at most 2.5%, as two-sided intervals of 95% leave 2.5% to each side:
    Benjamini and Hochberg's procedure (J. R. Stat. Soc. B 57, 1995) on the one-sided p of all tests, once for each
    side. One family of both sides would let the sure ones of one side pay for the doubtful ones of the other.
    """
    from scipy.stats import false_discovery_control  # half a second that only findings need

    told = np.zeros(len(p), bool)
    for side in (-1, 1) if len(p) else ():
        adjusted = false_discovery_control([_one_sided(*each, side) for each in zip(p, sides, strict=True)])
        told |= adjusted <= (1 - CONFIDENCE) / 2
    return told.tolist()


def _one_sided(p: float, own: int, side: int) -> float:
    """Of a two-sided p of a test that came out on its own side; over a half on the other one."""
    if not own:
        return 1.0
    return p / 2 if own == side else 1 - p / 2


def _apart(means: Sequence[RankedMean], better: Better, target: Target | None) -> tuple[NDArray[np.bool_], ...]:
    """(k, k) thrice: whether row j is clearly better than row i, and whether clearly worse, by the comparisons of i;
    and whether it is better by the test of this pair alone.
    """
    values = np.array([mean.mean for mean in means])
    loss, p = _loss(values, better, target), _p_values(means, better, target)
    lower, clear = loss[None, :] < loss[:, None], _holm(p)
    return clear & lower, clear & (loss[None, :] > loss[:, None]), (p <= 1 - CONFIDENCE) & lower


def _loss(values: Floats, better: Better, target: Target | None) -> Floats:
    """What is missing to real text, or to nothing where its value is not known."""
    if better == "real":
        assert target is not None
        return np.abs(values - target.value)
    loss = -values if better == "higher" else values
    return loss if target is None else np.maximum(0.0, loss - (-target.value if better == "higher" else target.value))


def _p_values(means: Sequence[RankedMean], better: Better, target: Target | None) -> Floats:
    """(k, k) two-sided p of each pair, exact where it is at most 5%; 1 on the diagonal."""
    values = np.array([mean.mean for mean in means])
    squares = np.array([(mean.std or 0.0) ** 2 / mean.n for mean in means])
    degrees = np.array([mean.n - 1 for mean in means])
    i, j = np.triu_indices(len(means), 1)
    pairs = _two_sided(values[i] - values[j], (squares[i], degrees[i]), (squares[j], degrees[j]))
    if better == "real":
        assert target is not None
        open_ = np.flatnonzero(pairs <= 1 - CONFIDENCE)  # the others are not told apart already
        a, b = i[open_], j[open_]
        sides = (squares[a], degrees[a]), (squares[b], degrees[b])
        sums = _two_sided(values[a] + values[b] - 2 * target.value, *sides, known=4 * target.error**2)
        pairs[open_] = np.maximum(pairs[open_], sums)
    elif target is not None:
        loss = _loss(values, better, target)
        short = _two_sided(loss, (squares, degrees), known=target.error**2)
        pairs = np.maximum(pairs, np.where(loss[i] > loss[j], short[i], short[j]))
    found = np.ones((len(means), len(means)))
    found[i, j] = found[j, i] = pairs
    return found


def _welch(*parts: tuple[Floats, Floats], known: float = 0.0) -> tuple[Floats, Floats]:
    """Squared standard error of a sum and its degrees of freedom, from (square, degrees) of its parts.

    `known`: of a part whose error is known.
    """
    square = sum((square for square, _ in parts), np.zeros(1)) + known
    spread = sum((square**2 / degrees for square, degrees in parts), np.zeros(1))
    return square, np.where(spread > 0, square**2 / np.where(spread > 0, spread, 1.0), _MANY)


def _two_sided(gap: Floats, *parts: tuple[Floats, Floats], known: float = 0.0) -> Floats:
    """p of Student's t = gap / standard error; without an error 0 or 1."""
    square, degrees = _welch(*parts, known=known)
    p = np.where(np.abs(gap) > _EQUAL, 0.0, 1.0)
    random = np.broadcast_to(square > 0, p.shape)
    t = np.abs(gap[random]) / np.sqrt(square[random])
    p[random] = 2 * special.stdtr(degrees[random], -t)
    return p


def _holm(p: Floats) -> NDArray[np.bool_]:
    """(k, k) p of the comparisons of each row with the others -> which stay after Holm's correction in the row.

    The step-down without sorting: what is rejected leaves a smaller family, until nothing more is.
    """
    others = len(p) - 1
    rejected = np.zeros(len(p), np.int64)
    while True:
        clear = p <= ((1 - CONFIDENCE) / np.maximum(1, others - rejected))[:, None]
        found = np.count_nonzero(clear, axis=1)
        if (found == rejected).all():
            return clear
        rejected = found


def difference(a: RankedMean, b: RankedMean) -> RankedMean:
    """a - b of independent seeds, with the 95% interval of Welch's t; none where one of them has a single seed."""
    half = None
    if a.std is not None and b.std is not None:
        square, degrees = _welch(*((np.array([(c.std or 0.0) ** 2 / c.n]), np.array([c.n - 1.0])) for c in (a, b)))
        half = float(special.stdtrit(degrees[0], (1 + CONFIDENCE) / 2) * math.sqrt(square[0]))
    return RankedMean(mean=a.mean - b.mean, std=None, half_width=half, n=min(a.n, b.n))


def two_sample(a: RankedMean, b: RankedMean) -> float:
    """Two-sided p of Welch's t for two means over independent seeds, at least two each; 0 or 1 without any spread."""
    parts = ((np.array([(side.std or 0.0) ** 2 / side.n]), np.array([side.n - 1.0])) for side in (a, b))
    return float(_two_sided(np.array([a.mean - b.mean]), *parts)[0])


def one_sample(change: RankedMean) -> float:
    """Two-sided p of Student's t against no change, over two seeds or more; 0 or 1 without any spread."""
    part = (np.array([(change.std or 0.0) ** 2 / change.n]), np.array([change.n - 1.0]))
    return float(_two_sided(np.array([change.mean]), part)[0])


def is_beyond(mean: RankedMean, target: Target | None, side: Side) -> bool:
    """Whether the whole interval is beyond real text; a single seed has no interval, so nothing is said of it."""
    if target is None or not side or mean.half_width is None:
        return False
    ahead = (mean.mean - target.value) * (1 if side == "higher" else -1)
    return ahead > mean.half_width + _EQUAL


def mark_beyond_real(rows: Iterable[Row], meanings: Mapping[str, Meaning], known: Mapping[str, Target]) -> None:
    """Mark what is beyond real text by more than its interval, at every temperature.

    A file that answers the inputs of a task has no seeds; its interval is that of its sentences and of people's.
    """
    for row in rows:
        if row.model in (REAL_TEXT, HELD_OUT_TEXT):
            continue
        for means in (row.final, *row.sweep.values()):
            for key, mean in means.items():
                mean.beyond_real = is_beyond(_with_interval(row, key, mean), known.get(key), meanings[key].side)


def _with_interval(row: Row, key: str, mean: RankedMean) -> RankedMean:
    if row.origin != "samples" or mean.half_width is not None or REWRITING not in row.final:
        return mean
    errors = [run.standard_errors[key] for run in row.runs if key in run.standard_errors]
    return replace(mean, half_width=_BOTH * errors[0]) if errors else mean


def front_keys(rows: Iterable[Row]) -> tuple[str, str] | None:
    """Reverse LM score, of known words where a row has that, and the MS-Jaccard of the highest order.

    Both see quality and diversity at once, each by other means: a model that lacks either wins neither. BLEU and
    Self-BLEU would not do, as whoever collapses or writes noise is the best in one of them.
    """
    keys = {key for row in rows if row.status == "ranked" for key in row.final}
    orders = [n for n in range(9, 0, -1) if f"ms_jaccard_{n}" in keys]
    ranked = [row for row in rows if row.status == "ranked"]
    reverse = "reverse_lm_score"
    reverse = INSTEAD[reverse] if INSTEAD[reverse] in keys and _is_replaced(reverse, ranked) else reverse
    return (f"ms_jaccard_{orders[0]}", reverse) if orders and reverse in keys else None


def mark_front(rows: Sequence[Row], meanings: Mapping[str, Meaning]) -> None:
    """Mark the ranked rows that no other one beats in both scores, and that fail no floor."""
    if (keys := front_keys(rows)) is None:
        return
    having = [row for row in rows if row.status == "ranked" and set(keys) <= row.final.keys() and not row.fails_floor]
    if len(having) > 1:
        signs = [-1.0 if meanings[key].side == "higher" else 1.0 for key in keys]
        losses = [(signs[0] * row.final[keys[0]].mean, signs[1] * row.final[keys[1]].mean) for row in having]
        for row, front in zip(having, pareto(losses), strict=True):
            row.front = front


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which of some pairs of losses no other pair is as low as in both and lower than in one."""
    front = [False] * len(points)
    best, last = math.inf, (math.inf, math.inf)
    for i in sorted(range(len(points)), key=lambda i: points[i]):
        front[i] = points[i][1] < best or points[i] == last
        if points[i][1] < best:
            best, last = points[i][1], points[i]
    return front


def seed_mean(values: Sequence[float]) -> RankedMean:
    """Of one value per seed; at least one."""
    found = mean_over_seeds(values)
    assert found is not None
    return RankedMean(mean=found.mean, std=found.std, half_width=found.half_width, n=found.n)


def fill(rows: Sequence[Row]) -> list[str]:
    """Put means and intervals of the completed runs into the rows; returns what has fewer seeds than its row."""
    groups: dict[tuple[int, str, float, str], int] = {}
    found = [(groups.setdefault(place, len(groups)), value) for place, value in _by_table(rows)]
    frame = pd.DataFrame(found, columns=["group", "value"])  # a number for each group: texts are slow to sort there
    grouped = frame.groupby("group")["value"].agg(["count", "mean", "std", "min", "max", "median"])
    moments = list(grouped.itertuples(index=False, name=None))
    fewer = []
    for (index, table, temperature, key), number in sorted(groups.items()):
        count, mean, std, low, high, median = moments[number]
        row, n = rows[index], int(count)
        equal = high - low <= _EQUAL * max(1.0, abs(high))  # a score without chance, apart by rounding at most
        spread = (0.0 if equal else float(std)) if n > 1 else None
        made = RankedMean(mean=float(low if equal else mean), std=spread, half_width=half_width(spread, n), n=n)
        if table == "seconds":
            row.seconds[key] = float(median)
        elif table == "gain":
            row.gain[key] = made
        else:
            row.sweep.setdefault(temperature, {})[key] = made
        if table == "end" and n < row.n_completed:
            at = "" if temperature == 1.0 else f" at temperature {temperature:g}"
            fewer.append(f"{row.label}: {key}{at} over {n} of {row.n_completed} completed seeds")
    for row in rows:
        row.final = {key: replace(c) for key, c in row.sweep.get(1.0, {}).items()}  # these get ranks
        names = dict.fromkeys(name for run in row.runs for name, _ in run.borders)
        row.seconds = {name: row.seconds[name] for name in names if name in row.seconds}
    return fewer


def _by_table(rows: Sequence[Row]) -> Iterable[tuple[tuple[int, str, float, str], float]]:
    """(Row, table, temperature, key) and value of every completed run."""
    for index, row in enumerate(rows):
        for run in (run for run in row.runs if run.status == "completed"):
            for temperature, values in run.values.items():
                yield from (((index, "end", temperature, key), value) for key, value in values.items())
            yield from (((index, "gain", 1.0, key), value) for key, value in run.gain.items())
            yield from (((index, "seconds", 1.0, name), value) for name, value in run.seconds.items())
