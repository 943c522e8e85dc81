"""How long a step takes on this machine: a few steps of each phase, tried and thrown away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from baselines.common.fast.graphs import Graphs, Recorder
from baselines.common.interface import Phase
from bench.config import Resolved
from bench.randomness import isolated
from bench.run.batches import BatchStream
from bench.run.contract import built, checked_phases
from bench.run.hardware import use_precision
from bench.task import TextData

__all__ = ["ready", "seconds_per_step"]

_STEPS = 20
"""At most, of each phase: its steps may differ, and what comes once in many steps is then not seen."""
_SECONDS = 5.0
"""After which no further step of a phase is begun."""
_WARM_UP, _WARM_UP_OF_GRAPHS = 1, 5
"""Steps that are not counted."""


def seconds_per_step(resolved: Resolved, data: TextData) -> dict[str, float]:
    """Phase -> seconds of a step on the run's device, with its threads and precision. Nothing is written.

    Phases come in their order, as one may need what another made; a phase whose step raises, and all after it, have no
    time: the run will tell why.
    """
    found: dict[str, float] = {}
    with suppress(Exception), ready(resolved, data) as (phases, stream):  # an error is met by the run, which records it
        warm_up = _WARM_UP_OF_GRAPHS if _replays(resolved) else _WARM_UP
        for phase in phases:
            found[phase.name] = _timed(phase, stream, warm_up)
    return found


def _replays(resolved: Resolved) -> bool:
    return resolved.run.cuda_graphs and torch.device(resolved.device).type == "cuda"


@contextmanager
def ready(resolved: Resolved, data: TextData) -> Iterator[tuple[list[Phase], BatchStream]]:
    """The phases of a fresh model and its sentences, on the run's device, with its threads and precision inside."""
    run, device = resolved.run, torch.device(resolved.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(run.threads)
    use_precision(run.fp32_precision)
    try:
        with isolated(0):
            model = built(resolved.model_class, resolved.model_config, data.spec).to(device).train()
            if _replays(resolved):
                model.graphs = Graphs(model.optimizers, Recorder())
            config = resolved.model_config
            stream = BatchStream(data.train, config.batch_size, shuffle=config.shuffle, seed=run.seed, device=device)
            yield list(checked_phases(model, run.last_phase)), stream
    finally:
        torch.set_num_threads(threads)
        use_precision("ieee")


def _timed(phase: Phase, stream: BatchStream, warm_up: int) -> float:
    """Seconds of a step, on average over a few that come after the first."""
    for _ in range(min(warm_up, phase.steps - 1)):
        phase.step(stream)
    _wait(stream.device)
    begun, done = time.perf_counter(), 0
    while done < min(_STEPS, phase.steps) and (not done or time.perf_counter() - begun < _SECONDS):
        phase.step(stream)
        done += 1
    _wait(stream.device)
    return (time.perf_counter() - begun) / done if done else 0.0


def _wait(device: torch.device) -> None:
    """Until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
