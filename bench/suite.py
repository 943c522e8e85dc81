"""A suite file: which runs, and, where it stands for something published, which numbers are expected of them.

    description = "…"                 # one sentence
    follows = ["…"]                   # the commit of the original code, and why it is the one
    seeds = [0, 1, 2]                 # defaults of every run: any field of RunConfig
    [tasks.oracle_lstm]               # settings for every run on that task; [models.seqgan] likewise
    [[runs]]                          # a row: one model in one setting, a run for each seed
    [[runs.expected]]                 # published numbers of this row, by their id in leaderboards/published
    [[samples]]                       # a row: a file of samples that somebody published, only scored
    [[rewritten]]                     # a row: files of rewritten sentences that somebody published, only scored
    [[real_text]]                     # a row: the task's own real text in the place of samples

`python -m bench suite` does the runs; `python -m bench reproduce` does every row and compares.
"""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bench import data
from bench.config import RunConfig, Scale, assign, check_values, explain_error, flat_enough, make_runs, shown_value
from bench.places import PAPER, command
from bench.published import Published, find_published
from bench.record import REAL_TEXT
from bench.registry import suggest
from bench.run_folder import read_regular
from bench.run_settings import RunSettings
from bench.text.content import Format

__all__ = [
    "Expected",
    "RealText",
    "Rewritten",
    "RowNotes",
    "RunsRow",
    "SamplesFile",
    "SuiteConfig",
    "read_rows",
    "read_suite",
]

_PLACE = re.compile(r"end|best|phase:\w+|step:\d+")
_MOST_BYTES = 1 << 20
"""Of a suite file; those of the project have up to 10 kB."""
Positive = Annotated[float, Field(gt=0, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=4096)]
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Table = Annotated[dict[str, Any], AfterValidator(flat_enough)]


class Expected(BaseModel):
    """Published numbers of one row, and what the preset makes of them; the numbers are in `leaderboards/published`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    published: str | Annotated[tuple[str, ...], Field(min_length=2)]
    """Their `id`; of several runs that were published one by one, all of theirs."""
    keys: tuple[str, ...] = ()
    """Which scores; empty: all that the first `id` has."""
    minus: str | Annotated[tuple[str, ...], Field(min_length=2)] = ""
    """`id` of the row of the same source that is the control's, where the difference to it is judged too; of several
    runs that were published one by one, all of theirs."""
    tolerance: Positive | None = None
    """How far a file's score may be from the number and still be the same; presets say why. Seeds have a spread."""
    where: str = "end"
    """Which state the number is of: `end`; `best` of all evaluations; `phase:mle`, after that phase; `step:767671`."""
    temperature: Positive = 1.0
    """Of the evaluation that the number is compared with."""
    step_value: str = ""
    """Name of what steps return, where the number is of that and not of a score: its mean over the steps since the
    evaluation before (`Evaluation.step_values`), so `evaluate_at` says of which steps."""
    problems: str = ""
    """What is known against the number."""
    not_comparable: str = ""
    """Why no measurement of this row can decide about the number; empty: it can."""

    @model_validator(mode="after")
    def _check(self) -> Expected:
        if not _PLACE.fullmatch(self.where):
            raise ValueError(f"where is end, best, phase:NAME or step:NUMBER, got {self.where!r}")
        if self.step_value and (len(self.numbers()) > 1 or self.where == "best" or self.minus):
            raise ValueError("step_value is for one number of one state, without minus: set keys to it, and where")
        for name, listed in (("keys", self.keys), ("published", self._ids), ("minus", self._of_control)):
            if twice := sorted({each for each in listed if listed.count(each) > 1}):
                raise ValueError(f"{name} has {twice[0]!r} twice")
        for numbers in self.numbers():
            for number in numbers:
                if not number.protocol:
                    raise ValueError(f"{number.id} does not say by which protocol {number.key!r} was measured")
                if number.std and number.n_seeds is None:
                    raise ValueError(f"{number.id} does not say over how many seeds the deviation of {number.key!r} is")
                if len(numbers) > 1 and (number.n_seeds or 1) > 1:
                    raise ValueError(f"{number.id} is of {number.n_seeds} seeds: published takes several single runs")
            self.of_control(numbers[0].key)
        return self

    @property
    def _ids(self) -> tuple[str, ...]:
        return (self.published,) if isinstance(self.published, str) else self.published

    @property
    def _of_control(self) -> tuple[str, ...]:
        return self.minus if isinstance(self.minus, tuple) else (self.minus,) if self.minus else ()

    @property
    def step(self) -> int | None:
        """The step that the numbers are of, if they are of one."""
        kind, _, name = self.where.partition(":")
        return int(name) if kind == "step" else None

    def numbers(self) -> list[tuple[Published, ...]]:
        """For each score what is published, in the order of the keys. Raises ValueError with the nearest name."""
        known = [_by_key(name) for name in self._ids]
        return [tuple(_named(numbers, key) for numbers in known) for key in self.keys or known[0]]

    def of_control(self, key: str) -> tuple[Published, ...]:
        """The control's numbers of the same source. Raises ValueError with the nearest name."""
        return tuple(_named(_by_key(name), key) for name in self._of_control)


