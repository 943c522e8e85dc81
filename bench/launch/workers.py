"""Many runs: one after another in this process, or several side by side, each in a process of its own.

One run's failure, or its process's death, never costs another run.
"""

from __future__ import annotations

import faulthandler
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from bench.config import Resolved, RunConfig
from bench.interrupts import INTERRUPTED, start_shielded, unshield
from bench.launch.options import LaunchOptions
from bench.launch.progress import Display, PlannedRun, bars
from bench.record import RunRecord, read_record
from bench.run.hardware import is_lost
from bench.run.runner import BeingTrained, run
from bench.run.trainer import Interrupted, News, OnNews, OnStep
from bench.run_folder import ERROR, LOG, RECORD, is_being_trained, is_regular
from bench.streams import shown, take_any_text
from bench.terminal import counted
from bench.tracking.diary import TrainingValues
from bench.tracking.run_log import RunLog

__all__ = ["Outcome", "launch", "stop_on_signals"]


@dataclass(frozen=True)
class Outcome:
    """How one run of a command ended."""

    title: str
    folder: Path
    status: str
    """completed, failed, stopped (it goes on when the command is given again), killed (likewise) or elsewhere: another
    process is at it."""
    detail: str = ""
    at_deadline: bool = False
    """Stopped because the command's time was up, not by a signal."""
    trained: bool = True
    """False: it was not begun, or its record was there already."""
    seconds_per_step: Mapping[str, float] = field(default_factory=dict)
    """Phase -> what its record says."""
    device_lost: bool = False
    """It failed so that its process can do nothing more on its GPU."""


def launch(
    runs: Sequence[Resolved],
    options: LaunchOptions,
    *,
    console: Console,
    steps: Sequence[Mapping[str, int]] = (),
) -> list[Outcome]:
    """Do all runs, show their progress, say how each ended. `steps`: of each run, by phase; empty where not known.

    There is one run at a time for each of `options.slots`, each in a process with generators of its own: what goes on
    beside a run does not change its record. Ctrl-C, SIGTERM and the deadline save what is under way and stop. What
    another process is at comes last, so that commands with one folder, on one disk, share the runs.
    """
    planned = [
        PlannedRun(
            title=each.title(),
            row=each.config_hash,
            steps=steps[index] if steps else {},
            temperatures=len(each.run.temperatures),
            evaluate_every=each.run.evaluate_every,
            collapses=_collapses(each),
        )
        for index, each in enumerate(runs)
    ]
    with stop_on_signals() as signalled, bars(console) as progress:
        display = Display(progress, planned, len(options.slots))

        def stopped() -> bool:
            return signalled() or time.time() >= options.deadline

        if len(options.slots) == 1 or len(runs) == 1:
            return _one_by_one(runs, options, display, stopped)
        return _Pool(runs, options, display, stopped).run()


