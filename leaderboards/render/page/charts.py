"""Boards and runs -> what figures show. How they look is the page's (`KINDS` and colours): a trace is little but data.

    {"rows": [who], "figures": [{"name": for a menu, "data": [traces], "layout": of plotly}]}

A trace is one of plotly's, with `kind` for its looks and `row` for whose it is. Figures are drawn so that up, or up and
to the right, is better. Text from records is escaped: plotly reads some tags.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.record import RunRecord
from leaderboards.schema import BASELINE, REFERENCES, Board, Boards, Curve, Row, Trace
from leaderboards.text import as_part, plain

__all__ = ["Drawing", "Style", "curves", "learning", "run_figures", "styles"]

Drawing = dict[str, Any]
Points = Sequence[tuple[int, float]]
"""(step, value)."""

_SYMBOLS = (
    *(("square", "■"), ("diamond", "◆"), ("triangle-up", "▲"), ("triangle-down", "▼")),
    *(("square-open", "□"), ("diamond-open", "◇"), ("triangle-up-open", "△"), ("triangle-down-open", "▽")),
)
_OF_REFERENCES = (("star", "★"), ("x", "✕"), ("cross", "✚"), ("circle-open", "○"), ("asterisk-open", "✱"))
_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_COLOURS = 6
_SHOWN = 12
"""Rows that a figure shows at first; the others wait in its legend."""
_STEPS = {"title": "training steps, all phases"}


@dataclass(frozen=True)
class Style:
    """How a model looks, in tables and figures, in both themes, in print and to every eye: by colour and by shape."""

    colour: str
    """Name of a colour of the theme."""
    symbol: str
    """plotly's name."""
    glyph: str
    dash: str
    width: float = 1.6


def styles(boards: Boards) -> dict[str, Style]:
    """Model -> its look, the same on every page."""
    models = sorted({row.model for board in boards.boards for row in (*board.rows, *board.apart)})
    found = {BASELINE: Style("mle", "circle", "●", "solid", 3.0)}
    for model, (symbol, glyph) in zip(REFERENCES, _OF_REFERENCES, strict=True):
        found[model] = Style("ref", symbol, glyph, "dot")
    for i, model in enumerate(model for model in models if model not in found):
        found[model] = _style(i)
    return found


def _style(i: int) -> Style:
    symbol, glyph = _SYMBOLS[i % len(_SYMBOLS)]
    return Style(f"s{i % _COLOURS}", symbol, glyph, _DASHES[i % len(_DASHES)])


def curves(board: Board, looks: Mapping[str, Style], pages: Mapping[str, str]) -> Drawing:
    """Quality against diversity over temperature: a line for each row, every seed a point.

    `pages` gives the page of each run by the path of its record.
    """
    everybody = [*board.rows, *board.apart]
    place = {row.label: i for i, row in enumerate(everybody)}
    rows = _rows(board, looks)
    for entry, row in zip(rows, everybody, strict=True):
        entry["pages"] = {str(run.seed): pages[run.path] for run in row.runs if run.path in pages}
    return {"rows": rows, "figures": [_curve(curve, place) for curve in board.curves]}


def _curve(curve: Curve, place: Mapping[str, int]) -> dict[str, Any]:
    data = []
    for trace in curve.traces:
        owner = {"row": place[trace.label]}
        data.append({"kind": "mean", **owner, **_means(trace)})
        seeds = [(p.temperature, *seed) for p in trace.points for seed in p.seeds]
        data.append(
            {"kind": "seed", **owner, "x": [_short(x) for _, _, x, _ in seeds], "y": [_short(y) for *_, y in seeds]}
            | {"customdata": [(temperature, seed) for temperature, seed, *_ in seeds]}
        )
    front = sorted((_short(p.x.mean), _short(p.y.mean)) for t in curve.traces for p in t.points if p.front)
    if len(front) > 1:
        shape = {"shape": "hv" if curve.x_better == "lower" else "vh"}
        data.append({"kind": "front", "x": [x for x, _ in front], "y": [y for _, y in front], "line": shape})
    layout: dict[str, Any] = {
        "xaxis": _axis(curve.x, curve.x_better, "→"),
        "yaxis": _axis(curve.y, curve.y_better, "↑"),
    }
    if curve.diversity is not None:
        x = _short(curve.diversity)
        layout["shapes"] = [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x}]
    return {"name": f"{_safe(curve.y)} against {_safe(curve.x)}", "data": data, "layout": layout}


def _means(trace: Trace) -> dict[str, Any]:
    """The means with, for each, temperature, both intervals and the number of seeds."""
    told = [
        (f"{p.temperature:g}", _interval(as_part(p.y).text), _interval(as_part(p.x).text), p.y.n) for p in trace.points
    ]
    return {
        "x": [_short(p.x.mean) for p in trace.points],
        "y": [_short(p.y.mean) for p in trace.points],
        "customdata": told,
        "marker": {"size": [12 if p.temperature == 1 else 7 for p in trace.points]},
    }


