"""Every table of a board as data: columns, lines, notes. Terminal, Markdown, LaTeX and the pages print these alone.

Tables choose `columns`. For a reader of text there are narrow tables, one after another (`text_tables`), for the page a
wide one with choices of columns (`page_tables`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from leaderboards.formats import phases, plain, value_text
from leaderboards.headline import headline_keys, most_telling
from leaderboards.schema import Board, Curve, Row
from leaderboards.tables import columns
from leaderboards.tables.attacks import attack_table
from leaderboards.tables.cells import Cell, Column, Line, Table
from leaderboards.tables.columns import Field
from leaderboards.tables.families import MAIN, WIDE, families_of, keys_shown, only_references
from leaderboards.tables.reported import reported_tables

__all__ = ["main_table", "page_tables", "text_tables"]

_GAIN = "End of training minus end of pre-training of the same run"
_FIRST = "what the adversarial training added."
_ELSEWHERE = "By a setting of their own these models are drawn at another temperature than 1."

Place = tuple[Row, float]
"""A row at a temperature."""


def text_tables(board: Board) -> list[Table]:
    """Every table of a board, narrow ones; those that would be empty left out."""
    families = families_of(board)
    tables = [t for name, keys in families for t in _final_table(board, name, keys, board.rows)]
    tables += _places_table(board) + _gain_table(board) + _matched_tables(board)
    tables += _temperature_table(board) + _cost_table(board)
    apart = [(f"At another temperature: {name}", keys) for name, keys in families]
    tables += [t for name, keys in apart for t in _final_table(board, name, keys, board.apart)]
    return tables + _attack_tables(board) + reported_tables(board)


def _attack_tables(board: Board) -> list[Table]:
    found = attack_table(board)
    return [found] if found is not None else []


def page_tables(board: Board) -> list[Table]:
    """Scores at the end, gains over pre-training, temperatures, rows apart; those that would be empty left out."""
    keys = keys_shown(board, [*board.rows, *board.apart])
    final = [
        *(columns.score(board, key, columns.final(key), choices) for key, choices in keys.items()),
        *(columns.places(board, key, f"rank in {plain(key)}") for key in keys if columns.n_ranked(board, key)),
        *columns.curve_fields(board),
        *columns.cost_fields(board),
        columns.seeds(),
        *columns.collapsed(board),
        columns.tier(),
    ]
    gains = {key: choices for key, choices in keys.items() if any(key in row.gain for row in board.rows)}
    gain = [columns.score(board, key, columns.gain(key), choices, "change") for key, choices in gains.items()]
    sweep = [columns.score(board, key, columns.sweep(key), choices) for key, choices in keys.items()]
    paired = f"{_GAIN}, paired by seed: {_FIRST}"
    gained, swept = [row for row in board.rows if row.gain], [row for row in board.rows if len(row.sweep) > 1]
    apart = [] if board.elsewhere else board.apart
    tables = [
        _table(_title(board), _at_end(board.first_rows), final, notes=_elsewhere(board), name="scores"),
        _table("Gain over pre-training", _at_end(gained), gain, name="gain", notes=[paired]),
        _table(
            "Temperatures",
            _at_every_temperature(swept),
            [columns.temperature(), *sweep],
            name="temperatures",
            notes=_unkept(swept),
        ),
        _table("At another temperature", _at_end(apart), final, name="apart", notes=[_ELSEWHERE]),
        *_attack_tables(board),
    ]
    return [table for table in tables if table.name == "scores" or (table.lines and len(table.columns) > 1)]


def main_table(board: Board, most: int) -> tuple[Table, int]:
    """The few scores that carry the message: exact divergences, quality, diversity, both. With the rows left out.

    Of a long board those rows are left out first that say least: further controls, then rows that are not ranked.
    """
    chosen = most_telling(board, most)
    fields = [columns.state(board), *(_headline(board, word, key) for word, key in headline_keys(board))]
    table = _table("Main scores", _at_end(chosen), fields, notes=_elsewhere(board), name="main")
    return table, len(board.first_rows) - len(chosen)


def _title(board: Board) -> str:
    trained = any(row.origin == "run" for row in board.first_rows)
    return "Scores at the end of training" if trained else "Scores"


def _elsewhere(board: Board) -> list[str]:
    """What must be said where the models of a board's first table are those that stand apart."""
    return [_ELSEWHERE] if board.elsewhere else []