_HANG_UP = getattr(signal, "SIGHUP", None)  # Windows has none
_STOPPING = tuple(number for number in (signal.SIGINT, signal.SIGTERM, _HANG_UP) if number is not None)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Inside: these signals ask for a stop at the next step; a second SIGINT does what it did before, at once.

    SIGINT is Ctrl-C, SIGTERM a queue's, SIGHUP a terminal's that was closed; `nohup` has the last one ignored, and it
    stays so. Python hands signals to the main thread alone; called from another one, this leaves them as they are.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if number == _HANG_UP:
            _let_go_of_terminal()
        if received and number == signal.SIGINT:
            usual = before[signal.SIGINT]
            usual(number, frame) if callable(usual) else signal.default_int_handler(number, frame)
        received.append(number)

    listening = threading.current_thread() is threading.main_thread()
    numbers = [n for n in _STOPPING if n != _HANG_UP or signal.getsignal(n) != signal.SIG_IGN] if listening else []
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _let_go_of_terminal() -> None:
    """What is printed from now on goes nowhere: to write to a terminal that is closed fails, and the run would too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        if os.isatty(output):
            os.dup2(nowhere, output)
    os.close(nowhere)


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


def _show_end(display: Display, index: int, outcome: Outcome) -> None:
    style = {"completed": "green", "failed": "red"}.get(outcome.status, "yellow")
    line = Text.assemble((outcome.status, style), shown(f"  {outcome.title}  {outcome.detail}".rstrip()))
    display.ended(index, outcome.status, line, outcome.seconds_per_step)


def _outcome(resolved: Resolved, folder: Path, record: RunRecord, *, trained: bool = True) -> Outcome:
    title = resolved.title()
    if record.status == "failed":
        return Outcome(
            title, folder, "failed", f"{record.error} ({folder / ERROR}; all that it printed: {LOG} beside it)"
        )
    if trained:
        details = [f"{sum(phase.seconds for phase in record.phases):.0f} s of training", *_alarms(resolved, record)]
    else:
        details = ["already there, not trained again"]
    rates = {phase.name: phase.seconds / phase.steps for phase in record.phases if phase.steps}
    return Outcome(title, folder, "completed", "; ".join(details), trained=trained, seconds_per_step=rates)


def _alarms(resolved: Resolved, record: RunRecord) -> Iterator[str]:
    """Each in words; a collapse that the model declares is no alarm to anybody."""
    by_design = _collapses(resolved)
    if by_design and any(alarm.kind == "collapse" for alarm in record.alarms):
        yield "collapsed, as this control must"
    told = [alarm for alarm in record.alarms if not (by_design and alarm.kind == "collapse")]
    if told:
        yield "ALARM " + "; ".join(f"{alarm.kind} in {alarm.phase}: {alarm.message}" for alarm in told)


def _collapses(resolved: Resolved) -> bool:
    return bool(getattr(resolved.model_class, "collapses", False))


def _one_by_one(
    runs: Sequence[Resolved], options: LaunchOptions, display: Display, stopped: Callable[[], bool]
) -> list[Outcome]:
    slot = options.slots[0]
    runs = [_placed(each.run, slot).resolve() for each in runs] if slot else runs
    waiting = list(range(len(runs)))
    outcomes: dict[int, Outcome] = {}
    while waiting:
        index = _next(waiting, runs, options.runs)
        if any(outcome.device_lost for outcome in outcomes.values()):
            why = f"not started: {runs[index].device} is lost to this process; give the same command again"
            outcome = replace(_not_started(runs[index], options), detail=why)
        elif stopped():
            outcome = _not_started(runs[index], options)
        else:
            seldom = _Seldom(partial(display.step, index), partial(display.news, index))
            outcome = _attempt(runs[index], options, seldom, stopped)
        _show_end(display, index, outcome)
        outcomes[index] = outcome
    return [outcomes[index] for index in range(len(runs))]


def _next(waiting: list[int], runs: Sequence[Resolved], folder: Path) -> int:
    """Take out the first that no other process is at; where there is none, the first, which may be done by now."""
    free = (place for place, index in enumerate(waiting) if not _is_elsewhere(runs[index].folder(folder)))
    return waiting.pop(next(free, 0))


def _is_elsewhere(folder: Path) -> bool:
    """Whether another process is at a run; where nothing can be written, nobody is, and its lock cannot be asked."""
    return os.access(folder, os.W_OK) and is_being_trained(folder)


def _not_started(resolved: Resolved, options: LaunchOptions) -> Outcome:
    late = time.time() >= options.deadline
    return Outcome(resolved.title(), resolved.folder(options.runs), "stopped", "not started", late, trained=False)


def _placed(run: RunConfig, slot: str) -> RunConfig:
    return run.model_copy(update={"device": slot}) if slot else run


def _attempt(
    resolved: Resolved, options: LaunchOptions, seldom: _Seldom, stopped: Callable[[], bool], log: RunLog | None = None
) -> Outcome:
    """Do one run. `log`: of a process that prints nothing itself, so that its outcome says where to read it."""
    title, folder = resolved.title(), resolved.folder(options.runs)
    clock = _Clock(options.deadline)
    try:
        record = run(
            resolved,
            options.runs,
            trackers=options.tracking.trackers(),
            on_step=seldom.step,
            on_news=seldom.news,
            should_stop=lambda: stopped() or clock.is_up(),
            rerun=options.rerun,
            save_every=options.save_every,
            log=log,
        )
    except Interrupted as interrupted:
        return Outcome(title, folder, "stopped", str(interrupted), clock.is_up())
    except BeingTrained as error:
        return Outcome(title, folder, "elsewhere", str(error), trained=False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error.args[0] if isinstance(error, KeyError) else error)
        return Outcome(title, folder, "failed", f"{reason}{_where_told(folder)}")
    outcome = _outcome(resolved, folder, record, trained=seldom.told)
    outcome = replace(outcome, device_lost=outcome.status == "failed" and is_lost(resolved.device))
    if log is None or not log.lines or outcome.status != "completed":
        return outcome
    return replace(outcome, detail=f"{outcome.detail}; {counted(log.lines, 'line')} printed, in {folder / LOG}")


def _where_told(folder: Path) -> str:
    return f" ({folder / LOG})" if is_regular(folder / LOG) else ""


class _Seldom:
    """Hands on at most ten steps and ten readings a second, always the first step of a phase, and every evaluation."""

    def __init__(self, on_step: OnStep, on_news: OnNews, seconds: float = 0.1) -> None:
        self._on_step = on_step
        self._on_news = on_news
        self._seconds = seconds
        self._last: dict[str, float] = {}
        self.told = False
        """Whether anything was done: of a record that is there, also by another process meanwhile, nothing is."""

    def _is_due(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._last.get(what, -math.inf) < self._seconds:
            return False
        self._last[what] = now
        return True

    def step(self, phase: str, step: int, steps: int) -> None:
        """After each step."""
        self.told = True
        if self._is_due(f"step of {phase}"):
            self._on_step(phase, step, steps)

    def news(self, event: News) -> None:
        """What was logged, an evaluation or an alarm."""
        self.told = True
        if not isinstance(event, TrainingValues) or self._is_due("values"):
            self._on_news(event)


@dataclass
class _Worker:
    """A process that does one run after another, so that torch and MLflow are loaded once."""

    slot: str
    process: BaseProcess
    pipe: Connection
    run: int = -1
    """Index of the run under way; -1: none."""
    ends: bool = False
    """It lost its GPU and takes no more; its slot gets another process."""


class _Pool:
    """A process for each slot, each with a pipe of its own: the death of one leaves the others' whole."""

    def __init__(
        self, runs: Sequence[Resolved], options: LaunchOptions, display: Display, stopped: Callable[[], bool]
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
                if self._waiting and worker.run < 0 and not worker.ends:
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
        for index in self._waiting:
            self._end(index, _not_started(self._runs[index], self._options))
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
        index = _next(self._waiting, self._runs, self._options.runs)
        try:
            worker.pipe.send(_placed(self._runs[index].run, worker.slot))
            worker.run = index
        except OSError:  # it has just died
            self._waiting.insert(0, index)

    def _listen(self, worker: _Worker) -> bool:
        """Take in all that a worker has sent; False once it is dead."""
        try:
            while worker.pipe.poll():
                message = worker.pipe.recv()
                if isinstance(message, Outcome):
                    self._done(worker, message)
                elif isinstance(message, tuple):
                    self._display.step(worker.run, *message)
                else:
                    self._display.news(worker.run, message)
        except (EOFError, OSError):
            worker.process.join()
            if worker.run >= 0:
                self._done(worker, self._outcome_of_dead(self._runs[worker.run], worker.process.exitcode))
            return False
        return True

    def _done(self, worker: _Worker, outcome: Outcome) -> None:
        self._end(worker.run, outcome)
        worker.run, worker.ends = -1, outcome.device_lost

    def _end(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        _show_end(self._display, index, outcome)

    def _outcome_of_dead(self, resolved: Resolved, exit_code: int | None) -> Outcome:
        """A worker ended without a word: its record may be there all the same."""
        title, folder = resolved.title(), resolved.folder(self._options.runs)
        if (folder / RECORD).exists() and (record := read_record(folder / RECORD)).status == "completed":
            return _outcome(resolved, folder, record)
        return Outcome(
            title,
            folder,
            "killed",
            f"its process died (exit code {exit_code}); the same command resumes it{_where_told(folder)}",
        )


def _work(options: LaunchOptions, pipe: Connection) -> None:
    """A worker process: runs as they come. Without a launcher to talk to it saves and stops."""
    take_any_text()
    faulthandler.enable(2)  # where a crash in a library was, in the log of the run
    orphaned = False

    def send(message: Outcome | tuple[str, int, int] | News) -> None:
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
            seldom = _Seldom(lambda *step: send(step), send)
            outcome = _attempt(config.resolve(), options, seldom, lambda: stopped() or orphaned, RunLog(alone=True))
            send(outcome)
            if outcome.device_lost:
                return
