"""The one training loop: for every model, over its list of phases. What to do and when to log, evaluate, save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import torch
from torch import Tensor

from baselines.common.interface import Phase, TextGenerator
from bench.batches import BatchStream
from bench.config import RunConfig
from bench.record import Alarm, Evaluation
from bench.run.checkpoint import PhaseProgress, Progress
from bench.run.hardware import PeakMemory

__all__ = ["AlarmError", "DivergedError", "Hooks", "Interrupted", "train"]


class Interrupted(Exception):  # noqa: N818 - it is no error: the run can go on
    """The run was asked to stop and has saved its state."""


class DivergedError(RuntimeError):
    """The model can no longer be sampled."""


class AlarmError(RuntimeError):
    """An alarm went off and the run is set to stop on alarms."""


At = Literal["cadence", "phase_end", "end"]


class Hooks(Protocol):
    """What the loop asks of its surroundings."""

    def log(self, values: Mapping[str, float], *, phase: str, step: int) -> None:
        """Training values at a step."""

    def evaluate(self, phase: str, step: int, at: At) -> tuple[list[Evaluation], str | None]:
        """Draw and score; the second value says what looks like a collapse. Raises `DivergedError`."""

    def alarm(self, alarm: Alarm) -> None:
        """Tell the tracker."""

    def save(self, progress: Progress) -> None:
        """Write a checkpoint."""

    def report(self, phase: str, steps_done: int, steps: int) -> None:
        """Show progress; called after every step, so it must be cheap."""

    def should_stop(self) -> bool:
        """Whether somebody asked the run to stop."""


class _Readings:
    """What steps returned since the last reading: tensors, read only when logged or saved, so that no step waits."""

    def __init__(self, pending: Mapping[str, float]) -> None:
        self._latest: dict[str, Tensor] = {name: torch.tensor(value) for name, value in pending.items()}

    def add(self, values: Mapping[str, Tensor]) -> None:
        self._latest.update(values)

    def read(self, *, clear: bool) -> dict[str, float]:
        """The latest value of every name, in one transfer."""
        if not self._latest:
            return {}
        device = next(reversed(self._latest.values())).device
        stacked = torch.stack([v.detach().to(device, torch.float32) for v in self._latest.values()]).tolist()
        values = dict(zip(self._latest, stacked, strict=True))
        if clear:
            self._latest.clear()
        return values


def train(
    model: TextGenerator,
    stream: BatchStream,
    run: RunConfig,
    progress: Progress,
    hooks: Hooks,
    *,
    save_every: float = 60.0,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Run every phase from where `progress` stands to the end, changing `progress` as it goes.

    `save_every` is in seconds. Raises `Interrupted` after saving, `DivergedError`, or `AlarmError`.
    """
    phases = model.phases()
    if not progress.phases:
        progress.phases = [PhaseProgress(phase.name) for phase in phases]
    while progress.phase < len(phases):
        _run_phase(model, phases[progress.phase], stream, run, progress, hooks, save_every, clock)
        if progress.phase < len(phases) - 1:
            # The end of pre-training is where the gain of the GAN is counted from.
            _evaluate(phases[progress.phase].name, "phase_end", run, progress, hooks)
        progress.phase += 1
        hooks.save(progress)
    if not progress.finished:
        _evaluate(phases[-1].name, "end", run, progress, hooks)
        progress.finished = True
        hooks.save(progress)


def _run_phase(
    model: TextGenerator,
    phase: Phase,
    stream: BatchStream,
    run: RunConfig,
    progress: Progress,
    hooks: Hooks,
    save_every: float,
    clock: Callable[[], float],
) -> None:
    """The steps of one phase that are left."""
    done = progress.phases[progress.phase]
    readings = _Readings(progress.pending)
    progress.pending = {}
    last_save = clock()
    memory = PeakMemory(stream.device)
    model.train()
    while done.steps < phase.steps:
        started, taken = clock(), stream.sentences_taken
        readings.add(phase.step(stream))
        done.steps += 1
        progress.step += 1
        if progress.step % run.log_every == 0 or done.steps in (1, phase.steps):
            _log(readings, phase, progress, run, hooks)
        done.seconds += clock() - started
        done.real_sentences += stream.sentences_taken - taken
        hooks.report(phase.name, done.steps, phase.steps)
        if run.evaluate_every and progress.step % run.evaluate_every == 0 and done.steps < phase.steps:
            memory.note(done)
            _evaluate(phase.name, "cadence", run, progress, hooks)
            memory.restart()
        stop = hooks.should_stop()
        if stop or clock() - last_save >= save_every:
            memory.note(done)
            progress.pending = readings.read(clear=False)
            hooks.save(progress)
            memory.restart()
            last_save = clock()
        if stop:
            raise Interrupted(f"stopped after step {progress.step}, state saved")
    memory.note(done)


def _log(readings: _Readings, phase: Phase, progress: Progress, run: RunConfig, hooks: Hooks) -> None:
    values = readings.read(clear=True)
    if not values:
        return
    hooks.log(values, phase=phase.name, step=progress.step)
    wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        _raise_alarm("non_finite", ", ".join(wrong), phase.name, run, progress, hooks)


def _evaluate(phase: str, at: At, run: RunConfig, progress: Progress, hooks: Hooks) -> None:
    evaluations, collapsed = hooks.evaluate(phase, progress.step, at)
    progress.evaluations += evaluations
    if collapsed:
        _raise_alarm("collapse", collapsed, phase, run, progress, hooks)


def _raise_alarm(
    kind: Literal["non_finite", "collapse"], message: str, phase: str, run: RunConfig, progress: Progress, hooks: Hooks
) -> None:
    """Record the first alarm of a kind in a phase; end the run if it is set to stop on alarms."""
    if any(alarm.kind == kind and alarm.phase == phase for alarm in progress.alarms):
        return
    alarm = Alarm(kind=kind, phase=phase, step=progress.step, message=message)
    progress.alarms.append(alarm)
    hooks.alarm(alarm)
    if run.on_alarm == "stop":
        raise AlarmError(f"{kind} in phase {phase} at step {progress.step}: {message}")