def _by_key(name: str) -> dict[str, Published]:
    try:
        return {number.key: number for number in find_published(name)}
    except KeyError as error:
        raise ValueError(error.args[0]) from error


def _named(numbers: Mapping[str, Published], key: str) -> Published:
    if key not in numbers:
        name = next(iter(numbers.values())).id
        raise ValueError(f"{name} has no number {key!r}; {suggest(key, numbers)}")
    return numbers[key]


class RowNotes(BaseModel):
    """What every row may say beside how it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = ""
    """Tells the rows of a file apart. Default: the model's name."""
    expected: tuple[Expected, ...] = ()
    """Published numbers."""
    shown: tuple[str, ...] = ()
    """Score keys at the end that are shown although nobody published a number."""
    control: str = ""
    """Label of the row of the same file that shows what the adversarial phase adds: plain MLE, as a rule."""
    added_seeds: tuple[int, ...] = ()
    """Which of the seeds were not fixed in advance, but run after the verdicts of the others had been seen."""

    @model_validator(mode="after")
    def _needs_control(self) -> RowNotes:
        if not self.control and any(entry.minus for entry in self.expected):
            raise ValueError("minus takes a control to be subtracted: set control to a row's label")
        return self


class _Scored(RowNotes):
    """A row without a training."""

    @model_validator(mode="after")
    def _needs_tolerance(self) -> _Scored:
        for entry in self.expected:
            if entry.tolerance is None:
                raise ValueError(f"tolerance must be set for {entry.published}: a file has no seeds to tell the spread")
            if entry.step_value:
                raise ValueError(f"step_value is for trainings, got {entry.step_value!r}: a file had no steps")
        return self

    task: Name
    task_settings: Table = {}
    metrics: tuple[Name, ...] = ()
    """Names of metrics; empty: the task's own list."""


