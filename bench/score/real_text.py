"""What real text scores: the value beside which every score of samples is read. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.data import cache_folder
from bench.record import HELD_OUT_TEXT, REAL_TEXT, Evaluation, Score
from bench.registry import meaning_of
from bench.score.records import OF_TEST, LoadedTask, record_real

__all__ = ["RealValues", "real_values"]

Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class RealValues:
    """Scores of as many real sentences as a file of samples has."""

    n: int
    """How many sentences the file has."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    from_test: Sequence[str] = ()
    """The scores that are of test sentences; the others are of training sentences."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Score -> why real text has no value for it."""


def real_values(evaluation: Evaluation, n: int, loaded: LoadedTask, track: Track = iter) -> RealValues:
    """The scores of n real sentences, for the keys of an evaluation of n samples.

    Training sentences are the real text, except for what compares with the training text: there sentences of the test
    are, since a training sentence is a copy of itself. They are the rows `real_text` and `real_text_test` of a board.
    Where there are references alone, they are the real text of what does not compare with them.
    Where there are fewer than n, a score that the number moves has no value. Kept in the cache, so that the second file
    of as many sentences costs nothing.
    """
    meanings = {key: meaning_of(score.metric, key, score.better) for key, score in evaluation.scores.items()}
    source = {key: HELD_OUT_TEXT if meaning.held_out else REAL_TEXT for key, meaning in meanings.items()}
    scores: dict[str, Score] = {}
    absent: dict[str, str] = {}
    if not len(loaded.data.training):
        compares = {metric.name for metric in loaded.metrics if OF_TEST & set(metric.needs)}
        why = "the references are the only real text, and it compares with them: name more with --training"
        absent = {key: why for key, score in evaluation.scores.items() if score.metric in compares}
        source = {key: HELD_OUT_TEXT for key in evaluation.scores if key not in absent}
    for model in sorted(set(source.values())):
        keys = [key for key in source if source[key] == model]
        found, there = _scored(model, loaded, {evaluation.scores[key].metric for key in keys}, n, track)
        for key in keys:
            if meanings[key].by_count and there != n:
                absent[key] = f"there are {there:,} real sentences, and the value depends on how many there are"
            elif key in found.scores:
                scores[key] = found.scores[key]
            else:
                absent[key] = found.absent().get(key) or f"real text has no {key}"
    from_test = tuple(key for key in scores if source[key] == HELD_OUT_TEXT)
    return RealValues(n=n, scores=scores, from_test=from_test, absent=absent)


def _scored(model: str, loaded: LoadedTask, metrics: set[str], n: int, track: Track) -> tuple[Evaluation, int]:
    """Real text by some of the metrics, and how many sentences it has."""
    part = replace(loaded, metrics=[metric for metric in loaded.metrics if metric.name in metrics])
    try:
        record, count = record_real(model, part, n, cache_folder() / "real_text", track)
    except (OSError, ValueError):  # a cache that cannot be written or was damaged costs time, and nothing else
        record, count = record_real(model, part, n, None, track)
    return record.evaluations[0], count
