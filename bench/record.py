"""A run as one JSON document. Standard library only: the leaderboard reads nothing else of the harness.

Units: seconds, UTC, nats. Full precision is stored; rounding is the renderer's. A score that could not be computed is
absent, with its reason in `Evaluation.skipped`. Two runs of one configuration on one machine give documents that are
equal in all but the clock: see `RunRecord.content`.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import json
import math
import os
import re
import reprlib
import tempfile
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "SCHEMA_VERSION",
    "Alarm",
    "Evaluation",
    "PhaseCost",
    "RunRecord",
    "Score",
    "canonical_json",
    "find_documents",
    "read_record",
    "short_hash",
    "write_atomic",
]

SCHEMA_VERSION = 1

_LARGEST = 1e50
"""Of any number: float32 ends at 3.4e38, and sums of fourth powers of what is below stay finite."""
_MOST_BYTES = 64 << 20
"""Of a document; one with a thousand evaluations has about 3 MB."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What becomes the name of a folder or of a page."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number with everything that is needed to compare it."""

    value: float
    metric: str
    """Name of the metric; the key under which a score stands adds the order (`bleu_2`)."""
    signature: str
    """Settings, counts and version. Scores with different signatures are not comparable."""
    better: Literal["higher", "lower", "real"]
    standard_error: float | None = None
    """Over the samples of this one set; it says nothing of other seeds. None: not known."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of one set of samples."""

    phase: str
    """Phase after which the samples were drawn; "final" phase is the last one's name."""
    step: int
    """Steps of all phases done."""
    at: Literal["cadence", "phase_end", "end", "samples"]
    """Why here: on the schedule, at the end of a phase, at the end of training, or samples without a training."""
    temperature: float
    scores: Mapping[str, Score]
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Metric -> why it is absent."""
    samples_file: str | None = None
    """Relative to the record; None where the samples of this evaluation are not kept."""
    samples_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class PhaseCost:
    """What a phase took."""

    name: str
    steps: int
    seconds: float
    real_sentences: int
    """Real sentences taken from the stream."""
    peak_resident_bytes: int | None = None
    """Most memory that the process had resident at once, libraries included; evaluation and saving left out, as in
    `peak_gpu_bytes`. None: not measured."""
    peak_gpu_bytes: int | None = None
    """Most memory that tensors had on the GPU at once. None: no GPU, or not measured."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something a reader must know: a loss that is not finite, samples that collapse."""

    kind: Literal["non_finite", "collapse"]
    phase: str
    step: int
    message: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything about a run that a table, a page or a sceptic needs."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    """Hash of the resolved configuration, versions and sources; the seed included."""
    config_hash: str
    """Hash of what makes a row of a table: model, task, settings, versions; the seed left out."""
    created_at: str
    """UTC, ISO 8601, when the run started."""
    status: Literal["completed", "failed"]
    error: str | None = None
    origin: Literal["run", "samples"]
    """A training of this harness, or samples that somebody handed in."""
    model: str
    model_config: Mapping[str, Any] = field(default_factory=dict)
    scale: str
    """smoke, small or paper; "samples" for samples that were handed in."""
    n_parameters: int | None = None
    task: str
    task_version: int
    task_config: Mapping[str, Any] = field(default_factory=dict)
    data_sha256: str
    data_facts: Mapping[str, float | int | str] = field(default_factory=dict)
    seed: int | None
    selection: str = "last"
    """Which state was evaluated: the last one. Choosing by a test score is impossible."""
    evaluations: tuple[Evaluation, ...] = ()
    phases: tuple[PhaseCost, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    def final(self, temperature: float = 1.0) -> Evaluation | None:
        """The evaluation at the end (or of the samples) at one temperature."""
        last = [e for e in self.evaluations if e.at in ("end", "samples") and e.temperature == temperature]
        return last[-1] if last else None

    def to_json(self) -> str:
        """The document: sorted keys, two blanks, no NaN."""
        return (
            json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
        )

    def content(self) -> dict[str, Any]:
        """The document without what clock, place and memory tell: equal for a killed, resumed run and a whole one."""
        document = json.loads(self.to_json())
        document.pop("created_at")
        document.pop("environment")
        for phase in document["phases"]:
            for name in ("seconds", "peak_resident_bytes", "peak_gpu_bytes"):
                phase.pop(name)
        return typing.cast(dict[str, Any], document)

    def write(self, path: Path) -> None:
        """Write atomically."""
        write_atomic(path, self.to_json().encode())


def read_record(path: Path) -> RunRecord:
    """Read and check a document, which may be anybody's. Raises ValueError: file, field, what was expected."""
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise ValueError(f"{size} bytes; at most {_MOST_BYTES} are read")
        document = json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_each_key_once,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_number,
        )
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair could not be written again
    except ValueError as error:
        raise ValueError(f"{path} is not a run record: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is not a run record: objects or lists in one another without end") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not a run record: expected an object, got {type(document).__name__}")
    if type(version := document.get("schema_version")) is not int or version != SCHEMA_VERSION:
        raise ValueError(f"{path} has schema_version {_short(version)}; this version reads {SCHEMA_VERSION}")
    try:
        record = typing.cast(RunRecord, _build(RunRecord, document, "record"))
        _check_names(record)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return record


