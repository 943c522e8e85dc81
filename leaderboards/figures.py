"""Every figure as data, and how rows look: matplotlib and plotly draw these and compute nothing.

A model has one colour, one marker and one line in every picture of a build, counted over all boards. All three differ
together, so that no reader needs the colour; of several rows of one model on a board every second has open markers.
Palette: Okabe and Ito, Color Universal Design, 2008, shifted where it would be too faint on its ground.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.record import REAL_TEXT, RunRecord
from bench.registry import meaning_of
from leaderboards.headline import headline_keys
from leaderboards.schema import BASELINE, CONTROL, REFERENCES, Board, Boards, Curve, Row, RunView, Trace
from metrics.common.base import Bounds, Meaning

__all__ = ["DASHES", "MARKERS", "PALETTE", "Figure", "curve_figures", "learning_figures", "looks_of", "run_figures"]

PALETTE = {
    "mle": ("#1a1e23", "#f4f6f8"),
    "ref": ("#6b7580", "#8d97a2"),
    "s0": ("#0072b2", "#4ba3e0"),
    "s1": ("#d55e00", "#f0803c"),
    "s2": ("#008a64", "#2cc295"),
    "s3": ("#b8578f", "#dd8fbb"),
    "s4": ("#b57b00", "#e6a72b"),
    "s5": ("#3a94cf", "#8fd0f7"),
}
"""Name of a colour -> the colour on a light ground, as in print, and on a dark one."""
MARKERS = {
    "square": ("s", "■□"),
    "diamond": ("D", "◆◇"),
    "triangle-up": ("^", "▲△"),
    "triangle-down": ("v", "▼▽"),
    "cross": ("P", "✚✙"),
    "pentagon": ("p", "⬟⬠"),
    "hexagon": ("h", "⬢⬡"),
    "circle": ("o", "●○"),
    "star": ("*", "★☆"),
    "x-thin": ("x", "✕✕"),
    "cross-thin": ("+", "++"),
    "triangle-right": (">", "►▻"),
    "diamond-tall": ("d", "♦♢"),
    "triangle-left": ("<", "◄◅"),
    "hexagon2": ("H", "⬣⬡"),
    "star-triangle-up": ("2", "▴▵"),
    "star-triangle-down": ("1", "▾▿"),
    "x": ("X", "✖✗"),
    "octagon": ("8", "⬤◯"),
}
"""plotly's name -> matplotlib's, and the letters that stand for the marker in text, filled and open."""
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": "--",
    "dashdot": "-.",
    "longdash": (0, (5, 1)),
    "longdashdot": (0, (3, 1, 1, 1, 1, 1)),
    "dot": ":",
}
"""plotly's name -> matplotlib's."""
_COLOURS = tuple(PALETTE)[2:]
_SHAPES = tuple(MARKERS)[:7]
"""Of models: six colours and seven markers, so that 42 models differ in the pair."""
_OF_REFERENCES = dict(zip(REFERENCES, tuple(MARKERS)[8:], strict=True))
_LINES = tuple(DASHES)[:5]
_SHOWN = 12
"""Rows that a page's figure shows at first; the others wait in its legend."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a row looks."""

    colour: str
    """Its name in `PALETTE`."""
    marker: str
    """plotly's name."""
    filled: bool = True
    dash: str = "solid"
    """plotly's name."""
    width: float = 1.1
    """Of the line, points."""

    @property
    def glyph(self) -> str:
        """The marker as a letter."""
        return MARKERS[self.marker][1][not self.filled]


