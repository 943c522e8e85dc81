"""Presets: the suites in `bench/suites/paper/`, one for each published setting, with the numbers published for it.

The name of a preset is that of its file, `seqgan-oracle20`: the model and the data it was published on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from bench.config import Resolved, RunConfig, assign, build, build_metrics, make_runs, plain
from bench.places import PAPER, suite_names
from bench.published import Published
from bench.record import RunRecord
from bench.registry import find, suggest
from bench.reproduce.verdict import Reported
from bench.run.scales import Scale
from bench.suite import RealText, Rewritten, RowNotes, RunsRow, SamplesFile, SuiteConfig, read_rows

__all__ = ["Number", "Preset", "PresetRow", "ScoredRow", "TrainedRow", "preset_names", "read_preset"]


@dataclass(frozen=True, kw_only=True)
class Number:
    """One score of one row, what is published for it, and what the preset makes of that."""

    key: str
    published: tuple[Published, ...] = ()
    """Several are single runs of one setting; none: nobody published one, and the score is only shown."""
    minus: tuple[Published, ...] = ()
    """What the same source has for the control; empty: no difference is judged."""
    tolerance: float | None = None
    """Of a file's score; seeds have a spread of their own."""
    where: str = "end"
    temperature: float = 1.0
    step_value: str = ""
    """What steps return under this name is compared; empty: the score."""
    problems: str = ""
    not_comparable: str = ""

    @property
    def reported(self) -> Reported | None:
        """What is published, as the rule reads it."""
        return reported(self.published) if self.published else None

    @property
    def reported_difference(self) -> tuple[Reported, Reported] | None:
        """The model's and the control's, where their difference is judged."""
        ours = self.reported
        return None if ours is None or not self.minus else (ours, reported(self.minus))


def reported(published: Sequence[Published]) -> Reported:
    """Numbers of one score as the rule reads them: one number with its spread, or several single runs."""
    if len(published) > 1:
        return Reported.of_runs([float(each.value) for each in published])
    (only,) = published
    return Reported(float(only.value), only.n_seeds or 1, float(only.std) if only.std else None)


@dataclass(frozen=True, kw_only=True)
class PresetRow:
    """What is trained or scored under one setting: a `TrainedRow` or a `ScoredRow`."""

    origin: ClassVar[str]
    """Of its records."""
    seeded: ClassVar[bool]
    """Whether it has a score for each of several seeds, or one score."""

    label: str
    numbers: tuple[Number, ...]
    model: str
    """As its records name it, like `task_name` and `scale`."""
    task_name: str
    scale: str
    task: Any
    """With its settings checked, like the metrics."""
    metrics: tuple[Any, ...]
    n_samples: int | None
    """Sentences that are scored; None: as many as the file has."""
    config_hash: str | None = None
    """Of its runs; None: there are none."""
    reduced: bool = False
    """Whether it is a rehearsal at another scale than the published one."""
    departures: tuple[str, ...] = ()
    """In what it is not the published setting."""
    seeds: tuple[int, ...] = (0,)
    """Which enter a verdict: those that the preset fixes, whichever are run; 0 for a row without seeds."""
    added_seeds: tuple[int, ...] = ()
    """Which of them were run after the verdicts of the others had been seen."""
    control: PresetRow | None = None
    """What shows how much of a number the adversarial phase adds."""

    @property
    def looks(self) -> int:
        """How often its verdicts were seen before all of its seeds were there, and then."""
        return 1 + bool(self.added_seeds)

    @property
    def named(self) -> tuple[str, str, str]:
        """Model, task and scale: each record of the row holds them."""
        return self.model, self.task_name, self.scale

    def matches(self, record: RunRecord) -> bool:
        """Whether a record is of the row: same model, task, settings and scale.

        A setting that is newer than the record must stand at its default, which is what the record was made with.
        """
        of_record = (record.origin, record.model, record.task, record.task_version, record.scale)
        of_row = (self.origin, self.model, self.task_name, self.task.version, self.scale)
        return of_record == of_row and _are_settings(record.task_config, self.task)

    def check(self) -> None:
        """Look up what is not looked up yet. Raises KeyError or ValueError that says what would be right."""
        names = [metric.name for metric in self.metrics]
        for number in (each for each in self.numbers if not each.step_value):
            if not any(number.key == name or number.key.startswith(f"{name}_") for name in names):
                raise KeyError(f"{self.label}: no metric gives {number.key!r}; {suggest(number.key, names)}")

    def at(self, scale: Scale, seeds: Sequence[int], overrides: Mapping[str, Any], run: Mapping[str, Any]) -> PresetRow:
        """As `Preset.at`; the same, where nothing is trained."""
        return self


