"""One run, from a resolved configuration to a record: the whole flow, read top to bottom in `run`."""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from baselines.common.fast.graphs import Graphs, Recorder
from baselines.common.interface import TextGenerator
from bench.batches import BatchStream
from bench.config import Resolved, build
from bench.environment import describe_environment
from bench.randomness import derive, seed_everything
from bench.record import Alarm, Evaluation, PhaseCost, RunRecord, RunStart, read_record
from bench.registry import find
from bench.run.checkpoint import Progress, load_checkpoint, load_weights, save_checkpoint, save_weights
from bench.run.hardware import exact_products, use_precision
from bench.run.trainer import At, DivergedError, Interrupted, train
from bench.run_folder import CHECKPOINT, ERROR, RECORD, WEIGHTS, samples_name
from bench.score.drawing import collapse, draw, log_prob_of, state_problem
from bench.score.scoring import metric_inputs, score, write_samples
from bench.task import TextData
from bench.tracking.jsonl import JsonlTracker, created_at
from bench.tracking.tracker import Tracker
from metrics.common.tokens import Tokens

__all__ = ["Report", "load_run", "run", "run_start"]

Report = Callable[[str, int, int], None]
"""(phase, steps done, steps of the phase)."""

_LOCK_SECONDS = 10
"""A run that was just told to stop needs a moment to save."""


def run(
    resolved: Resolved,
    runs: Path,
    *,
    trackers: Sequence[Tracker] = (),
    report: Report = lambda *_: None,
    should_stop: Callable[[], bool] = lambda: False,
    rerun: bool = False,
    save_every: float = 60.0,
) -> RunRecord:
    """Train, draw, score, and write the record; what is finished is returned as it is.

    A killed or failed run goes on from its last checkpoint. A failure is recorded, with its traceback in `error.txt`,
    and returned. Raises `Interrupted` when asked to stop (the state is saved), ValueError when another process is at
    this very run, OSError when the folder cannot be written at all.
    """
    folder = resolved.folder(runs)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=_LOCK_SECONDS):
            for half_written in folder.glob(".*.tmp"):  # a kill in the middle of a write leaves one
                half_written.unlink()
            if rerun:
                for name in (RECORD, CHECKPOINT):
                    (folder / name).unlink(missing_ok=True)
            elif (folder / RECORD).exists():
                record = read_record(folder / RECORD)
                if record.status == "completed":
                    return record
            session = _Session(resolved, folder, JsonlTracker(), trackers, report, should_stop)
            return session.execute(save_every)
    except Timeout:
        raise ValueError(f"{folder} is being trained by another process") from None


def run_start(resolved: Resolved, data: TextData, created_at: str) -> RunStart:
    """What is known of a run before its first step."""
    return RunStart(
        run_id=resolved.run_id,
        config_hash=resolved.config_hash,
        created_at=created_at,
        origin="run",
        model=resolved.run.model,
        model_config=resolved.model_settings,
        scale=resolved.run.scale,
        task=resolved.run.task,
        task_version=resolved.task.version,
        task_config=resolved.task_settings,
        run=resolved.run_settings,
        data_sha256=data.sha256,
        data_facts=data.facts,
        seed=resolved.run.seed,
        environment=describe_environment(resolved.device, resolved.run.threads),
    )


