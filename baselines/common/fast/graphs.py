"""Steps of fixed shapes, recorded once as a CUDA graph and replayed: one launch for some hundred kernels.

Gain: on a GPU, in steps so small that launching their kernels takes longer than the kernels. The plain form, the step
itself, gives the same bit for bit.

A graph repeats kernels on the addresses and with the numbers of its recording, and no Python. So a step that is
`replayed` is a function of tensors whose result depends on nothing on the host: what counts, waits for the device, or
changes a number from step to step is done outside it, or keeps it from being recorded. Random numbers go on as without
graphs: torch's generator of the GPU is moved at each replay. Spectral norms iterate in hooks of the optimiser, on
tensors alone, and so are recorded with its step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["Graphs", "Recorder", "replayed"]

Values = Mapping[str, Tensor]
Step = Callable[..., Values]

_COUNTING = ("ema_decay", "historical_averaging")
"""Settings whose averages count updates on the host."""
_WARM_UP = 3
"""Steps before the recording: states of optimisers, workspaces and plans are made in them."""


class Recorder:
    """Records what is called, on a stream of its own, as CUDA asks."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def aside(self, call: Callable[[], Values]) -> Values:
        """Do it as it is, on the stream of the recording."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            values = call()
        torch.cuda.current_stream().wait_stream(self._stream)
        return values

    def record(self, call: Callable[[], Values]) -> tuple[Values, Callable[[], None]]:
        """Record it without doing it -> what each replay fills, in memory of the graph's own, and the replay."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            values = call()
        return values, graph.replay


class Graphs:
    """The recordings of one model, by step and by the shapes of its inputs. The model is not moved any more."""

    def __init__(self, optimizers: Mapping[str, Optimizer], recorder: Recorder) -> None:
        self._optimizers, self._recorder = list(optimizers.values()), recorder
        self._recordings: dict[Any, _Recording] = {}
        for optimizer in self._optimizers:  # a state that is loaded has new addresses
            optimizer.register_load_state_dict_post_hook(lambda _: self._recordings.clear())

    def run(self, step: Step, model: Any, inputs: Sequence[Tensor]) -> Values:
        """`step(model, *inputs)`: as it is at first, then from the recording."""
        key = (step, *((x.shape, x.dtype, x.device) for x in inputs))
        recording = self._recordings.setdefault(key, _Recording())
        if recording.warm < _WARM_UP:
            recording.warm += 1
            return self._recorder.aside(lambda: step(model, *inputs))
        if recording.replay is None:
            recording.inputs = [x.clone() for x in inputs]
            with _capturable(self._optimizers):
                recording.values, recording.replay = self._recorder.record(lambda: step(model, *recording.inputs))
        for buffer, x in zip(recording.inputs, inputs, strict=True):
            buffer.copy_(x)
        recording.replay()
        return {name: value.clone() for name, value in recording.values.items()}  # the next replay writes there


class _Recording:
    def __init__(self) -> None:
        self.warm = 0
        self.inputs: list[Tensor] = []
        self.values: Values = {}
        self.replay: Callable[[], None] | None = None


@contextmanager
def _capturable(optimizers: Sequence[Optimizer]) -> Iterator[None]:
    """Inside, fused Adam lets itself be recorded; what it computes is the same."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    before = [group.get("capturable", False) for group in groups]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group, value in zip(groups, before, strict=True):
            group["capturable"] = value


def replayed(*, unless: Sequence[str] = ()) -> Callable[[Step], Step]:
    """Mark a step, a method of a model that takes tensors alone, to be replayed where the model has `graphs`.

    `unless` names settings that, where they are on, make it depend on the host.
    """

    def mark(step: Step) -> Step:
        @functools.wraps(step)
        def run(model: Any, *inputs: Tensor) -> Values:
            if model.graphs is None or any(getattr(model.config, name, 0) for name in (*_COUNTING, *unless)):
                return step(model, *inputs)
            values: Values = model.graphs.run(step, model, inputs)
            return values

        return run

    return mark