def _headline(board: Board, word: str, key: str) -> Field:
    column, cell = columns.score(board, key, columns.final(key))
    return dataclasses.replace(column, title=f"{word} {column.title}".lstrip()), cell


def _table(
    title: str,
    places: Iterable[Place],
    fields: Sequence[Field],
    *,
    notes: Sequence[str] = (),
    name: str = "",
    group: Callable[[Row], str] = lambda row: row.status,
) -> Table:
    """A table of rows, whose first column is the model; lines of one status stand together."""
    fields = [columns.model(), *fields]
    lines = [Line(tuple(cell(row, t) for _, cell in fields), row, group(row)) for row, t in places]
    of_fields = tuple(column for column, _ in fields)
    return Table(title=title, columns=of_fields, lines=tuple(lines), notes=tuple(notes), name=name)


def _at_end(rows: Iterable[Row]) -> list[Place]:
    return [(row, 1.0) for row in rows]


def _at_every_temperature(rows: Iterable[Row]) -> list[Place]:
    return [(row, temperature) for row in rows for temperature in sorted(row.sweep)]


def _final_table(board: Board, name: str, keys: Iterable[str], rows: Sequence[Row]) -> list[Table]:
    present = [key for key in keys if any(key in row.final for row in rows)]
    if not present and (board.signatures or name != "Quality"):  # a board of failures shows its rows once
        return []
    present.sort(key=lambda key: only_references(rows, key))  # no table begins with what says nothing of models
    scores = (columns.score(board, key, columns.final(key)) for key in present)
    return [_table(name, _at_end(rows), [columns.status(), columns.seeds(), *columns.collapsed(board), *scores])]


def _places_table(board: Board) -> list[Table]:
    present = [key for key in MAIN if columns.n_ranked(board, key) > 1][:WIDE]
    rows = [row for row in board.rows if row.status == "ranked"]
    note = (
        "The places that a row may have, with 95% confidence for each row alone: from 1 + the clearly better rows to "
        "all but the clearly worse. By Welch's t over seeds for every pair, with Holm's correction in the row; "
        "distances to real text are compared, and beyond it nothing is gained. 1–3: a tie of three."
    )
    fields = [
        columns.seeds(),
        *columns.collapsed(board),
        *(columns.places(board, key, columns.score_title(board, key)) for key in present),
    ]
    return [_table("Ranks", _at_end(rows), fields, notes=[note])] if present else []


def _gain_table(board: Board) -> list[Table]:
    rows = [row for row in board.rows if row.gain]
    present = [key for key in MAIN if any(key in row.gain for row in rows)][:WIDE]
    note = f"{_GAIN}: {_FIRST} The interval is of the differences."
    fields = [columns.seeds(), *(columns.score(board, key, columns.gain(key), kind="change") for key in present)]
    return [_table("Gain over pre-training", _at_end(rows), fields, notes=[note])] if present else []


def _temperature_table(board: Board) -> list[Table]:
    rows = [row for row in board.rows if len(row.sweep) > 1]
    present = [key for key in MAIN if any(key in means for row in rows for means in row.sweep.values())][:WIDE]
    fields = [columns.temperature(), *(columns.score(board, key, columns.sweep(key)) for key in present)]
    places = _at_every_temperature(rows)
    notes = _unkept(rows)
    return [_table("Temperatures", places, fields, notes=notes, group=lambda row: row.label)] if present else []


