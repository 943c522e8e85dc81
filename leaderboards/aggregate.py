"""Records -> boards of means and intervals. The unit of replication is the seed, never the sentence.

The interval is Student's t over seeds, 95%, two-sided: half width = t(0.975, n - 1) s / sqrt(n). With one seed there is
none. Nothing is rounded here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from scipy import stats

from bench.record import Evaluation, RunRecord
from leaderboards.boards import Group, reasons, split
from leaderboards.published import Published, published_for
from leaderboards.store import Entry, read_store

__all__ = ["REFERENCES", "Board", "Boards", "Cell", "Row", "build", "front_keys"]

REFERENCES = ("real_text", "copy_train", "repeat_one", "ngram", "constant_reward")
"""Models that say what a score means. They stand on top and are not ranked."""
RANKED_SEEDS = 3
"""Fewer completed seeds are shown, marked, and not ranked."""
PRETRAINING = "mle"
"""Name of the phase that ends pre-training."""

_LABEL = 60
"""Characters of settings in a label."""

Status = Literal["reference", "ranked", "incomplete", "samples"]


@dataclass(kw_only=True)
class Cell:
    """A mean over seeds."""

    mean: float
    std: float | None
    """Sample standard deviation over seeds; None with one."""
    half_width: float | None
    """Of the 95% interval; None with one seed."""
    n: int
    """Seeds that have the score."""
    rank: int | None = None
    """1 + the ranked rows that are better, told apart by Welch's t-test at 5%. Ties share a rank."""
    beyond_real: bool = False
    """The whole interval is better than real text: sharper or collapsed, not better."""


@dataclass(kw_only=True)
class Row:
    """One model in one configuration."""

    model: str
    label: str
    config_hash: str
    origin: str
    status: Status
    n_completed: int
    n_started: int
    front: bool = False
    """Among the ranked rows none has both a higher BLEU and a lower Self-BLEU."""
    final: dict[str, Cell] = field(default_factory=dict)
    """Score key -> value at the end, at temperature 1."""
    gain: dict[str, Cell] = field(default_factory=dict)
    """Score key -> end minus end of pre-training, paired by seed."""
    sweep: dict[float, dict[str, Cell]] = field(default_factory=dict)
    """Temperature -> score key -> value at the end."""


@dataclass(kw_only=True)
class Board:
    """One table's worth of comparable rows."""

    number: int
    task: str
    task_version: int
    task_config: dict[str, Any]
    data_sha256: str
    data_facts: dict[str, float | int | str]
    """Sizes, duplicates, overlap: what the task says about its data."""
    scale: str
    signatures: dict[str, str]
    better: dict[str, str]
    rows: list[Row]
    published: dict[str, list[Published]]
    """Source -> reported numbers of the same data."""
    notes: list[str]
    """Failures, alarms, absent scores."""


@dataclass(kw_only=True)
class Boards:
    """What `build` returns."""

    boards: list[Board]
    reasons: list[str]
    """Why there is more than one board of a task."""
    notices: list[str]
    """Records that were read but not counted."""
    problems: list[str]
    """Records that could not be read."""


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
    members = _members(group.entries)
    labels = _labels([entries[0].record for entries in members])
    rows = [_row(entries, label, unfinished) for entries, label in zip(members, labels, strict=True)]
    said: dict[str, list[str]] = {}
    for entries, row in zip(members, rows, strict=True):
        for note in _notes(entries):
            said.setdefault(note, []).append(row.label)
    notes = [f"{', '.join(who)}: {note}" for note, who in said.items()]
    notes += _fill(rows, members, group.signatures)
    better = _better(group.entries)
    rows.sort(key=_order)
    _mark_beyond_real(rows, better)
    _rank(rows, better)
    _mark_front(rows)
    record = group.record
    return Board(
        number=number,
        task=record.task,
        task_version=record.task_version,
        task_config=dict(record.task_config),
        data_sha256=record.data_sha256,
        data_facts=dict(record.data_facts),
        scale=group.scale,
        signatures=dict(sorted(group.signatures.items())),
        better=better,
        rows=rows,
        published=published_for(record.task, record.task_config, group.signatures),
        notes=notes,
    )


