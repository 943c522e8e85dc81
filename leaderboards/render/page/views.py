"""Boards -> what the templates print: columns, cells and marks as `leaderboards.tables` has them, and sort values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from leaderboards.schema import Board, Cell, Row
from leaderboards.tables import MAIN, columns, is_best
from leaderboards.text import as_part, column, duration, places, plain

__all__ = ["Column", "Group", "Line", "TableView", "View", "board_tables", "main_table"]

_STATUS = {
    "reference": "References: what a score means. Not ranked.",
    "ranked": "Ranked: three seeds or more",
    "incomplete": "Incomplete: fewer than three seeds. Not ranked.",
    "samples": "Samples that were handed in. Not ranked.",
    "apart": "Drawn at another temperature than 1. Not comparable with the rows above.",
}
_MEAN = re.compile(r"([-+−]?[0-9.,]+(?:e[-+]?[0-9]+)?)(.*)")
ALL = "All"
"""The choice that shows every column."""
_GAIN = (
    "End of training minus end of pre-training of the same run, paired by seed: what the adversarial training added."
)
_APART = "By a setting of their own these rows are drawn at another temperature than 1."


@dataclass(frozen=True)
class Column:
    """A column after the model's."""

    title: str
    views: tuple[str, ...] = ()
    """Choices of columns that show it, `ALL` shows every one; empty: it is always shown."""
    metric: str = ""
    """Whose definition is shown on hover; empty for a column that is no score."""
    higher_first: bool = False
    """What the first click on the head brings to the top."""
    width: int = 0
    """Characters that stand right of the numbers, so that these align."""
    text: bool = False


@dataclass(frozen=True)
class View:
    """A cell: the number, what follows it in small, the value to sort by."""

    text: str
    small: str = ""
    value: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table."""

    row: Row
    anchor: str
    cells: tuple[View, ...]


@dataclass(frozen=True)
class Group:
    """Lines of one status: sorted among themselves, never ranked together with others."""

    title: str
    lines: tuple[Line, ...]

    @property
    def n(self) -> int:
        """Number of lines."""
        return len(self.lines)


@dataclass(frozen=True)
class TableView:
    """A table with its choices of columns."""

    name: str
    """Names the table in the page's addresses."""
    title: str
    about: str
    columns: tuple[Column, ...]
    views: tuple[str, ...]
    groups: tuple[Group, ...]


Pick = Callable[[Row, float], Cell | None]
Made = tuple[Column, Callable[[Row, float], View]]
"""A column and its cell of a row at a temperature."""


def board_tables(board: Board) -> list[TableView]:
    """Scores at the end, gains over pre-training, temperatures, rows apart; those that would be empty left out."""
    keys = _keys(board, [*board.rows, *board.apart])
    final = [
        *(_score(board, key, views, _final(key)) for key, views in keys.items()),
        *(_rank(board, key) for key in keys if any(_ranked(row, key) for row in board.rows)),
        *_curves(board),
        *_costs(board),
        *_evidence(),
    ]
    gained = {key: views for key, views in keys.items() if any(key in row.gain for row in board.rows)}
    gain = [_score(board, key, views, _gain(key), signed=True) for key, views in gained.items()]
    swept = [(row, t) for row in board.rows if len(row.sweep) > 1 for t in sorted(row.sweep)]
    temperature = (Column("T"), lambda row, t: View(f"{t:g}", value=f"{t:g}"))
    sweep = [_score(board, key, views, _sweep(key)) for key, views in keys.items()]
    gained_rows = _at_end(row for row in board.rows if row.gain)
    tables = [
        _table("scores", "Scores at the end of training", "", board, _at_end(board.rows), final),
        _table("gain", "Gain over pre-training", _GAIN, board, gained_rows, gain),
        _table("temperatures", "Temperatures", "", board, swept, [temperature, *sweep]),
        _table("apart", "At another temperature", _APART, board, _at_end(board.apart), final),
    ]
    return [table for table in tables if table.name == "scores" or (table.groups and table.columns)]


def main_table(board: Board, most: int) -> tuple[TableView, int]:
    """The few scores that a first look needs; of a long board the references and the front. With the rows left out."""
    keys = _keys(board, board.rows)
    chosen = board.rows
    if len(chosen) > most:
        wanted = [row for row in board.rows if row.status == "reference" or row.baseline or row.front]
        chosen = (wanted or board.rows)[:most]
    shown = [key for key, views in keys.items() if "Main" in views] or list(keys)[:6]
    made = [_score(board, key, ("Main",), _final(key)) for key in shown]
    table = _table("main", "", "", board, _at_end(chosen), [*made, *_evidence()])
    return table, len(board.rows) - len(chosen)


def _final(key: str) -> Pick:
    return lambda row, _: row.final.get(key)


def _gain(key: str) -> Pick:
    return lambda row, _: row.gain.get(key)


def _sweep(key: str) -> Pick:
    return lambda row, temperature: row.sweep.get(temperature, {}).get(key)


def _at_end(rows: Iterable[Row]) -> list[tuple[Row, float]]:
    return [(row, 1.0) for row in rows]


