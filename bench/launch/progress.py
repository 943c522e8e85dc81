"""The bars of a command: one for all runs, one for each run under way, and how long all of it will take.

The time left is reckoned from steps and evaluations: those that are left, each at the rate of its like. Where
a phase of some run was never seen, what is known is a lower bound, and is called one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.progress import Task as Bar
from rich.text import Text

from bench.record import Alarm
from bench.run.evaluator import Evaluating
from bench.run.trainer import News
from bench.streams import shown
from bench.tracking.diary import TrainingValues

__all__ = ["Display", "PlannedRun", "TimeLeft", "bars"]

_EVALUATION = "evaluation"
_SHOWN_VALUES = 2


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """What is known of a run before it begins."""

    title: str
    row: str
    """Its `config_hash`: runs of one row take the same time."""
    steps: Mapping[str, int] = field(default_factory=dict)
    """Phase -> steps; empty: not known."""
    temperatures: int = 1
    evaluate_every: int = 0
    collapses: bool = False
    """By design: then a collapse is no alarm to anybody."""

    def evaluations_after(self, phase: int, done: int) -> int:
        """Evaluations that follow `done` steps of a phase."""
        sizes = list(self.steps.values())
        before = sum(sizes[:phase]) + done
        on_the_way = 0
        if self.evaluate_every:
            on_the_way = max(0, (sum(sizes) - 1) // self.evaluate_every - before // self.evaluate_every)
        return on_the_way + len(sizes) - 1 - phase + self.temperatures


@dataclass
class _Position:
    """Where a run is."""

    phase: int = 0
    done: int = 0
    """Steps of the phase."""
    evaluated: float | None = None
    """Share of the evaluation under way."""
    follow: int = 0
    """Evaluations that follow it at once."""
    seen: tuple[str, float, float] | None = None
    """Phase, how far it was, and when: a rate is the way from there."""


class TimeLeft:
    """How long the runs of a command will take."""

    def __init__(self, runs: Sequence[PlannedRun], jobs: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._runs = runs
        self._jobs = jobs
        self._clock = clock
        self._left = {index: _Position() for index in range(len(runs))}
        self._rates: dict[tuple[str, str], tuple[float, float]] = {}

    def step(self, run: int, phase: str, done: int) -> None:
        """So many steps of a phase are done."""
        position, names = self._left[run], list(self._runs[run].steps)
        if phase in names:
            position.phase = names.index(phase)
        position.done, position.evaluated = done, None
        self._saw(run, phase, done)

    def evaluating(self, run: int, event: Evaluating) -> None:
        """An evaluation is so far."""
        position = self._left[run]
        position.evaluated, position.follow = event.done, event.left
        if event.done == 0:
            position.seen = None
        self._saw(run, _EVALUATION, event.done)

    def ended(self, run: int, seconds_per_step: Mapping[str, float]) -> None:
        """It is over; its record knows what a step took."""
        self._left.pop(run, None)
        for phase, seconds in seconds_per_step.items():
            self._rates[self._runs[run].row, phase] = (1.0, seconds)

    def _saw(self, run: int, phase: str, done: float) -> None:
        position, now = self._left[run], self._clock()
        if position.seen is not None and position.seen[0] == phase and done > position.seen[1]:
            way, seconds = self._rates.get((self._runs[run].row, phase), (0.0, 0.0))
            self._rates[self._runs[run].row, phase] = (
                way + done - position.seen[1],
                seconds + now - position.seen[2],
            )
        position.seen = (phase, done, now)

    def seconds(self) -> tuple[float, bool] | None:
        """Of all runs that have not ended, and whether that is all; None before anything was seen."""
        if not self._rates or not self._left:
            return None
        each, complete = [], True
        for index, position in self._left.items():
            seconds, known = self._of(self._runs[index], position)
            each.append(seconds)
            complete = complete and known
        return max(sum(each) / max(1, min(self._jobs, len(each))), max(each, default=0.0)), complete

    def _of(self, run: PlannedRun, at: _Position) -> tuple[float, bool]:
        total, complete = 0.0, bool(run.steps)
        for number, (phase, steps) in enumerate(run.steps.items()):
            left = 0 if number < at.phase else steps - (at.done if number == at.phase else 0)
            rate = self._rate(run, phase)
            complete = complete and (rate is not None or not left)
            total += left * (rate or 0.0)
        evaluations: float = run.evaluations_after(at.phase, at.done)
        sizes = list(run.steps.values())
        if at.evaluated is not None:
            if sizes and at.done >= sizes[at.phase]:  # it is the one at the end of the phase
                evaluations -= 1 if at.phase < len(sizes) - 1 else run.temperatures - at.follow
            evaluations += 1 - at.evaluated
        rate = self._rate(run, _EVALUATION)
        return total + evaluations * (rate or 0.0), complete and (rate is not None or not evaluations)

    def _rate(self, run: PlannedRun, phase: str) -> float | None:
        way, seconds = self._rates.get((run.row, phase), (0.0, 0.0))
        return seconds / way if way else None


class _Count(ProgressColumn):
    """`3/36 runs`, `21/210 steps`; of an evaluation, whose parts are of no equal length, nothing."""

    def render(self, task: Bar) -> Text:
        unit = task.fields["unit"]
        return Text(f"{task.completed:,.0f}/{task.total or 0:,.0f} {unit}" if unit else "")


class _Note(ProgressColumn):
    """`1.9 steps/s  loss 2.31`."""

    def render(self, task: Bar) -> Text:
        rate = f"{task.speed:.1f} steps/s" if task.speed and task.fields["unit"] == "steps" else ""
        return Text("  ".join(filter(None, (rate, task.fields["note"]))), style="progress.data.speed")


class _Times(ProgressColumn):
    """`0:01:31 elapsed, 0:20:05 left`."""

    def render(self, task: Bar) -> Text:
        elapsed = f"{_clock_text(task.finished_time if task.finished else task.elapsed)} elapsed"
        left = "" if task.finished else task.fields["left"](task)
        return Text(", ".join(filter(None, (elapsed, left))))


def _clock_text(seconds: float | None) -> str:
    return str(timedelta(seconds=round(seconds or 0)))


def _of_bar(task: Bar) -> str:
    return "" if task.time_remaining is None else f"{_clock_text(task.time_remaining)} left"


def bars(console: Console, *, transient: bool = False) -> Progress:
    """Bars with these columns; transient ones leave nothing, and are on a terminal alone."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        _Count(),
        _Note(),
        _Times(),
    )
    return Progress(
        *columns,
        console=console,
        refresh_per_second=5,
        transient=transient,
        disable=transient and not console.is_terminal,
    )


