"""Many runs: one after another in this process, or several side by side, each in a process of its own.

One run's failure, or its process's death, never costs another run.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

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
from bench.interrupts import INTERRUPTED, start_shielded, unshield
from bench.launch.options import LaunchOptions
from bench.record import RunRecord, read_record
from bench.run.runner import run
from bench.run.trainer import Interrupted, OnStep
from bench.run_folder import RECORD
from bench.streams import shown, take_any_text

__all__ = ["Outcome", "launch", "stop_on_signals"]


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


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Bar) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "", style="progress.data.speed")


def launch(runs: Sequence[Resolved], options: LaunchOptions, *, console: Console) -> list[Outcome]:
    """Do all runs, show their progress, say how each ended.

    There is one run at a time for each of `options.slots`, each in a process with generators of its own: what goes on
    beside a run does not change its record. Ctrl-C, SIGTERM and the deadline save what is under way and stop.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with stop_on_signals() as signalled, Progress(*columns, console=console, refresh_per_second=5) as progress:
        display = _Display(progress, len(runs))

        def stopped() -> bool:
            return signalled() or time.time() >= options.deadline

        if len(options.slots) == 1 or len(runs) == 1:
            return list(_one_by_one(runs, options, display, stopped))
        return _Pool(runs, options, display, stopped).run()


_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Inside: SIGINT and SIGTERM ask for a stop at the next step; a second SIGINT does what it did before, at once.

    Python hands signals to the main thread alone; called from another one, this leaves them as they are.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            usual = before[signal.SIGINT]
            usual(number, frame) if callable(usual) else signal.default_int_handler(number, frame)
        received.append(number)

    listening = threading.current_thread() is threading.main_thread()
    numbers = _STOPPING if listening else ()
    before = {number: signal.signal(number, handle) for number in numbers}
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
            bar = self._progress.add_task(shown(f"{title} · {phase}"), total=steps)
            self._bars[title] = (phase, bar)
        self._progress.update(bar, completed=step)

    def done(self, outcome: Outcome) -> None:
        """Take the run's bar away and print how it ended."""
        if outcome.title in self._bars:
            self._progress.remove_task(self._bars.pop(outcome.title)[1])
        self._progress.advance(self._all)
        style = {"completed": "green", "failed": "red"}.get(outcome.status, "yellow")
        line = Text.assemble((outcome.status, style), shown(f"  {outcome.title}  {outcome.detail}".rstrip()))
        self._progress.console.print(line)


def _outcome(title: str, folder: Path, record: RunRecord) -> Outcome:
    if record.status == "failed":
        return Outcome(title, folder, "failed", f"{record.error} ({folder / 'error.txt'})")
    alarms = "; ".join(f"{alarm.kind} in {alarm.phase}: {alarm.message}" for alarm in record.alarms)
    seconds = sum(phase.seconds for phase in record.phases)
    return Outcome(title, folder, "completed", f"{seconds:.0f} s of training" + (f"; ALARM {alarms}" if alarms else ""))


def _one_by_one(
    runs: Sequence[Resolved], options: LaunchOptions, display: _Display, stopped: Callable[[], bool]
) -> Iterator[Outcome]:
    slot = options.slots[0]
    for resolved in [_placed(each.run, slot).resolve() for each in runs] if slot else runs:
        if stopped():
            outcome = _not_started(resolved, options)
        else:
            show = partial(display.show, resolved.title())
            outcome = _attempt(resolved, options, _throttled(show), stopped)
        display.done(outcome)
        yield outcome


def _not_started(resolved: Resolved, options: LaunchOptions) -> Outcome:
    late = time.time() >= options.deadline
    return Outcome(resolved.title(), resolved.folder(options.runs), "stopped", "not started", late)


def _placed(run: RunConfig, slot: str) -> RunConfig:
    return run.model_copy(update={"device": slot}) if slot else run


def _attempt(resolved: Resolved, options: LaunchOptions, on_step: OnStep, stopped: Callable[[], bool]) -> Outcome:
    title, folder = resolved.title(), resolved.folder(options.runs)
    clock = _Clock(options.deadline)
    try:
        record = run(
            resolved,
            options.runs,
            trackers=options.tracking.trackers(),
            on_step=on_step,
            should_stop=lambda: stopped() or clock.is_up(),
            rerun=options.rerun,
            save_every=options.save_every,
        )
    except Interrupted as interrupted:
        return Outcome(title, folder, "stopped", str(interrupted), clock.is_up())
    except (OSError, ValueError, KeyError) as error:
        return Outcome(title, folder, "failed", str(error.args[0] if isinstance(error, KeyError) else error))
    return _outcome(title, folder, record)


def _throttled(on_step: OnStep, seconds: float = 0.1) -> OnStep:
    """At most ten calls a second, and always at the first step of a phase."""
    last: dict[str, float] = {}

    def sometimes(phase: str, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - last.get(phase, 0.0) >= seconds:
            last[phase] = now
            on_step(phase, step, steps)

    return sometimes


@dataclass
class _Worker:
    """A process that does one run after another, so that torch and MLflow are loaded once."""

    slot: str
    process: BaseProcess
    pipe: Connection
    run: int = -1
    """Index of the run under way; -1: none."""


class _Pool:
    """A process for each slot, each with a pipe of its own: the death of one leaves the others' whole."""

    def __init__(
        self, runs: Sequence[Resolved], options: LaunchOptions, display: _Display, stopped: Callable[[], bool]
    ) -> None:
        self._runs = runs
        self._options = options
        self._display = display
        self._stopped = stopped
        self._waiting = list(range(len(runs)))
        self._free = list(options.slots)
        self._workers: list[_Worker] = []
        self._outcomes: dict[int, Outcome] = {}

    def run(self) -> list[Outcome]:
        """Do all runs; outcomes in the order of the runs."""
        try:
            self._do_all()
        except BaseException:  # at once: workers save and end by themselves, and wait for nothing more
            self._stop()
            raise
        finally:
            for worker in self._workers:
                worker.pipe.close()
        for worker in self._workers:
            worker.process.join()
        return [self._outcomes[index] for index in range(len(self._runs))]

    def _do_all(self) -> None:
        stopping = False
        while len(self._outcomes) < len(self._runs):
            if not stopping and self._stopped():
                stopping = True
                self._stop()
            for worker in self._workers:
                if self._waiting and worker.run < 0:
                    self._send_next(worker)
            while self._waiting and self._free:
                self._workers.append(self._start(self._free.pop(0)))
                self._send_next(self._workers[-1])
            wait([worker.pipe for worker in self._workers], timeout=0.2)
            for worker in list(self._workers):
                if not self._listen(worker):
                    self._workers.remove(worker)
                    self._free.append(worker.slot)

    def _stop(self) -> None:
        """Begin nothing more; what is under way saves and stops."""
        self._outcomes |= {index: _not_started(self._runs[index], self._options) for index in self._waiting}
        self._waiting.clear()
        for worker in self._workers:
            worker.process.terminate()  # SIGTERM

    def _start(self, slot: str) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self._options, theirs))
        start_shielded(process, *_STOPPING)
        theirs.close()  # the worker's end: closed here, its death reads as the end of the stream
        return _Worker(slot, process, ours)

    def _send_next(self, worker: _Worker) -> None:
        with suppress(OSError):  # it has just died: the run stays in the queue
            worker.pipe.send(_placed(self._runs[self._waiting[0]].run, worker.slot))
            worker.run = self._waiting.pop(0)

    def _listen(self, worker: _Worker) -> bool:
        """Take in all that a worker has sent; False once it is dead."""
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, Outcome):
                    self._done(worker, message)
                else:
                    self._display.show(self._runs[worker.run].title(), *message)
        except (EOFError, OSError):
            worker.process.join()
            if worker.run >= 0:
                self._done(worker, self._outcome_of_dead(self._runs[worker.run], worker.process.exitcode))
            return False
        return True

    def _done(self, worker: _Worker, outcome: Outcome) -> None:
        self._outcomes[worker.run] = outcome
        self._display.done(outcome)
        worker.run = -1

    def _outcome_of_dead(self, resolved: Resolved, exit_code: int | None) -> Outcome:
        """A worker ended without a word: its record may be there all the same."""
        title, folder = resolved.title(), resolved.folder(self._options.runs)
        if (folder / RECORD).exists():
            return _outcome(title, folder, read_record(folder / RECORD))
        return Outcome(
            title, folder, "killed", f"its process died (exit code {exit_code}); the same command resumes it"
        )


def _work(options: LaunchOptions, pipe: Connection) -> None:
    """A worker process: runs as they come. Without a launcher to talk to it saves and stops."""
    take_any_text()
    orphaned = False

    def send(message: Outcome | tuple[str, int, int]) -> None:
        nonlocal orphaned
        try:
            pipe.send(message)
        except OSError:
            orphaned = True

    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))  # after a first one, which saves, and at the end
    with stop_on_signals() as stopped:
        unshield(*_STOPPING)
        while not orphaned:
            try:
                config: RunConfig = pipe.recv()
            except (EOFError, OSError):
                return
            on_step = _throttled(lambda *step: send(step))
            send(_attempt(config.resolve(), options, on_step, lambda: stopped() or orphaned))
