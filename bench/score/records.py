"""Samples that anybody hands in: score them and make their record. No torch."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.config import plain
from bench.environment import describe_environment
from bench.labels.inputs import inputs_of
from bench.record import HELD_OUT_TEXT, REAL_TEXT, Evaluation, RunRecord, named_files, read_record, short_hash
from bench.registry import public_name
from bench.run_folder import INPUTS, RECORD, SAMPLES, folder_name
from bench.score.scoring import held_out_text, real_text, score, write_samples
from bench.task import Task, TextData
from bench.text.sample_files import Samples
from metrics.common.rewriting import Answers
from metrics.common.tokens import Tokens

__all__ = ["OF_TEST", "LoadedTask", "of_itself", "record_real", "record_real_text", "record_samples"]


@dataclass(frozen=True, kw_only=True)
class LoadedTask:
    """A loaded task under its public name, with the metrics that score it."""

    name: str
    """As it was asked for: a name in `bench/tasks/`, a plug-in, or `my_task.py:MyTask`."""
    task: Task
    data: TextData
    metrics: Sequence[Any]


def record_samples(
    name: str,
    loaded: LoadedTask,
    samples: Samples,
    folder: Path | None = None,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    absent: Mapping[str, str] | None = None,
) -> RunRecord:
    """Score samples as a row that was not trained here.

    Record and samples are written to `folder`, if given. Metrics that need the model are absent, with the reason.
    `track` hands the metrics on, one by one, and may show how far they are. `absent`: metrics that are not asked for
    here, and why.
    """
    inputs = inputs_of(loaded.data, samples.tokens, vocabulary=samples.vocabulary)
    scores, skipped = score(track(loaded.metrics), inputs)
    skipped |= absent or {}
    evaluation = Evaluation(
        phase="samples",
        step=0,
        at="samples",
        temperature=1.0,
        scores=scores,
        skipped=skipped,
        samples_file=SAMPLES if folder else None,
        samples_sha256=write_samples(folder / SAMPLES, samples.sentences) if folder else samples.sha256,
    )
    settings, task = plain(loaded.task), public_name(loaded.name, type(loaded.task))
    files = loaded.task.file_hashes()
    identity = [name, task, loaded.task.version, settings | files, loaded.data.sha256]
    record = RunRecord(
        run_id=short_hash([*identity, samples.sha256, [metric.signature(inputs) for metric in loaded.metrics]]),
        config_hash=short_hash(identity),
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        status="completed",
        origin="samples",
        model=name,
        scale="samples",
        task=task,
        task_version=loaded.task.version,
        task_config=settings,
        sources=named_files(files) or None,
        data_sha256=loaded.data.sha256,
        data_facts=loaded.data.facts,
        seed=None,
        evaluations=(evaluation,),
        environment=describe_environment(),
    )
    if folder:
        answers = loaded.data.references  # where nobody wrote any, real text answers nothing
        if isinstance(answers, Answers) and (answers.sets or name != REAL_TEXT):
            write_samples(folder / INPUTS, loaded.data.vocabulary.sentences(answers.inputs))
        record.write(folder / RECORD)
    return record


def record_real_text(
    loaded: LoadedTask, n: int, runs: Path, track: Callable[[Sequence[Any]], Iterable[Any]] = iter
) -> RunRecord:
    """The row of real text, scored as if a model had handed it in: what a perfect copy of the training text gets.

    Beside it the row of the test text is made, which is real text to what compares with the training text: there
    training sentences are copies. It has no score that compares with the test. Each is made once for a task, its
    settings, n and the metrics; what is there is left as it is.
    """
    absent = of_itself(loaded.metrics)
    others = [metric for metric in loaded.metrics if metric.name not in absent]
    if others and not isinstance(loaded.data.references, Answers):  # rewriting has nothing that compares with training
        record_real(HELD_OUT_TEXT, replace(loaded, metrics=others), n, runs, track, absent=absent)
    return record_real(REAL_TEXT, loaded, n, runs, track)[0]


OF_TEST = {"references", "reference_ids"}
"""What the test sentences are among the needs of a metric."""


def of_itself(metrics: Iterable[Any]) -> dict[str, str]:
    """Metrics that would compare test sentences with the test -> why they give no score to `real_text_test`."""
    same = "the samples are test sentences, and so is what {} compares with"
    return {metric.name: same.format(metric.name) for metric in metrics if OF_TEST & set(metric.needs)}


def record_real(
    model: str,
    loaded: LoadedTask,
    n: int,
    runs: Path | None,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
    absent: Mapping[str, str] | None = None,
) -> tuple[RunRecord, int]:
    """The row `real_text` or `real_text_test`, and its number of sentences: n, or all where there are fewer.

    Its record is kept below `runs`, unless that is None. `absent` as in `record_samples`.
    """
    text = _sentences(model, loaded.data, n)
    folder = None
    if runs is not None:
        metrics = [[metric.name, metric.version, plain(metric)] for metric in loaded.metrics]
        settings = plain(loaded.task) | loaded.task.file_hashes()
        name = short_hash([loaded.task.version, settings, loaded.data.sha256, n, metrics])
        folder = runs / folder_name(loaded.name, model, name)
        if (folder / RECORD).exists() and not _is_outdated(record := read_record(folder / RECORD)):
            return record, len(text)
    vocabulary = loaded.data.vocabulary
    samples = Samples(tokens=text, vocabulary=vocabulary, n_known=len(vocabulary.numbering))
    return record_samples(model, loaded, samples, folder, track, absent=absent), len(text)


def _is_outdated(record: RunRecord) -> bool:
    """Whether it was made from a checkout with uncommitted changes, which are committed now: it could be no row."""
    return bool(record.environment.get("git.dirty")) and describe_environment().get("git.dirty") is False


def _sentences(model: str, data: TextData, n: int) -> Tokens:
    if model == HELD_OUT_TEXT:
        return held_out_text(data, n)
    if not len(data.train):  # files of real text have no rows for a model
        return held_out_text(replace(data, references=data.training), n)
    return real_text(data, n)
