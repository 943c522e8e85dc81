"""What a command is going to do: runs, seeds, steps of each phase, and how long that takes as far as it was measured.

A time is never guessed. It comes from records of the same row on the same kind of device, or from what a begun run has
taken so far, or from a few steps that were tried for it; where there is none of these, it is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.config import Resolved, RunConfig
from bench.record import PhaseCost, RunRecord, read_record, with_settings
from bench.reproduce.presets import Preset
from bench.reproduce.state import Found
from bench.run.contract import steps_of
from bench.run.first_phases import run_before
from bench.run_folder import CHECKPOINT, PHASE_END, RECORD
from bench.task import TextData

__all__ = ["PhasePlan", "RowPlan", "RunPlan", "make_plan", "plan_runs", "seconds_left"]

_ENOUGH = 0.1
"""Share of a phase after which its time is believed: its steps differ, and rounds have up to 5,928 of them."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One seed of a row."""

    run_id: str
    seed: int
    folder: str
    steps_done: Mapping[str, int]
    """Phase -> steps that a checkpoint holds, or all, if the run is completed."""
    completed: bool

    @property
    def state(self) -> str:
        """completed, begun or new."""
        return "completed" if self.completed else "begun" if any(self.steps_done.values()) else "new"


@dataclass(frozen=True, kw_only=True)
class PhasePlan:
    """One phase of a row's runs."""

    name: str
    steps: int
    seconds_per_step: float | None
    """None: nobody measured it."""
    measured_on: str
    """`cpu, record of seed 0`; empty where it is unknown."""


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """One row that is trained."""

    label: str
    model: str
    task: str
    scale: str
    config_hash: str
    phases: tuple[PhasePlan, ...]
    runs: tuple[RunPlan, ...]


def make_plan(
    preset: Preset,
    found: Found,
    runs: Path,
    *,
    measure: bool = False,
    resolve: Callable[[RunConfig], Resolved] = RunConfig.resolve,
) -> list[RowPlan]:
    """Loads the tasks, because the number of steps may depend on them. Raises what a task's `load` raises.

    `resolve`: on the device that a run is given.
    `measure`: where nobody measured a phase, a few of its steps are tried, and thrown away.
    """
    data_of = _Loaded()
    plans = []
    for row in preset.trained:
        resolved = [resolve(config) for config in row.configs]
        records = [record for record in found.records if record.status == "completed" and row.begins(record)]
        plans.append(_row_plan((row.label, row.model), resolved, data_of(resolved[0]), records, runs, measure=measure))
    return plans


def plan_runs(
    resolved: Sequence[Resolved], found: Found, runs: Path, *, rerun: bool = False, measure: bool = False
) -> list[RowPlan]:
    """As `make_plan`, of any runs; those of one row stand together. `rerun`: what is done is done again."""
    data_of = _Loaded()
    rows: dict[str, list[Resolved]] = {}
    for each in resolved:
        rows.setdefault(each.config_hash, []).append(each)
    plans = []
    for config_hash, members in rows.items():
        first = members[0]
        records = [r for r in found.records if r.status == "completed" and r.config_hash == config_hash]
        names = (f"{with_settings(first.model_name, first.changed)}, {first.run.scale} scale", first.model_name)
        plan = _row_plan(names, members, data_of(first), records, runs, measure=measure)
        again = tuple(replace(run, steps_done={}, completed=False) for run in plan.runs)
        plans.append(replace(plan, runs=again) if rerun else plan)
    return plans


class _Loaded:
    """The data of tasks, each loaded once."""

    def __init__(self) -> None:
        self._data: dict[str, TextData] = {}

    def __call__(self, resolved: Resolved) -> TextData:
        key = f"{resolved.task_name} {resolved.task_settings}"
        if key not in self._data:
            self._data[key] = resolved.task.load()
        return self._data[key]


