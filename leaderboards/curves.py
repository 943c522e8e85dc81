"""Quality against diversity over temperature, and quality at matched diversity.

One temperature ranks models by where on their own curve they happen to stand: cooling a language model raises BLEU and
costs diversity. So every model is drawn as a curve over temperature, and is compared with the curve of MLE.

**Sources.** Caccia, Caccia, Fedus, Larochelle, Pineau and Charlin, Language GANs Falling Short, ICLR 2020,
https://arxiv.org/abs/1811.02549 (temperature sweeps for every model, BLEU against Self-BLEU and LM against reverse-LM
score). Semeniuta, Severyn and Gelly, On Accurate Evaluation of GANs for Language Generation, 2018,
https://arxiv.org/abs/1806.04936 (seeds instead of the best run, reverse LM). Alihosseini, Montahaei and Soleymani
Baghshah, Jointly Measuring Diversity and Quality in Text Generation Models, NeuralGen 2019,
https://aclanthology.org/W19-2311 (neither of the two says anything without the other).

**Matched diversity.** d is the baseline's mean diversity at temperature 1. For every seed of a row, the points in the
order of temperature are joined by straight lines, and the quality where the line crosses d is read off; the best one
if it crosses several times, as whoever uses the model would choose. Mean and t-interval are over the seeds; d is taken
as a constant. The baseline's own value is its quality at temperature 1. If one seed's line does not reach d there is no
value, and the reason says so: extrapolating, or keeping only the seeds that reach it, would flatter. In the same way
diversity is read off where the quality is the baseline's.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from leaderboards.headline import HEADLINES
from leaderboards.schema import RANKED_SEEDS, Board, Curve, CurvePoint, RankedMean, Row, Trace
from leaderboards.statistics import Target, beside_first, difference, is_beyond, pareto, seed_mean
from metrics.common.base import Meaning

__all__ = ["PAIRS", "curves_of", "lines_of", "quality_at"]

PAIRS = (
    *HEADLINES,
    *((f"self_bleu_{n}", f"bleu_{n}") for n in (2, 3, 4, 5)),
    ("nll_gen", "nll_oracle"),
    ("self_bleu_2", "nll_oracle"),
    ("self_bleu_3", "validity"),
)
"""(what is matched, what is read off there). Where the truth is known, the two divergences come first, and the frontier
of true NLL against the model's own entropy, whose difference is one of them ("Generative Frontiers", 2026,
https://arxiv.org/abs/2604.02718). On text the headline is the next: lm_score falls with temperature all the way, so
every row that is swept far enough has one point with the baseline's quality, and reverse_lm_score says what it costs.
The other way round it is ill-posed: reverse_lm_score is lowest near temperature 1, where the baseline stands, and no
other row reaches its value. BLEU at matched Self-BLEU is what the literature prints; a sharpened n-gram model does well
in it. NLL is measured at temperature 1 only, so there nll_gen gives a point for each row."""


def curves_of(board: Board, targets: Mapping[str, Target]) -> list[Curve]:
    """The curves of a board whose rows have their means; a pair that fewer than two rows have is left out.

    `targets`: the value of real text by key.
    """
    rows = [*board.rows, *board.apart]
    baseline = next((row for row in board.rows if row.baseline), None)
    found = []
    for x, y in PAIRS:
        traces = [trace for row in rows if (trace := _trace(row, x, y)) is not None]
        if len(traces) < 2:
            continue
        base = next((t for t in traces if baseline is not None and t.label == baseline.label), None)
        at_one = next((p for p in base.points if p.temperature == 1.0), None) if base is not None else None
        curve = Curve(
            name=f"{y}-{x}",
            x=x,
            y=y,
            x_better=board.meanings[x].side,
            y_better=board.meanings[y].side,
            traces=traces,
            baseline=base.label if base is not None else None,
            diversity=at_one.x.mean if at_one is not None else None,
        )
        _match(curve, board.meanings[y], targets.get(y))
        _mark_front(curve, {row.label for row in rows if row.status == "ranked" and not row.fails_floor})
        found.append(curve)
    return found


def _trace(row: Row, x: str, y: str) -> Trace | None:
    points = []
    for temperature in sorted(row.sweep):
        runs = [(run.seed, run.values.get(temperature, {})) for run in row.runs if run.status == "completed"]
        seeds = [(seed, values[x], values[y]) for seed, values in runs if x in values and y in values]
        if seeds:
            means = seed_mean([s[1] for s in seeds]), seed_mean([s[2] for s in seeds])
            points.append(CurvePoint(temperature=temperature, x=means[0], y=means[1], seeds=seeds))
    return Trace(label=row.label, model=row.model, status=row.status, points=points) if points else None


def _match(curve: Curve, meaning: Meaning, target: Target | None) -> None:
    """Fill `matched`, `over_baseline` and `reason` of every trace."""
    base = next((t for t in curve.traces if t.label == curve.baseline), None)
    if base is None or curve.diversity is None:
        for trace in curve.traces:
            trace.reason = "the board has no MLE row at temperature 1"
        return
    base.matched = next(replace(p.y) for p in base.points if p.temperature == 1.0)
    for trace in (t for t in curve.traces if t is not base):
        trace.matched, trace.reason = _matched(trace, curve)
        if trace.matched is not None:
            trace.over_baseline = difference(trace.matched, base.matched)
    for trace in curve.traces:
        if trace.matched is not None:
            trace.matched.beyond_real = is_beyond(trace.matched, target, meaning.side)
    compared = [(t.matched, t.over_baseline) for t in curve.traces if t.matched and t.over_baseline]
    tested = [(mean, over) for mean, over in compared if mean.n >= RANKED_SEEDS]
    if meaning.ranked and base.matched.n >= RANKED_SEEDS and (meaning.better != "real" or target is not None):
        found = beside_first([base.matched, *(mean for mean, _ in tested)], meaning.better, target)
        for (mean, over), side in zip(tested, found[1:], strict=True):
            over.clearly_better = side < 0 and not mean.beyond_real


def _matched(trace: Trace, curve: Curve) -> tuple[RankedMean | None, str]:
    if len(trace.points) < 2:
        return None, f"scored at temperature {trace.points[0].temperature:g} only"
    if curve.diversity is None:
        return None, "no diversity to match"
    runs = lines_of(trace)
    found = {seed: quality_at(points, curve.diversity, curve.y_better) for seed, points in runs.items()}
    if missing := [seed for seed, value in found.items() if value is None]:
        low = min(x for seed in missing for x, _ in runs[seed])
        high = max(x for seed in missing for x, _ in runs[seed])
        seeds = "" if len(missing) == len(found) else f" (seed {', '.join(map(str, missing))})"
        return None, f"{curve.x} {curve.diversity:.3f} is not reached by {low:.3f} to {high:.3f}{seeds}"
    return seed_mean([value for value in found.values() if value is not None]), ""


def lines_of(trace: Trace) -> dict[int | None, list[tuple[float, float]]]:
    """Seed -> its points (x, y), from cold to hot."""
    lines: dict[int | None, list[tuple[float, float]]] = {}
    for seed, x, y in itertools.chain.from_iterable(point.seeds for point in trace.points):
        lines.setdefault(seed, []).append((x, y))
    return lines


def quality_at(points: Sequence[tuple[float, float]], diversity: float, y_better: str) -> float | None:
    """Best quality where the line through (diversity, quality) points crosses a diversity; None if it never does."""
    crossings = [y for x, y in points if x == diversity]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if min(x0, x1) < diversity < max(x0, x1):
            crossings.append(y0 + (y1 - y0) * (diversity - x0) / (x1 - x0))
    best = min if y_better == "lower" else max
    return best(crossings, default=None)


def _mark_front(curve: Curve, sound: Collection[str]) -> None:
    """`sound`: labels of the rows that may be on it."""
    points = [point for trace in curve.traces if trace.label in sound for point in trace.points]
    signs = [1.0 if better == "lower" else -1.0 for better in (curve.x_better, curve.y_better)]
    losses = [(signs[0] * point.x.mean, signs[1] * point.y.mean) for point in points]
    for point, front in zip(points, pareto(losses), strict=True):
        point.front = front
