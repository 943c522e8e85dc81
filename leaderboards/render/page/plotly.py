"""Figures -> what plotly draws of them. How they look is the page's (`KINDS` in page.js): a trace is little but data.

    {"rows": [who], "figures": [{"name": for a menu, "data": [traces], "layout": of plotly}]}

A trace is one of plotly's, with `kind` for its looks and `row` for whose it is. Text from records that plotly prints is
escaped: it reads some tags.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leaderboards.figures import Axis, Border, Figure, Look, Point, Series
from leaderboards.formats import interval, plain, six_digits, temperature

__all__ = ["Drawing", "curve_drawing", "learning_drawing"]

Drawing = dict[str, Any]
_PIXELS = 1.85
"""Of a line, for each point of its width in print."""


def curve_drawing(figures: Sequence[Figure], pages: Mapping[str, Mapping[str, str]]) -> Drawing:
    """Quality against diversity. `pages`: label of a row -> seed -> the page that a click on the seed opens."""
    rows = _rows(figures)
    return {
        "rows": [row | {"pages": pages.get(label, {})} for label, row in rows.items()],
        "figures": [_curve(figure, list(rows)) for figure in figures],
    }


def learning_drawing(figures: Sequence[Figure]) -> Drawing:
    """Values over the steps of training."""
    rows = _rows(figures)
    return {"rows": list(rows.values()), "figures": [_learning(figure, list(rows)) for figure in figures]}


def _rows(figures: Sequence[Figure]) -> dict[str, dict[str, Any]]:
    """Label -> name and look of every row that some figure has."""
    return {
        series.label: {"name": _safe(series.label), **_look(series.look), **({"waits": True} if series.waits else {})}
        for figure in figures
        for series in figure.series
    }


def _look(look: Look) -> dict[str, Any]:
    return {
        "colour": look.colour,
        "symbol": look.marker if look.filled else f"{look.marker}-open",
        "dash": look.dash,
        "width": round(look.width * _PIXELS, 1),
    }


def _curve(figure: Figure, rows: Sequence[str]) -> dict[str, Any]:
    data = []
    for series in figure.series:
        owner = {"row": rows.index(series.label)}
        data.append({"kind": "mean", **owner, **_xy(series.points), **_of_means(series.points)})
        data.append({"kind": "seed", **owner, **_xy(series.seeds), "customdata": _of_seeds(series)})
    front = sorted((p.x, p.y) for series in figure.series for p in series.points if p.front)
    if len(front) > 1:
        shape = {"shape": "hv" if figure.x.better == "lower" else "vh"}
        data.append({"kind": "front", **_xy(Point(x=x, y=y) for x, y in front), "line": shape})
    layout: dict[str, Any] = {"xaxis": _axis(figure.x, "→"), "yaxis": _axis(figure.y, "↑")}
    if figure.diversity is not None:
        x = six_digits(figure.diversity)
        layout["shapes"] = [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x}]
    return {"name": plain(figure.title), "data": data, "layout": layout}


def _of_means(points: Iterable[Point]) -> dict[str, Any]:
    """For each mean, temperature, both intervals and the number of seeds; large where the temperature is 1."""
    points = list(points)
    return {
        "customdata": [(temperature(p.temperature), _after(p.y_half), _after(p.x_half), p.n) for p in points],
        "marker": {"size": [12 if p.temperature == 1 else 7 for p in points]},
    }


def _of_seeds(series: Series) -> list[tuple[float, int | None]]:
    return [(point.temperature, point.seed) for point in series.seeds]


def _after(half: float | None) -> str:
    return "" if half is None else f" {interval(half)}"


def _learning(figure: Figure, rows: Sequence[str]) -> dict[str, Any]:
    """The means a line, every seed a point, ends of phases lines up."""
    data: list[dict[str, Any]] = []
    for series in figure.series:
        owner = {"row": rows.index(series.label)}
        data.append({"kind": "line", **owner, **_xy(series.points)})
        if series.seeds:
            data.append({"kind": "point", **owner, **_xy(series.seeds)})
        data += [owner | border for border in _borders(series.borders)]
    layout = {"xaxis": _axis(figure.x, "→"), "yaxis": _axis(figure.y, "↑")}
    return {"name": plain(figure.title), "data": data + _borders(figure.borders), "layout": layout}


def _xy(points: Iterable[Point]) -> dict[str, Any]:
    points = list(points)
    return {"x": [six_digits(point.x) for point in points], "y": [six_digits(point.y) for point in points]}


def _borders(borders: Sequence[Border]) -> list[dict[str, Any]]:
    """Ends of all phases but the last, as lines from bottom to top."""
    return [
        {"kind": "border", "x": [border.step, border.step], "y": [0, 1], "text": _safe(border.phase)}
        for border in borders[:-1]
        if border.step
    ]


def _axis(axis: Axis, arrow: str) -> dict[str, Any]:
    if not axis.better:
        return {"title": _safe(axis.title)}
    better = {"higher": f"{arrow} better", "lower": f"{arrow} better (lower)", "real": "nearer to real text is better"}
    turned = {"autorange": "reversed"} if axis.better == "lower" else {}
    return {"title": f"{_safe(axis.title)} · {better[axis.better]}", **turned}


def _safe(text: str) -> str:
    return html.escape(plain(text), quote=False)