def _unkept(rows: Sequence[Row]) -> list[str]:
    """Whether verified rows have scores at other temperatures whose samples are not kept."""
    means = (m for row in rows if row.verified for t, means in row.sweep.items() if t != 1.0 for m in means.values())
    told = "Of rows with ✓ too, scores at other temperatures than 1 stand as recorded: these samples are not kept."
    return [told] if any(mean.as_recorded for mean in means) else []


def _matched_tables(board: Board) -> list[Table]:
    """What rows have where their quality, or their diversity, is the baseline's; nothing where no row has it."""
    having = [curve for curve in board.curves if any(trace.over_baseline is not None for trace in curve.traces)]
    of_quality = [curve for curve in having if board.meanings[curve.x].aspect == "quality"]
    of_diversity = [curve for curve in having if curve not in of_quality]
    titles = ("At matched quality", of_quality), ("Quality at matched diversity", of_diversity)
    return [table for title, curves in titles if curves for table in _matched_pair(board, title, curves)]


def _matched_pair(board: Board, title: str, curves: Sequence[Curve]) -> list[Table]:
    """The values, and how far they are from the baseline's."""
    having = {trace.label for curve in curves for trace in curve.traces if trace.matched}
    rows = [row for row in [*board.rows, *board.apart] if row.label in having]
    base = plain(str(curves[0].baseline))
    at = ", ".join(f"{c.y} at {c.x} {value_text(c.diversity, 'score')}" for c in curves if c.diversity is not None)
    notes = [f"What is matched is what {base} has at temperature 1: {at}. Read off each seed's curve over temperature."]
    values = [_at(curves, c, columns.score(board, c.y, columns.matched(c))) for c in curves]
    differences = [_at(curves, c, columns.score(board, c.y, columns.over_baseline(c), kind="change")) for c in curves]
    others = [row for row in rows if not row.baseline]
    welch = (
        f"± is Welch's 95% interval of this one difference over seeds. Bold: clearly better than {base}, by the rule "
        "of the ranks (Holm's correction over the column); never where the value itself is beyond real text."
    )
    return [
        _table(title, _at_end(rows), [columns.seeds(), *values], notes=[*notes, *_unmatched(curves)]),
        _table(f"{title}, minus {base}", _at_end(others), [columns.seeds(), *differences], notes=[welch]),
    ]


def _at(curves: Sequence[Curve], curve: Curve, field: Field) -> Field:
    """A score's column, which says at what it is matched where another column has the same score."""
    column, cell = field
    if sum(other.y == curve.y for other in curves) > 1:
        column = dataclasses.replace(column, title=f"{column.title} at {plain(curve.x)}")
    return column, cell


def _unmatched(curves: Sequence[Curve]) -> list[str]:
    """Why a row has no quality at matched diversity, rows with the same reason together."""
    reasons: dict[str, dict[str, None]] = {}
    for trace in (trace for curve in curves for trace in curve.traces if trace.reason):
        reasons.setdefault(plain(trace.label), {})[plain(trace.reason)] = None
    labels: dict[str, list[str]] = {}
    for label, of_label in reasons.items():
        labels.setdefault("; ".join(of_label), []).append(label)
    return [f"{', '.join(who)}: {reason}." for reason, who in labels.items()]


def _cost_table(board: Board) -> list[Table]:
    """Parameters, time of training by phase, device; nothing where nothing was trained."""
    rows = [row for row in [*board.rows, *board.apart] if row.seconds]
    notes = [
        "Training alone by the clock, without drawing and scoring: median of completed seeds, as the machine may have "
        "done other work beside some."
    ]
    if len({device for row in rows for device in row.devices}) > 1:
        notes.append("Times on different devices do not compare.")
    by_phase = Column(title="by phase", kind="words"), lambda row, _: Cell(phases(row.seconds))
    fields = [columns.parameters(), columns.real_sentences(), columns.training("training"), by_phase, columns.device()]
    return [_table("Cost", _at_end(rows), fields, notes=notes)] if rows else []
