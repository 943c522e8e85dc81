"""What a table is: cells, columns, lines. `board` and `reported` make them, printers print them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from leaderboards.formats import Kind, Value, six_digits, uncertainty_text, value_text
from leaderboards.schema import Row, Tier
from metrics.common.base import Bounds

__all__ = ["ALL", "TICKS", "Cell", "Column", "Line", "Table"]

ALL = "All"
"""The choice that shows every column."""
TICKS: Mapping[Tier, str] = {"reported": "", "verified": "✓", "retrained": "✓✓"}
"""The mark of each tier, where there is no column of its own."""


@dataclass(frozen=True)
class Cell:
    """What stands where a line meets a column: a value in full, and how it is marked. The column says how to write it.

    (`schema.RankedMean` is where most values come from.)
    """

    value: Value = None
    uncertainty: float | None = None
    """Half width of the value's interval; of places, the last one."""
    mark: str = ""
    """What follows: `†` beyond real text, `‡` on the front, `✓` verified, `✓✓` retrained, `°` as recorded; the phases
    of a duration."""
    strong: bool = False
    order: float | None = None
    """What it is sorted by, where that is not the value."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column, and how its cells are written."""

    title: str
    kind: Kind
    metric: str = ""
    """Whose definition is shown on hover; empty for a column that is no score."""
    better: str = ""
    """higher, lower or real, for a score. Where it is higher, a reader who sorts sees the most on top first."""
    bounds: Bounds = (None, None)
    """What a value cannot leave, so neither can its interval as it is printed."""
    choices: tuple[str, ...] = ()
    """Choices of columns that show it, `ALL` shows every one; empty: it is always shown."""

    @property
    def left(self) -> bool:
        """Whether it holds words, which stand left and may be wrapped; others stand right."""
        return self.kind in ("words", "tag")

    def value(self, cell: Cell) -> str:
        """The value alone."""
        return value_text(cell.value, self.kind)

    def after(self, cell: Cell) -> str:
        """What follows the value: its uncertainty and its mark."""
        return uncertainty_text(cell.value, cell.uncertainty, self.kind, self.bounds) + cell.mark

    def text(self, cell: Cell) -> str:
        """The whole cell, `0.712±.012†`."""
        return self.value(cell) + self.after(cell)

    def order(self, cell: Cell) -> str:
        """The number to sort by; empty for words, which sort by themselves."""
        found = cell.value if cell.order is None else cell.order
        return "" if found is None or isinstance(found, str) else f"{six_digits(found):.10g}"


@dataclass(frozen=True)
class Line:
    """A line of a table."""

    cells: tuple[Cell, ...]
    row: Row | None = None
    """Whose; None for numbers from papers."""
    group: str = ""
    """Lines of one group stand together, and are never sorted among those of another."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know: below a table of text, above one of the page."""
    name: str = ""
    """Names it in the page's addresses."""

    @property
    def groups(self) -> list[tuple[str, list[Line]]]:
        """Name of a group and its lines, in order."""
        return [(name, list(lines)) for name, lines in itertools.groupby(self.lines, lambda line: line.group)]

    @property
    def choices(self) -> list[str]:
        """Choices of columns, the one shown at first before the others and `ALL` last."""
        found = dict.fromkeys(choice for column in self.columns for choice in column.choices)
        return sorted({**found, ALL: None}, key=lambda choice: (choice == ALL, choice != "Main"))
