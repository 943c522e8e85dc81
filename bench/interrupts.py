"""How a command line runs: Ctrl-C ends it without a traceback, whenever it comes; nothing heavy is imported here."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType

__all__ = ["INTERRUPTED", "run_program", "start_shielded", "unshield"]

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""


def run_program(load: Callable[[], Callable[[], object]]) -> None:
    """Import and run a command line. Ctrl-C ends it at every moment, without a traceback, with the code 130.

    While `load` imports, nothing is begun, and the system ends the process. The first Ctrl-C in the command is a
    KeyboardInterrupt, so that files are closed and the cursor comes back; a second one, or one while the interpreter
    ends, is the system's again. A command that saves its work listens itself (`bench.launch.workers.stop_on_signals`).
    """
    interrupts: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        interrupts.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _calm_numpy()
    command = load()
    from bench.streams import take_any_text  # imports what a command prints with

    take_any_text()
    try:
        try:
            signal.signal(signal.SIGINT, interrupt)
            command()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except BaseException as error:
        # What an interrupt made of an import, or of the cleaning up after another one, is no fault of ours.
        if not interrupts and not isinstance(error, KeyboardInterrupt):
            raise
        raise SystemExit(INTERRUPTED) from None


def _calm_numpy() -> None:
    """One thread for numpy's products, here and in workers, unless the user has said how many; before it is imported.

    Scores take them in tiles too small to share, and OpenBLAS's threads wait for each other by spinning: beside one
    other busy process, two of them took 80 times the processor seconds of one. torch has threads of its own.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def start_shielded(process: BaseProcess, *numbers: int) -> None:
    """Start a process for which these signals wait, so that none falls into its imports, until it calls `unshield`."""
    if not hasattr(signal, "pthread_sigmask"):
        process.start()
        return
    resource_tracker.ensure_running()  # otherwise the first process starts it, and lets all signals come
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unshield(*numbers: int) -> None:
    """From now on these signals come, also those that waited."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
