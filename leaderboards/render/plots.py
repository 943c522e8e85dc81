"""Figures -> pictures for papers: PNG, SVG and PDF by matplotlib, the same bytes from the same records.

A picture for each quality-diversity curve, as wide as a column (3.4 inches), and one for each main score's learning
curves, as wide as a page.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.lines import Line2D

from bench.record import HELD_OUT_TEXT, REAL_TEXT, write_atomic
from leaderboards.figures import (
    DASHES,
    MARKERS,
    PALETTE,
    Axis,
    Figure,
    Level,
    Look,
    Point,
    Series,
    curve_figures,
    learning_figures,
    looks_of,
)
from leaderboards.formats import plain, value_text
from leaderboards.headline import headline_curve, leading_board
from leaderboards.schema import CONTROL, REFERENCES, Board, Boards, Curve
from leaderboards.tables.families import MAIN
from leaderboards.words import names_of

__all__ = [
    "DARK",
    "LIGHT",
    "RC",
    "Ground",
    "colour_of",
    "draw_curve",
    "draw_learning",
    "on_both_grounds",
    "short",
    "shortened",
    "write",
    "write_curve",
    "write_front",
]

RC: Any = {
    **dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), 8),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 7),
    "legend.fontsize": 6.5,
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.formatter.useoffset"), False),
    **dict.fromkeys(("text.usetex", "text.parse_math"), False),
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # TrueType: many venues refuse matplotlib's usual fonts
    "svg.hashsalt": "textgan-bench",
}


@dataclass(frozen=True)
class Ground:
    """What a picture is drawn on."""

    shade: int
    """Of a colour of `PALETTE`: 0 on a light ground, 1 on a dark one."""
    paper: str
    ink: str
    band: str
    """The front of the ranked rows."""

    @property
    def rc(self) -> dict[str, str]:
        """Of matplotlib."""
        papers = dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), self.paper)
        inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
        return papers | dict.fromkeys(inks, self.ink)


LIGHT = Ground(shade=0, paper="white", ink="black", band="0.87")
DARK = Ground(shade=1, paper="#101418", ink="#e7ebef", band="0.28")
"""As the page has it."""
_COLUMN, _PAGE = 3.4, 7.0
"""Width of a column and of a page of a paper, inches."""
_DPI = 240
_BETTER = {"higher": "(higher is better)", "lower": "(lower is better)", "real": "(as real text is best)"}
_LETTERS = 24
"""Of a name in a legend of two columns."""
_ROWS = 16
"""Rows of a curve; more cannot be told apart."""
_MARGIN = 0.06
_STRETCHES = set(REFERENCES) - {REAL_TEXT, HELD_OUT_TEXT, CONTROL}
"""References that lie where they like: they do not set the limits of an axis."""
_PANELS = 12
"""Rows of learning curves."""
_ACROSS = 3
"""Panels side by side."""
_HEIGHT = 1.65
"""Of a panel, inches."""
_FITS = 46
"""Letters of phase names that stand side by side above a panel."""


def write(boards: Boards, folder: Path) -> list[Path]:
    """Write every picture as PNG, SVG and PDF into a folder; returns their paths."""
    looks = looks_of(boards)
    paths = []
    with matplotlib.rc_context(RC):
        for board in boards.boards:
            name = f"board{board.number}-{re.sub('[^A-Za-z0-9_]+', '-', board.task)[:40]}"
            for figure in curve_figures(board, looks[board.number]):
                paths += _save(draw_curve(figure), folder / f"{name}-{figure.y.title}-{figure.x.title}")
            learning = {figure.title: figure for figure in learning_figures(board, looks[board.number])}
            for key in MAIN:
                if key in learning and any(row.trained for row in learning[key].series):
                    paths += _save(draw_learning(learning[key]), folder / f"{name}-learning-{key}")
    return paths


_METADATA: Any = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Without dates and versions of programs."""


def _save(picture: Picture, stem: Path, kinds: Iterable[str] = tuple(_METADATA)) -> list[Path]:
    """Equal records give equal bytes."""
    picture.draw_without_rendering()
    picture.set_layout_engine("none")  # it is laid out: not once more for every file
    paths = []
    for kind in kinds:
        file = BytesIO()
        picture.savefig(file, format=kind, dpi=_DPI, metadata=_METADATA[kind])
        paths.append(stem.with_name(f"{stem.name}.{kind}"))
        write_atomic(paths[-1], file.getvalue())
    return paths


