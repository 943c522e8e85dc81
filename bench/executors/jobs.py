"""What was submitted, in `RUNS/.jobs/`, and how far it is: run folders say what is done, engines what goes on."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.config import Resolved, RunConfig, explain_error
from bench.executors.base import Batch, Executor, Job, JobState
from bench.executors.settings import Engine, ExecutorSettings
from bench.record import read_record, write_atomic
from bench.run_folder import RECORD, START, is_being_trained
from bench.tracking.options import TrackingOptions

__all__ = [
    "Options",
    "RunState",
    "Submitted",
    "cancel",
    "executor_of",
    "planned",
    "read_submitted",
    "states",
    "submit",
]

RunState = Literal["done", "running", "queued", "failed", "lost"]
_JOBS = ".jobs"


def executor_of(engine: Engine) -> Executor:
    """The class `Slurm` of `slurm.py`, loaded when it is wanted."""
    module = importlib.import_module(f".{engine}", __package__)
    executor: Executor = getattr(module, engine.capitalize())()
    return executor


class Options(BaseModel):
    """How runs are done: of a submission, and once more where its runs are lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: ExecutorSettings
    save_every: float
    tracking: TrackingOptions


class _Run(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    run_id: str
    title: str
    folder: str
    """Its name."""
    config: RunConfig


class _Submission(BaseModel):
    """A document in `RUNS/.jobs/`; beside it the folder of the same name, with what the jobs print."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    options: Options
    runs: tuple[_Run, ...]


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A run, and the job that it was last given to."""

    config: RunConfig
    title: str
    run_id: str
    folder: Path
    job: Job
    options: Options

    @property
    def log(self) -> Path | None:
        """What its job printed, where submitit keeps it."""
        path = self.job.folder / f"{self.job.id}_0_log.err"
        return path if path.is_file() else None


def submit(resolved: Sequence[Resolved], options: Options, runs: Path) -> int:
    """Give an engine the runs that are neither done nor under way; how many these are."""
    (folder := runs.absolute() / _JOBS).mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if todo := _to_do(resolved, runs):
            # In the order of time, so that the last job of a run is that of the last document.
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}"
            parts = list(_parts(todo, options.settings))
            batches = [
                Batch(
                    configs=[each.run for each in part],
                    run_ids=[each.run_id for each in part],
                    runs=runs.absolute(),
                    save_every=options.save_every,
                    tracking=options.tracking,
                )
                for part in parts
            ]
            executor = executor_of(options.settings.engine)
            jobs = executor.submit(batches, options.settings, folder / name)
            told = _Submission(
                options=options,
                runs=tuple(
                    _Run(
                        job=job.id,
                        run_id=each.run_id,
                        title=each.title(),
                        folder=each.folder(runs).name,
                        config=each.run,
                    )
                    for job, part in zip(jobs, parts, strict=True)
                    for each in part
                ),
            )
            write_atomic(folder / f"{name}.json", told.model_dump_json(indent=1).encode())
    return len(todo)


def planned(resolved: Sequence[Resolved], settings: ExecutorSettings, runs: Path) -> tuple[int, int]:
    """How many runs `submit` would give an engine, and in how many jobs."""
    todo = _to_do(resolved, runs)
    return len(todo), len(list(_parts(todo, settings)))


def _to_do(resolved: Sequence[Resolved], runs: Path) -> list[Resolved]:
    """The runs that are neither done nor under way, each once."""
    known = states(read_submitted(runs))
    busy = {each.run_id for each, state in known if state in ("queued", "running")}
    todo = [each for each in {each.run_id: each for each in resolved}.values() if each.run_id not in busy]
    return [each for each in todo if not _completed(place := each.folder(runs)) and not is_being_trained(place)]


def _parts(todo: Sequence[Resolved], settings: ExecutorSettings) -> Iterator[Sequence[Resolved]]:
    """The runs of each job. Processes of this machine have no queue: there are no more of them than may be at once."""
    size = settings.runs_per_job
    if settings.engine == "local":
        n_jobs = min(settings.max_jobs or 1, -(-len(todo) // size))
        for index in range(n_jobs):
            yield todo[index::n_jobs]
    else:
        for at in range(0, len(todo), size):
            yield todo[at : at + size]


def _completed(folder: Path) -> bool:
    path = folder / RECORD
    return path.is_file() and read_record(path).status == "completed"


def cancel(runs: Sequence[Submitted]) -> int:
    """End the jobs of these runs, and how many these are. Raises OSError where an engine does not."""
    jobs_of: dict[str, dict[Job, ExecutorSettings]] = {}
    for each in runs:
        settings = each.options.settings
        jobs_of.setdefault(settings.model_dump_json(), {})[each.job] = settings
    for jobs in jobs_of.values():
        settings = next(iter(jobs.values()))
        executor_of(settings.engine).cancel(list(jobs), settings)
    return sum(map(len, jobs_of.values()))


def read_submitted(runs: Path) -> list[Submitted]:
    """Every run that was submitted below `runs`, each with its last job. Raises ValueError for a damaged document."""
    found: dict[str, Submitted] = {}
    for path in sorted((runs.absolute() / _JOBS).glob("*.json")):
        try:
            told = _Submission.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise ValueError(f"{path} is damaged: {explain_error(error, lambda _: ())}") from None
        for each in told.runs:
            found[each.run_id] = Submitted(
                config=each.config,
                title=each.title,
                run_id=each.run_id,
                folder=runs / each.folder,
                job=Job(path.with_name(path.name.removesuffix(".json")), each.job),
                options=told.options,
            )
    return list(found.values())


def states(submitted: Sequence[Submitted]) -> list[tuple[Submitted, RunState]]:
    """Of each run. An engine is asked only of runs that are not done. Raises OSError where it cannot be."""
    left: dict[str, list[Submitted]] = {}
    for each in submitted:
        if not _completed(each.folder):
            left.setdefault(each.options.settings.model_dump_json(), []).append(each)
    asked: dict[Job, JobState] = {}
    for group in left.values():
        settings = group[0].options.settings
        asked |= executor_of(settings.engine).states(list({each.job for each in group}), settings)
    return [(each, _state(each, asked.get(each.job, "ended"))) for each in submitted]


def _state(run: Submitted, job: JobState) -> RunState:
    """Asked after its job: what ended in between has its record."""
    if (path := run.folder / RECORD).is_file():
        if read_record(path).status == "completed":
            return "done"
        if job == "ended":
            return "failed"
    begun = (run.folder / START).is_file()
    if job != "ended":
        return "running" if job == "running" and begun else "queued"
    # A job may have lost its overseer and go on; its run is then not to be given to another one.
    return "running" if begun and is_being_trained(run.folder) else "lost"