def find_documents(root: Path, name: str) -> list[Path]:
    """Files of that name at any depth below `root`, in order, without the copies that MLflow keeps as artifacts."""
    return sorted(path for path in root.rglob(name) if "mlartifacts" not in path.relative_to(root).parts)


def _number(text: str) -> float:
    """A number as JSON writes it: NaN, Infinity and what would become one in a sum are none."""
    if len(text) > 400 or not abs(float(text)) <= _LARGEST:
        raise ValueError(
            f"{_short(text)} is no number of a run: at most {_LARGEST:g}, finite; an absent score belongs in `skipped`"
        )
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {_short(next(k for k in keys if keys.count(k) > 1))} stands twice in one object")
    return found


def _check_names(record: RunRecord) -> None:
    """What becomes part of a path, or an order of time, is exactly what the harness would write."""
    for name, value in (("run_id", record.run_id), ("config_hash", record.config_hash)):
        if not _NAME.fullmatch(value):
            raise ValueError(f"record.{name} must be letters, digits, '-', '_' and '.', got {_short(value)}")
    try:
        datetime.datetime.fromisoformat(record.created_at)
    except ValueError as error:
        raise ValueError(f"record.created_at must be a time as ISO 8601 writes it: {error}") from error
    for i, evaluation in enumerate(record.evaluations):
        where, file, digits = f"record.evaluations[{i}]", evaluation.samples_file, evaluation.samples_sha256
        if file is not None and (not file.isprintable() or file.startswith(".") or set("/\\:") & set(file)):
            raise ValueError(f"{where}.samples_file must be a file name beside the record, got {_short(file)}")
        if file is not None and digits is None:
            raise ValueError(f"{where} names a samples_file without samples_sha256")
        if digits is not None and not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise ValueError(f"{where}.samples_sha256 must be 64 hexadecimal digits, got {_short(digits)}")


def _short(value: Any) -> str:
    return reprlib.repr(value)


def _build(kind: Any, value: Any, where: str) -> Any:
    """JSON value -> the annotated type, strictly: no missing, unknown or mistyped field passes."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where} must be one of {', '.join(map(str, arguments))}, got {_short(value)}")
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        options = [a for a in arguments if a is not type(None)]
        return value if len(options) > 1 and type(value) in options else _build(options[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list, got {type(value).__name__}")
        return tuple(_build(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object, got {type(value).__name__}")
        return {key: _build(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    return _build_plain(kind, value, where)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object, got {type(value).__name__}")
    known = {f.name: f for f in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(known)):
        raise ValueError(f"{where} has unknown field {unknown[0]!r}")
    required = [n for n, f in known.items() if f.default is f.default_factory is dataclasses.MISSING]
    if absent := [n for n in required if n not in value]:
        raise ValueError(f"{where} lacks {absent[0]!r}")
    hints = _hints(kind)
    return kind(**{name: _build(hints[name], item, f"{where}.{name}") for name, item in value.items()})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Annotations as types. Evaluating them anew for each score took most of the time of reading a record."""
    return typing.get_type_hints(kind)


def _build_plain(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError(f"{where} must be finite, got {value}")
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{where} must be {kind.__name__}, got {_short(value)}")
    return value


def canonical_json(value: Any) -> str:
    """One text for one value: what hashes are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(value: Any) -> str:
    """12 hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:12]


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write beside the target, flush to disk, rename: a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
