"""A run's own diary: `run.json` (what is known before the first step) and `train.jsonl` (one event per line).

Always on; MLflow is only a mirror of these files. Lines are `{"kind": "train" | "evaluation" | "alarm", "time": seconds
since the epoch, "phase": …, "step": …, …}`. JSON has no NaN: a value that is not finite is written as null under its
key, and comes back as NaN.
"""

from __future__ import annotations

import json
import math
import os
import time as clock
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.record import Alarm, Evaluation, RunRecord, RunStart, as_json, read_evaluation, read_start, write_atomic
from bench.run_folder import DIARY, START
from bench.tracking.tracker import Tracker

__all__ = ["JsonlTracker", "created_at", "read_events", "replay"]

_FLUSH_SECONDS = 1.0  # so that `tail -f` follows the training


class JsonlTracker:
    """Writes the diary. Unlike a mirror it raises OSError (a full disk): a run without its diary cannot be resumed."""

    def __init__(self) -> None:
        self._buffer: list[bytes] = []
        self._flushed_at = 0.0

    def start(self, start: RunStart, folder: Path) -> None:
        """Write `run.json`; open `train.jsonl` for more, without the half line that a kill may have left."""
        text = json.dumps(as_json(start), indent=2, allow_nan=False, ensure_ascii=False)
        write_atomic(folder / START, (text + "\n").encode())
        self._file = (folder / DIARY).open("ab", buffering=0)
        self._cut(_whole_lines(folder / DIARY))

    def truncate(self, position: int) -> None:
        """Cut the file back to a `position()` of before: what came after the checkpoint will happen again."""
        self._flush()
        length = self._file.seek(0, os.SEEK_END)
        if length < position:
            raise ValueError(
                f"{self._file.name} has {length} bytes, but its checkpoint was written at {position}: "
                "the file was changed or replaced"
            )
        self._cut(position)

    def position(self) -> int:
        """The length in bytes, with every event so far on the disk; a checkpoint keeps it."""
        self._flush()
        os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def log(self, values: Mapping[str, float], *, phase: str, step: int, time: float) -> None:
        """Training values at a step."""
        numbers = {key: float(value) for key, value in values.items()}
        self._write({"kind": "train", "time": time, "phase": phase, "step": step, "values": numbers})

    def evaluation(self, evaluation: Evaluation, *, time: float) -> None:
        """Scores of one set of samples."""
        self._write({"kind": "evaluation", "time": time, **as_json(evaluation)})

    def alarm(self, alarm: Alarm, *, time: float) -> None:
        """An alarm; its own kind stands under `alarm`."""
        place = {"phase": alarm.phase, "step": alarm.step}
        self._write({"kind": "alarm", "time": time, **place, "alarm": alarm.kind, "message": alarm.message})

    def finish(self, record: RunRecord | None) -> None:
        """Everything to the disk, and the file closed; the record has a file of its own."""
        self.position()
        self._file.close()

    def _write(self, event: Mapping[str, Any]) -> None:
        line = json.dumps(_without_nan(event), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        self._buffer.append(line.encode() + b"\n")
        if clock.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._flush()

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
        self._flushed_at = clock.monotonic()

    def _cut(self, length: int) -> None:
        self._file.truncate(length)
        os.fsync(self._file.fileno())


def created_at(folder: Path) -> str | None:
    """UTC, ISO 8601, when the run of a folder first started; None if nothing has. Raises ValueError."""
    return read_start(folder / START).created_at if (folder / START).exists() else None


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of `train.jsonl`; the torn last line that a kill may leave is not read.

    No file: no events. Raises ValueError for a broken line in the middle, which no kill can cause.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                event = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                event = None
            if isinstance(event, dict):
                yield event
            elif file.read(1):
                raise ValueError(f"{path}, line {number} is not an event: {line[:60]!r}")


def replay(path: Path, tracker: Tracker) -> None:
    """Tell a tracker all events of a `train.jsonl`, with their own times."""
    for event in read_events(path):
        try:
            _tell(event, tracker)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} holds an event that cannot be read ({error!r}): {event}") from error


def _tell(event: dict[str, Any], tracker: Tracker) -> None:
    kind, time = event.pop("kind"), event.pop("time")
    if kind == "train":
        values = {key: _number(value) for key, value in event["values"].items()}
        tracker.log(values, phase=event["phase"], step=event["step"], time=time)
    elif kind == "evaluation":
        tracker.evaluation(read_evaluation(event), time=time)
    elif kind == "alarm":
        alarm = Alarm(kind=event["alarm"], phase=event["phase"], step=event["step"], message=event["message"])
        tracker.alarm(alarm, time=time)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return value


def _whole_lines(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    length = path.stat().st_size
    with path.open("rb") as file:
        for end in range(length, 0, -65536):
            file.seek(start := max(0, end - 65536))
            if (newline := file.read(end - start).rfind(b"\n")) >= 0:
                return start + newline + 1
    return 0
