"""Many runs: one after another in this process, or several side by side, each in a process of its own.

One run's failure, or its process's death, never costs another run.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as Bar
from rich.text import Text

from bench.config import Resolved, RunConfig
from bench.record import RunRecord, read_record
from bench.run.runner import Report, run
from bench.run.trainer import Interrupted
from bench.tracking.options import TrackersOf, no_trackers

__all__ = ["Outcome", "Way", "launch", "stop_on_signals"]


@dataclass(frozen=True)
class Outcome:
    """How one run of a command ended."""

    title: str
    folder: Path
    status: str
    """completed, failed, stopped (it goes on when the command is given again) or killed (likewise)."""
    detail: str = ""
    at_deadline: bool = False
    """Stopped because the command's time was up, not by a signal."""


@dataclass(frozen=True)
class Way:
    """How the runs of one command are done. Pickled to worker processes."""

    folder: Path
    """Holds the run folders."""
    trackers_of: TrackersOf = no_trackers
    """Makes the trackers of a run from its `config_hash`."""
    rerun: bool = False
    """Train again what is finished."""
    save_every: float = 60.0
    """Seconds between checkpoints."""
    deadline: float = math.inf
    """Seconds since the epoch: whatever is under way then has been saved and stopped before."""


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Bar) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "", style="progress.data.speed")


def launch(runs: Sequence[Resolved], way: Way, *, slots: Sequence[str] = ("",), console: Console) -> list[Outcome]:
    """Do all runs, show their progress, say how each ended.

    There is one run at a time for each slot (`bench.launch.slots`), each in a process with generators of its own: what
    goes on beside a run does not change its record.

    Ctrl-C, SIGTERM and `way.deadline` save what is under way and stop.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with stop_on_signals() as signalled, Progress(*columns, console=console, refresh_per_second=5) as progress:
        display = _Display(progress, len(runs))

        def stopped() -> bool:
            return signalled() or time.time() >= way.deadline

        if len(slots) == 1 or len(runs) == 1:
            placed = [_placed(each.run, slots[0]).resolve() if slots[0] else each for each in runs]
            return list(_one_by_one(placed, way, display, stopped))
        return _side_by_side(runs, way, slots, display, stopped)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Inside: SIGINT and SIGTERM ask for a stop at the next step; a second SIGINT stops at once."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Clock:
    """Tells a run to stop early enough: another pause like the longest so far would pass the deadline.

    A pause lies between two questions: a step, and, where there is one, an evaluation and the writing of a checkpoint.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._last = math.nan
        self._longest = 0.0

    def is_up(self) -> bool:
        """Asked after every step."""
        now = time.time()
        if now - self._last > self._longest:  # never at the first question
            self._longest = now - self._last
        self._last = now
        return now + self._longest >= self._deadline


class _Display:
    """One bar for all runs and one for each run under way."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._all = progress.add_task("all runs", total=total)
        self._bars: dict[str, tuple[str, TaskID]] = {}

    def show(self, title: str, phase: str, step: int, steps: int) -> None:
        """The bar of a run, a new one at each phase, so that rate and time left are the phase's own."""
        known_phase, bar = self._bars.get(title, ("", TaskID(-1)))
        if known_phase != phase:
            if known_phase:
                self._progress.remove_task(bar)
            bar = self._progress.add_task(f"{title} · {phase}", total=steps)
            self._bars[title] = (phase, bar)
        self._progress.update(bar, completed=step)

    def done(self, outcome: Outcome) -> None:
        """Take the run's bar away and print how it ended."""
        if outcome.title in self._bars:
            self._progress.remove_task(self._bars.pop(outcome.title)[1])
        self._progress.advance(self._all)
        style = {"completed": "green", "failed": "red"}.get(outcome.status, "yellow")
        line = Text.assemble((outcome.status, style), f"  {outcome.title}  {outcome.detail}".rstrip())
        self._progress.console.print(line, highlight=False)


def _outcome(title: str, folder: Path, record: RunRecord) -> Outcome:
    if record.status == "failed":
        return Outcome(title, folder, "failed", f"{record.error} ({folder / 'error.txt'})")
    alarms = "; ".join(f"{alarm.kind} in {alarm.phase}: {alarm.message}" for alarm in record.alarms)
    seconds = sum(phase.seconds for phase in record.phases)
    return Outcome(title, folder, "completed", f"{seconds:.0f} s of training" + (f"; ALARM {alarms}" if alarms else ""))


def _one_by_one(
    runs: Sequence[Resolved], way: Way, display: _Display, stopped: Callable[[], bool]
) -> Iterator[Outcome]:
    for resolved in runs:
        title, place = resolved.run.title(), resolved.folder(way.folder)
        if stopped():
            outcome = Outcome(title, place, "stopped", "not started", time.time() >= way.deadline)
        else:
            report = _throttled(lambda *state, title=title: display.show(title, *state))
            outcome = _attempt(resolved, way, report, stopped)
        display.done(outcome)
        yield outcome