def colour_of(look: Look, ground: Ground = LIGHT) -> str:
    """Of a row on that ground."""
    return PALETTE[look.colour][ground.shade]


def _axis(axis: Axis) -> str:
    limit = {"higher": ", up to real text)", "lower": ", down to real text)"} if axis.up_to_real else {}
    better = _BETTER[axis.better]
    return f"{_literal(axis.title)} {better[:-1] + limit[axis.better] if axis.better in limit else better}"


def _literal(text: str) -> str:
    """Text that matplotlib prints as it is: no leading `_`, which would hide it from a legend."""
    shown = plain(text)
    return f" {shown}" if shown.startswith("_") else shown


def short(text: str, letters: int = _LETTERS) -> str:
    """A name of a row, shortened in the middle: its beginning and its end tell it from others."""
    if len(text) > letters:
        text = f"{text[: letters - 11]}…{text[-10:]}"
    return _literal(text)


def shortened(texts: Sequence[str]) -> list[str]:
    """Names that stand together, each shortened in its middle, unless names of one model would then be alike.

    Those say the words in which they differ: `constant_reward g_steps=200 reward=noise`.
    """
    found = [short(text) for text in texts]
    words = [re.findall(r"[^\s(),]+", text) for text in texts]
    of_model: dict[str, list[int]] = {}
    for i, said in enumerate(words):
        of_model.setdefault(said[0] if said else "", []).append(i)
    for places in of_model.values():
        if len({found[i] for i in places}) < len({texts[i] for i in places}):
            shared = set.intersection(*(set(words[i][1:]) for i in places))
            told = [" ".join([words[i][0], *(w for w in words[i][1:] if w not in shared)]) for i in places]
            whole = len(set(told)) < len({texts[i] for i in places})
            for i, name in zip(places, told, strict=True):
                found[i] = _literal(texts[i] if whole else name)
    return found


# Quality over diversity.


def write_front(boards: Boards, stem: Path) -> tuple[Path, Path] | None:
    """Write the one figure that stands for all boards, as SVG with letters drawn; None where no board has a curve.

    Returns the figure for a light ground, and beside it, `-dark` in its name, the one for a dark ground. A board's name
    is its title, real text is among the rows. Equal records give equal bytes.
    """
    board = leading_board(boards)
    curve = headline_curve(board) if board is not None else None
    return None if board is None or curve is None else write_curve(boards, board, curve, stem)


def write_curve(boards: Boards, board: Board, curve: Curve, stem: Path) -> tuple[Path, Path]:
    """Write one curve of a board as `write_front` writes its own."""
    figure = curve_figures(board, looks_of(boards)[board.number])[board.curves.index(curve)]
    title = names_of(boards)[board.number]
    return on_both_grounds(stem, lambda ground: draw_curve(figure, title=title, ground=ground))


def on_both_grounds(stem: Path, draw: Callable[[Ground], Picture]) -> tuple[Path, Path]:
    """Write a picture as SVG with letters drawn, for a light ground and, `-dark` in its name, for a dark one."""
    paths = []
    for ground, name in ((LIGHT, stem.name), (DARK, f"{stem.name}-dark")):
        with matplotlib.rc_context(RC | {"svg.fonttype": "path"} | ground.rc):
            paths += _save(draw(ground), stem.with_name(name), kinds=("svg",))
    return paths[0], paths[1]