def learning(board: Board, looks: Mapping[str, Style]) -> Drawing:
    """Scores over training steps: the mean of the seeds a line, every seed a point, ends of phases lines up."""
    keys = sorted({key for row in board.rows for run in row.runs for point in run.learning for key in point.values})
    figures = []
    for key in keys:
        data = [trace for i, row in enumerate(board.rows) for trace in _learned(i, row, key)]
        if data:
            axis = _axis(key, board.better.get(key, ""), "↑")
            figures.append({"name": _safe(key), "data": data, "layout": {"xaxis": _STEPS, "yaxis": axis}})
    return {"rows": _rows(board, looks), "figures": figures}


def _learned(place: int, row: Row, key: str) -> list[dict[str, Any]]:
    runs = [[(p.step, p.values[key]) for p in run.learning if key in p.values] for run in row.runs]
    runs = [points for points in runs if len(points) > 1]
    if not runs:
        return []
    at: dict[int, list[float]] = {}
    for step, value in sorted(point for points in runs for point in points):
        at.setdefault(step, []).append(value)
    means = [(step, sum(values) / len(values)) for step, values in at.items() if len(values) == len(runs)]
    owner = {"row": place}
    return [
        {"kind": "line", **owner, **_xy(means)},
        {"kind": "point", **owner, **_xy([point for points in runs for point in points])},
        *({**owner, **border} for border in _borders(row.runs[0].borders)),
    ]


def run_figures(record: RunRecord, diary: Mapping[str, Mapping[str, Points]]) -> Drawing:
    """What a run logged in training, phase by phase, and its scores along it, a figure for each key."""
    steps, ends = 0, []
    for phase in record.phases:
        steps += phase.steps
        ends.append((phase.name, steps))
    names = list(dict.fromkeys([*(name for name, _ in ends), *(name for phases in diary.values() for name in phases)]))
    rows = [{"name": _safe(name), **asdict(_style(i)), "dash": "solid"} for i, name in enumerate(names or ["score"])]
    borders = _borders(ends)
    figures = []
    for key, phases in diary.items():
        data = [{"kind": "line", "row": names.index(name), **_xy(points)} for name, points in phases.items()]
        axes = {"xaxis": _STEPS, "yaxis": {"title": _safe(key)}}
        figures.append({"name": f"logged: {_safe(key)}", "data": data + borders, "layout": axes})
    scores: dict[str, list[tuple[int, float]]] = {}
    better = {}
    for evaluation in (e for e in record.evaluations if e.temperature == 1.0):
        for key, score in evaluation.scores.items():
            scores.setdefault(key, []).append((evaluation.step, score.value))
            better[key] = score.better
    for key, points in sorted(scores.items()):
        if len(points) > 1:
            layout: dict[str, Any] = {"xaxis": _STEPS, "yaxis": _axis(key, better[key], "↑"), "showlegend": False}
            data = [{"kind": "line", "row": 0, **_xy(points)}, *borders]
            figures.append({"name": f"score: {_safe(key)}", "data": data, "layout": layout})
    return {"rows": rows, "figures": figures}


def _rows(board: Board, looks: Mapping[str, Style]) -> list[dict[str, Any]]:
    """Name and look of every row; of many only the most telling are shown at first."""
    rows = [*board.rows, *board.apart]
    order = sorted(rows, key=lambda r: (r.status != "reference", not r.baseline, not r.front, r.status != "ranked"))
    shown = {row.label for row in order[:_SHOWN]}
    return [
        {"name": _safe(row.label), **asdict(looks[row.model])} | ({} if row.label in shown else {"waits": True})
        for row in rows
    ]


def _xy(points: Points) -> dict[str, Any]:
    return {"x": [step for step, _ in points], "y": [_short(value) for _, value in points]}


def _borders(ends: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Ends of all phases but the last, as lines from bottom to top."""
    return [{"kind": "border", "x": [step, step], "y": [0, 1], "text": _safe(name)} for name, step in ends[:-1] if step]


def _axis(key: str, better: str, arrow: str) -> dict[str, Any]:
    told = {"higher": f"{arrow} better", "lower": f"{arrow} better (lower)"}.get(
        better, "nearer to real text is better"
    )
    return {"title": f"{_safe(key)} · {told}", **({"autorange": "reversed"} if better == "lower" else {})}


def _interval(printed: str) -> str:
    """`0.712±.012†` -> ` ±.012`."""
    _, sign, rest = printed.partition("±")
    return f" {sign}{rest.rstrip('†')}" if sign else ""


def _short(value: float) -> float:
    """Six digits: what a figure can show, a third of the bytes."""
    return float(f"{value:.6g}")


def _safe(text: str) -> str:
    return html.escape(plain(text), quote=False)
