"""The one training loop: for every model, over its list of phases. What to do and when to log, evaluate, save."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch

from baselines.common.interface import Phase, TextGenerator
from bench.config import RunConfig
from bench.record import Alarm, PhaseCost
from bench.run.batches import BatchStream
from bench.run.checkpoint import Selected, TrainingState, Weights, save_checkpoint, weights_of
from bench.run.contract import check_seeded, check_values, checked_phases
from bench.run.evaluator import At, Evaluating, Evaluator
from bench.run.hardware import PeakMemory
from bench.run.readings import Readings, StepValues
from bench.tracking.diary import Diary, TrainingValues
from bench.tracking.options import Tracker

__all__ = ["AlarmError", "Interrupted", "News", "OnNews", "OnStep", "Trainer"]

OnStep = Callable[[str, int, int], None]
"""Called after every step with (phase, its steps done, all its steps), so it must be cheap."""

News = TrainingValues | Evaluating | Alarm
OnNews = Callable[[News], None]
"""Called with what is logged anyway, as evaluations go on, and with alarms that the run goes on after."""


class Interrupted(Exception):  # noqa: N818 - it is no error: the run can go on
    """The run was asked to stop and has saved its state."""


class AlarmError(RuntimeError):
    """An alarm went off and the run is set to stop on alarms."""


@dataclasses.dataclass(kw_only=True)
class Trainer:
    """Trains a model from where `state` is to the end, changing `state` as it goes.

    What it logs, evaluates and records depends on the steps alone, never on when the state is saved.
    """

    model: TextGenerator
    stream: BatchStream
    settings: RunConfig
    state: TrainingState
    evaluator: Evaluator
    diary: Diary
    trackers: Sequence[Tracker]
    checkpoint: Path
    on_step: OnStep
    on_news: OnNews
    should_stop: Callable[[], bool]
    save_every: float
    """Seconds between checkpoints."""
    best: Weights = dataclasses.field(default_factory=dict)
    """Those of `state.selected`."""
    _readings: Readings = dataclasses.field(init=False, default_factory=lambda: Readings(StepValues()))

    def train(self) -> None:
        """Run every phase. Raises `Interrupted` after saving, `DivergedError`, or `AlarmError`."""
        state, phases = self.state, checked_phases(self.model, self.settings.last_phase)
        self._readings = Readings(state.step_values)
        if not state.phases:
            state.phases = [PhaseCost(name=p.name, steps=0, seconds=0.0, real_sentences=0) for p in phases]
        while state.phase < len(phases):
            self._run_phase(phases[state.phase])
            if state.phase < len(phases) - 1:
                # The end of pre-training is where the gain of the GAN is counted from.
                self._evaluate(phases[state.phase].name, "phase_end")
            state.phase += 1
            self._save()
        if not state.finished:
            self._evaluate_end(phases[-1].name)
            state.finished = True
            self._save()

    def _evaluate_end(self, phase: str) -> None:
        """The last weights, or those that are selected, which the model then has."""
        if (selected := self.state.selected) is None:
            self._evaluate(phase, "end")
            return
        self.model.load_state_dict(self.best, strict=False)
        self._evaluate(selected.phase, "end", step=selected.step)

    def _consider(self, phase: str) -> None:
        """Keep the weights if the validation text costs less under them than under any before."""
        nll = self.evaluator.validation_nll()
        self.diary.write(TrainingValues(phase=phase, step=self.state.step, values={"validation_nll": nll}))
        if math.isfinite(nll) and (self.state.selected is None or nll < self.state.selected.nll):
            self.state.selected = Selected(phase=phase, step=self.state.step, nll=nll)
            self.best.update(weights_of(self.model))

    def _run_phase(self, phase: Phase) -> None:
        """The steps of one phase that are left. What they returned is never told of another phase."""
        if not self._cost.steps:
            self._readings = Readings(StepValues())
        memory = PeakMemory(self.stream.device)
        last_save = time.perf_counter()
        self.model.train()
        self._evaluate_on_the_way(phase, memory)  # a stop came in the middle of it
        while self._cost.steps < phase.steps:
            self._step(phase)
            self.on_step(phase.name, self._cost.steps, phase.steps)
            for tracker in self.trackers:
                tracker.follow()
            self._evaluate_on_the_way(phase, memory)
            stop = self.should_stop()
            if stop or time.perf_counter() - last_save >= self.save_every:
                self._cost = memory.noted(self._cost)
                self._save()
                memory.restart()
                last_save = time.perf_counter()
            if stop:
                raise Interrupted(f"stopped after step {self.state.step}, state saved")
        self._cost = memory.noted(self._cost)

    def _evaluate_on_the_way(self, phase: Phase, memory: PeakMemory) -> None:
        """Evaluate where it is due between two steps of the phase and is not done."""
        every, step = self.settings.evaluate_every, self.state.step
        due = (every > 0 and step % every == 0) or step in self.settings.evaluate_at
        if not due or not 0 < self._cost.steps < phase.steps:
            return
        if any(each.at == "cadence" and each.step == step for each in self.state.evaluations):
            return
        self._cost = memory.noted(self._cost)
        self._evaluate(phase.name, "cadence")
        memory.restart()

    def _step(self, phase: Phase) -> None:
        """One step, logged where it is due. Reading what it returned counts: on a GPU that waits for the step."""
        started, taken = time.perf_counter(), self.stream.sentences_taken
        seed = torch.initial_seed()
        values = phase.step(self.stream)
        check_seeded(seed, phase.step)
        check_values(values, phase)
        self._readings.add(values)
        self.state.step += 1
        self._spend(steps=1)
        if self.state.step % self.settings.log_every == 0 or self._cost.steps in (1, phase.steps):
            self._log(phase.name)
        self._spend(seconds=time.perf_counter() - started, real_sentences=self.stream.sentences_taken - taken)
        if self.settings.selection == "validation" and (
            self.state.step % self.settings.select_every == 0 or self._cost.steps == phase.steps
        ):
            self._consider(phase.name)

    @property
    def _cost(self) -> PhaseCost:
        """What the phase under way has taken so far."""
        return self.state.phases[self.state.phase]

    @_cost.setter
    def _cost(self, cost: PhaseCost) -> None:
        self.state.phases[self.state.phase] = cost

    def _spend(self, *, steps: int = 0, seconds: float = 0.0, real_sentences: int = 0) -> None:
        cost = self._cost
        self._cost = dataclasses.replace(
            cost,
            steps=cost.steps + steps,
            seconds=cost.seconds + seconds,
            real_sentences=cost.real_sentences + real_sentences,
        )

    def _log(self, phase: str) -> None:
        values = self._readings.take_latest()
        if not values:
            return
        event = TrainingValues(phase=phase, step=self.state.step, values=values)
        self.diary.write(event)
        self.on_news(event)
        wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            self._alarm("non_finite", phase, ", ".join(wrong))

    def _evaluate(self, phase: str, at: At, *, step: int | None = None) -> None:
        """Of the state that the model has: that of the last step, or of an earlier one, whose steps nobody summed."""
        before = step is not None
        step = self.state.step if step is None else step
        try:
            evaluations, collapsed = self.evaluator.evaluate(phase, step, at, self._told)
        except Interrupted:
            self._save()
            raise
        means = {} if before else self._readings.take_means()
        evaluations = [dataclasses.replace(evaluation, step_values=means) for evaluation in evaluations]
        self.state.evaluations += evaluations
        for evaluation in evaluations:
            self.diary.write(evaluation)
        if collapsed:
            self._alarm("collapse", phase, collapsed)

    def _told(self, event: Evaluating) -> None:
        """Hand it on; a stop ends the evaluation, which begins again when the run goes on."""
        self.on_news(event)
        if event.done < 1 and self.should_stop():
            raise Interrupted(f"stopped in the evaluation after step {self.state.step}, state saved")

    def _alarm(self, kind: Literal["non_finite", "collapse"], phase: str, message: str) -> None:
        """Record the first alarm of a kind in a phase; end the run if it is set to stop on alarms."""
        if any(alarm.kind == kind and alarm.phase == phase for alarm in self.state.alarms):
            return
        alarm = Alarm(kind=kind, phase=phase, step=self.state.step, message=message)
        self.state.alarms.append(alarm)
        self.diary.write(alarm)
        if self.settings.on_alarm == "stop":
            raise AlarmError(f"{kind} in phase {phase} at step {self.state.step}: {message}")
        self.on_news(alarm)

    def _save(self) -> None:
        """Write a checkpoint that says how much of the diary belongs to it."""
        self.state.step_values = self._readings.kept()
        self.state.log_position = self.diary.position()
        save_checkpoint(self.checkpoint, self.model, self.stream, self.state, self.best)