@dataclass(frozen=True, kw_only=True)
class TrainedRow(PresetRow):
    """A model that is trained, once for each seed."""

    origin = "run"
    seeded = True

    configs: tuple[RunConfig, ...]
    """At least one; they differ in the seed."""
    resolved: Resolved
    """The first."""

    def matches(self, record: RunRecord) -> bool:
        """Also the model's settings, and those of the run that make another row."""
        return self.begins(record) and (record.run is None or record.run.last_phase == self.resolved.run.last_phase)

    def begins(self, record: RunRecord) -> bool:
        """Whether the phases that a record has are those of the row, which may have more of them, or fewer."""
        if not (super().matches(record) and _are_settings(record.model_config, self.resolved.model_config)):
            return False
        named = ("fp32_precision", "selection")
        return record.run is None or all(getattr(record.run, n) == getattr(self.resolved.run, n) for n in named)

    def check(self) -> None:
        """Also the device."""
        if self.configs[0].device != "auto":
            assert self.resolved.device  # looking it up raises, before any data are loaded
        super().check()

    def at(self, scale: Scale, seeds: Sequence[int], overrides: Mapping[str, Any], run: Mapping[str, Any]) -> PresetRow:
        """As `Preset.at`."""
        values = assign(overrides, {**_at_scale(self.configs[0], scale).model_dump(), **run})
        configs = make_runs(values, list(seeds) or [config.seed for config in self.configs])
        changed = ", ".join(f"{key}={value}" for key, value in overrides.items())
        other = _trained(self.label, self.numbers, configs, changed)
        return replace(other, seeds=self.seeds, added_seeds=self.added_seeds, control=self.control)


@dataclass(frozen=True, kw_only=True)
class ScoredRow(PresetRow):
    """Text that is only scored."""

    origin = "samples"
    seeded = False

    text: SamplesFile | Rewritten | RealText


def _trained(label: str, numbers: tuple[Number, ...], configs: Sequence[RunConfig], changed: str = "") -> TrainedRow:
    """`changed`: the settings that `--set` changed."""
    first, resolved = configs[0], configs[0].resolve()
    reduced = first.scale != "paper"
    departures = [f"scale {first.scale}, not the published one"] if reduced else []
    departures += [f"other settings: {changed}"] if changed else []
    return TrainedRow(
        label=label,
        numbers=numbers,
        model=resolved.model_name,
        task_name=resolved.task_name,
        scale=first.scale,
        task=resolved.task,
        metrics=resolved.metrics,
        n_samples=first.n_samples,
        config_hash=resolved.config_hash,
        reduced=reduced,
        departures=tuple(departures),
        seeds=tuple(config.seed for config in configs),
        configs=tuple(configs),
        resolved=resolved,
    )


def _scored(label: str, text: SamplesFile | Rewritten | RealText) -> ScoredRow:
    task = build(find("tasks", text.task), text.task_settings, text.task)
    return ScoredRow(
        label=text.label or label,
        numbers=_numbers(text),
        model=text.model,
        task_name=text.task,
        scale="samples",
        task=task,
        metrics=build_metrics(text.metrics or task.metrics, {}),
        n_samples=text.n_samples,
        text=text,
    )


