"""One run, from a resolved configuration to a record: the whole flow is `run` and, below it, `_Run.execute`."""

from __future__ import annotations

import dataclasses
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from baselines.common.fast.graphs import Graphs, Recorder
from baselines.common.interface import TextGenerator
from baselines.common.spec import SequenceSpec
from bench.config import Resolved, build, own_hashes, plain
from bench.environment import describe_environment
from bench.randomness import derive, seed_everything
from bench.record import BEFORE, PhaseCost, RunRecord, RunStart, code_hash, read_record, read_start, write_atomic
from bench.registry import find_recorded
from bench.run.batches import BatchStream
from bench.run.checkpoint import (
    CheckpointError,
    DamagedError,
    TrainingState,
    Weights,
    before,
    load_checkpoint,
    load_latest,
    load_weights,
    save_weights,
)
from bench.run.contract import built, checked_phases
from bench.run.evaluator import Evaluator
from bench.run.first_phases import run_before, runs_before
from bench.run.hardware import keep_memory, use_precision
from bench.run.trainer import Interrupted, OnNews, OnStep, Trainer
from bench.run_folder import (
    CHECKPOINT,
    DIARY,
    ERROR,
    LOCK,
    MODEL_SOURCE,
    PHASE_END,
    RECORD,
    START,
    WEIGHTS,
    open_regular,
)
from bench.task import TextData
from bench.tracking.diary import Diary
from bench.tracking.options import Tracker
from bench.tracking.run_log import RunLog

__all__ = ["BeingTrained", "load_run", "run", "run_start", "trained_model"]

_log = logging.getLogger(__name__)
_MOST_ERROR = 10_000
"""Characters of a failure in its record; `error.txt` has it all."""
_OF_PLACE = ("git.sha", "processor", "device_name", "torch", "numpy")
"""Facts of the environment that may be others when a run goes on, and may move what it gives."""
_NO_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
_LOCK_SECONDS = 10
"""A run that was just told to stop needs a moment to save."""


class BeingTrained(ValueError):  # noqa: N818 - the run is none that failed
    """Another process is at this very run."""


def run(
    resolved: Resolved,
    runs: Path,
    *,
    trackers: Sequence[Tracker] = (),
    on_step: OnStep = lambda *_: None,
    on_news: OnNews = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    rerun: bool = False,
    save_every: float = 60.0,
    log: RunLog | None = None,
) -> RunRecord:
    """Train, draw, score, and write the record; what is finished is returned as it is.

    A killed or failed run goes on from its last checkpoint. A failure is recorded, with its traceback in `error.txt`,
    and returned. What is printed meanwhile is kept in the folder too: by `log`, or, with None, by one that passes it
    on. Raises `Interrupted` when asked to stop (the state is saved), `BeingTrained`, ValueError when its checkpoint is
    damaged, OSError when the folder cannot be written at all.
    """
    folder = resolved.folder(runs)
    checkpoint = folder / CHECKPOINT
    record = None if rerun else _completed(folder)
    if record is not None and not (checkpoint.exists() and os.access(folder, os.W_OK)):
        return record
    log = log or RunLog()
    with _alone_in(folder), log.opened(folder, stop=Interrupted):
        if rerun:
            for path in (folder / RECORD, folder / START, checkpoint, before(checkpoint)):
                path.unlink(missing_ok=True)
        record = _completed(folder)
        if record is None:
            told = (on_step, on_news, should_stop, save_every)
            record = _Run(resolved, folder, trackers, log, *told, from_start=rerun).execute()
        else:  # a kill came between the record and the end
            for tracker in trackers:
                tracker.start(folder)
        for tracker in trackers:
            tracker.finish(record)
        if record.status == "completed":
            (folder / ERROR).unlink(missing_ok=True)  # of an attempt before
            _clear(resolved, folder, {phase.name: phase.steps for phase in record.phases})
    return record


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Inside, no other process is at this run, and no half-written file lies there."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=_LOCK_SECONDS)
    try:
        held = lock.acquire()
    except Timeout:
        raise BeingTrained(f"{folder} is being trained by another process") from None
    with held:
        for half_written in folder.glob(".*.tmp"):  # a kill in the middle of a write leaves one
            half_written.unlink()
        yield


