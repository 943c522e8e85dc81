"""Boards and runs -> figures as plotly reads them. Colours are names (`meta.colour`) that the page's theme resolves.

Figures are drawn so that up, or up and to the right, is better. Text from records is escaped: plotly reads some tags.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.record import RunRecord
from leaderboards.schema import BASELINE, REFERENCES, Board, Boards, Curve, Row, Trace
from leaderboards.tables import plain

__all__ = ["Figure", "Style", "board_figures", "learning", "quality_diversity", "run_figures", "styles"]

Figure = dict[str, Any]
"""`name` for a menu, `data` and `layout` of plotly."""

_SYMBOLS = (
    *(("square", "■"), ("diamond", "◆"), ("triangle-up", "▲"), ("triangle-down", "▼")),
    *(("square-open", "□"), ("diamond-open", "◇"), ("triangle-up-open", "△"), ("triangle-down-open", "▽")),
)
_OF_REFERENCES = (("star", "★"), ("x", "✕"), ("cross", "✚"), ("circle-open", "○"), ("asterisk-open", "✱"))
_DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_COLOURS = 6
_SHOWN = 12
"""Rows that a figure shows at first; the others wait in its legend."""


@dataclass(frozen=True)
class Style:
    """How a model looks, in tables and figures, in both themes, in print and to every eye: by colour and by shape."""

    colour: str
    symbol: str
    """plotly's name."""
    glyph: str
    dash: str


def styles(boards: Boards) -> dict[str, Style]:
    """Model -> its look, the same on every page."""
    models = sorted({row.model for board in boards.boards for row in (*board.rows, *board.apart)})
    found = {BASELINE: Style("mle", "circle", "●", "solid")}
    for model, (symbol, glyph) in zip(REFERENCES, _OF_REFERENCES, strict=True):
        found[model] = Style("ref", symbol, glyph, "dot")
    for i, model in enumerate(model for model in models if model not in found):
        symbol, glyph = _SYMBOLS[i % len(_SYMBOLS)]
        found[model] = Style(f"s{i % _COLOURS}", symbol, glyph, _DASHES[i % len(_DASHES)])
    return found


def board_figures(board: Board, looks: Mapping[str, Style], pages: Mapping[str, str]) -> dict[str, list[Figure]]:
    """All figures of a board; `pages` gives the page of each run by the path of its record."""
    keys = sorted({key for row in board.rows for run in row.runs for point in run.learning for key in point.values})
    drawn = [(key, learning(board, key, looks)) for key in keys]
    return {
        "curves": [quality_diversity(board, curve, looks, pages) for curve in board.curves],
        "learning": [figure for _, figure in drawn if figure["data"]],
    }


def quality_diversity(board: Board, curve: Curve, looks: Mapping[str, Style], pages: Mapping[str, str]) -> Figure:
    """Quality against diversity over temperature, a line for each row, every seed a point, MLE's line the thick one."""
    rows = {row.label: row for row in board.rows}
    shown = _shown_first(board.rows)
    data: list[dict[str, Any]] = []
    for trace in curve.traces:
        row, look = rows[trace.label], looks[trace.model]
        visible: bool | str = True if trace.label in shown else "legendonly"
        group = {"legendgroup": trace.label, "visible": visible, "meta": {"colour": look.colour}}
        data.append({**group, **_means(trace, look, curve)})
        if any(len(p.seeds) > 1 for p in trace.points):
            data.append({**group, **_seeds(trace, row, look, curve, pages)})
        else:
            data[-1]["customdata"] = [pages.get(row.runs[0].path, "")] * len(trace.points)
    front = sorted((_short(p.x.mean), _short(p.y.mean)) for t in curve.traces for p in t.points if p.front)
    if len(front) > 1:
        x, y = zip(*front, strict=True)
        line = {"dash": "dot", "width": 1.2, "shape": "hv" if curve.x_better == "lower" else "vh"}
        data.append(
            {"name": "Pareto front", "x": x, "y": y, "mode": "lines", "hoverinfo": "skip", "line": line}
            | {"meta": {"colour": "ref"}}
        )
    layout: dict[str, Any] = {
        "xaxis": _axis(curve.x, curve.x_better, "→"),
        "yaxis": _axis(curve.y, curve.y_better, "↑"),
    }
    if curve.diversity is not None:
        line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 1, "dash": "dot", "color": "gray"}}
        layout["shapes"] = [{**line, "x0": _short(curve.diversity), "x1": _short(curve.diversity)}]
    return {"name": f"{_safe(curve.y)} against {_safe(curve.x)}", "data": data, "layout": layout}


