"""What a job does with its batch: run after run; told to stop, it saves, and goes back to the queue or ends."""

from __future__ import annotations

import faulthandler
import signal
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from bench.executors.base import Batch, library
from bench.streams import take_any_text

__all__ = ["Work", "do_batch"]

_PATIENCE = 20.0
"""Seconds that a step or a metric may take until the job goes back to the queue without saving once more."""


def do_batch(batch: Batch, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Do all runs. What is finished is left as it is, and an error costs its own run alone.

    Raises `Interrupted` when asked to stop (the state is saved), RuntimeError at the end where a run has no record.
    """
    from bench.run.runner import run

    take_any_text()
    faulthandler.enable(2)
    wrong = []
    for config, run_id in zip(batch.configs, batch.run_ids, strict=True):
        try:
            resolved = config.resolve()
            if resolved.run_id != run_id:
                raise ValueError(
                    f"{resolved.title()} is run {resolved.run_id} here and {run_id} where it was submitted: "
                    "both need the same version of the code"
                )
            trackers = batch.tracking.trackers()
            run(resolved, batch.runs, trackers=trackers, should_stop=should_stop, save_every=batch.save_every)
        except (OSError, ValueError, KeyError) as error:
            traceback.print_exc()
            wrong.append(f"{config.model} on {config.task}, seed {config.seed}: {error}")
    if wrong:
        raise RuntimeError("; ".join(wrong))


class Work:
    """What submitit calls in a job.

    Its signal, for the end of the time, makes the run save at its next step, and only then puts the job back into the
    queue. After SIGTERM the run saves, and the job waits for `seconds_to_kill` to be killed: an engine that preempts
    puts back what it killed itself, and not what has ended in the time of grace.
    """

    def __init__(self, seconds_to_kill: float = 0.0) -> None:
        self._seconds_to_kill = seconds_to_kill

    def __call__(self, batch: Batch) -> None:
        """Do the batch."""
        leave = signal.Signals[f"SIG{library('submitit').JobEnvironment.USR_SIG}"]
        requeue: Any = signal.getsignal(leave)  # submitit's; it ends the process
        told: list[int] = []

        def note(number: int, _frame: FrameType | None) -> None:
            told.append(number)
            if number == leave:
                signal.setitimer(signal.ITIMER_REAL, _PATIENCE)

        signal.signal(signal.SIGALRM, lambda *_: requeue(leave, None))
        for number in (leave, signal.SIGTERM):
            signal.signal(number, note)
        from bench.run.trainer import Interrupted  # seconds, in which a signal may come: noted, and obeyed afterwards

        try:
            do_batch(batch, lambda: bool(told))
        except Interrupted as interrupted:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if leave in told:
                requeue(leave, None)
            time.sleep(self._seconds_to_kill)
            raise SystemExit(str(interrupted)) from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def checkpoint(self, batch: Batch) -> Any:
        """What the job does when it comes out of the queue again: the same, from what was saved."""
        return library("submitit").helpers.DelayedSubmission(self, batch)
