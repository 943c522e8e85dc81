"""Records -> boards: the whole way, read top to bottom. Nothing is rounded here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from leaderboards.boards import Group, reasons, split
from leaderboards.cells import fill
from leaderboards.curves import curves_of
from leaderboards.published import published_for
from leaderboards.ranking import mark_beyond_real, mark_front, rank
from leaderboards.rows import choose_baseline, labels, members, notes, once, order, row, shortcomings
from leaderboards.schema import Board, Boards
from leaderboards.store import read_store

__all__ = ["build"]


def build(paths: Iterable[Path]) -> Boards:
    """Read every record below `paths` and make the boards. Raises FileNotFoundError for a path that does not exist."""
    store = read_store(paths)
    groups = split(store.entries)
    return Boards(
        boards=[_board(number, group, store.unfinished) for number, group in enumerate(groups, 1)],
        reasons=reasons(groups),
        notices=list(store.notices),
        problems=list(store.problems),
    )


def _board(number: int, group: Group, unfinished: Mapping[str, int]) -> Board:
    entries, repeated = once(group.entries)
    entries_of = members(entries)
    names = labels([entries[0].record for entries in entries_of])
    rows = [row(entries, label, unfinished, group.signatures) for entries, label in zip(entries_of, names, strict=True)]
    said: dict[str, list[str]] = {}
    for entries, label in zip(entries_of, names, strict=True):
        for note in notes(entries, group.signatures):
            said.setdefault(note, []).append(label)
    remarks = [f"{', '.join(who)}: {note}" for note, who in said.items()] + repeated + fill(rows) + shortcomings(rows)
    if (baseline := choose_baseline(rows)) is not None:
        baseline.baseline = True
    rows.sort(key=order)
    scores = {k: s for entry in group.entries for e in entry.record.evaluations for k, s in e.scores.items()}
    record = group.record
    board = Board(
        number=number,
        task=record.task,
        task_version=record.task_version,
        task_config=dict(record.task_config),
        data_sha256=record.data_sha256,
        data_facts=dict(record.data_facts),
        scale=group.scale,
        signatures=dict(sorted(group.signatures.items())),
        better={key: score.better for key, score in sorted(scores.items())},
        metrics={key: score.metric for key, score in sorted(scores.items())},
        rows=[r for r in rows if r.status != "apart"],
        apart=[r for r in rows if r.status == "apart"],
        curves=[],
        published=published_for(record.task, record.task_config, group.signatures),
        notes=remarks,
    )
    mark_beyond_real(board.rows, board.better)
    rank(board.rows, board.better)
    mark_front(board.rows)
    board.curves = curves_of(board)
    return board
