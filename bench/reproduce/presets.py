"""Presets: the suites in `bench/suites/paper/`, one for each published setting, with the numbers printed for it.

The name of a preset is that of its file, `seqgan-oracle20`: the model and the data it was published on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import data
from bench.config import Resolved, RunConfig, Scale, assign, build, build_metrics, make_runs
from bench.places import PAPER
from bench.registry import find, suggest
from bench.suite import Expected, RealText, RowNotes, SamplesFile, SuiteConfig, read_rows

__all__ = ["Number", "Preset", "Row", "preset_names", "read_preset"]


@dataclass(frozen=True, kw_only=True)
class Number:
    """One score of one row, and what is published for it."""

    key: str
    value: float | None = None
    """None: nobody published one."""
    tolerance: float | None = None
    std: float | None = None
    where: str = "end"
    temperature: float = 1.0
    published: Expected | None = None
    """The whole entry: source, protocol, known problems."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is trained or scored under one setting."""

    label: str
    numbers: tuple[Number, ...]
    configs: tuple[RunConfig, ...] = ()
    """A run for each seed; empty where nothing is trained."""
    samples: SamplesFile | None = None
    real_text: RealText | None = None
    changed: str = ""
    """The settings that `--set` changed; with these it is no longer the published setting."""

    @cached_property
    def resolved(self) -> Resolved:
        """The first run. Only of a row that is trained."""
        return self.configs[0].resolve()

    @property
    def model(self) -> str:
        """As its records name it."""
        if self.samples:
            return self.samples.name
        return "real_text" if self.real_text else self.configs[0].model

    @property
    def task_name(self) -> str:
        """As its records name it."""
        scored = self.samples or self.real_text
        return scored.task if scored else self.configs[0].task

    @cached_property
    def task(self) -> Any:
        """The task, its settings checked."""
        scored = self.samples or self.real_text
        return build(find("tasks", scored.task), scored.task_settings, scored.task) if scored else self.resolved.task

    @cached_property
    def metrics(self) -> tuple[Any, ...]:
        """The metrics, their settings checked."""
        scored = self.samples or self.real_text
        return build_metrics(scored.metrics or self.task.metrics, {}) if scored else self.resolved.metrics

    @property
    def scale(self) -> str:
        """As its records name it."""
        return self.configs[0].scale if self.configs else "samples"

    @property
    def reduced(self) -> bool:
        """Whether it is a rehearsal at another scale than the published one."""
        return self.scale not in ("paper", "samples")

    @property
    def n_samples(self) -> int | None:
        """Sentences that are scored; None: as many as the file has."""
        return self.configs[0].n_samples if self.configs else self.real_text.n_samples if self.real_text else None

    def check(self) -> None:
        """Look every name and every score key up. Raises KeyError or ValueError that says what would be right."""
        if self.configs and self.configs[0].device != "auto":
            assert self.resolved.device  # looking it up raises, before any data are loaded
        names = [metric.name for metric in self.metrics]
        for number in self.numbers:
            if not any(number.key == name or number.key.startswith(f"{name}_") for name in names):
                raise KeyError(f"{self.label}: no metric gives {number.key!r}; {suggest(number.key, names)}")

    def fetch(self) -> Path:
        """The file of samples, its hash checked. Raises FileNotFoundError that says what to put where."""
        assert self.samples is not None
        wanted = self.samples
        return data.fetch(data.RemoteFile(name=wanted.file, url=wanted.url, checksum=f"sha256:{wanted.sha256}"))


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A published setting."""

    name: str
    description: str
    rows: tuple[Row, ...]

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
        if scale != "paper" and not any(row.configs for row in self.rows):
            raise ValueError(f"{self.name} trains nothing, so that there is nothing to reduce: leave out --scale")
        rows = []
        for row in self.rows:
            if row.configs:
                first = _at_scale(row.configs[0], scale)
                values = assign(overrides or {}, first.model_dump() | run)
                configs = make_runs(values, list(seeds) or [config.seed for config in row.configs])
                changed = ", ".join(f"{key}={value}" for key, value in (overrides or {}).items())
                rows.append(replace(row, configs=tuple(configs), changed=changed))
            else:
                rows.append(row)
        return replace(self, rows=tuple(rows))


def preset_names() -> list[str]:
    """Every preset, sorted."""
    return sorted(path.stem for path in PAPER.glob("*.toml"))


def read_preset(name: str) -> Preset:
    """A preset by name; `_` and `-` are taken for one another. Raises KeyError with the nearest name."""
    known = {known.replace("_", "-"): known for known in preset_names()}
    if (found := known.get(name.replace("_", "-"))) is None:
        raise KeyError(f"no preset {name!r}; {suggest(name, known.values())}")
    path = PAPER / f"{found}.toml"
    suite = SuiteConfig.read(path)
    rows = [
        Row(label=row.notes.label or row.configs[0].model, numbers=_numbers(row.notes), configs=row.configs)
        for row in read_rows(path, suite)
    ]
    rows += [Row(label=each.label or each.name, numbers=_numbers(each), samples=each) for each in suite.samples]
    rows += [Row(label=each.label or "real text", numbers=_numbers(each), real_text=each) for each in suite.real_text]
    labels = [row.label for row in rows]
    if doubles := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(f"{path}: two rows are labelled {doubles[0]!r}")
    return Preset(name=found, description=suite.description, rows=tuple(rows))


def _numbers(notes: RowNotes) -> tuple[Number, ...]:
    """The published numbers one by one, then the scores that are only shown."""
    numbers = [
        Number(
            key=key,
            value=value,
            tolerance=entry.tolerance[key] if isinstance(entry.tolerance, dict) else entry.tolerance,
            std=entry.std.get(key),
            where=entry.where,
            temperature=entry.temperature,
            published=entry,
        )
        for entry in notes.expected
        for key, value in entry.values.items()
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
        }
    )