@dataclass
class _Session:
    """What a run needs while it goes on; the trainer's hooks."""

    resolved: Resolved
    folder: Path
    diary: JsonlTracker
    mirrors: Sequence[Tracker]
    report: Report
    should_stop: Callable[[], bool]
    progress: Progress = field(default_factory=Progress)
    started: list[Tracker] = field(default_factory=list)
    n_parameters: int | None = None
    start: RunStart = field(init=False)
    data: TextData = field(init=False)
    model: TextGenerator = field(init=False)
    stream: BatchStream = field(init=False)

    def execute(self, save_every: float) -> RunRecord:
        """Load, build, resume, train, record."""
        use_precision(self.resolved.run.fp32_precision)
        self.data = self.resolved.task.load()
        first = created_at(self.folder) or datetime.now(UTC).isoformat(timespec="milliseconds")
        self.start = run_start(self.resolved, self.data, first)
        self.diary.start(self.start, self.folder)
        try:
            self._build()
            self.diary.truncate(self.progress.log_position)  # what came after the checkpoint happens again
            self._start_mirrors()
            train(self.model, self.stream, self.resolved.run, self.progress, self, save_every=save_every)
            save_weights(self.folder / WEIGHTS, self.model)
            record = self._finish("completed")
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        except Interrupted:
            self._tell(lambda tracker: tracker.finish(None))
            raise
        except OSError as error:
            # A full disk is no property of the model: nothing is recorded, and the run can go on.
            for mirror in self.started:
                mirror.finish(None)
            raise OSError(f"{error}; what was saved is whole, and the same command goes on from it") from error
        except Exception as error:  # noqa: BLE001 - whatever a model does, its failure is a result and is recorded
            (self.folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
            return self._finish("failed", f"{type(error).__name__}: {error}")
        return record

    def _build(self) -> None:
        resolved, run = self.resolved, self.resolved.run
        torch.set_num_threads(run.threads)
        device = torch.device(resolved.device)
        if device.type == "cuda":
            torch.cuda.set_device(device.index or 0)  # its generator is the one that is seeded and saved
        seed_everything(derive(run.seed, "model"))
        self.model = resolved.model_class(resolved.model_config, self.data.spec).to(device)
        if run.cuda_graphs and device.type == "cuda":
            self.model.graphs = Graphs(self.model.optimizers, Recorder())
        self.n_parameters = sum(p.numel() for p in self.model.parameters())
        config = resolved.model_config
        self.stream = BatchStream(
            self.data.train, config.batch_size, shuffle=config.shuffle, seed=run.seed, device=device
        )
        if (self.folder / CHECKPOINT).exists():
            self.progress = load_checkpoint(self.folder / CHECKPOINT, self.model, self.stream, device)

    def _start_mirrors(self) -> None:
        """Once, when the diary holds what belongs to this state and nothing more: a mirror reads it."""
        for mirror in self.mirrors[len(self.started) :]:
            mirror.start(self.start, self.folder)
            self.started.append(mirror)

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        for tracker in (self.diary, *self.started):
            what(tracker)

    def _finish(self, status: str, error: str | None = None) -> RunRecord:
        progress = self.progress
        record = self.start.ended(
            status="completed" if status == "completed" else "failed",
            error=error,
            n_parameters=self.n_parameters,
            evaluations=tuple(progress.evaluations),
            phases=tuple(PhaseCost(**dataclasses.asdict(phase)) for phase in progress.phases),
            alarms=tuple(progress.alarms),
        )
        record.write(self.folder / RECORD)
        self._start_mirrors()
        self._tell(lambda tracker: tracker.finish(record))
        return record

    # The trainer's hooks.

    def log(self, values: Mapping[str, float], *, phase: str, step: int) -> None:
        """Training values at a step."""
        now = time.time()
        self._tell(lambda tracker: tracker.log(values, phase=phase, step=step, time=now))

    def alarm(self, alarm: Alarm) -> None:
        """Tell the trackers."""
        now = time.time()
        self._tell(lambda tracker: tracker.alarm(alarm, time=now))

    def save(self, progress: Progress) -> None:
        """Write a checkpoint that says how much of the log belongs to it."""
        progress.log_position = self.diary.position()
        save_checkpoint(self.folder / CHECKPOINT, self.model, self.stream, progress)

    def evaluate(self, phase: str, step: int, at: At) -> tuple[list[Evaluation], str | None]:
        """Draw and score, at every temperature at the end; what looks like a collapse."""
        run = self.resolved.run
        if broken := state_problem(self.model):
            raise DivergedError(f"{broken} is not finite after step {step}, so the model cannot be sampled")
        evaluations, collapsed = [], None
        for temperature in run.temperatures if at == "end" else (1.0,):
            with exact_products(otherwise=run.fp32_precision):
                evaluation, samples = self._evaluate_at(phase, step, at, temperature)
            evaluations.append(evaluation)
            if samples is not None and temperature == 1.0:
                collapsed = collapse(samples, self.data.training, run.alarm_unique, run.alarm_entropy)
        now = time.time()
        for evaluation in evaluations:
            self._tell(lambda tracker, e=evaluation: tracker.evaluation(e, time=now))  # type: ignore[misc]
        return evaluations, collapsed

    def _evaluate_at(self, phase: str, step: int, at: At, temperature: float) -> tuple[Evaluation, Tokens | None]:
        run = self.resolved.run
        seed = derive(run.seed, "samples", step, round(1000 * temperature))
        place: dict[str, Any] = {"phase": phase, "step": step, "at": at, "temperature": temperature}
        try:
            ids = draw(self.model, run.n_samples, seed=seed, temperature=temperature)
        except ValueError as error:
            if temperature == 1.0:
                raise
            skipped = {metric.name: str(error) for metric in self.resolved.metrics}
            return Evaluation(**place, scores={}, skipped=skipped), None
        samples = Tokens.from_rows(ids, self.data.spec.eos_id)
        likelihood = log_prob_of(self.model, torch.device(self.resolved.device)) if temperature == 1.0 else None
        scores, skipped = score(self.resolved.metrics, metric_inputs(self.data, samples, likelihood))
        if temperature != 1.0:
            for metric in self.resolved.metrics:
                if "model_log_prob" in metric.needs:
                    skipped[metric.name] = f"{metric.name} is measured at temperature 1 only"
        name, sha256 = None, None
        if at != "cadence":
            name = samples_name(phase, at, temperature)
            sha256 = write_samples(self.folder / name, self.data.vocabulary.sentences(samples))
        return Evaluation(**place, scores=scores, skipped=skipped, samples_file=name, samples_sha256=sha256), samples


def load_run(folder: Path, device: str = "cpu") -> tuple[TextGenerator, TextData, Any]:
    """The trained model of a finished run, its data and its task. Raises ValueError if the run is not finished."""
    if not (folder / RECORD).is_file():
        raise ValueError(f"{folder} holds no record.json: it is not the folder of a finished run")
    record = read_record(folder / RECORD)
    if not (folder / WEIGHTS).is_file():
        raise ValueError(
            f"{folder} holds no weights ({record.origin}, {record.status}): nothing can be sampled from it"
        )
    use_precision("ieee")
    model_class, task_class = find("models", record.model), find("tasks", record.task)
    task = build(task_class, record.task_config, record.task)
    data = task.load()
    if data.sha256 != record.data_sha256:
        raise ValueError(f"the data of {record.task} have changed since this run: {data.sha256[:12]} now")
    model = model_class(build(model_class.Config, record.model_config, record.model), data.spec).to(device)
    load_weights(folder / WEIGHTS, model, torch.device(device))
    return model, data, task