def draw_curve(figure: Figure, title: str = "", ground: Ground = LIGHT) -> Picture:
    """Quality over diversity: means joined over temperature, seeds as small points, the front as a band.

    Both axes point to the better side, so up and to the right is better. As wide as a column; with a title as wide as a
    page, the legend at its side.
    """
    rows = figure.series[:_ROWS]
    entries: list[tuple[Line2D, str]] = [(_draw(None, row, ground), row.label) for row in rows]
    n_lines = -(-(len(entries) + 2) // 2)
    size = (_PAGE, 3.6) if title else (_COLUMN, 2.5 + 0.135 * n_lines)
    picture = Picture(figsize=size, layout="constrained")
    axes: Axes = picture.subplots()
    axes.set_title(_literal(title), loc="left", fontweight="bold")
    baseline = [row for row in rows if row.label == figure.baseline]
    for row in [*(row for row in rows if row not in baseline), *baseline]:  # it lies above the others
        _draw(axes, row, ground)
    front = sorted((p.x, p.y) for row in rows for p in row.points if p.front)
    if front:
        band = Line2D(*zip(*front, strict=True), color=ground.band, linewidth=5, solid_capstyle="round", zorder=0)
        axes.add_line(band)
        entries.append((band, "front of the ranked rows"))
    for row in baseline:
        _name_temperatures(axes, row.points, ground)
    if figure.diversity is not None:
        line = axes.axvline(figure.diversity, color="0.6", linewidth=0.6, zorder=1)
        entries.append((line, f"matched {figure.x.title}"))
    axes.set_xlabel(_axis(figure.x))
    axes.set_ylabel(_axis(figure.y))
    outside = _limit(axes, figure, rows)
    shown = shortened([label for _, label in entries])
    names = [name + (" (outside)" if label in outside else "") for name, (_, label) in zip(shown, entries, strict=True)]
    handles = [handle for handle, _ in entries]
    if len(figure.series) > _ROWS:
        handles.append(Line2D([], [], linestyle=""))
        names.append(f"{len(figure.series) - _ROWS} more rows: see the tables")
    place: Any = {"loc": "outside right upper", "ncols": 1} if title else {"loc": "outside lower center", "ncols": 2}
    picture.legend(handles, names, frameon=False, handlelength=2.0, borderpad=0.1, columnspacing=0.6,
                   handletextpad=0.5, labelspacing=0.25, **place)  # fmt: skip
    return picture


def _draw(axes: Axes | None, row: Series, ground: Ground) -> Line2D:
    """Draw a row into axes; returns what stands for it in the legend."""
    look = row.look
    colour, marker = colour_of(look, ground), MARKERS[look.marker][0]
    line = Line2D([p.x for p in row.points], [p.y for p in row.points])
    line.set(color=colour, marker=marker, markersize=4, markeredgewidth=0.8, linewidth=look.width)
    line.set(linestyle=DASHES[look.dash] if len(row.points) > 1 else "", zorder=3 if look.width > 1 else 2)
    if not look.filled:
        line.set(markerfacecolor=ground.paper)
    if axes is not None:
        axes.add_line(line)
        seeds = [seed for seed in row.seeds if seed.n > 1]
        axes.plot([s.x for s in seeds], [s.y for s in seeds], linestyle="", marker=marker, markersize=2.2, color=colour,
                  alpha=0.4, markeredgewidth=0.4, zorder=1)  # fmt: skip
    return line


def _name_temperatures(axes: Axes, points: Sequence[Point], ground: Ground) -> None:
    """The coldest, 1 and the hottest, beside the points of a row that has several."""
    ends = (points[0], points[-1])
    for point in (p for p in points if len(points) > 1 and (p in ends or p.temperature == 1.0)):
        name = f"T={value_text(point.temperature, 'temperature')}"
        axes.annotate(
            name, (point.x, point.y), xytext=(-4, -3), textcoords="offset points", ha="right", va="top", fontsize=6,
            zorder=6, bbox={"boxstyle": "square,pad=0.05", "fc": ground.paper, "ec": "none", "alpha": 0.75},
        )  # fmt: skip


def _limit(axes: Axes, figure: Figure, rows: Sequence[Series]) -> set[str]:
    """Set limits and directions; returns the labels of references that lie outside."""
    inside = [row for row in rows if row.model not in _STRETCHES] or rows
    seeds = [seed for row in inside for seed in row.seeds]
    across, up = _span([seed.x for seed in seeds]), _span([seed.y for seed in seeds])
    axes.set_xlim(*(across[::-1] if figure.x.better == "lower" else across))
    axes.set_ylim(*(up[::-1] if figure.y.better == "lower" else up))
    return {
        row.label
        for row in rows
        if not any(across[0] <= p.x <= across[1] and up[0] <= p.y <= up[1] for p in row.points)
    }


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = _MARGIN * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin


# Learning curves.


def draw_learning(figure: Figure) -> Picture:
    """One score while training: a panel for each trained row, with the borders of its phases.

    Thin: seeds. Thick: their mean, where all completed seeds have a value. Dashed: MLE at its end. Dotted: real text.
    Phases are equally wide, because a step of one may take a thousand times as long as a step of another; the ticks
    say at which step each ends.
    """
    rows = [row for row in figure.series if row.trained]
    shown = rows[:_PANELS]
    n_columns = min(_ACROSS, len(shown))
    n_lines = -(-len(shown) // n_columns)
    width = _COLUMN if n_columns == 1 else _PAGE
    picture = Picture(figsize=(width, _HEIGHT * n_lines + 0.35), layout="constrained")
    grid = picture.subplots(n_lines, n_columns, sharey=True, squeeze=False)
    for axes, row in zip(grid.flat, shown, strict=False):
        for level in figure.levels:
            axes.axhline(level.y, linewidth=0.8, zorder=1, **_level_style(level))
        _panel(axes, row)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    picture.supxlabel(_under(figure, len(rows) - len(shown)), fontsize=7)
    picture.supylabel(_axis(figure.y), fontsize=8)
    return picture


def _level_style(level: Level) -> dict[str, Any]:
    if level.look.colour == "ref":
        return {"color": "0.55", "linestyle": (0, (1, 1))}
    return {"color": "black", "linestyle": (0, (4, 2))}


def _under(figure: Figure, more: int) -> str:
    """What the horizontal lines are, and how many rows are not shown."""
    lines = [
        "dotted: real text" if level.look.colour == "ref" else f"dashed: {short(level.name)} at its end"
        for level in figure.levels
    ]
    lines += [f"{more} more rows: see the tables"] if more else []
    return " · ".join(["steps", *([", ".join(lines)] if lines else [])])


def _panel(axes: Axes, row: Series) -> None:
    ends = [0, *dict.fromkeys(step for _, step in row.borders if step)]
    colour = colour_of(row.look)
    for _, points in itertools.groupby(row.seeds, lambda point: point.seed):
        axes.plot(*_places(points, ends), color=colour, linewidth=0.6, alpha=0.5)
    axes.plot(*_places(row.points, ends), color=colour, linewidth=1.4, marker=MARKERS[row.look.marker][0], markersize=3,
              zorder=3)  # fmt: skip
    for border in range(1, len(ends) - 1):
        axes.axvline(border, color="0.7", linewidth=0.6, zorder=0)
    axes.set_xlim(0, len(ends) - 1 + 0.03)
    axes.set_xticks(range(len(ends)), [f"{step:,}" for step in ends], rotation=45 if len(ends) > 5 else 0)
    ticks = axes.get_xticklabels()
    ticks[0].set_horizontalalignment("left")  # panels side by side: no label reaches into the next one
    ticks[-1].set_horizontalalignment("right")
    _name_phases(axes, row, ends)


def _places(points: Iterable[Point], ends: Sequence[int]) -> tuple[list[float], list[float]]:
    points = list(points)
    return [_place(point.x, ends) for point in points], [point.y for point in points]


def _place(step: float, ends: Sequence[int]) -> float:
    """Where a step stands on an axis on which every phase is one wide."""
    for phase, (first, last) in enumerate(itertools.pairwise(ends)):
        if step <= last:
            return phase + (step - first) / (last - first)
    return len(ends) - 1.0


def _name_phases(axes: Axes, row: Series, ends: Sequence[int]) -> None:
    """The row's name, and below it each phase's above its part of the panel, where they fit."""
    axes.set_title(short(row.label, 30), fontsize=8, pad=11)
    names: dict[int, str] = {}
    for name, step in row.borders:
        names.setdefault(step, name)
    of_phase = [_literal(names[step]) for step in ends[1:]]
    if max(map(len, of_phase), default=0) * len(of_phase) <= _FITS:
        for i, name in enumerate(of_phase):
            axes.annotate(name, (i + 0.5, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2),
                          textcoords="offset points", ha="center", va="bottom", fontsize=6, color="0.35")  # fmt: skip