def _means(trace: Trace, look: Style, curve: Curve) -> dict[str, Any]:
    baseline = trace.label == curve.baseline
    told = [
        f"T = {p.temperature:g}: {_safe(curve.y)} {p.y.mean:.4f}{_interval(p.y.half_width)}, "
        f"{_safe(curve.x)} {p.x.mean:.4f}{_interval(p.x.half_width)}, {p.y.n} seed{'s' * (p.y.n > 1)}"
        for p in trace.points
    ]
    return {
        "name": _safe(trace.label),
        "x": [_short(p.x.mean) for p in trace.points],
        "y": [_short(p.y.mean) for p in trace.points],
        "text": told,
        "hovertemplate": "<b>%{fullData.name}</b><br>%{text}<extra></extra>",
        "mode": "lines+markers" if len(trace.points) > 1 else "markers",
        "line": {"width": 3 if baseline else 1.6, "dash": look.dash},
        "marker": {
            "symbol": look.symbol,
            "opacity": 1,
            "size": [12 if p.temperature == 1 else 7 for p in trace.points],
        },
    }


def _seeds(trace: Trace, row: Row, look: Style, curve: Curve, pages: Mapping[str, str]) -> dict[str, Any]:
    of_seed = {run.seed: pages.get(run.path, "") for run in row.runs}
    points = [(p.temperature, *seed) for p in trace.points for seed in p.seeds]
    return {
        "name": _safe(trace.label),
        "showlegend": False,
        "mode": "markers",
        "x": [_short(x) for _, _, x, _ in points],
        "y": [_short(y) for *_, y in points],
        "text": [f"T = {t:g}, {'seed ' + str(seed) if seed is not None else 'samples'}" for t, seed, *_ in points],
        "customdata": [of_seed.get(seed, "") for _, seed, *_ in points],
        "hovertemplate": "%{fullData.name}, %{text}<br>%{y} against %{x}<extra></extra>",
        "marker": {"symbol": look.symbol, "size": 5, "opacity": 0.55},
    }


def learning(board: Board, key: str, looks: Mapping[str, Style]) -> Figure:
    """A score over training steps: the mean of the seeds a line, every seed a point, ends of phases dotted."""
    shown = _shown_first(board.rows)
    data: list[dict[str, Any]] = []
    for row in board.rows:
        runs = [[(p.step, p.values[key]) for p in run.learning if key in p.values] for run in row.runs]
        runs = [points for points in runs if len(points) > 1]
        if not runs:
            continue
        look = looks[row.model]
        group = {
            "legendgroup": row.label,
            "name": _safe(row.label),
            "visible": True if row.label in shown else "legendonly",
            "meta": {"colour": look.colour},
        }
        values: dict[int, list[float]] = {}
        for step, value in sorted(point for points in runs for point in points):
            values.setdefault(step, []).append(value)
        whole = {step: found for step, found in values.items() if len(found) == len(runs)}
        data.append({**group, **_line(_mean_of(whole), look, width=3 if row.baseline else 1.8)})
        seeds = {"mode": "markers", "showlegend": False, "hoverinfo": "skip"}
        data.append(
            {**group, **_line([p for points in runs for p in points], look, width=1), **seeds} | {"opacity": 0.5}
        )
        data += [{**group, **border} for border in _borders(row.runs[0].borders)]
    layout = {"xaxis": {"title": "training steps, all phases"}, "yaxis": _axis(key, board.better.get(key, ""), "↑")}
    return {"name": _safe(key), "data": data, "layout": layout | _BORDER_AXIS}


