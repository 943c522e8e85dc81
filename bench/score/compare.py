"""Files of samples scored side by side, each compared with the first. No torch, nothing printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.record import Evaluation, read_record, short_hash
from bench.run_folder import RECORD, folder_name
from bench.score.real_text import RealValues, real_values
from bench.score.records import LoadedTask, record_samples
from bench.text.sample_files import Samples
from metrics.common.base import Estimate
from metrics.common.uncertainty import Difference, difference

__all__ = ["SIGNIFICANT", "ScoredFile", "Source", "different_counts", "score_files"]

SIGNIFICANT = 0.05
"""A difference whose p-value is below this is marked."""

_MANY_UNKNOWN = 0.1
"""Share of words that a task's text does not hold. Real COCO captions have .04, other English (news, film reviews)
.22 to .30, rows of ids .99."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that was read."""

    name: str
    """Of the row."""
    path: Path
    samples: Samples


@dataclass(frozen=True, kw_only=True)
class ScoredFile:
    """A file's scores, and how far they are from the first file's."""

    name: str
    path: Path
    n_sentences: int
    n_empty: int
    unknown_share: float
    evaluation: Evaluation
    real: RealValues
    """What as many real sentences score."""
    folder: Path | None
    """Where its record is."""
    warnings: Sequence[str]
    read_as: str = "text"
    """How the file was read, in words."""
    note: str | None = None
    """The same, where its name promised something else."""
    differences: Mapping[str, Difference] = field(default_factory=dict)
    """Score -> this file's less the first's; only scores of equal signatures are compared."""
    not_compared: Mapping[str, str] = field(default_factory=dict)
    """Score -> why there is no difference."""


def different_counts(sources: Sequence[Source]) -> str | None:
    """Why files of different numbers of sentences are not compared; None: the numbers are equal."""
    counts = [len(source.samples) for source in sources]
    if len(set(counts)) == 1:
        return None
    listed = ", ".join(f"{source.name} {n:,}" for source, n in zip(sources, counts, strict=True))
    return f"scores depend on the number of samples, and the files have different numbers: {listed}"


def score_files(
    sources: Sequence[Source],
    loaded: LoadedTask,
    runs: Path | None = None,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    *,
    with_real_text: bool = True,
) -> list[ScoredFile]:
    """Score each file, and real text beside it unless nobody reads it; with `runs`, write the file's record below.

    Raises ValueError before anything is scored if such a record is there already and has scores of other metrics.
    """
    scored: list[ScoredFile] = []
    real: dict[int, RealValues] = {}
    folders = [_folder(source, loaded, runs) if runs else None for source in sources]
    for source, folder in zip(sources, folders, strict=True):
        samples = source.samples
        evaluation = record_samples(source.name, loaded, samples, folder, track).evaluations[0]
        n = len(samples)
        if not with_real_text:
            real[n] = RealValues(n=n)
        elif n not in real or real[n].absent.keys() | real[n].scores.keys() != evaluation.scores.keys():
            real[n] = real_values(evaluation, n, loaded, track)
        differences, not_compared = _differences(evaluation, scored[0].evaluation) if scored else ({}, {})
        scored.append(
            ScoredFile(
                name=source.name,
                path=source.path,
                n_sentences=n,
                n_empty=samples.n_empty,
                unknown_share=samples.unknown_share,
                evaluation=evaluation,
                real=real[n],
                folder=folder,
                warnings=_warnings(samples, loaded),
                read_as=samples.read_as,
                note=samples.note,
                differences=differences,
                not_compared=not_compared,
            )
        )
    return scored


def _folder(source: Source, loaded: LoadedTask, runs: Path) -> Path:
    """Where a file's record is written. What is there of fewer metrics is replaced; of others, it would be lost."""
    identity = [source.name, loaded.data.sha256, source.samples.sha256]
    folder = runs / folder_name(loaded.name, "samples", short_hash(identity))
    try:
        earlier = read_record(folder / RECORD).evaluations
    except (FileNotFoundError, ValueError):
        return folder
    has = {score.metric for evaluation in earlier for score in evaluation.scores.values()}
    if lost := sorted(has - {metric.name for metric in loaded.metrics}):
        raise ValueError(
            f"{folder} has {source.name} scored already, by metrics that would be lost: {', '.join(lost)}. Leave out "
            f"--runs to see scores only, name these metrics too, or give another folder"
        )
    return folder


def _differences(evaluation: Evaluation, first: Evaluation) -> tuple[dict[str, Difference], dict[str, str]]:
    differences: dict[str, Difference] = {}
    reasons: dict[str, str] = {}
    for key, score in evaluation.scores.items():
        other = first.scores.get(key)
        if other is None:
            reasons[key] = "the first file has no such score"
        elif other.signature != score.signature:
            reasons[key] = f"other signatures: {score.signature} and {other.signature}"
        else:
            estimates = (Estimate(s.value, s.standard_error) for s in (score, other))
            differences[key] = difference(*estimates)
    return differences, reasons


def _warnings(samples: Samples, loaded: LoadedTask) -> list[str]:
    """What suggests that the file is not what it was taken for."""
    found: list[str] = []
    if n := samples.n_empty:
        found.append(
            f"{n:,} empty line{'s' * (n != 1)}, scored as {'empty sentences' if n != 1 else 'an empty sentence'}"
        )
    if (share := samples.unknown_share) > _MANY_UNKNOWN:
        strange = samples.vocabulary.numbering.keys() - loaded.data.vocabulary.numbering.keys()
        numbers = sum(word.isdecimal() for word in strange) > len(strange) / 2
        question = "are these rows of ids (--format ids)?" if numbers else "is it the right task?"
        found.append(f"{share:.0%} of the words occur nowhere in the text of {loaded.name}: {question}")
    spec = loaded.data.spec
    if spec.eos_id is not None and loaded.data.vocabulary.words and (samples.tokens.flat == spec.eos_id).any():
        end = loaded.data.vocabulary.words[spec.eos_id]
        found.append(f"the word {end!r} names the end of a sentence and is scored as a word: cut sentences before it")
    return found
