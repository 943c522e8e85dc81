"""Boards -> pictures for papers: PNG and SVG by matplotlib, the same bytes from the same records.

A picture for each quality-diversity curve, as wide as a column (3.4 inches), and one for each score's learning curves,
as wide as a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import write_atomic
from leaderboards.looks import ARROWS, COLUMN, RC, Style, short, styles
from leaderboards.render.learning_plots import learning
from leaderboards.schema import Boards, Curve, Trace
from leaderboards.tables import MAIN

__all__ = ["quality_diversity", "write"]

_DPI = 240
_SHOWN = 16
"""Rows of a picture; more cannot be told apart."""
_MARGIN = 0.06
_STRETCHES = ("copy_train", "repeat_one")
"""Controls at the end of an axis: they do not set its limits."""


def write(boards: Boards, folder: Path) -> list[Path]:
    """Write every picture as PNG and SVG into a folder; returns their paths."""
    paths = []
    with matplotlib.rc_context(RC):
        for board in boards.boards:
            looks = styles(board)
            name = f"board{board.number}-{re.sub('[^A-Za-z0-9_]+', '-', board.task)[:40]}"
            for curve in board.curves:
                paths += _save(quality_diversity(curve, looks), folder / f"{name}-{curve.name}")
            for key in MAIN:
                if (figure := learning(board, key, looks)) is not None:
                    paths += _save(figure, folder / f"{name}-learning-{key}")
    return paths


def _save(figure: Figure, stem: Path) -> list[Path]:
    """Without dates and versions of programs: equal records give equal bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # it is laid out: not once more for every file
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        file = BytesIO()
        figure.savefig(file, format=kind, dpi=_DPI, metadata=metadata)
        paths.append(stem.with_name(f"{stem.name}.{kind}"))
        write_atomic(paths[-1], file.getvalue())
    return paths


def quality_diversity(curve: Curve, looks: Mapping[str, Style]) -> Figure:
    """Quality over diversity: means joined over temperature, seeds as small points, the front as a band.

    Both axes point to the better side, so up and to the right is better.
    """
    traces = curve.traces[:_SHOWN]
    entries: list[tuple[Line2D, str]] = [(_draw(None, t, looks[t.label]), t.label) for t in traces]
    n_rows = -(-(len(entries) + 2) // 2)
    figure = Figure(figsize=(COLUMN, 2.5 + 0.135 * n_rows), layout="constrained")
    axes: Axes = figure.subplots()
    for trace in sorted(traces, key=lambda t: t.label == curve.baseline):  # the reference line lies above the others
        _draw(axes, trace, looks[trace.label])
    front = sorted((p.x.mean, p.y.mean) for trace in traces for p in trace.points if p.front)
    if front:
        band = Line2D(*zip(*front, strict=True), color="0.87", linewidth=5, solid_capstyle="round", zorder=0)
        axes.add_line(band)
        entries.append((band, "front of the ranked rows"))
    _say_temperatures(axes, next((t for t in traces if t.label == curve.baseline), None))
    if curve.diversity is not None:
        line = axes.axvline(curve.diversity, color="0.6", linewidth=0.6, zorder=1)
        entries.append((line, "matched diversity"))
    axes.set_xlabel(f"{curve.x} {ARROWS[curve.x_better]}")
    axes.set_ylabel(f"{curve.y} {ARROWS[curve.y_better]}")
    outside = _limit(axes, curve, traces)
    names = [short(label) + (" (outside)" if label in outside else "") for _, label in entries]
    handles = [handle for handle, _ in entries]
    if len(curve.traces) > _SHOWN:
        handles.append(Line2D([], [], linestyle=""))
        names.append(f"{len(curve.traces) - _SHOWN} more rows: see the tables")
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, handlelength=2.2, borderpad=0.1,
                  columnspacing=1.0, labelspacing=0.25)  # fmt: skip
    return figure


def _draw(axes: Axes | None, trace: Trace, look: Style) -> Line2D:
    """Draw a row into axes; returns what stands for it in the legend."""
    line = Line2D([p.x.mean for p in trace.points], [p.y.mean for p in trace.points])
    line.set(color=look.colour, marker=look.marker, markersize=4, markeredgewidth=0.8, linewidth=look.width)
    line.set(linestyle=look.dashes if len(trace.points) > 1 else "", zorder=3 if look.width > 1 else 2)
    if not look.filled:
        line.set(markerfacecolor="white")
    if axes is not None:
        axes.add_line(line)
        seeds = [seed for point in trace.points for seed in point.seeds if len(point.seeds) > 1]
        axes.plot(
            [x for _, x, _ in seeds], [y for _, _, y in seeds], linestyle="", marker=look.marker, markersize=2.2,
            color=look.colour, alpha=0.4, markeredgewidth=0.4, zorder=1,
        )  # fmt: skip
    return line


def _say_temperatures(axes: Axes, baseline: Trace | None) -> None:
    """The coldest, 1 and the hottest, beside the baseline's points."""
    points = baseline.points if baseline is not None and len(baseline.points) > 1 else []
    for point in (p for i, p in enumerate(points) if i in (0, len(points) - 1) or p.temperature == 1.0):
        axes.annotate(
            f"T={point.temperature:g}", (point.x.mean, point.y.mean), xytext=(-4, -3), textcoords="offset points",
            ha="right", va="top", fontsize=6, zorder=6,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _limit(axes: Axes, curve: Curve, traces: Iterable[Trace]) -> set[str]:
    """Set limits and directions; returns the labels of controls that lie outside."""
    traces = list(traces)
    inside = [t for t in traces if t.model not in _STRETCHES] or traces
    seeds = [seed for trace in inside for point in trace.points for seed in point.seeds]
    across, up = _span([x for _, x, _ in seeds]), _span([y for _, _, y in seeds])
    axes.set_xlim(*(across[::-1] if curve.x_better == "lower" else across))
    axes.set_ylim(*(up[::-1] if curve.y_better == "lower" else up))
    return {
        trace.label
        for trace in traces
        if not any(across[0] <= p.x.mean <= across[1] and up[0] <= p.y.mean <= up[1] for p in trace.points)
    }


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = _MARGIN * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin
