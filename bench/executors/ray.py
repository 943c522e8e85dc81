"""Ray: a task for each job, with a fraction of a GPU; a task whose process or node dies is done again, and resumes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.executors.base import Batch, Executor, Job, JobState, library
from bench.executors.settings import ExecutorSettings
from bench.executors.worker import do_batch

__all__ = ["Ray"]

_NAMESPACE = "textgan-bench"
_SECONDS = 60.0
"""For an answer."""


class Ray(Executor):
    """An actor of the cluster keeps the tasks of a submission, which go on when the command has ended."""

    elsewhere = True
    pause = 1.0

    def check(self) -> None:
        """Raise ValueError where Ray is missing."""
        library("ray")

    def submit(self, batches: Sequence[Batch], settings: ExecutorSettings, folder: Path) -> list[Job]:
        """A task for each batch. Raises OSError where there is no cluster."""
        ray = _connected(settings)
        resources = {"num_cpus": settings.cpus, "num_gpus": settings.gpus}
        if settings.memory_gb is not None:
            resources["memory"] = round(settings.memory_gb * 2**30)
        # Begun anew where its node dies: what is finished is found done, and the rest goes on.
        how = {"name": folder.name, "namespace": _NAMESPACE, "lifetime": "detached", "num_cpus": 0, "max_restarts": -1}
        keeper = ray.remote(_Keeper).options(**how, max_task_retries=-1).remote(list(batches), resources)
        try:
            ray.get(keeper.ended.remote(), timeout=_SECONDS)  # it has taken them
        except ray.exceptions.RayError as error:
            raise OSError(f"Ray did not take {len(batches)} jobs: {error}") from error
        return [Job(folder, str(index)) for index in range(len(batches))]

    def states(self, jobs: Sequence[Job], settings: ExecutorSettings) -> Mapping[Job, JobState]:
        """By the actors that keep them. One that is gone has seen the end of all its tasks."""
        ended = {folder: _asked(folder, settings, "ended") for folder in {job.folder for job in jobs}}
        return {job: "ended" if (at := ended[job.folder]) is None or int(job.id) in at else "running" for job in jobs}

    def cancel(self, jobs: Sequence[Job], settings: ExecutorSettings) -> None:
        """Workers are killed: what goes on is lost from its last checkpoint."""
        for folder in {job.folder for job in jobs}:
            _asked(folder, settings, "cancel", [int(job.id) for job in jobs if job.folder == folder])


def _asked(folder: Path, settings: ExecutorSettings, method: str, *arguments: object) -> Any:
    """What the actor of a submission answers; None: it is gone. Raises OSError where Ray cannot be asked."""
    ray = _connected(settings)
    try:
        keeper = ray.get_actor(folder.name, _NAMESPACE)
        return ray.get(getattr(keeper, method).remote(*arguments), timeout=_SECONDS)
    except (ValueError, ray.exceptions.ActorDiedError):  # there is no such actor
        return None
    except ray.exceptions.RayError as error:
        raise OSError(f"Ray cannot be asked of its jobs: {error}") from error


def _connected(settings: ExecutorSettings) -> Any:
    """The library, in the cluster. Raises OSError where there is none: never is one started."""
    ray = library("ray")
    if not ray.is_initialized():
        try:
            ray.init(settings.address or "auto", namespace=_NAMESPACE, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise OSError(f"no Ray cluster at {settings.address or 'this machine'}: {error}") from error
    return ray


class _Keeper:
    """Owns the tasks of a submission until the last has ended."""

    def __init__(self, batches: Sequence[Batch], resources: Mapping[str, float]) -> None:
        self._ray = library("ray")
        task = self._ray.remote(do_batch).options(max_retries=-1, **resources)
        self._tasks = [task.remote(batch) for batch in batches]
        threading.Thread(target=self._leave, daemon=True).start()

    def ended(self) -> set[int]:
        """The numbers of those that have."""
        done, _ = self._ray.wait(self._tasks, num_returns=len(self._tasks), timeout=0)
        return {index for index, task in enumerate(self._tasks) if task in set(done)}

    def cancel(self, indices: Sequence[int]) -> None:
        """End these; they are not done again."""
        for index in indices:
            self._ray.cancel(self._tasks[index], force=True)

    def _leave(self) -> None:
        """After the last."""
        self._ray.wait(self._tasks, num_returns=len(self._tasks))
        self._ray.kill(self._ray.get_runtime_context().current_actor)
