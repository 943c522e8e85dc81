"""Which records may stand in one table, and why the others may not.

A board is (task, version, settings, data hash, scale) and equal metric signatures. Samples that were handed in have no
scale: they stand on every board of their data whose signatures (so also whose counts) they share, else on their own.
Real text alone may have its own number of samples, where the text has fewer sentences than the models drew: it is said.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.record import HELD_OUT_TEXT, REAL_TEXT, RunRecord, canonical_json
from bench.registry import meaning_of
from leaderboards.agreement import mark_tiers
from leaderboards.curves import curves_of
from leaderboards.published import published_for
from leaderboards.records import Entry, read_store
from leaderboards.rows import (
    best_known,
    choose_baseline,
    labels,
    mark_as_recorded,
    mark_under_trained,
    members,
    notes,
    once,
    order,
    row,
    shortcomings,
    with_count,
)
from leaderboards.schema import Board, Boards, Row
from leaderboards.statistics import fill, mark_beyond_real, mark_front, rank, targets
from metrics.common.base import Meaning
from metrics.common.signature import Setting

__all__ = ["Group", "build", "final_signatures", "reasons", "split"]

_REAL = (REAL_TEXT, HELD_OUT_TEXT)


def build(paths: Iterable[Path]) -> Boards:
    """Read every record below `paths` and make the boards. Raises FileNotFoundError for a path that does not exist."""
    with _without_collector():
        store = read_store(paths)
        groups = split(store.entries)
        return Boards(
            boards=[_board(number, group, store.unfinished) for number, group in enumerate(groups, 1)],
            reasons=reasons(groups),
            notices=list(store.notices),
            problems=list(store.problems),
        )


@contextmanager
def _without_collector() -> Iterator[None]:
    """Inside, nobody looks for cycles: records have none, and the search among millions of scores takes a third."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _board(number: int, group: Group, unfinished: Mapping[str, int]) -> Board:
    entries, repeated = once(group.entries)
    entries_of = members(entries)
    columns = [group.columns(entries[0].record) for entries in entries_of]
    shown = [best_known(entries) for entries in entries_of]
    names = [
        label if own == group.signatures else with_count(label, record)
        for label, record, own in zip(labels(shown), shown, columns, strict=True)
    ]
    whole = list(zip(entries_of, names, columns, strict=True))
    rows = [row(entries, label, unfinished, signatures) for entries, label, signatures in whole]
    for each, own in zip(rows, columns, strict=True):
        each.own_count = own != group.signatures
    said: dict[str, list[str]] = {}
    for entries, label, signatures in whole:
        for note in notes(entries, signatures):
            said.setdefault(note, []).append(label)
    remarks = [f"{', '.join(who)}: {note}" for note, who in said.items()] + repeated + fill(rows)
    if (baseline := choose_baseline(rows)) is not None:
        baseline.baseline = True
        mark_under_trained(rows, entries_of[rows.index(baseline)], group.scale)
    rows.sort(key=order)
    scores = {k: s for entry in group.entries for e in entry.record.evaluations for k, s in e.scores.items()}
    meanings = {key: meaning_of(score.metric, key, score.better) for key, score in sorted(scores.items())}
    mark_tiers(rows, meanings)
    remarks += shortcomings(rows) + _without_target(rows, meanings)
    record = group.record
    board = Board(
        number=number,
        task=record.task,
        task_version=record.task_version,
        task_config=dict(sorted(record.task_config.items())),
        data_sha256=record.data_sha256,
        data_facts=dict(sorted(record.data_facts.items())),
        scale=group.scale,
        signatures=dict(sorted(group.signatures.items())),
        meanings=meanings,
        metrics={key: score.metric for key, score in sorted(scores.items())},
        rows=[r for r in rows if r.status != "apart"],
        apart=[r for r in rows if r.status == "apart"],
        curves=[],
        published=published_for(record.task, record.task_config, group.settings()),
        notes=remarks,
    )
    known = targets(board.rows, meanings)
    mark_beyond_real(rows, meanings, known)
    rank(board.rows, meanings)
    mark_front(board.rows, meanings)
    board.curves = curves_of(board, known)
    mark_as_recorded(board)
    return board