class Display:
    """One bar for all runs and one for each run under way."""

    def __init__(self, progress: Progress, runs: Sequence[PlannedRun], jobs: int = 1) -> None:
        self._progress = progress
        self._runs = runs
        self._time = TimeLeft(runs, jobs)
        self._all = progress.add_task(
            "all runs", total=len(runs), unit="runs" if len(runs) != 1 else "run", note="", left=self._time_left
        )
        self._bars: dict[int, tuple[str, TaskID]] = {}
        self._not_completed: dict[str, int] = {}

    def _time_left(self, _: Bar) -> str:
        known = self._time.seconds()
        if known is None:
            return ""
        seconds, complete = known
        return f"{'' if complete else 'at least '}{_clock_text(seconds)} left"

    def step(self, run: int, phase: str, step: int, steps: int) -> None:
        """The bar of a run, a new one at each phase, so that rate and time left are the phase's own."""
        self._time.step(run, phase, step)
        self._progress.update(self._bar(run, phase, total=steps, unit="steps"), completed=step)

    def news(self, run: int, event: News) -> None:
        """What a step returned, how far an evaluation is, or an alarm, which is printed when it goes off."""
        if isinstance(event, Alarm):
            self._warn(self._runs[run], event)
            return
        if isinstance(event, TrainingValues):
            if run in self._bars:
                self._progress.update(self._bars[run][1], note=shown(_values_text(event.values)))
            return
        self._time.evaluating(run, event)
        bar = self._bar(run, f"{_EVALUATION} after {event.phase}", total=1, unit="")
        self._progress.update(bar, completed=event.done, note=event.what)

    def _warn(self, run: PlannedRun, alarm: Alarm) -> None:
        if alarm.kind == "collapse" and run.collapses:
            return
        where = f"{run.title}  {alarm.kind} in {alarm.phase}, step {alarm.step:,}: {alarm.message}"
        line = Text.assemble(("ALARM", "red"), shown(f"  {where}; it goes on (--set on_alarm=stop ends it)"))
        self._progress.console.print(line)

    def _bar(self, run: int, what: str, *, total: int, unit: str) -> TaskID:
        known, bar = self._bars.get(run, ("", TaskID(-1)))
        if known != what:
            if known:
                self._progress.remove_task(bar)
            title = shown(f"{self._runs[run].title} · {what}")
            bar = self._progress.add_task(title, total=total, unit=unit, note="", left=_of_bar)
            self._bars[run] = (what, bar)
        return bar

    def ended(self, run: int, status: str, line: Text, seconds_per_step: Mapping[str, float]) -> None:
        """Take the run's bar away and print how it ended. The bar of all runs counts those that are completed."""
        if run in self._bars:
            self._progress.remove_task(self._bars.pop(run)[1])
        self._time.ended(run, seconds_per_step)
        if status == "completed":
            self._progress.advance(self._all)
        else:
            self._not_completed[status] = self._not_completed.get(status, 0) + 1
            note = ", ".join(f"{n} {status}" for status, n in self._not_completed.items())
            self._progress.update(self._all, note=note)
        self._progress.console.print(line)


def _values_text(values: Mapping[str, float]) -> str:
    """Losses and rewards first, and few of them."""
    first = sorted(values, key=lambda name: not any(word in name for word in ("loss", "reward", "nll")))
    return "  ".join(f"{name} {values[name]:.3g}" for name in first[:_SHOWN_VALUES])
