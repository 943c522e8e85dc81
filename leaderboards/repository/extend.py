"""`leaderboards extend`: rows of before a metric get its scores, from the samples that are kept with them.

A score so added is like any other: `verify` computes it again from the same samples. A record says of which commit it
is: `added.<metric>` among the facts of its environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.record import Evaluation, RunRecord, Score, read_record
from bench.run_folder import records_in
from leaderboards.repository import rescore
from leaderboards.repository.verify import sentences_of
from leaderboards.schema import END

__all__ = ["ADDED", "Extended", "extend"]

ADDED = "added."
"""What stands before the name of a metric, among the facts of a record's environment."""


@dataclass
class Extended:
    """What became of a record."""

    path: Path
    keys: list[str] = field(default_factory=list)
    """Scores that it has now and had not."""
    absent: dict[str, str] = field(default_factory=dict)
    """Metric or score that could not be computed -> why."""


def extend(paths: Iterable[Path], metrics: Sequence[Any]) -> Iterator[Extended]:
    """Score kept samples of the end of training, or handed in, by further metrics; each record is written in one move.

    What a record has stays as it is. A record whose samples or data are not on this machine is left alone, and the
    reason told. Raises ValueError, FileNotFoundError.
    """
    for path in paths:
        for file in records_in(path):
            yield _extend(file, metrics)


def _extend(file: Path, metrics: Sequence[Any]) -> Extended:
    record, report = read_record(file), Extended(file)
    try:
        loaded = rescore.load(record)
    except (rescore.NotCheckable, ValueError) as reason:
        report.absent["all"] = str(reason)
        return report
    evaluations = tuple(_scored(record, e, file.parent, loaded, metrics, report) for e in record.evaluations)
    if evaluations != record.evaluations:
        _write(record, evaluations, file)
    return report


def _scored(
    record: RunRecord,
    evaluation: Evaluation,
    folder: Path,
    loaded: rescore.Loaded,
    metrics: Sequence[Any],
    report: Extended,
) -> Evaluation:
    """An evaluation with what it lacks of these metrics; as it is, where nothing is kept of it or it lacks nothing."""
    has = {score.metric for score in evaluation.scores.values()}
    asked = [metric for metric in metrics if metric.name not in has]
    if not asked or evaluation.at not in END:
        return evaluation
    try:
        sentences = sentences_of(record, evaluation, folder, loaded)
    except (rescore.NotCheckable, ValueError) as reason:
        report.absent["all"] = str(reason)
        return evaluation
    if sentences is None:
        return evaluation
    scores, skipped = rescore.further(record.model, loaded, sentences, evaluation.temperature, asked)
    report.keys += scores
    report.absent |= skipped
    still = {name: why for name, why in evaluation.skipped.items() if name not in {s.metric for s in scores.values()}}
    return replace(evaluation, scores={**evaluation.scores, **scores}, skipped=still | skipped)


def _write(record: RunRecord, evaluations: tuple[Evaluation, ...], file: Path) -> None:
    before = {name for e in record.evaluations for name in _metrics(e.scores)}
    new = {name for e in evaluations for name in _metrics(e.scores)} - before
    added = {f"{ADDED}{name}": rescore.commit() for name in sorted(new)}
    replace(record, evaluations=evaluations, environment={**record.environment, **added}).write(file)


def _metrics(scores: Mapping[str, Score]) -> set[str]:
    return {score.metric for score in scores.values()}