def _without_target(rows: Sequence[Row], meanings: Mapping[str, Meaning]) -> list[str]:
    """Which scores rank nobody because the row of real text that they are compared with is not there, or too short."""
    known = targets(rows, meanings)
    present = {key for row in rows if row.status == "ranked" for key in row.final}
    open_ = [k for k, m in meanings.items() if m.better == "real" and m.ranked and k in present - known.keys()]
    lines = []
    for model, what in ((REAL_TEXT, "training"), (HELD_OUT_TEXT, "test")):
        keys = [key for key in open_ if meanings[key].held_out == (model == HELD_OUT_TEXT)]
        why = (
            "it has fewer sentences than the models drew, and their number moves these scores; draw no more than it has"
            if any(row.model == model and row.own_count for row in rows)
            else f"no record of {model}, which scores {what} sentences; the next `bench run` or `suite` of this task "
            "makes it"
        )
        lines += [f"{', '.join(keys)}: no ranks, as the value of real text is not known: {why}"] if keys else []
    return lines


@dataclass
class Group:
    """The records of one board."""

    record: RunRecord
    """One of them: gives task, version, settings and data."""
    scale: str
    entries: list[Entry] = field(default_factory=list)
    signatures: dict[str, str] = field(default_factory=dict)
    """Score key -> the one signature of its column."""

    def add(self, entry: Entry, signatures: Mapping[str, str]) -> None:
        """Take a record in, with its `final_signatures`; keys that it brings get them."""
        self.entries.append(entry)
        for key, signature in signatures.items():
            self.signatures.setdefault(key, signature)

    def settings(self) -> dict[str, Mapping[str, Setting]]:
        """Score key -> the settings of its column."""
        scores = ((k, s) for entry in self.entries for e in entry.record.evaluations for k, s in e.scores.items())
        return {key: score.settings for key, score in scores if score.signature == self.signatures.get(key)}

    def columns(self, record: RunRecord) -> dict[str, str]:
        """Score key -> the signature that a record must have there: real text may have its own number of samples."""
        if record.model not in _REAL:
            return self.signatures
        settings = self.settings()
        own = {key: s for e in record.evaluations for key, s in e.scores.items() if key in settings}
        return self.signatures | {
            key: s.signature for key, s in own.items() if _but_count(s.settings) == _but_count(settings[key])
        }

    def admits_real_text(self, record: RunRecord) -> bool:
        """Whether it is real text, which the board lacks, and all but its number of samples is the board's."""
        if record.model not in _REAL or any(e.record.model == record.model for e in self.entries):
            return False
        own, columns = final_signatures(record), self.columns(record)
        return bool(own.keys() & self.signatures.keys()) and all(columns.get(k, s) == s for k, s in own.items())

    def admits(self, signatures: Mapping[str, str]) -> bool:
        """Whether no shared key has another signature."""
        return all(self.signatures.get(key, signature) == signature for key, signature in signatures.items())


def final_signatures(record: RunRecord) -> dict[str, str]:
    """Score key -> signature in the evaluations at the end; temperature 1 before the others."""
    last = [e for e in record.evaluations if e.at in ("end", "samples")]
    found: dict[str, str] = {}
    for evaluation in sorted(last, key=lambda e: e.temperature != 1.0):
        for key, score in evaluation.scores.items():
            found.setdefault(key, score.signature)
    return found