Border = tuple[str, int]
"""A phase and its last step."""
Looks = Mapping[int, Mapping[str, Look]]
"""Number of a board -> label of a row -> its look."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A mean over seeds, or what one seed has."""

    x: float
    y: float
    x_half: float | None = None
    """Half width of the interval of x; None for one seed."""
    y_half: float | None = None
    n: int = 1
    """Seeds that the mean is over, or that stand beside this one."""
    temperature: float = 1.0
    seed: int | None = None
    front: bool = False
    """On the front of the ranked rows."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """What is drawn of one row: means joined by a line, and the seeds."""

    label: str
    look: Look
    points: Sequence[Point]
    seeds: Sequence[Point] = ()
    """Of learning curves, one seed after another."""
    borders: Sequence[Border] = ()
    """Its phases, in order."""
    model: str = ""
    trained: bool = True
    """Whether training moves parameters of it."""
    waits: bool = False
    """Hidden until it is asked for, where there is somebody to ask."""


@dataclass(frozen=True)
class Axis:
    """What an axis shows."""

    title: str
    better: str = ""
    """higher, lower or real; empty where no end is better."""
    up_to_real: bool = False
    """Whether that end is better only as far as real text."""
    bounds: Bounds = (None, None)
    """What a value cannot leave."""


@dataclass(frozen=True)
class Level:
    """A line at one height, to compare with."""

    name: str
    y: float
    look: Look


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure, drawn so that up, or up and to the right, is better."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    baseline: str | None = None
    """Label of the series that the others are compared with."""
    diversity: float | None = None
    """x at which qualities are compared."""
    levels: Sequence[Level] = ()
    borders: Sequence[Border] = ()
    """Phases of all series."""


_STEPS = Axis("training steps, all phases")


def looks_of(boards: Boards) -> Looks:
    """How every row of every board looks."""
    rows = {board.number: [*board.rows, *board.apart] for board in boards.boards}
    first = _of_models(rows)
    first |= {model: Look(colour="ref", marker=_OF_REFERENCES[model], dash="dot", width=0.9) for model in REFERENCES}
    first[BASELINE] = Look(colour="mle", marker="circle", width=1.6)
    return {number: _of_board(of_board, first) for number, of_board in rows.items()}


def _of_models(rows: Mapping[int, Iterable[Row]]) -> dict[str, Look]:
    """Of each model that is no reference: those on most boards choose first, the colour that fewest beside them have,
    and of it a marker that is free.
    """
    on: dict[str, set[int]] = {}
    for number, of_board in rows.items():
        for model in {row.model for row in of_board} - {BASELINE, *REFERENCES}:
            on.setdefault(model, set()).add(number)
    found: dict[str, Look] = {}
    for i, model in enumerate(sorted(on, key=lambda model: (-len(on[model]), model))):
        beside = Counter(other.colour for name, other in found.items() for _ in on[model] & on[name])
        colour = min(_COLOURS, key=lambda colour: beside[colour])
        used = Counter(other.marker for other in found.values() if other.colour == colour)
        markers = [_SHAPES[(i + shift) % len(_SHAPES)] for shift in range(len(_SHAPES))]
        found[model] = replace(_look(i), colour=colour, marker=min(markers, key=lambda marker: used[marker]))
    return found


def _look(i: int) -> Look:
    """Of the model in this place."""
    dash = _LINES[i // len(_COLOURS) % len(_LINES)]
    return Look(colour=_COLOURS[i % len(_COLOURS)], marker=_SHAPES[i % len(_SHAPES)], dash=dash)


def _of_board(rows: Iterable[Row], first: Mapping[str, Look]) -> dict[str, Look]:
    """Further rows of one model are told apart by their markers' filling and by their lines."""
    found: dict[str, Look] = {}
    variants: dict[str, int] = {}
    for row in rows:
        look = first[row.model]
        variant = variants[row.model] = variants.get(row.model, -1) + 1
        dashes = [look.dash, *(dash for dash in _LINES if dash != look.dash)]
        found[row.label] = replace(look, filled=variant % 2 == 0, dash=dashes[variant % len(dashes)])
    return found


def curve_figures(board: Board, looks: Mapping[str, Look]) -> list[Figure]:
    """Quality against diversity over temperature."""
    return [_curve_figure(curve, board.meanings, looks, _first_rows(board)) for curve in board.curves]


def _curve_figure(curve: Curve, meanings: Mapping[str, Meaning], looks: Mapping[str, Look], first: set[str]) -> Figure:
    x, y = (
        Axis(key, meaning.side, meaning.better == "real", meaning.bounds)
        for key, meaning in ((key, meanings[key]) for key in (curve.x, curve.y))
    )
    return Figure(
        title=f"{curve.y} against {curve.x}",
        x=x,
        y=y,
        series=[_curve_series(trace, looks[trace.label], trace.label not in first) for trace in curve.traces],
        baseline=curve.baseline,
        diversity=curve.diversity,
    )


def _curve_series(trace: Trace, look: Look, waits: bool) -> Series:
    means, seeds = [], []
    for p in trace.points:
        point = Point(x=p.x.mean, y=p.y.mean, n=p.y.n, temperature=p.temperature)
        means.append(replace(point, x_half=p.x.half_width, y_half=p.y.half_width, front=p.front))
        seeds += [replace(point, x=x, y=y, seed=seed) for seed, x, y in p.seeds]
    return Series(label=trace.label, model=trace.model, look=look, points=means, seeds=seeds, waits=waits)


def _first_rows(board: Board) -> set[str]:
    """Labels of the rows that say most, where there are many."""
    rows = [*board.rows, *board.apart]
    control = next((row for row in rows if row.model == CONTROL), None)
    order = sorted(
        rows,
        key=lambda r: (
            r.model != REAL_TEXT,
            not r.baseline,
            r is not control,
            not r.front,
            r.status != "ranked",
            r.status != "reference",
        ),
    )
    return {row.label for row in order[:_SHOWN]}


