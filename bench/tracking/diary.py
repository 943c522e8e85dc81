"""A run's own diary: `run.json` (what is known before the first step) and `train.jsonl` (one event per line).

Always on, and the truth: a tracker only follows it. Lines are `{"kind": "train" | "evaluation" | "alarm", "time":
seconds since the epoch, "phase": …, "step": …, …}`. JSON has no NaN: a value that is not finite is written as null
under its key, and comes back as NaN.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from bench.record import Alarm, Evaluation, Score, write_atomic

__all__ = ["EVENTS", "RUN", "Diary", "DiaryReader", "Entry", "RunInfo", "TrainingValues", "read_run"]

RUN = "run.json"
EVENTS = "train.jsonl"

_FLUSH_SECONDS = 1.0  # so that `tail -f` and trackers follow the training


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What is known of a run before its first step. Plain values: it is written to `run.json` in the run folder."""

    run_id: str
    config_hash: str
    model: str
    task: str
    task_version: int
    scale: str
    seed: int
    params: Mapping[str, Any]
    """Resolved settings, flat: `model.lr`, `task.length`, `n_samples`."""
    data_sha256: str
    data_facts: Mapping[str, float | int | str]
    environment: Mapping[str, Any]
    """`git.sha`, `git.dirty`, `device`, versions, threads."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingValues:
    """What the steps of a phase returned: the latest value under each name, after a step."""

    phase: str
    step: int
    """Steps of all phases done."""
    values: Mapping[str, float]


class Entry(NamedTuple):
    """One line of a diary."""

    time: float
    """Seconds since the epoch."""
    event: TrainingValues | Evaluation | Alarm


class Diary:
    """Writes the diary of one run. Raises OSError (a full disk): a run without its diary cannot be resumed."""

    created_at: str
    """UTC, ISO 8601, when the run first started; kept when it is resumed."""

    def __init__(self, folder: Path, info: RunInfo) -> None:
        """Write `run.json`. `cut` comes before the first event."""
        run = folder / RUN
        self.created_at = read_run(run)[1] if run.exists() else datetime.now(UTC).isoformat(timespec="milliseconds")
        document = {**dataclasses.asdict(info), "created_at": self.created_at}
        text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
        write_atomic(run, (text + "\n").encode())
        self._file = (folder / EVENTS).open("ab", buffering=0)
        self._buffer: list[bytes] = []
        self._flushed_at = 0.0

    def cut(self, position: int) -> None:
        """Go back to a `position` of before: what the file has after it will happen again."""
        length = self._file.seek(0, os.SEEK_END)
        if length < position:
            raise ValueError(
                f"{self._file.name} has {length} bytes, but its checkpoint was written at {position}: "
                "the file was changed or replaced"
            )
        self._file.truncate(position)
        os.fsync(self._file.fileno())

    def write(self, event: TrainingValues | Evaluation | Alarm, *, at: float | None = None) -> None:
        """Add an event, which happened `at` seconds since the epoch; None: now."""
        document = {"time": time.time() if at is None else at, **_document(event)}
        line = json.dumps(_without_nan(document), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        self._buffer.append(line.encode() + b"\n")
        if time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._flush()

    def position(self) -> int:
        """The length in bytes, with every event so far on the disk; a checkpoint keeps it."""
        self._flush()
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Everything to the disk."""
        self.position()
        self._file.close()

    def _flush(self) -> None:
        content = memoryview(b"".join(self._buffer))
        start = self._file.seek(0, os.SEEK_END)
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError:
            self._file.truncate(start)  # the buffer is kept: nothing is written twice if there is room again
            raise
        self._buffer.clear()
        self._flushed_at = time.monotonic()


def _document(event: TrainingValues | Evaluation | Alarm) -> dict[str, Any]:
    """The event as a line has it; an alarm's own kind stands under `alarm`."""
    document = dataclasses.asdict(event)
    match event:
        case TrainingValues():
            return {"kind": "train", **document}
        case Evaluation():
            return {"kind": "evaluation", **document}
        case Alarm():
            return {**document, "kind": "alarm", "alarm": event.kind}


def _event(document: dict[str, Any]) -> TrainingValues | Evaluation | Alarm:
    """The opposite of `_document`."""
    match document.pop("kind"):
        case "train":
            values = {key: _number(value) for key, value in document.pop("values").items()}
            return TrainingValues(values=values, **document)
        case "evaluation":
            scores = document.pop("scores").items()
            read = {key: Score(**{**score, "value": _number(score["value"])}) for key, score in scores}
            return Evaluation(scores=read, **document)
        case "alarm":
            return Alarm(kind=document.pop("alarm"), **document)
        case kind:
            raise ValueError(f"no kind of event: {kind}")


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return value


def read_run(path: Path) -> tuple[RunInfo, str]:
    """`run.json` -> what was known before the first step, and when that was (UTC, ISO 8601).

    Raises ValueError that names the file, and FileNotFoundError.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        created_at = document.pop("created_at")
        datetime.fromisoformat(created_at)
        return RunInfo(**document), created_at
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not describe a run of this version: {error}") from error


class DiaryReader:
    """Reads a diary from its beginning, and again and again what was added to it since."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._position = 0
        self._lines = 0

    def more(self) -> Iterator[Entry]:
        """Entries that were not given out yet. Half a line at the end is being written, or was when a kill came.

        No file: no entries. Raises ValueError for a line that is not an event of this version.
        """
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                self._lines += 1
                yield self._entry(line)

    def _entry(self, line: bytes) -> Entry:
        try:
            document = json.loads(line)
            return Entry(document.pop("time"), _event(document))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path}, line {self._lines} is not an event: {line[:60]!r} ({error})") from error
