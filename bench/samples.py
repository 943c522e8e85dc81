"""Samples that anybody hands in: read a file strictly, score it, make its record. No torch."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.config import build, plain
from bench.environment import describe_environment
from bench.record import Evaluation, RunRecord, read_record, short_hash
from bench.registry import find
from bench.scoring import metric_inputs, real_text, score, write_samples
from bench.task import Task, TextData

__all__ = ["Board", "default_metrics", "read_samples", "record_real_text", "record_samples"]


def read_samples(path: Path) -> list[str]:
    """One sentence a line, `.gz` or plain, strict UTF-8. An empty line is an empty sentence and stays.

    Raises ValueError that names the file, the line and what is wrong with it.
    """
    if not path.is_file():
        raise ValueError(f"no file {str(path)!r}")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path} ends in .gz but is not a whole gzip file: {error}") from error
    if not content.strip():
        raise ValueError(f"{path} is empty: expected one sentence a line")
    if (nul := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise ValueError(f"{path}, line {line}: a NUL byte; this is no text file (or UTF-16: convert it to UTF-8)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: byte {content[error.start]:#04x} is not UTF-8") from error
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


@dataclass(frozen=True, kw_only=True)
class Board:
    """A loaded task under its public name, with the metrics that score it."""

    name: str
    """As it was asked for: a name in `bench/tasks/`, a plug-in, or `my_task.py:MyTask`."""
    task: Task
    data: TextData
    metrics: Sequence[Any]


def record_samples(name: str, board: Board, sentences: Sequence[str], folder: Path | None = None) -> RunRecord:
    """Score samples (words joined by blanks) as a row that was not trained here.

    Record and samples are written to `folder`, if given. Metrics that need the model are absent, with the reason.
    """
    samples = board.data.vocabulary.tokens(sentence.split(" ") if sentence else [] for sentence in sentences)
    inputs = metric_inputs(board.data, samples)
    scores, skipped = score(board.metrics, inputs)
    evaluation = Evaluation(
        phase="samples",
        step=0,
        at="samples",
        temperature=1.0,
        scores=scores,
        skipped=skipped,
        samples_file="samples.txt" if folder else None,
        samples_sha256=write_samples(folder / "samples.txt", sentences) if folder else None,
    )
    settings = plain(board.task)
    identity = [name, board.name, board.task.version, settings, board.data.sha256]
    record = RunRecord(
        run_id=short_hash([*identity, list(sentences), [metric.signature(inputs) for metric in board.metrics]]),
        config_hash=short_hash(identity),
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        status="completed",
        origin="samples",
        model=name,
        scale="samples",
        task=board.name,
        task_version=board.task.version,
        task_config=settings,
        data_sha256=board.data.sha256,
        data_facts=board.data.facts,
        seed=None,
        evaluations=(evaluation,),
        environment=describe_environment(),
    )
    if folder:
        record.write(folder / "record.json")
    return record


def record_real_text(board: Board, n: int, runs: Path) -> RunRecord:
    """The row of real text, scored as if a model had handed it in: what a perfect copy of the training text gets.

    It is made once for a task, its settings, n and the metrics; what is there is returned as it is.
    """
    metrics = [[metric.name, metric.version, plain(metric)] for metric in board.metrics]
    identity = short_hash([plain(board.task), board.data.sha256, n, metrics])
    folder = runs / f"{Path(board.name.partition(':')[0]).stem}-real_text-{identity}"
    if (folder / "record.json").exists():
        return read_record(folder / "record.json")
    return record_samples("real_text", board, board.data.vocabulary.sentences(real_text(board.data, n)), folder)


def default_metrics(task: Task, names: Sequence[str] = ()) -> tuple[Any, ...]:
    """The metrics asked for, or the task's own."""
    return tuple(build(find("metrics", name), {}, name) for name in names or task.metrics)
