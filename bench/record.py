"""A run as one JSON document. The leaderboard reads nothing else of the harness; no torch, no tracker.

Units: seconds, UTC, nats. Full precision is stored; rounding is the renderer's. A score that could not be computed is
absent, with its reason in `Evaluation.skipped`. Two runs of one configuration on one machine give documents that are
equal in all but the clock: see `RunRecord.content`.

Schema 2 holds the run's own settings and each score's settings as fields. Documents of schema 1 are read as well:
`bench.record_upgrade` says how they become such of schema 2.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import json
import os
import re
import reprlib
import tempfile
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from bench.record_upgrade import OLD_SCHEMA, upgrade_evaluation, upgrade_record
from bench.run_folder import MODEL_SOURCE, TEMPORARY, read_regular, sweep, temporary_prefix
from bench.run_settings import RunSettings
from bench.text.documents import LARGEST_NUMBER, deeper_than, read_quickly
from metrics.common.signature import Setting, signature_text

__all__ = [
    "BEFORE",
    "CUSTOM",
    "HELD_OUT_TEXT",
    "LARGEST_NUMBER",
    "MOST_SETTINGS",
    "REAL_TEXT",
    "SCHEMA_VERSION",
    "Alarm",
    "Evaluation",
    "PhaseCost",
    "RunRecord",
    "RunStart",
    "Score",
    "as_json",
    "canonical_json",
    "check_size",
    "code_hash",
    "decode",
    "deeper_than",
    "is_altered",
    "named_files",
    "read_document",
    "read_evaluation",
    "read_record",
    "read_start",
    "record_of",
    "short_hash",
    "with_settings",
    "write_atomic",
]

SCHEMA_VERSION = 2
CUSTOM = "custom"
"""Shown in place of the scale of a run whose settings are not the scale's."""

REAL_TEXT = "real_text"
"""Model of the row of real sentences that are not the test: what a perfect copy of the training text would get."""
HELD_OUT_TEXT = "real_text_test"
BEFORE = "before."
"""What stands before the name of a fact of the environment, where it was another before the run went on."""
"""Model of the row of the test sentences themselves: what real text gets that nobody trained on."""

_FILE_OF = "file of "
CHECKSUM = "checksum"
"""Of a record's document: SHA-256 of all its other fields. Against damage; who alters a record can write it anew."""
_LABEL = 60
"""Characters of settings behind a name."""
MOST_SETTINGS = 100_000
"""Characters, as JSON, of the settings of a model or a task, of facts, of an environment; usual are hundreds."""
_MOST_SCORES = 1_000
"""Of different names in one record; usual are about 40. Tables have a column for each."""
_MOST_NAME = 1_000
"""Characters of a name."""
_REMEDY = "take it from a copy, or remove it and give the command that made it again"
_DEEPEST = 50
"""Of objects and lists in one another; a run's have 7."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What becomes the name of a folder or of a page."""
_STRICT = ConfigDict(extra="forbid", strict=True, protected_namespaces=(), allow_inf_nan=False)
"""No unknown, missing or mistyped field passes."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One number with everything that is needed to compare it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    value: float
    metric: str
    """Name of the metric; the key under which a score stands adds the order (`bleu_2`)."""
    settings: Mapping[str, Setting]
    """Settings, counts and version (`v`), in the metric's order. Scores whose settings differ are not comparable."""
    better: Literal["higher", "lower", "real"]
    standard_error: float | None = None
    """Over the samples of this one set; it says nothing of other seeds. None: not known."""

    @functools.cached_property
    def signature(self) -> str:
        """Metric and settings as one text: equal texts, comparable scores."""
        values = tuple(self.settings.values())  # 1, 1.0 and True are equal, and other texts
        return _signature(self.metric, tuple(self.settings), tuple(map(type, values)), values)