def _clear(resolved: Resolved, folder: Path, phases: Mapping[str, int]) -> None:
    """Remove the states that a completed run has no more need of; keep the one from which another may go on."""
    checkpoint = folder / CHECKPOINT
    ends_early = (
        resolved.run.last_phase and resolved.run.selection == "last"
    )  # else its weights are those of another step
    if ends_early and before(checkpoint).exists():
        before(checkpoint).replace(folder / PHASE_END)  # of the end of training, before its weights were evaluated
    before(checkpoint).unlink(missing_ok=True)
    for used in runs_before(resolved, folder.parent, phases):
        (used / PHASE_END).unlink(missing_ok=True)
    checkpoint.unlink(missing_ok=True)  # last: as long as it is there, something is left to do


def _completed(folder: Path) -> RunRecord | None:
    """The record of a run that need not be done again."""
    path = folder / RECORD
    record = read_record(path) if path.exists() else None
    return record if record is not None and record.status == "completed" else None


class TooLargeError(OSError):
    """A model of these sizes fits into no memory here: no property of the model, so no result."""


def _out_of_memory(error: BaseException) -> bool:
    """Python's, a GPU's or a library's there, or that of torch's CPU allocator, which has no class of its own."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


def _construct(model_class: type[Any], config: Any, spec: SequenceSpec, device: torch.device) -> TextGenerator:
    """The model with fresh weights. Raises `TooLargeError` that names its largest settings."""
    try:
        return built(model_class, config, spec).to(device)
    except (MemoryError, RuntimeError, TypeError) as error:
        if not _out_of_memory(error) and "overflow" not in str(error).lower():  # of the number of bytes
            raise
        sizes = {name: value for name, value in plain(config).items() if type(value) is int}
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        told = ", ".join(f"{name}={sizes[name]}" for name in largest)
        reason = (str(error) or "out of memory").splitlines()[0]
        raise TooLargeError(
            f"{model_class.__name__} with {told} does not fit in the memory of this machine: {reason}"
        ) from error


def run_start(resolved: Resolved, data: TextData, created_at: str) -> RunStart:
    """What is known of a run before its first step."""
    return RunStart(
        run_id=resolved.run_id,
        config_hash=resolved.config_hash,
        created_at=created_at,
        origin="run",
        model=resolved.model_name,
        model_config=resolved.model_settings,
        scale=resolved.run.scale,
        changed=resolved.changed,
        task=resolved.task_name,
        task_version=resolved.task.version,
        task_config=resolved.task_settings,
        sources=resolved.sources,
        run=resolved.run_settings,
        data_sha256=data.sha256,
        data_facts=data.facts,
        seed=resolved.run.seed,
        environment=describe_environment(resolved.device, resolved.run.threads),
    )


def _created_at(folder: Path) -> str:
    """When the run first started; now, if it does."""
    path = folder / START
    return read_start(path).created_at if path.exists() else datetime.now(UTC).isoformat(timespec="milliseconds")


def _with_attempts_before(start: RunStart, folder: Path) -> RunStart:
    """A run that goes on is of all the places where it was: `before.NAME` lists what a fact was, where it was another.

    A checkout with uncommitted changes stays one.
    """
    if not (folder / START).exists():
        return start
    was, now = read_start(folder / START).environment, dict(start.environment)
    for name in _OF_PLACE:
        known = [*was.get(f"{BEFORE}{name}", []), *([was[name]] if name in was else [])]
        if others := [value for value in dict.fromkeys(known) if value != now.get(name)]:
            now[f"{BEFORE}{name}"] = others
    if was.get("git.dirty"):
        now["git.dirty"] = True
    return dataclasses.replace(start, environment=now)


@dataclass
class _Run:
    """A run from its first step, or from its checkpoint, to its record."""

    resolved: Resolved
    folder: Path
    trackers: Sequence[Tracker]
    log: RunLog
    on_step: OnStep
    on_news: OnNews
    should_stop: Callable[[], bool]
    save_every: float
    from_start: bool = False
    """What other runs have trained is trained again."""
    state: TrainingState = field(default_factory=TrainingState)
    best: Weights = field(default_factory=dict)
    n_parameters: int | None = None
    data: TextData = field(init=False)
    start: RunStart = field(init=False)
    diary: Diary = field(init=False)

    def execute(self) -> RunRecord:
        """Load, build, resume, train, record."""
        use_precision(self.resolved.run.fp32_precision)
        self.data = self.resolved.task.load()
        if self.resolved.model_source is not None:
            write_atomic(self.folder / MODEL_SOURCE, self.resolved.model_source)
        self.start = run_start(self.resolved, self.data, _created_at(self.folder))
        if (self.folder / CHECKPOINT).exists() or before(self.folder / CHECKPOINT).exists():
            self.start = _with_attempts_before(self.start, self.folder)
        self.diary = Diary(self.folder, self.start)
        try:
            try:
                model, stream = self._build()
                self._cut()
            finally:  # only now the diary holds what belongs to this state and nothing more
                for tracker in self.trackers:
                    tracker.start(self.folder)
            self.log.note(f"{self.resolved.title()}: process {os.getpid()} {self._begins()}")
            self._trainer(model, stream).train()
            save_weights(self.folder / WEIGHTS, model)
            return self._record()
        except (Interrupted, CheckpointError, TooLargeError):  # no result of the model; the same run can be tried again
            self.diary.close()
            self._finish_later()
            raise
        except (Exception, SystemExit) as error:  # a model may call sys.exit
            if isinstance(error, OSError) or _out_of_memory(error):
                # A full disk or memory is no property of the model: nothing is recorded, and the run can go on.
                self._finish_later()
                reason = (
                    f"{str(error) or 'out of memory'}; what was saved is whole, and the same command goes on from it"
                )
                raise OSError(reason) from error
            # Whatever else a model does, its failure is a result and is recorded.
            # What it says may be no text that UTF-8 has.
            told = traceback.format_exc().encode(errors="backslashreplace")
            (self.folder / ERROR).write_bytes(told)
            self.log.note(told.decode().rstrip())
            said = f"{type(error).__name__}: {error}"[:_MOST_ERROR]
            return self._record(said.encode(errors="backslashreplace").decode())

    def _build(self) -> tuple[TextGenerator, BatchStream]:
        """The model and its data, as the seed or the checkpoint has them."""
        resolved, run = self.resolved, self.resolved.run
        torch.set_num_threads(run.threads)
        device = torch.device(resolved.device)
        if device.type == "cpu":
            keep_memory()
        if device.type == "cuda":
            torch.cuda.set_device(device.index or 0)  # its generator is the one that is seeded and saved
        seed_everything(derive(run.seed, "model"))
        config = resolved.model_config
        model = _construct(resolved.model_class, config, self.data.spec, device)
        if run.cuda_graphs and device.type == "cuda":
            model.graphs = Graphs(model.optimizers, Recorder())
        self.n_parameters = sum(p.numel() for p in model.parameters())
        stream = BatchStream(self.data.train, config.batch_size, shuffle=config.shuffle, seed=run.seed, device=device)
        saved = load_latest(self.folder / CHECKPOINT, model, stream, device, self.best)
        self.state = saved or self._first_phases(model, stream) or self.state
        return model, stream

    def _first_phases(self, model: TextGenerator, stream: BatchStream) -> TrainingState | None:
        """Go on from the end of the run that trained the first phases, if there is one. Raises `CheckpointError`."""
        phases = {phase.name: phase.steps for phase in checked_phases(model, self.resolved.run.last_phase)}
        source = None if self.from_start else run_before(self.resolved, self.folder.parent, phases, self.data)
        if source is None:
            return None
        try:
            state = load_checkpoint(source / PHASE_END, model, stream, stream.device)
        except DamagedError as error:
            _log.warning("%s; the run begins from its start", error)
            return None
        names = list(phases)
        state.phases += [PhaseCost(name=name, steps=0, seconds=0.0, real_sentences=0) for name in names[state.phase :]]
        state.phase -= 1  # it stands at the end of this phase, which is evaluated
        with open_regular(source / DIARY) as file:
            self.diary.begin(file.read(state.log_position))
        self.log.note(f"{self.resolved.title()}: {names[state.phase]} and what is before it are those of {source.name}")
        return state

    def _begins(self) -> str:
        return f"goes on after step {self.state.step}" if self.state.step else "begins"

    def _cut(self) -> None:
        """The diary, back to where the state is. Raises `CheckpointError` if it does not reach there."""
        try:
            self.diary.cut(self.state.log_position)
        except ValueError as error:
            raise CheckpointError(f"{error}; delete {self.folder / CHECKPOINT} to train from the start") from error

    def _trainer(self, model: TextGenerator, stream: BatchStream) -> Trainer:
        return Trainer(
            model=model,
            stream=stream,
            settings=self.resolved.run,
            state=self.state,
            evaluator=Evaluator(self.resolved, self.data, model, self.folder),
            diary=self.diary,
            trackers=self.trackers,
            checkpoint=self.folder / CHECKPOINT,
            on_step=self.on_step,
            on_news=self.on_news,
            should_stop=self.should_stop,
            save_every=self.save_every,
            best=self.best,
        )

    def _finish_later(self) -> None:
        for tracker in self.trackers:
            tracker.finish(None)

    def _record(self, error: str | None = None) -> RunRecord:
        """Write what came out, behind the whole diary."""
        record = self.start.ended(
            status="completed" if error is None else "failed",
            error=error,
            n_parameters=self.n_parameters,
            evaluations=tuple(self.state.evaluations),
            phases=tuple(self.state.phases),
            alarms=tuple(self.state.alarms),
        )
        self.diary.close()
        record.write(self.folder / RECORD)
        for alarm in record.alarms:
            self.log.note(f"alarm {alarm.kind} in {alarm.phase}, step {alarm.step}: {alarm.message}")
        self.log.note(record.status)
        return record


def load_run(
    folder: Path, device: str = "cpu", *, model_file: str | None = None, task_file: str | None = None
) -> tuple[TextGenerator, TextData, Any]:
    """The trained model of a finished run, its data and its task.

    Code in a file is imported only as `model_file` or `task_file`, never because the record names it. Raises ValueError
    if the run is not finished or the file is not the run's, KeyError if such a file is to be named.
    """
    if not (folder / RECORD).is_file():
        raise ValueError(f"{folder} holds no record.json: it is not the folder of a finished run")
    record = read_record(folder / RECORD)
    if not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{folder} holds no weights ({record.origin}, {record.status}): nothing can be sampled from it"
        )
    use_precision("ieee")
    model_class = find_recorded("models", record.model, model_file, "--model")
    code = code_hash(own_hashes(model_file, model_class)) if model_file else None
    if code is not None and record.model_code not in (None, code):
        raise ValueError(f"{model_file} is not the code of this run, which is kept in {folder / MODEL_SOURCE}")
    task_class = find_recorded("tasks", record.task, task_file, "--task")
    task = build(task_class, record.task_config, record.task)
    data = task.load()
    if data.sha256 != record.data_sha256:
        raise ValueError(f"the data of {record.task} have changed since this run: {data.sha256[:12]} now")
    return trained_model(record, folder, data, model_class, device), data, task


def trained_model(
    record: RunRecord, folder: Path, data: TextData, model_class: type[TextGenerator], device: str = "cpu"
) -> TextGenerator:
    """The model of a record with the weights beside it. Raises ValueError for another model's, or not finite ones."""
    config = build(model_class.Config, record.model_config, record.model)
    model = _construct(model_class, config, data.spec, torch.device(device))
    load_weights(folder / WEIGHTS, model, torch.device(device))
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ValueError(
                f"{folder / WEIGHTS}: {name} is not finite, the training diverged: no sentence can be drawn"
            )
    return model