class PublishedFile(BaseModel):
    """A file that somebody published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[str, Field(min_length=1)]
    """Name of the file, to be found below `TEXTGAN_BENCH_DATA`, or in the cache."""
    url: Annotated[str, Field(min_length=1)]
    """Where it is downloaded from."""
    sha256: Annotated[str, Field(pattern=r"[0-9a-f]{64}")]

    def fetch(self) -> Path:
        """The file on this machine, its hash checked. Raises FileNotFoundError that says what to put where."""
        return data.fetch(data.RemoteFile(name=self.file, url=self.url, checksum=f"sha256:{self.sha256}"))


class SamplesFile(PublishedFile, _Scored):
    """A file of samples that somebody published."""

    name: Annotated[str, Field(min_length=1)]
    """Of the row, and of the model in its record."""
    format: Format = "auto"
    """As of `score --format`."""
    n_samples: ClassVar[None] = None
    """As many as the file has."""

    @property
    def model(self) -> str:
        """As its record names it."""
        return self.name


class Rewritten(_Scored):
    """Rewritten sentences that somebody published: together as many lines as the task has inputs, in their order."""

    name: Annotated[str, Field(min_length=1)]
    """Of the row, and of the model in its record."""
    files: Annotated[tuple[PublishedFile, ...], Field(min_length=1)]
    """Each line is the input, a tabulator and the output, or the output alone."""
    n_samples: ClassVar[None] = None
    """As many as there are inputs."""

    @property
    def model(self) -> str:
        """As its record names it."""
        return self.name


class RealText(_Scored):
    """The task's own real sentences."""

    model: ClassVar[str] = REAL_TEXT
    """As its record names it."""
    n_samples: Annotated[int, Field(gt=0, strict=True)] = 10_000