def _keys(board: Board, rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Score key that some row has -> the choices that show it, in the order of the other tables, hidden ones last."""
    families = [(name, key) for name, keys in columns(board) for key in keys]
    found: dict[str, tuple[str, ...]] = {}
    for name, key in [*families, *(("", key) for key in board.signatures)]:
        if key not in found and any(key in cells for row in rows for cells in (row.final, *row.sweep.values())):
            found[key] = (*(("Main",) if key in MAIN else ()), name) if name else (ALL,)
    return found


def _evidence() -> list[Made]:
    def evidence(row: Row, _: float) -> View:
        return View(row.evidence if row.status != "reference" or row.verified else "")

    def seeds(row: Row, _: float) -> View:
        told = "file" if row.origin == "samples" else f"{row.n_completed}/{row.n_started}"
        return View(told, value=str(row.n_completed))

    return [(Column("seeds", higher_first=True), seeds), (Column("evidence", text=True), evidence)]


def _score(
    board: Board,
    key: str,
    views: tuple[str, ...],
    cell: Pick,
    *,
    signed: bool = False,
) -> Made:
    def view(row: Row, temperature: float) -> View:
        found = cell(row, temperature)
        if found is None:
            return View("")
        part = as_part(found, strong=found is row.final.get(key) and is_best(board, row, key), signed=signed)
        match = _MEAN.fullmatch(part.text)
        text, small = (match[1], match[2]) if match else (part.text, "")
        return View(text, small, f"{found.mean:.6g}", part.strong)

    metric = board.metrics.get(key, "")
    return Column(column(board, key), views, metric, higher_first=board.better[key] == "higher"), view


def _ranked(row: Row, key: str) -> bool:
    return key in row.final and row.final[key].rank is not None


def _rank(board: Board, key: str) -> Made:
    def view(row: Row, _: float) -> View:
        cell = row.final.get(key)
        if cell is None or cell.rank is None:
            return View("")
        part = places(cell)
        return View(part.text, value=f"{cell.rank}.{cell.rank_high or cell.rank:04d}", strong=part.strong)

    return Column(f"rank in {plain(key)}", ("Ranks",), board.metrics.get(key, "")), view


def _curves(board: Board) -> list[Made]:
    """Quality at the diversity of MLE at temperature 1, read off each row's curve, and what it is over MLE's."""
    made: list[Made] = []
    for curve in board.curves:
        traces = {trace.label: trace for trace in curve.traces}
        for field, title in (("matched", "{y} matched"), ("over_baseline", "{y} matched − MLE")):
            if any(getattr(trace, field) is not None for trace in curve.traces):

                def view(row: Row, _: float, field: str = field, traces: dict = traces) -> View:  # type: ignore[type-arg]
                    cell = getattr(traces.get(row.label), field, None)
                    if cell is None:
                        return View("")
                    match = _MEAN.fullmatch(as_part(cell, signed=field == "over_baseline").text)
                    return View(match[1] if match else "", match[2] if match else "", f"{cell.mean:.6g}")

                name = title.format(y=plain(curve.y))
                metric = board.metrics.get(curve.y, "")
                made.append((Column(name, ("Curves",), metric, higher_first=curve.y_better == "higher"), view))
    return made


def _costs(board: Board) -> list[Made]:
    def parameters(row: Row, _: float) -> View:
        return View(f"{row.n_parameters:,}" if row.n_parameters is not None else "", value=str(row.n_parameters or ""))

    def seconds(row: Row, _: float) -> View:
        total = sum(row.seconds.values())
        told = (
            ", ".join(f"{plain(name)} {duration(s)}" for name, s in row.seconds.items()) if len(row.seconds) > 1 else ""
        )
        return View(
            duration(total) if row.seconds else "", f" ({told})" if told else "", f"{total:.4g}" if row.seconds else ""
        )

    def device(row: Row, _: float) -> View:
        return View(", ".join(map(plain, row.devices)))

    made: list[Made] = []
    if any(row.n_parameters is not None for row in board.rows):
        made.append((Column("parameters", ("Cost",)), parameters))
    if any(row.seconds for row in board.rows):
        made.append((Column("training time, mean over seeds", ("Cost",)), seconds))
    if any(row.devices for row in board.rows):
        made.append((Column("device", ("Cost",), text=True), device))
    return made


def _table(
    name: str, title: str, about: str, board: Board, rows: Sequence[tuple[Row, float]], made: Sequence[Made]
) -> TableView:
    anchors = {row.label: f"row-{i}" for i, row in enumerate([*board.rows, *board.apart], 1)}
    lines = [Line(r, anchors[r.label], tuple(cell(r, t) for _, cell in made)) for r, t in rows]
    widths = [max((len(line.cells[i].small) for line in lines), default=0) for i in range(len(made))]
    sized = tuple(
        Column(c.title, c.views, c.metric, c.higher_first, min(width, 9), c.text)
        for (c, _), width in zip(made, widths, strict=True)
    )
    used = dict.fromkeys(view for column in sized for view in column.views)
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.row.status, []).append(line)
    return TableView(
        name=name,
        title=title,
        about=about,
        columns=sized,
        views=tuple(sorted({**used, ALL: None}, key=lambda view: (view == ALL, view != "Main"))),
        groups=tuple(Group(_STATUS[status], tuple(found)) for status, found in groups.items()),
    )