def _members(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Entries of one row together. Samples without a seed are rows of their own: nothing says they are replicates."""
    rows: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        record = entry.record
        key = (record.model, record.origin, record.config_hash, record.run_id if record.seed is None else "")
        rows.setdefault(key, []).append(entry)
    return [sorted(rows[key], key=lambda e: e.record.seed or 0) for key in sorted(rows)]


def _labels(records: Sequence[RunRecord]) -> list[str]:
    """The model's name, with the settings that differ where a board has several rows of one model."""
    labels = []
    for record in records:
        same = [r for r in records if r.model == record.model]
        keys = sorted({key for r in same for key in r.model_config})
        differ = [k for k in keys if any(r.model_config.get(k) != same[0].model_config.get(k) for r in same)]
        told = ", ".join(f"{k}={record.model_config[k]}" for k in differ if k in record.model_config)
        told = told if len(told) <= _LABEL else told[: _LABEL - 1] + "…"
        labels.append(f"{record.model} ({told})" if told else record.model)
    ids = [r.run_id if r.seed is None else r.config_hash for r in records]
    return [f"{a} #{i[:6]}" if labels.count(a) > 1 else a for a, i in zip(labels, ids, strict=True)]


def _row(entries: Sequence[Entry], label: str, unfinished: Mapping[str, int]) -> Row:
    record = entries[0].record
    completed = sum(e.record.status == "completed" for e in entries)
    status: Status = "ranked" if completed >= RANKED_SEEDS else "incomplete"
    if record.model in REFERENCES:
        status = "reference"
    elif record.origin == "samples":
        status = "samples"
    return Row(
        model=record.model,
        label=label,
        config_hash=record.config_hash,
        origin=record.origin,
        status=status,
        n_completed=completed,
        n_started=len(entries) + unfinished.get(record.config_hash, 0),
    )


def _order(row: Row) -> tuple[int, int, str]:
    place = REFERENCES.index(row.model) if row.status == "reference" else 0
    return (("reference", "ranked", "incomplete", "samples").index(row.status), place, row.label)


def _better(entries: Iterable[Entry]) -> dict[str, str]:
    found = {k: s.better for entry in entries for e in entry.record.evaluations for k, s in e.scores.items()}
    return dict(sorted(found.items()))


def _notes(entries: Sequence[Entry]) -> list[str]:
    """Failures, alarms and absent scores of a row, seeds with the same message together."""
    seeds: dict[str, list[str]] = {}
    for entry in entries:
        record, final = entry.record, entry.record.final()
        said = [f"alarm ({a.kind}) in phase {a.phase}, step {a.step}: {a.message}" for a in record.alarms]
        if record.status == "failed":
            said.append(f"failed: {record.error or 'no reason was recorded'}")
        elif final is None:
            said.append("no evaluation at the end at temperature 1")
        else:
            said += [f"{name} is absent: {reason}" for name, reason in sorted(final.skipped.items())]
        for text in dict.fromkeys(said):
            seeds.setdefault(text, []).append("" if record.seed is None else str(record.seed))
    return [f"seed {', '.join(s)}: {text}" if s[0] else text for text, s in seeds.items()]


def _fill(rows: Sequence[Row], members: Sequence[Sequence[Entry]], signatures: Mapping[str, str]) -> list[str]:
    """Put the means and intervals into the rows; returns what had to be left out."""
    values: list[tuple[int, str, float, str, float]] = []
    dropped: dict[str, None] = {}
    for index, entries in enumerate(members):
        for entry in (e for e in entries if e.record.status == "completed"):
            for table, temperature, key, value in _values(entry.record, signatures, rows[index].label, dropped):
                values.append((index, table, temperature, key, value))
    frame = pd.DataFrame(values, columns=["row", "table", "temperature", "key", "value"])
    grouped = frame.groupby(["row", "table", "temperature", "key"], sort=True)["value"].agg(["count", "mean", "std"])
    for row_index, table, temperature, key, count, mean, std in grouped.reset_index().itertuples(
        index=False, name=None
    ):
        n = int(count)
        half = float(stats.t.ppf(0.975, n - 1)) * std / math.sqrt(n) if n > 1 else None
        cell = Cell(mean=mean, std=std if n > 1 else None, half_width=half, n=n)
        row = rows[row_index]
        place = (
            row.final if table == "final" else row.gain if table == "gain" else row.sweep.setdefault(temperature, {})
        )
        place[key] = cell
        if n < row.n_completed and table == "final":
            dropped[f"{row.label}: {key} over {n} of {row.n_completed} completed seeds"] = None
    return list(dropped)


def _values(
    record: RunRecord, signatures: Mapping[str, str], label: str, dropped: dict[str, None]
) -> Iterable[tuple[str, float, str, float]]:
    """(table, temperature, key, value) of one run; a score with another signature than its column is left out."""
    last = {e.temperature: e for e in record.evaluations if e.at in ("end", "samples")}
    for temperature, evaluation in last.items():
        for key, score in evaluation.scores.items():
            if score.signature != signatures[key]:
                dropped[f"{label}: {key} at temperature {temperature:g} is left out: {score.signature}"] = None
                continue
            yield "sweep", temperature, key, score.value
            if temperature == 1.0:
                yield "final", 1.0, key, score.value
    before, after = _pretrained(record), last.get(1.0)
    if before is None or after is None:
        return
    for key in before.scores.keys() & after.scores.keys():
        if before.scores[key].signature == after.scores[key].signature == signatures[key]:
            yield "gain", 1.0, key, after.scores[key].value - before.scores[key].value
        else:
            dropped[f"{label}: no gain in {key}: pre-training was scored as {before.scores[key].signature}"] = None


def _pretrained(record: RunRecord) -> Evaluation | None:
    """The evaluation at the end of pre-training; None where nothing follows it."""
    if not record.phases or record.phases[-1].name == PRETRAINING:
        return None
    found = [e for e in record.evaluations if e.at == "phase_end" and e.phase == PRETRAINING and e.temperature == 1.0]
    return found[-1] if found else None


def _real(rows: Iterable[Row]) -> Row | None:
    return next((row for row in rows if row.model == "real_text"), None)


def _mark_beyond_real(rows: Sequence[Row], better: Mapping[str, str]) -> None:
    real = _real(rows)
    for row in rows:
        for key, cell in row.final.items():
            if real is None or row is real or key not in real.final or better[key] == "real":
                continue
            ahead = cell.mean - real.final[key].mean
            margin = cell.half_width or 0.0
            cell.beyond_real = ahead > margin if better[key] == "higher" else ahead < -margin


def _rank(rows: Sequence[Row], better: Mapping[str, str]) -> None:
    """Rank per key. "real" ranks by the distance to real text, and not at all on a board without it."""
    real = _real(rows)
    for key, direction in better.items():
        cells = [r.final[key] for r in rows if r.status == "ranked" and key in r.final]
        cells = [c for c in cells if c.n >= RANKED_SEEDS]
        target = real.final[key].mean if real is not None and key in real.final else None
        if direction == "real" and target is None:
            continue
        loss = [_loss(c.mean, direction, target) for c in cells]
        for cell, own in zip(cells, loss, strict=True):
            cell.rank = 1 + sum(_clearly_below(o, c, own, cell) for o, c in zip(loss, cells, strict=True))


def _loss(mean: float, direction: str, target: float | None) -> float:
    if direction == "real" and target is not None:
        return abs(mean - target)
    return -mean if direction == "higher" else mean


def _clearly_below(a: float, first: Cell, b: float, second: Cell) -> bool:
    """Whether loss a is below loss b by Welch's t-test at 5%, two-sided."""
    if a >= b or first.std is None or second.std is None:
        return False
    if first.std == 0 == second.std:
        return True
    test = stats.ttest_ind_from_stats(a, first.std, first.n, b, second.std, second.n, equal_var=False)
    return bool(test.pvalue < 0.05)


def front_keys(rows: Iterable[Row]) -> tuple[str, str] | None:
    """BLEU and Self-BLEU of the highest order that a ranked row has."""
    keys = {key for row in rows if row.status == "ranked" for key in row.final}
    orders = [n for n in range(9, 0, -1) if {f"bleu_{n}", f"self_bleu_{n}"} <= keys]
    return (f"bleu_{orders[0]}", f"self_bleu_{orders[0]}") if orders else None


def _mark_front(rows: Sequence[Row]) -> None:
    if (keys := front_keys(rows)) is None:
        return
    points = [
        (row, (row.final[keys[0]].mean, -row.final[keys[1]].mean))
        for row in rows
        if row.status == "ranked" and keys[0] in row.final and keys[1] in row.final
    ]
    for row, (quality, diversity) in points:
        row.front = len(points) > 1 and not any(
            q >= quality and d >= diversity and (q, d) != (quality, diversity) for _, (q, d) in points
        )