class RunsDefaults(RunSettings):
    """What may stand at the top of a file and in each of its `[[runs]]`: a run's settings, for several seeds."""

    model: tuple[Name, ...] = ()
    task: tuple[Name, ...] = ()
    seeds: tuple[Seed, ...] = (0,)
    scale: Scale = "paper"
    model_settings: Annotated[Table, Field(default_factory=dict)]
    task_settings: Annotated[Table, Field(default_factory=dict)]
    metric_settings: Annotated[dict[str, Table], Field(default_factory=dict)]

    @field_validator("model", "task", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str | list | tuple):
            raise ValueError(f"a name is expected, or a list of names, got {shown_value(value)}")
        return [value] if isinstance(value, str) else value

    @field_validator("model", "task", "seeds")
    @classmethod
    def _filled(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if not value:
            raise ValueError("the list is empty, so there would be no run")
        if twice := [one for one in value if value.count(one) > 1]:
            raise ValueError(f"{twice[0]!r} stands twice in the list")
        return value


class RunsEntry(RunsDefaults, RowNotes):
    """One of `[[runs]]`: every model on every task with every seed."""


class SuiteConfig(BaseModel):
    """A suite file as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    follows: tuple[str, ...] = ()
    """Which commit of the original code the settings are of, its date, and why it is the one."""
    defaults: RunsDefaults = RunsDefaults.model_validate({})
    """All other top-level keys: fields of every run."""
    runs: tuple[RunsEntry, ...] = ()
    samples: tuple[SamplesFile, ...] = ()
    rewritten: tuple[Rewritten, ...] = ()
    real_text: tuple[RealText, ...] = ()
    models: dict[str, Table] = {}
    tasks: dict[str, Table] = {}

    @classmethod
    def read(cls, path: Path) -> SuiteConfig:
        """Raises ValueError that names the file, the key, what it holds and what would be right."""
        try:
            document = tomllib.loads(read_regular(Path(os.path.realpath(path)), _MOST_BYTES).decode("utf-8-sig"))
        except RecursionError:
            raise ValueError(f"{path} is not a suite: lists or tables in one another without end") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a suite: {error}") from error
        known = {name: document.pop(name) for name in list(document) if name in cls.model_fields and name != "defaults"}
        try:
            suite = cls.model_validate({**known, "defaults": document})
            check_values(document, suite.defaults)
            for number, entry in enumerate(suite.runs):
                check_values(known["runs"][number], entry, f"runs[{number}].")
            return suite
        except ValidationError as error:
            raise ValueError(f"{path}: {explain_error(error, _known_at, inside='defaults')}") from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


_KINDS: dict[str, type[BaseModel]] = {
    "defaults": RunsDefaults,
    "runs": RunsEntry,
    "samples": SamplesFile,
    "rewritten": Rewritten,
    "files": PublishedFile,
    "real_text": RealText,
    "expected": Expected,
}


def _known_at(place: Sequence[int | str]) -> Iterable[str]:
    """What may stand in a part of a suite."""
    names = [part for part in place if isinstance(part, str)]
    others = SuiteConfig.model_fields.keys() - {"defaults"} if names == ["defaults"] else ()
    return (*_KINDS[names[-1]].model_fields, *others) if names else SuiteConfig.model_fields


@dataclass(frozen=True, kw_only=True)
class RunsRow:
    """One model in one setting, for each seed."""

    notes: RowNotes
    configs: tuple[RunConfig, ...]


def read_suite(path: Path, overrides: Mapping[str, Any] | None = None, seeds: Sequence[int] = ()) -> list[RunConfig]:
    """The runs of a suite file: every model on every task with every seed, or with `seeds`, in the order of the file.

    Raises ValueError or KeyError that names the file.
    """
    suite = SuiteConfig.read(path)
    if not suite.runs:
        scored = ""
        if path.parent == PAPER and (suite.samples or suite.rewritten or suite.real_text):
            scored = f"; `{command('bench', 'reproduce', path.stem)}` scores what it holds"
        raise ValueError(f"{path} has no [[runs]]{scored}")
    return [config for row in read_rows(path, suite, overrides, seeds) for config in row.configs]


def read_rows(
    path: Path, suite: SuiteConfig, overrides: Mapping[str, Any] | None = None, seeds: Sequence[int] = ()
) -> list[RunsRow]:
    """The rows that are trained, with `seeds`, if any, in place of its own. Raises ValueError that names the file."""
    shared = {"model": suite.models, "task": suite.tasks}
    rows: list[RunsRow] = []
    where = ""
    try:
        for number, entry in enumerate(suite.runs):
            where = f"runs[{number}]: "
            merged = _set(suite.defaults) | _set(entry)
            notes = {name: merged.pop(name) for name in RowNotes.model_fields if name in merged}
            own_seeds = merged.pop("seeds", (0,))
            tasks, models = (merged.get(kind, ()) for kind in ("task", "model"))
            if not (tasks and models):
                raise ValueError(f"it lacks {'model' if tasks else 'task'!r}")
            if notes and len(tasks) * len(models) > 1:
                raise ValueError(f"{next(iter(notes))} belongs to one model on one task, and this row names several")
            checked = RowNotes.model_validate(notes)
            _check_trained(checked, own_seeds)
            if steps := {entry.step for entry in checked.expected if entry.step is not None}:
                merged["evaluate_at"] = sorted(steps.union(merged.get("evaluate_at", ())))
            for task, model in itertools.product(tasks, models):
                config = {**merged, "model": model, "task": task}
                for kind, settings in shared.items():
                    own = config.get(f"{kind}_settings", {})
                    config[f"{kind}_settings"] = {**settings.get(config[kind], {}), **own}
                configs = make_runs(assign(overrides or {}, config), seeds or own_seeds)
                configs[0].resolve()
                rows.append(RunsRow(notes=checked, configs=tuple(configs)))
        where = ""
        for kind, settings in shared.items():
            used = {getattr(row.configs[0], kind) for row in rows}
            if unused := sorted(set(settings) - used):
                raise KeyError(f"no run of {kind} {unused[0]!r}; {suggest(unused[0], used)}")
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: {where}{error.args[0]}") from error
    return rows


def _set(group: BaseModel) -> dict[str, Any]:
    """What a part of a file says itself."""
    return {name: getattr(group, name) for name in group.model_fields_set}


def _check_trained(notes: RowNotes, seeds: Sequence[int]) -> None:
    for entry in notes.expected:
        if entry.tolerance is not None:
            raise ValueError(f"tolerance is for files, got {entry.tolerance}: seeds have a spread of their own")
    if strange := sorted(set(notes.added_seeds) - set(seeds)):
        raise ValueError(f"added_seeds has {strange[0]}, which is not among the seeds {list(seeds)}")
