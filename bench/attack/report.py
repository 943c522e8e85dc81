"""Attack tables for people (terminal, Markdown) and for programs (JSON, CSV)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bench.attack.table import MARKS, AttackTable, Column, Line, Value, note
from bench.streams import Head, SafeConsole, print_prose
from bench.streams import print_table as draw_table
from bench.text.escapes import csv_text, shown

__all__ = ["as_csv", "as_json", "as_markdown", "print_table"]

_CSV = (
    "task", "attack", "what", "real", "sentences", "seed", "score", "value", "standard_error", "better", "held_out",
    "allowance", "verdict", "signature", "absent",
)  # fmt: skip


def print_table(console: SafeConsole, table: AttackTable) -> None:
    """A line for each attack, a column for each score, and below what a reader must know."""
    console.print(_title(table))
    heads = [Head("attack", left=True), *(Head(_head(column)) for column in table.columns)]
    real = [[line.what, *_cells(table, line)] for line in table.lines if line.real]
    draw_table(console, heads, [real, [[line.what, *_cells(table, line)] for line in table.attacks]])
    for paragraph in [*note(table), *_reasons(table)]:
        print_prose(console, paragraph)


def _title(table: AttackTable) -> str:
    attacks = f"{len(table.attacks)} attacks of {table.n_samples:,} sentences each"
    return f"{attacks} on {table.task} (version {table.task_version}), seed {table.seed}"


def _head(column: Column) -> str:
    return f"{column.key}\n{column.better}"


def _cells(table: AttackTable, line: Line) -> list[str]:
    """The scores of the first line, marks of the others."""
    if line is table.held_out:
        return [_number(line.scores[column.key]) for column in table.columns]
    return [MARKS[table.verdict(line, column)] for column in table.columns]


def _number(found: Value) -> str:
    return f"{found.value:.4f}"


def _reasons(table: AttackTable) -> Iterator[str]:
    """Why scores are absent: those of an attack that has none at once, and those that no line has."""
    for line in table.lines:
        missing: dict[str, list[str]] = {}
        for column in table.columns:
            if reason := table.reason(line, column):
                missing.setdefault(reason, []).append(column.key)
        for reason, keys in missing.items():
            which = "all" if len(keys) == len(table.columns) else ", ".join(keys)
            yield f"absent: {line.what}: {which} ({reason})"
    reasons: dict[str, list[str]] = {}
    for name, reason in table.not_scored.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        yield f"no column: {', '.join(names)} ({reason})"


def as_markdown(tables: Sequence[AttackTable]) -> str:
    """The tables for a page, scores in lines and attacks in columns, as there are more scores than attacks."""
    parts = []
    for table in tables:
        heads = ["score", "better", *(line.what for line in table.lines)]
        lines = [f"## {shown(_title(table))}", "", _row(heads), _row(["---"] * len(heads))]
        for i, column in enumerate(table.columns):
            lines.append(_row([f"`{column.key}`", column.better, *(_cells(table, line)[i] for line in table.lines)]))
        lines += ["", *(paragraph + "\n" for paragraph in [*note(table), *_reasons(table)])]
        parts.append("\n".join(lines))
    return "\n".join(parts).rstrip("\n") + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def as_json(tables: Sequence[AttackTable]) -> str:
    """One document: a list of tables, with values and verdicts."""
    return json.dumps([_document(table) for table in tables], indent=2, ensure_ascii=False, allow_nan=False)


def _document(table: AttackTable) -> dict[str, Any]:
    return {
        "task": table.task,
        "task_version": table.task_version,
        "task_settings": table.task_config,
        "data_sha256": table.data_sha256,
        "sentences": table.n_samples,
        "seed": table.seed,
        "rule": note(table),
        "scores": {
            column.key: {"metric": column.metric, "better": column.better, "signature": column.signature,
                         "allowance": table.allowance(column)}
            for column in table.columns
        },
        "lines": [
            {"name": line.name, "what": line.what, "real": line.real,
             "scores": {column.key: _cell(table, line, column) for column in table.columns}}
            for line in table.lines
        ],
        "not_scored": table.not_scored,
    }  # fmt: skip


def _cell(table: AttackTable, line: Line, column: Column) -> dict[str, Any]:
    found = line.scores.get(column.key)
    about: dict[str, Any] = {} if line is table.held_out else {"verdict": table.verdict(line, column)}
    if found is None:
        return about | {"absent": table.reason(line, column)}
    return about | {"value": found.value, "standard_error": found.standard_error}


def as_csv(tables: Sequence[AttackTable]) -> str:
    """A row for each line and score."""
    return csv_text(_CSV, (row for table in tables for row in _csv_rows(table)))


def _csv_rows(table: AttackTable) -> Iterator[dict[str, object]]:
    for line in table.lines:
        about = {"task": table.task, "attack": line.name, "what": line.what, "real": line.real}
        about |= {"sentences": table.n_samples, "seed": table.seed}
        for column in table.columns:
            yield {
                **about,
                "score": column.key,
                "better": column.better,
                "signature": column.signature,
                "held_out": table.held_out.scores[column.key].value,
                "allowance": table.allowance(column),
                **_cell(table, line, column),
            }
        if line is table.held_out:
            yield from ({**about, "score": name, "absent": reason} for name, reason in table.not_scored.items())