def _are_settings(recorded: Mapping[str, Any], settings: Any) -> bool:
    """Whether a record was made with these; what it lacks came later and must stand at its default."""
    now = plain(settings)
    if set(recorded) - set(now):
        return False
    fields = [field for field in dataclasses.fields(settings) if field.init]
    defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    return all((recorded[name] if name in recorded else defaults.get(name)) == value for name, value in now.items())


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published setting."""

    name: str
    description: str
    follows: tuple[str, ...]
    """The commit of the original code that its settings are of, and why it is the one."""
    rows: tuple[PresetRow, ...]

    @property
    def trained(self) -> tuple[TrainedRow, ...]:
        """The rows that are trained."""
        return tuple(row for row in self.rows if isinstance(row, TrainedRow))

    @property
    def scored(self) -> tuple[ScoredRow, ...]:
        """The rows that are only scored."""
        return tuple(row for row in self.rows if isinstance(row, ScoredRow))

    def check(self) -> None:
        """Look everything up. Raises ValueError that names the preset."""
        try:
            for row in self.rows:
                row.check()
        except (KeyError, ValueError) as error:
            raise ValueError(f"{self.name}: {error.args[0]}") from error

    def only(self, labels: Sequence[str]) -> Preset:
        """The rows with these labels; all, if none is named. Raises KeyError with the nearest label."""
        known = [row.label for row in self.rows]
        for label in labels:
            if label not in known:
                raise KeyError(f"{self.name} has no row {label!r}; {suggest(label, known)}")
        return replace(self, rows=tuple(row for row in self.rows if row.label in (labels or known)))

    def at(
        self, scale: Scale = "paper", seeds: Sequence[int] = (), overrides: Mapping[str, Any] | None = None, **run: Any
    ) -> Preset:
        """The same at another scale, for other seeds, with `--set`, or with fields of the runs changed."""
        if scale != "paper" and not self.trained:
            raise ValueError(f"{self.name} trains nothing, so that there is nothing to reduce: leave out --scale")
        return replace(self, rows=tuple(row.at(scale, seeds, overrides or {}, run) for row in self.rows))


def preset_names() -> list[str]:
    """Every preset, sorted."""
    return suite_names(PAPER)


def read_preset(name: str) -> Preset:
    """A preset by name; `_` and `-` are taken for one another. Raises KeyError with the nearest name."""
    known = {known.replace("_", "-"): known for known in preset_names()}
    if (found := known.get(name.replace("_", "-"))) is None:
        raise KeyError(f"no preset {name!r}; {suggest(name, known.values())}")
    path = PAPER / f"{found}.toml"
    suite = SuiteConfig.read(path)
    trained = read_rows(path, suite)
    try:
        rows: list[PresetRow] = _with_controls([(row.notes, _of_runs(row)) for row in trained])
        files: tuple[SamplesFile | Rewritten, ...] = (*suite.samples, *suite.rewritten)
        rows += [_scored(text.name, text) for text in files]
        rows += [_scored("real text", text) for text in suite.real_text]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: {error.args[0]}") from error
    labels = [row.label for row in rows]
    if doubles := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(f"{path}: two rows are labelled {doubles[0]!r}")
    return Preset(name=found, description=suite.description, follows=suite.follows, rows=tuple(rows))


def _of_runs(row: RunsRow) -> TrainedRow:
    made = _trained(row.notes.label or row.configs[0].model, _numbers(row.notes), row.configs)
    return replace(made, added_seeds=row.notes.added_seeds)


def _with_controls(rows: Sequence[tuple[RowNotes, TrainedRow]]) -> list[PresetRow]:
    """Each with the row that it names as its control. Raises KeyError or ValueError."""
    known = {row.label: row for _, row in rows}
    for notes, row in rows:
        if notes.control == row.label:
            raise ValueError(f"{row.label}: a row is not its own control")
        if notes.control and notes.control not in known:
            raise KeyError(f"{row.label}: no row {notes.control!r} for a control; {suggest(notes.control, known)}")
    return [replace(row, control=known[notes.control]) if notes.control else row for notes, row in rows]


def _numbers(notes: RowNotes) -> tuple[Number, ...]:
    """The published numbers one by one, then the scores that are only shown."""
    numbers = [
        Number(
            key=published[0].key,
            published=published,
            minus=entry.of_control(published[0].key),
            tolerance=entry.tolerance,
            where=entry.where,
            temperature=entry.temperature,
            step_value=entry.step_value,
            problems=entry.problems,
            not_comparable=entry.not_comparable,
        )
        for entry in notes.expected
        for published in entry.numbers()
    ]
    return (*numbers, *(Number(key=key) for key in notes.shown))


def _at_scale(config: RunConfig, scale: Scale) -> RunConfig:
    """A run of the published setting, reduced: what the scale sets replaces what the preset sets.

    A scale that has settings of its own for the task replaces all of the preset's: another oracle, other data.
    """
    if scale == config.scale:
        return config
    model_class, task_class = find("models", config.model), find("tasks", config.task)
    smaller = model_class.scales.get(scale, {})
    return config.model_copy(
        update={
            "scale": scale,
            "model_settings": {key: value for key, value in config.model_settings.items() if key not in smaller},
            "task_settings": {} if task_class.scales.get(scale) else config.task_settings,
            "evaluate_every": 0,
            "evaluate_at": (),
        }
    )
