"""Slurm, through submitit: one job array for each submission, requeued on preemption and at the end of its time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.executors.base import FOR_EVER, Batch, Executor, Job, JobState, library
from bench.executors.settings import ExecutorSettings
from bench.executors.worker import Work

__all__ = ["Slurm"]

_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_NOTICE = 90
"""Seconds before the end of its time that a job is told; a quarter of a short time. Slurm may be a minute early."""
_GRACE = 600.0
"""Seconds that a preempted job waits for its end, beyond what partitions usually grant."""
_ASK = ("squeue", "--me", "--array", "--noheader", "--format=%i|%T")
_AT_ONCE = 1000
"""Jobs that one `scancel` is told: a command line has an end."""


class Slurm(Executor):
    """`sbatch` and `squeue`; accounting (`sacct`) is not needed."""

    elsewhere = True
    pause = 10.0

    def check(self) -> None:
        """Raise ValueError where submitit or Slurm's programs are missing."""
        library("submitit")
        if missing := [name for name in ("sbatch", "squeue", "srun") if shutil.which(name) is None]:
            raise ValueError(f"no {', '.join(missing)} here: submit from a machine of the cluster")

    def submit(self, batches: Sequence[Batch], settings: ExecutorSettings, folder: Path) -> list[Job]:
        """One array. Raises ValueError where Slurm refuses it."""
        submitit = library("submitit")
        executor = submitit.SlurmExecutor(folder, FOR_EVER, python=settings.python or None)
        executor.update_parameters(**_parameters(settings))
        try:
            return [Job(folder, job.job_id) for job in executor.map_array(Work(_GRACE), batches)]
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            raise ValueError(f"Slurm did not take {len(batches)} jobs: {str(error).strip()}") from error

    def states(self, jobs: Sequence[Job], settings: ExecutorSettings) -> Mapping[Job, JobState]:
        """By one `squeue`; what it does not list has ended."""
        listed = dict(line.strip().split("|") for line in _told(*_ASK).splitlines() if "|" in line)
        return {job: _state(listed.get(job.id)) for job in jobs}

    def cancel(self, jobs: Sequence[Job], settings: ExecutorSettings) -> None:
        """By `scancel`, which leaves what has ended; a job that runs saves first."""
        for at in range(0, len(jobs), _AT_ONCE):
            _told("scancel", *(job.id for job in jobs[at : at + _AT_ONCE]))


def _told(*command: str) -> str:
    """What a program of Slurm prints. Raises OSError with its own words where it fails."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    except subprocess.CalledProcessError as error:
        raise OSError(f"{command[0]} failed: {error.stderr.strip()}") from error


def _state(word: str | None) -> JobState:
    if word is None:
        return "ended"
    return "queued" if word in _WAITING else "running"


def _parameters(settings: ExecutorSettings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "job_name": "textgan-bench",
        "time": settings.time,
        "signal_delay_s": min(_NOTICE, 15 * settings.time),
        "cpus_per_task": settings.cpus,
        "array_parallelism": settings.max_jobs or 256,
        "setup": [*settings.setup] or None,
        "additional_parameters": {"requeue": True, **settings.sbatch},
    }
    if settings.partition:
        found["partition"] = settings.partition
    if settings.memory_gb is not None:
        found["mem"] = f"{round(settings.memory_gb * 1024)}MB"
    if settings.gpus:
        found["gpus_per_node"] = int(settings.gpus)
    return found
