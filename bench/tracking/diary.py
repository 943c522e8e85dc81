"""A run's own diary: `run.json` (what is known before the first step) and `train.jsonl` (one event per line).

Always on, and the truth: a tracker only follows it. Lines are `{"kind": "train" | "evaluation" | "alarm", "time":
seconds since the epoch, "phase": …, "step": …, …}`. JSON has no NaN: a value that is not finite is written as null
under its key, and comes back as NaN.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import ConfigDict

from bench.record import Alarm, Evaluation, RunStart, as_json, decode, read_evaluation, write_atomic
from bench.run_folder import DIARY, MOST_BYTES, START, open_regular

__all__ = ["Diary", "DiaryReader", "Entry", "TrainingValues"]

_LATEST = 1e11  # seconds since the epoch, in the year 5138
_FLUSH_SECONDS = 1.0  # so that `tail -f` and trackers follow the training


@dataclass(frozen=True, kw_only=True)
class TrainingValues:
    """What the steps of a phase returned: the latest value under each name, after a step."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

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

    def __init__(self, folder: Path, start: RunStart) -> None:
        """Write `run.json`. `cut` comes before the first event."""
        text = json.dumps(as_json(start), indent=2, allow_nan=False, ensure_ascii=False)
        write_atomic(folder / START, (text + "\n").encode())
        self._file = (folder / DIARY).open("ab", buffering=0)
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

    def begin(self, content: bytes) -> None:
        """Hold these events of another run alone."""
        self.cut(0)
        self._buffer.append(content)
        self._flush()

    def write(self, event: TrainingValues | Evaluation | Alarm, *, at: float | None = None) -> None:
        """Add an event, which happened `at` seconds since the epoch; None: now."""
        document = {"time": time.time() if at is None else at, **_document(event)}
        line = json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
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
    match event:
        case TrainingValues():
            values = {key: float(value) if math.isfinite(value) else None for key, value in event.values.items()}
            return {"kind": "train", "phase": event.phase, "step": event.step, "values": values}
        case Evaluation():
            return {"kind": "evaluation", **as_json(event)}
        case Alarm():
            return {**as_json(event), "kind": "alarm", "alarm": event.kind}


def _event(document: dict[str, Any]) -> TrainingValues | Evaluation | Alarm:
    """The opposite of `_document`, strictly: no missing, unknown or mistyped field passes."""
    match document.pop("kind"):
        case "train":
            values = {key: math.nan if value is None else value for key, value in document["values"].items()}
            return decode(TrainingValues, {**document, "values": values}, "event")
        case "evaluation":
            return read_evaluation(document)
        case "alarm":
            return decode(Alarm, {"kind": document.pop("alarm"), **document}, "event")
        case kind:
            raise ValueError(f"no kind of event: {kind}")


class DiaryReader:
    """Reads a diary from its beginning, and again and again what was added to it since."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DIARY
        self._position = 0
        self._lines = 0

    def more(self) -> Iterator[Entry]:
        """Entries that were not given out yet. Half a line at the end is being written, or was when a kill came.

        No file: no entries. Raises ValueError for a line that is not an event of this version, and for what is no file.
        """
        if not self._path.exists():
            return
        with open_regular(self._path) as file:
            file.seek(self._position)
            while line := file.readline(MOST_BYTES):
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                self._lines += 1
                yield self._entry(line)

    def _entry(self, line: bytes) -> Entry:
        try:
            document = json.loads(line)
            if not 0 <= (when := float(document.pop("time"))) < _LATEST:
                raise ValueError(f"no time: {when}")
            return Entry(when, _event(document))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path}, line {self._lines} is not an event: {line[:60]!r} ({error})") from error