def run_figures(record: RunRecord, diary: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> list[Figure]:
    """What a run logged in training and the scores along it, one figure for each key."""
    steps, borders = 0, []
    for phase in record.phases:
        steps += phase.steps
        borders.append((phase.name, steps))
    scores: dict[str, list[tuple[int, float]]] = {}
    better = {}
    for evaluation in (e for e in record.evaluations if e.temperature == 1.0):
        for key, score in evaluation.scores.items():
            scores.setdefault(key, []).append((evaluation.step, score.value))
            better[key] = score.better
    figures = []
    for key, phases in diary.items():
        traces = [
            {**_line(points, _LOOKS[i % len(_LOOKS)], width=1.6), "name": _safe(phase)}
            | {"meta": {"colour": _LOOKS[i % len(_LOOKS)].colour}}
            for i, (phase, points) in enumerate(phases.items())
        ]
        figures.append(_run_figure(f"logged: {key}", traces, borders, {"title": _safe(key)}))
    for key, points in sorted(scores.items()):
        if len(points) > 1:
            trace = {**_line(points, _LOOKS[0], width=1.8), "name": _safe(key), "meta": {"colour": _LOOKS[0].colour}}
            figures.append(_run_figure(f"score: {key}", [trace], borders, _axis(key, better[key], "↑")))
    return figures


_LOOKS = tuple(Style(f"s{i}", symbol, glyph, "solid") for i, (symbol, glyph) in enumerate(_SYMBOLS[:4]))
_BORDER_AXIS = {"yaxis2": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}}


def _run_figure(
    name: str, traces: list[dict[str, Any]], borders: list[tuple[str, int]], axis: dict[str, Any]
) -> Figure:
    ends = [{**border, "meta": {"colour": "ref"}} for border in _borders(borders)]
    layout = {"xaxis": {"title": "training steps, all phases"}, "yaxis": axis, "showlegend": len(traces) > 1}
    return {"name": _safe(name), "data": traces + ends, "layout": layout | _BORDER_AXIS}


def _line(points: Iterable[tuple[int, float]], look: Style, *, width: float) -> dict[str, Any]:
    steps, values = zip(*points, strict=True)
    return {
        "x": steps,
        "y": [_short(value) for value in values],
        "mode": "lines+markers",
        "line": {"dash": look.dash, "width": width},
        "marker": {"symbol": look.symbol, "size": 6},
        "hovertemplate": "<b>%{fullData.name}</b><br>step %{x}: %{y}<extra></extra>",
    }


def _mean_of(values: Mapping[int, Sequence[float]]) -> list[tuple[int, float]]:
    return [(step, sum(found) / len(found)) for step, found in values.items()]


def _borders(borders: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """Ends of all phases but the last, as lines from bottom to top that hide with their row."""
    return [
        {
            "x": [step, step],
            "y": [0, 1],
            "yaxis": "y2",
            "mode": "lines",
            "showlegend": False,
            "line": {"dash": "dot", "width": 1},
            "opacity": 0.6,
            "text": _safe(phase),
            "hovertemplate": "end of %{text}, step %{x}<extra></extra>",
        }
        for phase, step in borders[:-1]
        if step
    ]


def _shown_first(rows: Sequence[Row]) -> set[str]:
    """Labels of the rows that matter most: references, MLE, the front, ranked ones."""
    order = sorted(rows, key=lambda r: (r.status != "reference", not r.baseline, not r.front, r.status != "ranked"))
    return {row.label for row in order[:_SHOWN]}


def _axis(key: str, better: str, arrow: str) -> dict[str, Any]:
    told = {"higher": f"{arrow} better", "lower": f"{arrow} better (lower)"}.get(
        better, "nearer to real text is better"
    )
    return {"title": f"{_safe(key)} · {told}", **({"autorange": "reversed"} if better == "lower" else {})}


def _interval(half_width: float | None) -> str:
    return "" if half_width is None else f" ± {half_width:.4f}"


def _short(value: float) -> float:
    """Six digits: what a figure can show, a third of the bytes."""
    return float(f"{value:.6g}")


def _safe(text: str) -> str:
    return html.escape(plain(text), quote=False)