def _but_count(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    return {name: value for name, value in settings.items() if name != "samples"}


def split(entries: Iterable[Entry]) -> list[Group]:
    """Records -> boards, in a fixed order."""
    bases: dict[tuple[str, int, str, str], list[Entry]] = {}
    for entry in entries:
        record = entry.record
        base = (record.task, record.task_version, canonical_json(record.settings_of_text), record.data_sha256)
        bases.setdefault(base, []).append(entry)
    groups: list[Group] = []
    for base in sorted(bases):
        groups += _split_base(bases[base])
    return groups


def _split_base(entries: list[Entry]) -> list[Group]:
    groups: list[Group] = []
    runs = [e for e in entries if e.record.origin == "run"]
    for scale in sorted({e.record.scale for e in runs}):
        groups += _partition([e for e in runs if e.record.scale == scale], scale)
    boards_of_runs = list(groups)
    rest: list[Entry] = []
    own: list[Entry] = []
    for entry in (e for e in entries if e.record.origin == "samples"):
        signatures = final_signatures(entry.record)
        hosts = [g for g in boards_of_runs if g.admits(signatures) and g.signatures.keys() & signatures.keys()]
        for host in hosts:
            host.add(entry, signatures)
        if not hosts:
            rest.append(entry)
    for entry in rest:  # only now it is known which boards have real text of their own number
        hosts = [g for g in boards_of_runs if g.admits_real_text(entry.record)]
        for host in hosts:
            host.add(entry, final_signatures(entry.record))
        if not hosts:
            own.append(entry)
    return groups + _partition(own, "samples")


def _partition(entries: list[Entry], scale: str) -> list[Group]:
    """Split where signatures disagree. The commonest set of signatures goes first; failed runs go to their row."""
    profiles = {id(e): final_signatures(e.record) for e in entries}
    texts = {name: canonical_json(profile) for name, profile in profiles.items()}
    common = Counter(texts.values())
    order = sorted(
        entries,
        key=lambda e: (
            not profiles[id(e)],
            -common[texts[id(e)]],
            -len(profiles[id(e)]),
            str(e.path),
        ),
    )
    groups: list[Group] = []
    for entry in order:
        hosts = [g for g in groups if g.admits(profiles[id(entry)])]
        if not profiles[id(entry)]:
            same = [g for g in hosts if any(e.record.config_hash == entry.record.config_hash for e in g.entries)]
            hosts = same or hosts
        if not hosts:
            groups.append(Group(entry.record, scale))
            hosts = groups[-1:]
        hosts[0].add(entry, profiles[id(entry)])
    return groups


def reasons(groups: list[Group]) -> list[str]:
    """For every board but a task's first: which records differ from which other board, and in what."""
    lines = []
    for number, group in enumerate(groups, 1):
        earlier = [(n, g) for n, g in enumerate(groups[: number - 1], 1) if g.record.task == group.record.task]
        if not earlier:
            continue
        nearest, other = min(earlier, key=lambda pair: len(_differences(group, pair[1])))
        paths = [str(e.path) for e in group.entries]
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        what = "; ".join(_differences(group, other))
        lines.append(f"Board {number} stands apart from board {nearest}: {what}. Records: {', '.join(paths[:3])}{more}")
    return lines


def _differences(group: Group, other: Group) -> list[str]:
    ours, theirs = group.record, other.record
    found: list[str] = []
    if ours.task_version != theirs.task_version:
        found.append(f"task version {ours.task_version}, not {theirs.task_version}")
    settings = sorted({*ours.task_config, *theirs.task_config})
    pairs = ((key, ours.task_config.get(key), theirs.task_config.get(key)) for key in settings)
    found += [f"{key}={a}, not {b}" for key, a, b in pairs if a != b]
    if ours.data_sha256 != theirs.data_sha256:
        found.append(f"data {ours.data_sha256[:12]}, not {theirs.data_sha256[:12]}")
    if group.scale != other.scale:
        found.append(f"scale {group.scale}, not {other.scale}")
    keys: dict[str, list[str]] = {}
    for key in sorted(group.signatures.keys() & other.signatures.keys()):
        if group.signatures[key] != other.signatures[key]:
            keys.setdefault(_changed(group.signatures[key], other.signatures[key]), []).append(key)
    return found + [f"{change} in {', '.join(names)}" for change, names in keys.items()]


def _changed(ours: str, theirs: str) -> str:
    """The fields of two signatures that differ: `samples:9984, not samples:10000`."""
    mine, others = ours.split("|"), theirs.split("|")
    only = [[f for f in a if f not in b] for a, b in ((mine, others), (others, mine))]
    return f"{'|'.join(only[0]) or ours}, not {'|'.join(only[1]) or theirs}"
