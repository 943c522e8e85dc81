"""How long a step takes on this machine: a few steps of each kind, tried and thrown away.

Where steps take turns (`Turns`) each kind is measured once, and a phase's step is the mean of a round. The time that
drawing a discriminator's pool takes is shared out over the steps that are taken of the pool. Of a few steps the fastest
counts: some of the first take five times as long (RelGAN's third), where numbers are so small that processors are slow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import torch
from torch import Tensor

from baselines.common.fast.graphs import Graphs, Recorder
from baselines.common.interface import Phase, Step, TextGenerator
from baselines.common.training.state import DiscriminatorPool, Turns
from bench.config import Resolved
from bench.randomness import isolated
from bench.run.batches import BatchStream
from bench.run.contract import built, checked_phases
from bench.run.hardware import keep_memory, use_precision
from bench.task import TextData

__all__ = ["ready", "seconds_per_step"]

_STEPS = 20
"""At most, of each kind. What comes once in many steps and is neither a turn nor a pool is not seen."""
_LEAST, _SECONDS = 5, 5.0
"""Steps after which no further one of a kind is begun when so many seconds are over."""
_WARM_UP, _WARM_UP_OF_GRAPHS = 1, 5
"""Steps that are not counted."""


def seconds_per_step(resolved: Resolved, data: TextData) -> dict[str, float]:
    """Phase -> seconds of a step on the run's device, with its threads and precision. Nothing is written.

    Phases come in their order, as one may need what another made; a phase whose step raises, and all after it, have no
    time: the run will tell why.
    """
    found: dict[str, float] = {}
    # An error is met by the run, which records it.
    with suppress(Exception), ready(resolved, data) as (model, phases, stream):
        watch = _Watch(model, stream, _WARM_UP_OF_GRAPHS if _replays(resolved) else _WARM_UP)
        for phase in phases:
            found[phase.name] = watch.of_phase(phase)
    return found


def _replays(resolved: Resolved) -> bool:
    return resolved.run.cuda_graphs and torch.device(resolved.device).type == "cuda"


@contextmanager
def ready(resolved: Resolved, data: TextData) -> Iterator[tuple[TextGenerator, list[Phase], BatchStream]]:
    """A fresh model, its phases and its sentences, on the run's device, with its threads and precision inside."""
    run, device = resolved.run, torch.device(resolved.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(run.threads)
    use_precision(run.fp32_precision)
    keep_memory()
    try:
        with isolated(0):
            model = built(resolved.model_class, resolved.model_config, data.spec).to(device).train()
            if _replays(resolved):
                model.graphs = Graphs(model.optimizers, Recorder())
            config = resolved.model_config
            stream = BatchStream(data.train, config.batch_size, shuffle=config.shuffle, seed=run.seed, device=device)
            yield model, list(checked_phases(model, run.last_phase)), stream
    finally:
        torch.set_num_threads(threads)
        use_precision("ieee")


class _Watch:
    """Times steps of one model, those of each kind once."""

    def __init__(self, model: TextGenerator, stream: BatchStream, warm_up: int) -> None:
        self._stream = stream
        self._warm_up = warm_up
        self._known: dict[Step, float] = {}
        self._pools = [_Pool(m, self._now) for m in model.modules() if isinstance(m, DiscriminatorPool)]

    def of_phase(self, phase: Phase) -> float:
        """Seconds of a step, on average over a round."""
        if not isinstance(phase.step, Turns):
            return self._of_kind(phase.step, phase.step, phase.steps)
        turns, begin, seconds = phase.step, 0, 0.0
        for n, kind in turns.turns:
            seconds += n * self._of_kind(kind, partial(_at, turns, begin), n * phase.steps)
            begin += n
        return seconds / turns.steps

    def _of_kind(self, kind: Step, step: Step, most: int) -> float:
        """Seconds of a step of this kind, by at most so many of them."""
        if kind not in self._known:
            for _ in range(min(self._warm_up, most - 1)):
                step(self._stream)
            begun = time.perf_counter()
            times: list[float] = []
            while len(times) < min(_STEPS, most) and (len(times) < _LEAST or time.perf_counter() - begun < _SECONDS):
                times.append(self._of_one(step))
            self._known[kind] = min(times, default=0.0) + sum(pool.of_a_step for pool in self._pools)
        return self._known[kind]

    def _of_one(self, step: Step) -> float:
        """Seconds of this step, without those in which a pool was drawn."""
        for pool in self._pools:
            pool.begin()
        begun = self._now()
        step(self._stream)
        return self._now() - begun - sum(pool.seconds for pool in self._pools)

    def _now(self) -> float:
        """Seconds, when a GPU has done all that it was given."""
        if self._stream.device.type == "cuda":
            torch.cuda.synchronize(self._stream.device)
        return time.perf_counter()


class _Pool:
    """How long a pool takes to be drawn."""

    def __init__(self, pool: DiscriminatorPool, now: Callable[[], float]) -> None:
        self._pool = pool
        self._now = now
        self._taken = 0
        self._last = 0.0
        self.seconds = 0.0
        """In which it was drawn in this step."""
        pool.drawing = self._drawing

    def begin(self) -> None:
        """Of a step that is timed."""
        self._taken, self.seconds = self._pool.taken.value, 0.0

    @property
    def of_a_step(self) -> float:
        """Seconds of its last drawing that the step timed has to bear; 0 if it took nothing of the pool."""
        return self._last / self._pool.steps if self._pool.taken.value > self._taken else 0.0

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        begun = self._now()
        yield
        self._last = self._now() - begun
        self.seconds += self._last


def _at(turns: Turns, begin: int, batches: BatchStream) -> Mapping[str, Tensor]:
    """A step of the turn that begins there, whichever is next."""
    turns.counter.value = begin
    return turns(batches)