def _row_plan(
    names: tuple[str, str],
    resolved: Sequence[Resolved],
    data: TextData,
    records: Sequence[RunRecord],
    runs: Path,
    *,
    measure: bool,
) -> RowPlan:
    """`names`: of the row and of its model; `records`: those of the row."""
    first = resolved[0]
    steps = steps_of(first, data)
    device = first.device
    rates = _rates_of_records(records, device)
    plans = []
    for each in resolved:
        folder = each.folder(runs)
        progress = _progress(each, folder, steps, data)
        for phase in progress:
            if phase.name not in rates and phase.steps >= max(1, _ENOUGH * steps[phase.name]):
                rates[phase.name] = (phase.seconds / phase.steps, f"{device}, seed {each.run.seed} so far")
        completed = _is_completed(folder / RECORD)
        done = steps if completed else {phase.name: phase.steps for phase in progress}
        plans.append(
            RunPlan(run_id=each.run_id, seed=each.run.seed, folder=str(folder), steps_done=done, completed=completed)
        )
    if measure and set(steps) - set(rates) and not all(run.completed for run in plans):
        from bench.launch.measure import seconds_per_step  # torch

        tried = seconds_per_step(first, data)
        rates |= {phase: (s, f"{device}, a few steps tried now") for phase, s in tried.items() if phase not in rates}
    unknown: tuple[float | None, str] = (None, "")
    phases = [
        PhasePlan(name=name, steps=n, seconds_per_step=rate, measured_on=where)
        for name, n in steps.items()
        for rate, where in [rates.get(name, unknown)]
    ]
    label, model = names
    return RowPlan(
        label=label,
        model=model,
        task=first.task_name,
        scale=first.run.scale,
        config_hash=first.config_hash,
        phases=tuple(phases),
        runs=tuple(plans),
    )


def _progress(resolved: Resolved, folder: Path, phases: Mapping[str, int], data: TextData) -> list[PhaseCost]:
    """What a checkpoint says, or that of the run of the first phases; a damaged one is told of by the run itself."""
    if not (checkpoint := folder / CHECKPOINT).is_file():
        if (source := run_before(resolved, folder.parent, phases, data)) is None:
            return []
        checkpoint = source / PHASE_END
    from bench.run.checkpoint import CheckpointError, read_state  # torch

    try:
        return read_state(checkpoint).phases
    except CheckpointError:
        return []


def _is_completed(record: Path) -> bool:
    return record.is_file() and read_record(record).status == "completed"


def _rates_of_records(records: Sequence[RunRecord], device: str) -> dict[str, tuple[float | None, str]]:
    """Phase -> seconds per step of the first record that was made on such a device, and where that was."""
    rates: dict[str, tuple[float | None, str]] = {}
    for record in records:
        where = str(record.environment.get("device", ""))
        if where.partition(":")[0] != device.partition(":")[0]:
            continue
        name = record.environment.get("device_name", where)
        for phase in record.phases:
            rates.setdefault(phase.name, (_rate(phase), f"{name}, record of seed {record.seed}"))
    return rates


def _rate(phase: PhaseCost) -> float | None:
    return phase.seconds / phase.steps if phase.steps else None


def seconds_left(plans: Sequence[RowPlan], jobs: int) -> tuple[float, dict[str, list[str]]]:
    """Training time that is known, over `jobs` runs side by side, and by row the phases whose time is not."""
    known, unknown = 0.0, dict[str, list[str]]()
    for plan in plans:
        for phase in plan.phases:
            left = sum(phase.steps - run.steps_done.get(phase.name, 0) for run in plan.runs)
            if left and phase.seconds_per_step is None:
                unknown.setdefault(plan.label, []).append(phase.name)
            elif left and phase.seconds_per_step is not None:
                known += left * phase.seconds_per_step
    n_runs = sum(not run.completed for plan in plans for run in plan.runs)
    rounds = math.ceil(n_runs / min(jobs, n_runs)) / n_runs if n_runs else 0.0
    return known * rounds, unknown