@functools.lru_cache(maxsize=4096)
def _signature(metric: str, names: tuple[str, ...], _: tuple[type[Any], ...], values: tuple[Setting, ...]) -> str:
    """Once for all scores of one kind: a table of 10,000 records has 3 million scores."""
    return signature_text(metric, dict(zip(names, values, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The scores of one set of samples."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    phase: str
    """Phase after which the samples were drawn; "final" phase is the last one's name."""
    step: int
    """Steps of all phases done."""
    at: Literal["cadence", "phase_end", "end", "samples"]
    """Why here: on the schedule, at the end of a phase, at the end of training, or samples without a training."""
    temperature: float
    scores: Mapping[str, Score]
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Metric or score -> why it is absent."""
    samples_file: str | None = None
    """Relative to the record; None where the samples of this evaluation are not kept."""
    samples_sha256: str | None = None
    step_values: Mapping[str, float] = field(default_factory=dict)
    """What steps returned (losses, rewards): of each name the mean over the steps of this phase since the evaluation
    before. Empty where no step was taken in between, or another state than the last one is evaluated."""

    def absent(self) -> dict[str, str]:
        """Metrics and scores that are absent for one reason, `distinct_3, distinct_4` -> the reason."""
        names: dict[str, list[str]] = {}
        for name, reason in self.skipped.items():
            names.setdefault(reason, []).append(name)
        return {", ".join(together): reason for reason, together in names.items()}


@dataclass(frozen=True, kw_only=True)
class PhaseCost:
    """What a phase took."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

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

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    kind: Literal["non_finite", "collapse"]
    phase: str
    step: int
    message: str


@dataclass(frozen=True, kw_only=True)
class RunStart:
    """What is known of a run before its first step. `run.json` in its folder holds this."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema_version: int = SCHEMA_VERSION
    run_id: str
    """Hash of the resolved configuration, versions and sources; the seed included."""
    config_hash: str
    """Hash of what makes a row of a table: model, task, settings, versions; the seed left out."""
    created_at: str
    """UTC, ISO 8601, when the run started."""
    origin: Literal["run", "samples"]
    """A training of this harness, or samples that somebody handed in."""
    model: str
    model_config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of the model, resolved."""
    scale: str
    """smoke, small or paper, from which its settings started; "samples" for samples that were handed in."""
    changed: Mapping[str, Any] | None = None
    """The model's settings that are not the scale's own: such a run is none of that scale. None: not known, as of
    samples and in records of before this field. What differs in the task's is another board."""
    task: str
    task_version: int
    task_config: Mapping[str, Any] = field(default_factory=dict)
    """Every setting of the task, resolved."""
    sources: Mapping[str, str] | None = None
    """SHA-256 of the code of `model` and `task`, each with the parts that it shares; of `model.py`, a user's own model,
    whose file is kept beside the record; of `import layers`, another file of the user's that it imports; of `file of
    path`, the text that the task's setting `path` names, of samples too. None: not known."""
    run: RunSettings | None = None
    """The run's own settings, as they took effect; None for samples that were handed in."""
    data_sha256: str
    data_facts: Mapping[str, float | int | str] = field(default_factory=dict)
    seed: int | None
    environment: Mapping[str, Any] = field(default_factory=dict)
    """`git.sha`, `git.dirty`, `device`, versions of what was used, threads. Of a run that went on elsewhere they are of
    the last place, and `before.git.sha` and its like list what they were."""

    @property
    def moment(self) -> datetime.datetime:
        """`created_at` as a moment, which texts of other time zones are ordered by."""
        return moment(self.created_at)

    @property
    def model_identity(self) -> str:
        """What is one model: its name; of a user's own file, the class and the content, whatever the file is called."""
        code = self.model_code
        return self.model if code is None else f"{self.model.rpartition(':')[2]}@{code}"

    @property
    def model_code(self) -> str | None:
        """Hash of all files of a user's own model; None for a registered one, or if it is not known."""
        own = {n: sha for n, sha in (self.sources or {}).items() if n == MODEL_SOURCE or n.startswith("import ")}
        return code_hash(own)

    @property
    def settings_of_text(self) -> dict[str, Any]:
        """The task's settings but for those that name a file, of which the data's hash says what is in it."""
        return {n: v for n, v in self.task_config.items() if f"{_FILE_OF}{n}" not in (self.sources or {})}

    @property
    def model_source(self) -> str | None:
        """SHA-256 of the file of a user's own model; None for a registered one, or if it is not known."""
        return (self.sources or {}).get(MODEL_SOURCE)

    @property
    def shown_scale(self) -> str:
        """What is shown as its scale: `custom` where a setting of the model is not the scale's."""
        return CUSTOM if self.changed else self.scale

    @property
    def variant(self) -> dict[str, str]:
        """The run's own settings that make another row, where they are not the usual ones."""
        if self.run is None:
            return {}
        usual = RunSettings()
        named = ("fp32_precision", "selection", "last_phase")
        return {name: value for name in named if (value := getattr(self.run, name)) != getattr(usual, name)}

    @property
    def shown_model(self) -> str:
        """The model with what was changed by name: `seqgan (mle_steps=5)`, `mle (selection=validation)`."""
        return with_settings(self.model, {**(self.changed or {}), **self.variant})

    def ended(self, **results: Any) -> RunRecord:
        """The record of this run: what was known before, and the fields that `RunRecord` adds."""
        return RunRecord(**{f.name: getattr(self, f.name) for f in dataclasses.fields(RunStart)}, **results)


@dataclass(frozen=True, kw_only=True)
class RunRecord(RunStart):
    """Everything about a run that a table, a page or a sceptic needs."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    status: Literal["completed", "failed"]
    error: str | None = None
    n_parameters: int | None = None
    evaluations: tuple[Evaluation, ...] = ()
    phases: tuple[PhaseCost, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    upgraded_from: int | None = None
    """The schema in which the run wrote its record. `run` was then inferred from its scores and environment, with
    today's defaults where these tell nothing. None: written as it stands."""

    def final(self, temperature: float = 1.0) -> Evaluation | None:
        """The evaluation at the end (or of the samples) at one temperature."""
        last = [e for e in self.evaluations if e.at in ("end", "samples") and e.temperature == temperature]
        return last[-1] if last else None

    def to_json(self) -> str:
        """The document, fields in their order and their checksum, two blanks, no NaN."""
        document = as_json(self)
        document[CHECKSUM] = _checksum(document)
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def content(self) -> dict[str, Any]:
        """The document without what clock, place and memory tell: equal for a killed, resumed run and a whole one."""
        document = as_json(self)
        for name in ("created_at", "environment", "upgraded_from", "changed", "sources"):
            document.pop(name)  # the last two follow from what makes the run_id, and older records lack them
        for phase in document["phases"]:
            for name in ("seconds", "peak_resident_bytes", "peak_gpu_bytes"):
                phase.pop(name)
        return document

    def write(self, path: Path) -> None:
        """Write atomically."""
        write_atomic(path, self.to_json().encode())


Known = TypeVar("Known")


def read_record(path: Path | str) -> RunRecord:
    """Read and check a document of schema 1 or 2, which may be anybody's.

    Raises ValueError: file, field, what was expected.
    """
    path = Path(path)
    return record_of(read_regular(path), path)


def record_of(content: bytes, path: Path) -> RunRecord:
    """The same, of a file's bytes; `path` names it in messages."""
    document, quick = _document(content, path)
    document.pop(CHECKSUM, None)
    version = document.get("schema_version")
    if type(version) is not int or version not in (OLD_SCHEMA, SCHEMA_VERSION):
        raise ValueError(f"{path} has schema_version {_short(version)}; this version reads {OLD_SCHEMA} and 2")
    try:
        if version == OLD_SCHEMA:
            document = upgrade_record(document)
        elif quick and (found := _LAST_FIELD.search(content)) is not None:  # as it is written: not once more from JSON
            record = _decoded(RunRecord, content[: found.start()] + b"}", "record")
            _check_names(record)
            return record
        record = decode(RunRecord, document, "record")
        _check_names(record)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {_REMEDY}") from error
    return record


def is_altered(path: Path) -> bool:
    """Whether a record is not as it was written, by its checksum; older records have none. Raises ValueError."""
    document = read_document(path)
    written = document.pop(CHECKSUM, None)
    return written is not None and written != _checksum(document)


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(document).encode()).hexdigest()


def read_start(path: Path) -> RunStart:
    """`run.json`: what was known of a run before its first step. Raises ValueError, FileNotFoundError."""
    document = read_document(path)
    if "params" in document:
        raise ValueError(f"{path} is of a version before records of schema 2: finish this run with that version")
    try:
        start = decode(RunStart, document, "run")
        _check_start(start, "run")
    except ValueError as error:
        raise ValueError(f"{path} does not describe a run of this version: {error}; {_REMEDY}") from error
    return start


def read_evaluation(document: Mapping[str, Any]) -> Evaluation:
    """An evaluation as a diary or a checkpoint holds it, of schema 1 or 2. Raises ValueError."""
    return decode(Evaluation, upgrade_evaluation(document), "evaluation")


def read_document(path: Path) -> dict[str, Any]:
    """A JSON object of a run: no key twice, no NaN, no number that no run has. Raises ValueError, OSError."""
    return _document(read_regular(path), path)[0]


def _document(content: bytes, path: Path) -> tuple[dict[str, Any], bool]:
    """The document of these bytes, and whether it was read quickly."""
    if (found := read_quickly(content, _DEEPEST)) is not None:
        return found, True
    try:
        document = json.loads(
            content.decode(),
            object_pairs_hook=_each_key_once,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_number,
        )
        if deeper_than(document, _DEEPEST):
            raise ValueError(f"objects or lists in one another, more than {_DEEPEST} deep")
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair could not be written again
        if not isinstance(document, dict):
            raise ValueError(f"expected an object, got {type(document).__name__}")
    except ValueError as error:
        raise ValueError(f"{path} is not a run record: {error}; {_REMEDY}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is not a run record: objects or lists in one another without end") from error
    return document, False


_LAST_FIELD = re.compile(rb',\s*"checksum": "[0-9a-f]{64}"\s*\}\s*\Z')


def as_json(value: Any) -> dict[str, Any]:
    """A dataclass of this module as JSON values, fields in their order."""
    return typing.cast(dict[str, Any], _adapter(type(value)).dump_python(value, mode="json"))


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Known]) -> TypeAdapter[Known]:
    """Made once for each type: making one takes longer than reading a record."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def decode(kind: type[Known], document: Mapping[str, Any], where: str) -> Known:
    """JSON values -> the dataclass, strictly. Raises ValueError that names the first field that is wrong."""
    return _decoded(kind, json.dumps(document), where)


def _decoded(kind: type[Known], content: bytes | str, where: str) -> Known:
    try:
        return _adapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        raise ValueError(_complaint(error, where)) from None


_EXPECTED = {"dataclass": "an object", "dict": "an object", "tuple": "a list", "string": "str", "bool": "bool"}


def _complaint(error: ValidationError, where: str) -> str:
    """The first complaint of pydantic in our words: `record.evaluations[0] lacks 'phase'`."""
    first = error.errors(include_url=False)[0]
    *parents, last = first["loc"] or ("",)
    kind, value = first["type"], _short(first["input"])
    if kind in ("missing", "unexpected_keyword_argument", "extra_forbidden"):
        what = "lacks" if kind == "missing" else "has unknown field"
        return f"{_place(where, parents)} {what} {last!r}"
    place = _place(
        where, [part for part in first["loc"] if not str(part).startswith(("tuple[", "int", "float", "str"))]
    )
    if kind == "literal_error":
        return (
            f"{place} must be one of {first['ctx']['expected'].replace(chr(39), '').replace(' or ', ', ')}, got {value}"
        )
    name = kind.partition("_")[0]
    if kind.endswith("_type"):
        return f"{place} must be {_EXPECTED.get(name, name)}, got {value}"
    return f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, got {value}"


def _place(where: str, parts: typing.Sequence[Any]) -> str:
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _number(text: str) -> float:
    """A number as JSON writes it: NaN, Infinity and what would become one in a sum are none."""
    if len(text) > 400 or not abs(float(text)) <= LARGEST_NUMBER:
        raise ValueError(
            f"{_short(text)} is no number of a run: at most {LARGEST_NUMBER:g}, finite; an absent score belongs in "
            "`skipped`"
        )
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {_short(key)} stands twice in one object")
        found[key] = value
    return found


def _check_start(start: RunStart, where: str) -> None:
    """What becomes part of a path, or an order of time, is exactly what the harness would write."""
    for name, value in (("run_id", start.run_id), ("config_hash", start.config_hash)):
        if not _NAME.fullmatch(value):
            raise ValueError(f"{where}.{name} must be letters, digits, '-', '_' and '.', got {_short(value)}")
    _check_lengths(f"{where}.model, task or scale", (start.model, start.task, start.scale))
    for what in ("model_config", "changed", "task_config", "sources", "data_facts", "environment"):
        check_size(getattr(start, what) or {}, f"{where}.{what}")
    try:
        moment(start.created_at)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}.created_at must be a time as ISO 8601 writes it: {error}") from error


def moment(text: str) -> datetime.datetime:
    """A time as ISO 8601 writes it, in UTC, as which one without a zone is read. Raises ValueError, OverflowError."""
    found = datetime.datetime.fromisoformat(text)
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found.astimezone(datetime.UTC)


def check_size(settings: Mapping[str, Any], what: str) -> None:
    """Settings and facts that a table can show. Raises ValueError that speaks of `what`."""
    if (size := len(canonical_json(settings))) > MOST_SETTINGS:
        raise ValueError(f"{what} takes {size:,} characters as JSON; at most {MOST_SETTINGS:,} can be kept of a run")


def _check_names(record: RunRecord) -> None:
    _check_start(record, "record")
    keys = {key for e in record.evaluations for key in (*e.scores, *e.skipped)}
    if len(keys) > _MOST_SCORES:
        raise ValueError(f"record has {len(keys):,} scores of different names; at most {_MOST_SCORES:,} are read")
    names = {e.phase for e in record.evaluations} | {phase.name for phase in record.phases} | keys
    _check_lengths("a phase or a score", names)
    for i, evaluation in enumerate(record.evaluations):
        where, file, digits = f"record.evaluations[{i}]", evaluation.samples_file, evaluation.samples_sha256
        if file is not None and (not file.isprintable() or file.startswith(".") or set("/\\:") & set(file)):
            raise ValueError(f"{where}.samples_file must be a file name beside the record, got {_short(file)}")
        if file is not None and digits is None:
            raise ValueError(f"{where} names a samples_file without samples_sha256")
        if digits is not None and not re.fullmatch(r"[0-9a-f]{64}", digits):
            raise ValueError(f"{where}.samples_sha256 must be 64 hexadecimal digits, got {_short(digits)}")


def _check_lengths(what: str, names: Iterable[str]) -> None:
    for name in names:
        if len(name) > _MOST_NAME:
            raise ValueError(f"{what} has a name of {len(name):,} characters; at most {_MOST_NAME:,} are read")


def _short(value: Any) -> str:
    return reprlib.repr(value)


def canonical_json(value: Any) -> str:
    """One text for one value: what hashes are taken of."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(value: Any) -> str:
    """12 hexadecimal digits that stand for a JSON value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:12]


def named_files(hashes: Mapping[str, str]) -> dict[str, str]:
    """Setting of a task -> SHA-256 of the file that it names, as they stand in `sources`."""
    return {f"{_FILE_OF}{name}": sha for name, sha in hashes.items()}


def code_hash(files: Mapping[str, str]) -> str | None:
    """One hash of the files of a user's own model: of a single file the file's own."""
    return next(iter(files.values()), None) if len(files) < 2 else short_hash(files)


def with_settings(name: str, settings: Mapping[str, Any]) -> str:
    """`seqgan (mle_steps=5, iterations=1)`, cut where it gets long; the name alone without settings."""
    text = ", ".join(f"{key}={value}" for key, value in settings.items())
    text = text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"
    return f"{name} ({text})" if text else name


def write_atomic(path: Path, content: bytes | memoryview, *, keep: Path | None = None) -> None:
    """Write beside the target, flush to disk, rename: a reader sees the old file or the new one, never half of it.

    What a kill left of an earlier write of this file goes. The old one becomes `keep`; a kill at that moment leaves it
    there, and nothing at `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, f"{path.name}.")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=temporary_prefix(path.name), suffix=TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        if keep is not None and path.exists():
            path.replace(keep)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