def learning_figures(board: Board, looks: Mapping[str, Look]) -> list[Figure]:
    """A figure for each score: its values over the steps of training, at temperature 1.

    The scores of the main table come first; among them, and among the others, what moves most.
    """
    keys = sorted({key for row in board.rows for run in row.runs for point in run.learning for key in point.values})
    first = _first_rows(board)
    figures = []
    for key in keys:
        series = [s for row in board.rows if (s := _learning_series(row, key, looks[row.label], first)) is not None]
        if series:
            axis, levels = Axis(key, board.better.get(key, "real")), _levels(board, key, looks)
            figures.append(Figure(title=key, x=_STEPS, y=axis, series=series, levels=levels))
    main = {key for _, key in headline_keys(board)}
    return sorted(figures, key=lambda figure: (figure.title not in main, -_movement(figure)))


def _movement(figure: Figure) -> float:
    """How far trained rows move along training, as a share of the values; of the median row."""
    shares = [0.0]
    for series in (one for one in figure.series if one.trained and one.points):
        low, high = min(p.y for p in series.points), max(p.y for p in series.points)
        shares.append((high - low) / (max(abs(low), abs(high)) or 1.0))
    return sorted(shares)[len(shares) // 2]


def _learning_series(row: Row, key: str, look: Look, first: set[str]) -> Series | None:
    """Of every run with two values; the mean is over the completed ones, at the steps where all of them have a value.

    None where no run has two values.
    """
    points = {run.seed: found for run in row.runs if len(found := _values(run, key)) > 1}
    if not points:
        return None
    completed = [run.seed for run in row.runs if run.status == "completed" and run.seed in points] or list(points)
    steps = sorted({step for seed in completed for step in points[seed]})
    shared = [step for step in steps if all(step in points[seed] for seed in completed)]
    means = [sum(points[seed][step] for seed in completed) / len(completed) for step in shared]
    longest = max(row.runs, key=lambda run: (run.status == "completed", len(run.borders)))
    return Series(
        label=row.label,
        model=row.model,
        look=look,
        points=[Point(x=step, y=mean, n=len(completed)) for step, mean in zip(shared, means, strict=True)],
        seeds=[Point(x=step, y=y, seed=seed) for seed, found in points.items() for step, y in found.items()],
        borders=longest.borders,
        trained=bool(row.n_parameters),
        waits=row.label not in first,
    )


def _values(run: RunView, key: str) -> dict[int, float]:
    """Step -> the last value of it, in order."""
    return dict(sorted({point.step: point.values[key] for point in run.learning if key in point.values}.items()))


def _levels(board: Board, key: str, looks: Mapping[str, Look]) -> list[Level]:
    """The baseline at its end, and real text."""
    rows = [
        next((row for row in board.rows if row.baseline and key in row.final), None),
        next((row for row in board.rows if row.model == REAL_TEXT and key in row.final), None),
    ]
    return [Level(row.label, row.final[key].mean, looks[row.label]) for row in rows if row is not None]


def run_figures(
    record: RunRecord, borders: Sequence[Border], diary: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]
) -> list[Figure]:
    """What a run logged in training, phase by phase (`diary`: key -> phase -> points), and its scores along it."""
    names = dict.fromkeys([*(name for name, _ in borders), *(name for found in diary.values() for name in found)])
    looks = {name: replace(_look(i), dash="solid") for i, name in enumerate(names)}
    figures = []
    for key, of_phase in diary.items():
        series = [Series(label=name, look=looks[name], points=_steps(points)) for name, points in of_phase.items()]
        figures.append(Figure(title=f"logged: {key}", x=_STEPS, y=Axis(key), series=series, borders=borders))
    scores: dict[str, list[tuple[int, float]]] = {}
    better = {}
    for evaluation in (e for e in record.evaluations if e.temperature == 1.0):
        for key, score in evaluation.scores.items():
            scores.setdefault(key, []).append((evaluation.step, score.value))
            better[key] = meaning_of(score.metric, key, score.better).better
    for key, points in sorted(scores.items()):
        if len(points) > 1:
            line, axis = Series(label=key, look=_look(0), points=_steps(points)), Axis(key, better[key])
            figures.append(Figure(title=f"score: {key}", x=_STEPS, y=axis, series=[line], borders=borders))
    return figures


def _steps(points: Iterable[tuple[int, float]]) -> list[Point]:
    return [Point(x=step, y=value) for step, value in points]
