"""Figures -> what plotly draws of them. How they look is the page's (`KINDS` in page.js): a trace is little but data.

    {"rows": [who], "figures": [{"name": for a menu, "data": [traces], "layout": of plotly}]}

A trace is one of plotly's, with `kind` for its looks and `row` for whose it is. Text from records that plotly prints is
escaped: it reads some tags.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leaderboards.figures import Axis, Border, Figure, Level, Look, Point, Series
from leaderboards.formats import plain, six_digits, uncertainty_text, value_text
from metrics.common.base import Bounds

__all__ = ["Drawing", "drawing_of"]

Drawing = dict[str, Any]
Traces = list[dict[str, Any]]
_PIXELS = 1.85
"""Of a line, for each point of its width in print."""


def drawing_of(figures: Sequence[Figure], pages: Mapping[str, Mapping[str, str]] | None = None) -> Drawing:
    """Figures of the same rows. `pages`: label of a row -> seed -> the page that a click on the seed opens."""
    rows = {series.label: series for figure in figures for series in figure.series}
    return {
        "rows": [
            {"name": _safe(label), **_look(series.look), "pages": (pages or {}).get(label, {})}
            | ({"waits": True} if series.waits else {})
            for label, series in rows.items()
        ],
        "figures": [_figure(figure, list(rows)) for figure in figures],
    }


def _look(look: Look) -> dict[str, Any]:
    return {
        "colour": look.colour,
        "symbol": look.marker if look.filled else f"{look.marker}-open",
        "dash": look.dash,
        "width": round(look.width * _PIXELS, 1),
    }


def _figure(figure: Figure, rows: Sequence[str]) -> dict[str, Any]:
    data: Traces = []
    for series in figure.series:
        traces = _over_steps(series) if not figure.x.better else _over_diversity(series, figure)
        data += [{"row": rows.index(series.label)} | trace for trace in traces]
    steps = [p.x for series in figure.series for p in (*series.points, *series.seeds)]
    data += [_level(level, max(steps)) for level in figure.levels]
    front = sorted((p.x, p.y) for series in figure.series for p in series.points if p.front)
    if len(front) > 1:
        shape = {"shape": "hv" if figure.x.better == "lower" else "vh"}
        data.append({"kind": "front", **_xy(Point(x=x, y=y) for x, y in front), "line": shape})
    layout: dict[str, Any] = {"xaxis": _axis(figure.x, "→"), "yaxis": _axis(figure.y, "↑")}
    if figure.diversity is not None:
        x = six_digits(figure.diversity)
        layout["shapes"] = [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x}]
    return {"name": plain(figure.title), "data": data + _borders(figure.borders), "layout": layout}


def _over_diversity(series: Series, figure: Figure) -> Traces:
    """Means with their temperature, both intervals and the number of seeds, large at temperature 1; and the seeds."""
    means = {
        "customdata": [
            (
                value_text(p.temperature, "temperature"),
                _after(p.y, p.y_half, figure.y.bounds),
                _after(p.x, p.x_half, figure.x.bounds),
                p.n,
            )
            for p in series.points
        ],
        "marker": {"size": [12 if p.temperature == 1 else 7 for p in series.points]},
    }
    of_seeds = {"customdata": [(p.temperature, p.seed) for p in series.seeds]}
    return [{"kind": "mean", **_xy(series.points), **means}, {"kind": "seed", **_xy(series.seeds), **of_seeds}]


def _after(value: float, half_width: float | None, bounds: Bounds) -> str:
    text = uncertainty_text(value, half_width, "score", bounds)
    return f" {text.lstrip()}" if text else ""


def _over_steps(series: Series) -> Traces:
    """The means a line, every seed a point, ends of phases lines up."""
    seeds = [{"kind": "point", **_xy(series.seeds)}] if series.seeds else []
    return [{"kind": "line", **_xy(series.points)}, *seeds, *_borders(series.borders)]


def _level(level: Level, end: float) -> dict[str, Any]:
    """A line at one height over all steps, in the colour of whose height it is."""
    heights = _xy([Point(x=0, y=level.y), Point(x=end, y=level.y)])
    name = level.name if level.look.colour == "ref" else f"{level.name}, at its end"
    return {"kind": "level", "tint": level.look.colour, "name": _safe(name), **heights}


def _xy(points: Iterable[Point]) -> dict[str, Any]:
    points = list(points)
    return {"x": [six_digits(point.x) for point in points], "y": [six_digits(point.y) for point in points]}


def _borders(borders: Sequence[Border]) -> Traces:
    """Ends of all phases but the last, as lines from bottom to top."""
    ends = [(name, step) for name, step in borders[:-1] if step]
    return [{"kind": "border", "x": [step, step], "y": [0, 1], "text": _safe(name)} for name, step in ends]


def _axis(axis: Axis, arrow: str) -> dict[str, Any]:
    if not axis.better:
        return {"title": _safe(axis.title)}
    better = {"higher": f"{arrow} better", "lower": f"{arrow} better (lower)", "real": "nearer to real text is better"}
    limit = ", as far as real text" if axis.up_to_real else ""
    turned = {"autorange": "reversed"} if axis.better == "lower" else {}
    return {"title": f"{_safe(axis.title)} · {better[axis.better]}{limit}", **turned}


def _safe(text: str) -> str:
    return html.escape(plain(text), quote=False)
