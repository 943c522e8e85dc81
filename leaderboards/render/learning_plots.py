"""Scores over the steps of training: a panel for each trained row, with the borders of its phases."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leaderboards.looks import ARROWS, COLUMN, PAGE, Style, literal, short
from leaderboards.schema import Board, Row, RunView

__all__ = ["learning"]

_COLUMNS = 3
_SHOWN = 12
"""Panels of a picture."""
_HEIGHT = 1.65
"""Of a panel, inches."""
_FITS = 46
"""Letters of phase names that stand side by side above a panel."""


def learning(board: Board, key: str, looks: Mapping[str, Style]) -> Figure | None:
    """One score while training, at temperature 1; None if no trained row has two values of it.

    Thin: seeds. Thick: their mean, where all completed seeds have a value. Dashed: MLE at its end. Dotted: real text.
    Phases are equally wide, because a step of one may take a thousand times as long as a step of another; the ticks
    say at which step each ends.
    """
    rows = [row for row in board.rows if row.n_parameters and any(len(_points(r, key)) > 1 for r in _completed(row))]
    if not rows:
        return None
    shown = rows[:_SHOWN]
    n_columns = min(_COLUMNS, len(shown))
    n_lines = -(-len(shown) // n_columns)
    width = COLUMN if n_columns == 1 else PAGE
    figure = Figure(figsize=(width, _HEIGHT * n_lines + 0.35), layout="constrained")
    grid = figure.subplots(n_lines, n_columns, sharey=True, squeeze=False)
    baseline = next((row for row in board.rows if row.baseline and key in row.final), None)
    real = next((row for row in board.rows if row.model == "real_text" and key in row.final), None)
    for axes, row in zip(grid.flat, shown, strict=False):
        if baseline is not None:
            axes.axhline(baseline.final[key].mean, color="black", linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
        if real is not None:
            axes.axhline(real.final[key].mean, color="0.55", linewidth=0.8, linestyle=(0, (1, 1)), zorder=1)
        _panel(axes, row, key, looks[row.label])
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    figure.supxlabel(f"steps{_said(baseline, real, len(rows) - len(shown))}", fontsize=7)
    figure.supylabel(f"{literal(key)} {ARROWS[board.better[key]]}", fontsize=8)
    return figure


def _said(baseline: Row | None, real: Row | None, more: int) -> str:
    """What the horizontal lines are, and how many rows are not shown."""
    lines = [f"dashed: {short(baseline.label)} at its end"] if baseline is not None else []
    lines += ["dotted: real text"] if real is not None else []
    lines += [f"{more} more rows: see the tables"] if more else []
    return f" · {', '.join(lines)}" if lines else ""


def _completed(row: Row) -> list[RunView]:
    return [run for run in row.runs if run.status == "completed"]


def _points(run: RunView, key: str) -> list[tuple[int, float]]:
    """(step, value), the last value of a step."""
    return sorted({point.step: point.values[key] for point in run.learning if key in point.values}.items())


def _panel(axes: Axes, row: Row, key: str, look: Style) -> None:
    ends = [0, *dict.fromkeys(step for _, step in _completed(row)[0].borders if step)]
    of_step: dict[int, list[float]] = {}
    for run in _completed(row):
        points = _points(run, key)
        for step, value in points:
            of_step.setdefault(step, []).append(value)
        axes.plot([_place(step, ends) for step, _ in points], [v for _, v in points], color=look.colour,
                  linewidth=0.6, alpha=0.5)  # fmt: skip
    whole = [(_place(step, ends), statistics.fmean(v)) for step, v in of_step.items() if len(v) == row.n_completed]
    whole.sort()
    axes.plot([x for x, _ in whole], [y for _, y in whole], color=look.colour, linewidth=1.4,
              marker=look.marker, markersize=3, zorder=3)  # fmt: skip
    for border in range(1, len(ends) - 1):
        axes.axvline(border, color="0.7", linewidth=0.6, zorder=0)
    axes.set_xlim(0, len(ends) - 1 + 0.03)
    axes.set_xticks(range(len(ends)), [f"{step:,}" for step in ends], rotation=45 if len(ends) > 5 else 0)
    ticks = axes.get_xticklabels()
    ticks[0].set_horizontalalignment("left")  # panels side by side: no label reaches into the next one
    ticks[-1].set_horizontalalignment("right")
    _name_phases(axes, row, ends)


def _place(step: int, ends: Sequence[int]) -> float:
    """Where a step stands on an axis on which every phase is one wide."""
    for phase, (first, last) in enumerate(pairwise(ends)):
        if step <= last:
            return phase + (step - first) / (last - first)
    return len(ends) - 1.0


def _name_phases(axes: Axes, row: Row, ends: Sequence[int]) -> None:
    """The row's name, and below it each phase's above its part of the panel, where they fit."""
    axes.set_title(short(row.label, 30), fontsize=8, pad=11)
    names: dict[int, str] = {}
    for name, step in _completed(row)[0].borders:
        names.setdefault(step, name)
    of_phase = [literal(names[step]) for step in ends[1:]]
    if max(map(len, of_phase), default=0) * len(of_phase) <= _FITS:
        for i, name in enumerate(of_phase):
            axes.annotate(name, (i + 0.5, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2),
                          textcoords="offset points", ha="center", va="bottom", fontsize=6, color="0.35")  # fmt: skip