def _attempt(resolved: Resolved, way: Way, report: Report, stopped: Callable[[], bool]) -> Outcome:
    title, place = resolved.run.title(), resolved.folder(way.folder)
    clock = _Clock(way.deadline)
    try:
        record = run(
            resolved,
            way.folder,
            trackers=way.trackers_of(resolved.config_hash),
            report=report,
            should_stop=lambda: stopped() or clock.is_up(),
            rerun=way.rerun,
            save_every=way.save_every,
        )
    except Interrupted as interrupted:
        return Outcome(title, place, "stopped", str(interrupted), clock.is_up())
    except (OSError, ValueError, KeyError) as error:
        return Outcome(title, place, "failed", str(error.args[0] if isinstance(error, KeyError) else error))
    return _outcome(title, place, record)


def _throttled(report: Report, seconds: float = 0.1) -> Report:
    """At most ten reports a second, and always the first of a phase."""
    last: dict[str, float] = {}

    def report_sometimes(phase: str, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - last.get(phase, 0.0) >= seconds:
            last[phase] = now
            report(phase, step, steps)

    return report_sometimes


@dataclass
class _Worker:
    """A process that does one run after another, so that torch and MLflow are loaded once."""

    process: BaseProcess
    pipe: Connection
    slot: str
    run: int = -1
    """Index of the run under way; -1: none."""


def _side_by_side(
    runs: Sequence[Resolved], way: Way, slots: Sequence[str], display: _Display, stopped: Callable[[], bool]
) -> list[Outcome]:
    """A process for each slot, each with a pipe of its own: the death of one leaves the others' whole."""
    waiting = list(range(len(runs)))
    outcomes: dict[int, Outcome] = {}
    workers: list[_Worker] = []
    free = list(slots)
    told_to_stop = False
    while len(outcomes) < len(runs):
        if stopped() and not told_to_stop:
            told_to_stop = True
            titles = {i: (runs[i].run.title(), runs[i].folder(way.folder)) for i in waiting}
            late = time.time() >= way.deadline
            outcomes |= {i: Outcome(*title, "stopped", "not started", late) for i, title in titles.items()}
            waiting.clear()
            for worker in workers:
                worker.process.terminate()  # SIGTERM: save and stop
        for worker in workers:
            if waiting and worker.run < 0:
                with suppress(OSError):  # it has just died: the run stays in the queue
                    worker.pipe.send(_placed(runs[waiting[0]].run, worker.slot))
                    worker.run = waiting.pop(0)
        while waiting and free:
            workers.append(_start(way, free.pop(0), waiting.pop(0), runs))
        wait([worker.pipe for worker in workers], timeout=0.2)
        for worker in list(workers):
            if not _listen(worker, runs, way, outcomes, display):
                workers.remove(worker)
                free.append(worker.slot)
    for worker in workers:
        worker.pipe.close()
        worker.process.join()
    return [outcomes[index] for index in range(len(runs))]


def _placed(run: RunConfig, slot: str) -> RunConfig:
    return run.model_copy(update={"device": slot}) if slot else run


def _start(way: Way, slot: str, index: int, runs: Sequence[Resolved]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(way, theirs))
    process.start()
    theirs.close()  # the worker's end: closed here, its death reads as the end of the stream
    ours.send(_placed(runs[index].run, slot))
    return _Worker(process, ours, slot, index)


def _listen(
    worker: _Worker, runs: Sequence[Resolved], way: Way, outcomes: dict[int, Outcome], display: _Display
) -> bool:
    """Take in all that a worker has said; False once it is dead."""
    try:
        while worker.pipe.poll():
            message = worker.pipe.recv()
            if isinstance(message, Outcome):
                outcomes[worker.run] = message
                display.done(message)
                worker.run = -1
            else:
                display.show(runs[worker.run].run.title(), *message)
    except (EOFError, OSError):
        worker.process.join()
        if worker.run >= 0:
            outcomes[worker.run] = _died(runs[worker.run], way, worker.process.exitcode)
            display.done(outcomes[worker.run])
        return False
    return True


def _died(resolved: Resolved, way: Way, exit_code: int | None) -> Outcome:
    """A worker that ended without a word: its record may be there all the same."""
    title, place = resolved.run.title(), resolved.folder(way.folder)
    if (place / "record.json").exists():
        return _outcome(title, place, read_record(place / "record.json"))
    return Outcome(title, place, "killed", f"its process died (exit code {exit_code}); the same command resumes it")


def _work(way: Way, pipe: Connection) -> None:
    """A worker process: runs as they come. Without a launcher to talk to it saves and stops."""
    orphaned: list[bool] = []

    def say(message: Any) -> None:
        try:
            pipe.send(message)
        except OSError:
            orphaned.append(True)

    with stop_on_signals() as stopped:
        while not orphaned:
            try:
                config: RunConfig = pipe.recv()
            except (EOFError, OSError):
                return
            report = _throttled(lambda *state: say(state))
            say(_attempt(config.resolve(), way, report, lambda: stopped() or bool(orphaned)))
