"""Numbers from papers as tables, and beside ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from bench.published import Published
from leaderboards.formats import Kind, plain
from leaderboards.headline import headline_keys
from leaderboards.schema import Board
from leaderboards.tables.cells import Cell, Column, Line, Table
from leaderboards.tables.families import families_of

__all__ = ["published_tables", "reported_tables", "with_published"]


def reported_tables(board: Board) -> list[Table]:
    """A table for each source of numbers of the board's data, the keys in the order of our columns."""
    order = [key for _, keys in families_of(board) for key in keys]
    return [_reported_table(source, rows, order) for source, rows in board.published.items()]


def _reported_table(source: str, rows: Sequence[Published], order: Sequence[str]) -> Table:
    """The numbers of one source; in brackets what does not compare with ours."""
    keys = sorted({row.key for row in rows}, key=lambda key: order.index(key) if key in order else len(order))
    of_model: dict[str, dict[str, Published]] = {}
    for row in rows:
        of_model.setdefault(_published_model(row), {})[row.key] = row
    columns = [Column(title=plain(key), kind="printed") for key in keys]
    lines = [Line((Cell(model), *(_reported(numbers.get(key)) for key in keys))) for model, numbers in of_model.items()]
    return Table(
        title=f"reported · {plain(source)}",
        columns=(Column(title="model", kind="words"), *columns),
        lines=tuple(lines),
        notes=tuple(_protocols(rows)),
    )


def _reported(row: Published | None) -> Cell:
    if row is None:
        return Cell()
    return Cell(_published_value(row) if row.comparable else f"[{_published_value(row)}]")


def _published_model(row: Published) -> str:
    return f"{row.model} ({row.variant})" if row.variant else row.model


def _published_value(row: Published) -> str:
    return f"{row.value} (sd {row.std})" if row.std else row.value


def _protocols(rows: Sequence[Published]) -> Iterator[str]:
    """Who reports; why a number does not compare, and each protocol, with the models and keys it holds for."""
    reporters = ", ".join(dict.fromkeys(row.reported_by for row in rows))
    yield plain(f"Reported by {reporters}; not measured here, not ranked.")
    for why, models, keys in _holding((row.reason, row) for row in rows):
        yield plain(f"[ ] not comparable: {models} ({keys}): {why}")
    for protocol, models, keys in _holding((row.protocol, row) for row in rows):
        yield plain(f"{models} ({keys}): {protocol}")


def _holding(pairs: Iterable[tuple[str, Published]]) -> Iterator[tuple[str, str, str]]:
    """Each text that is not empty with the models and the keys of the numbers that it is said of."""
    holds: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for text, row in pairs:
        models, keys = holds.setdefault(text, ({}, {}))
        models[row.model] = None
        keys[row.key] = None
    return ((text, ", ".join(models), ", ".join(keys)) for text, (models, keys) in holds.items() if text)


def with_published(board: Board, table: Table) -> tuple[Table, str]:
    """A main table with what one source printed for its models, and the source; as it is where none has them.

    The source is the one that has most of the models, and the score the table's quality, beside which it stands. What
    validation selected was not published.
    """
    shown = headline_keys(board)
    models = {line.row.model for line in table.lines if line.row is not None}
    best: dict[str, Published] = {}
    for rows in board.published.values():
        ours = (row for row in rows if ("quality", row.key) in shown)
        found = {name: row for row in ours if (name := _letters(row.model)) in models}
        best = max(best, found, key=lambda of: (len(of), sum(row.comparable for row in of.values())))
    if not best:
        return table, ""
    first = next(iter(best.values()))
    column = Column(title=f"published {plain(first.key)}", kind="printed")
    place = len(table.columns) - len(shown) + shown.index(("quality", first.key)) + 1
    lines_of = [line.row for line in table.lines]
    printed = [_reported(best.get(row.model) if row is not None and not row.selected else None) for row in lines_of]
    cells = [(*c[:place], cell, *c[place:]) for c, cell in zip((x.cells for x in table.lines), printed, strict=True)]
    lines = tuple(dataclasses.replace(line, cells=some) for line, some in zip(table.lines, cells, strict=True))
    columns = (*table.columns[:place], column, *table.columns[place:])
    return dataclasses.replace(table, columns=columns, lines=lines), plain(first.source)


def _letters(name: str) -> str:
    """A model as papers write it -> as it is registered here: `SeqGAN` -> `seqgan`."""
    return name.lower().replace("-", "_")


def published_tables(rows: Iterable[Published]) -> list[Table]:
    """Every number of each source with its protocol, a table for each data set of a source."""
    blocks: dict[str, list[Line]] = {}
    for row in rows:
        settings = ", ".join(f"{key}={value}" for key, value in row.task_config.items())
        data = f"{row.task} {settings}".strip() or f"{row.published_task}, which no task here has"
        equal = "equal" + (f" where {row.needs}" if row.needs else "") if row.comparable else f"apart: {row.reason}"
        values = (_published_model(row), row.key, _published_value(row), str(row.n_seeds or ""), equal, row.protocol)
        title = f"reported · {row.source} · by {row.reported_by} · {data}"
        blocks.setdefault(plain(title), []).append(Line(tuple(map(Cell, values))))
    heads: tuple[tuple[str, Kind], ...] = (
        *(("model", "words"), ("score", "words"), ("value", "printed"), ("seeds", "printed")),
        *(("compares with ours", "words"), ("protocol", "words")),
    )
    columns = tuple(Column(title=title, kind=kind) for title, kind in heads)
    return [Table(title=title, columns=columns, lines=tuple(lines)) for title, lines in blocks.items()]
