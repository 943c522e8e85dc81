"""Processes of this machine that go on when the command has ended, through submitit's local executor."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.executors.base import FOR_EVER, Batch, Executor, Job, JobState, library
from bench.executors.settings import ExecutorSettings
from bench.executors.worker import Work

__all__ = ["Local"]


class Local(Executor):
    """A job is a process, and all of them go on at once."""

    elsewhere = False
    pause = 0.5

    def check(self) -> None:
        """Raise ValueError where submitit is missing."""
        library("submitit")

    def submit(self, batches: Sequence[Batch], settings: ExecutorSettings, folder: Path) -> list[Job]:
        """One process for each batch."""
        executor = library("submitit").LocalExecutor(folder, FOR_EVER, python=settings.python or None)
        gpus = range(int(settings.gpus))
        executor.update_parameters(timeout_min=FOR_EVER, gpus_per_node=len(gpus), visible_gpus=tuple(gpus))
        with _mute():
            return [Job(folder, executor.submit(Work(), batch).job_id) for batch in batches]

    def states(self, jobs: Sequence[Job], settings: ExecutorSettings) -> Mapping[Job, JobState]:
        """By the processes that work in the job's folder."""
        return {job: "running" if _goes_on(job) else "ended" for job in jobs}

    def cancel(self, jobs: Sequence[Job], settings: ExecutorSettings) -> None:
        """By SIGTERM, which a job's process hands on to its worker: that saves, and ends."""
        for job in jobs:
            if _goes_on(job):
                with suppress(ProcessLookupError):
                    os.kill(int(job.id), signal.SIGTERM)


@contextmanager
def _mute() -> Iterator[None]:
    """Processes that are started inside hold no pipe of this one: whoever reads it would wait for their end."""
    kept = [os.dup(number) for number in range(3)]
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        for number in range(3):
            os.dup2(nowhere, number)
        yield
    finally:
        for number, before in enumerate(kept):
            os.dup2(before, number)
        for each in (*kept, nowhere):
            os.close(each)


def _goes_on(job: Job) -> bool:
    import psutil  # type: ignore[import-untyped]

    try:
        found = psutil.Process(int(job.id))
        return found.status() != psutil.STATUS_ZOMBIE and str(job.folder) in found.cmdline()
    except psutil.Error:
        return False
