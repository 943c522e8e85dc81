"""What reads and writes and hardly computes: operations of a discriminator's step beside the speed of memory.

Each operation has to touch some bytes once: its inputs are read, its outputs written. `÷ copy` is its time over that of
`copy_` of arrays which are as many bytes together, the source read and the target written; what lies in a cache for the
one lies there for the other. The sizes are SeqGAN's: 20 words of 5,000, batches of 64, seven million parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn import functional

from baselines.common.fast import windows
from baselines.common.fast.kernels import drop_out
from baselines.common.networks.cnn import FILTERS, CNNClassifier
from baselines.common.spec import SequenceSpec
from baselines.common.training.optimizer import adam
from bench.environment import processor
from speed.measure import spread, table

__all__ = ["Operation", "Traffic", "main", "markdown", "measure", "operations"]

_SPEC = SequenceSpec(vocab_size=5_000, max_len=20, bos_id=0, pad_id=0, eos_id=0)
_BATCH, _WIDTH = 64, 64
_FLOAT = 4
"""Bytes."""


@dataclass(frozen=True)
class Operation:
    """Something done again and again."""

    name: str
    size: int
    """Bytes that it has to touch."""
    run: Callable[[], object]


@dataclass(frozen=True)
class Traffic:
    """How fast an operation touches its bytes."""

    name: str
    size: int
    seconds: Sequence[float]
    """Of each turn."""
    copy_seconds: Sequence[float]

    @property
    def times_a_copy(self) -> float:
        """Of the medians."""
        return spread(self.seconds)[0] / spread(self.copy_seconds)[0]


def operations(spec: SequenceSpec = _SPEC, batch: int = _BATCH) -> list[Operation]:
    """Those of one step of SeqGAN's discriminator, and of its widest bank of filters."""
    torch.manual_seed(0)
    gan = CNNClassifier(spec, embedding_dim=_WIDTH)
    optimizer, trained = adam(gan, 1e-4), list(gan.parameters())
    for parameter in trained:
        parameter.grad = torch.randn_like(parameter)
    n = sum(parameter.numel() for parameter in trained)
    tokens = torch.randint(spec.vocab_size, (batch, spec.max_len))
    embedded, vocabulary = torch.randn(batch, spec.max_len, _WIDTH), gan.embedding.weight.numel()
    size = min(2, spec.max_len)
    places = spec.max_len - size + 1
    responses, spare = (torch.randn(batch, places, FILTERS[2]) for _ in range(2))
    highest, features = responses.amax(1), torch.randn(batch, gan.gate.out_features)
    rows = torch.arange(batch)[:, None] * places + windows._positions(responses.clone(), highest)
    rows, slopes = rows.t().contiguous(), torch.randn(FILTERS[2], batch)
    words = windows._windows(embedded, size)

    def positions() -> Tensor:
        spare.copy_(responses)
        return windows._positions(spare, highest)

    def filter_gradient() -> Tensor:
        return functional.embedding_bag(rows, words, per_sample_weights=slopes, mode="sum")

    return [
        Operation("Adam", 7 * n * _FLOAT, optimizer.step),  # value, gradient and both means; all but the gradient anew
        Operation(
            "gradient of the embedding",
            (vocabulary + embedded.numel()) * _FLOAT,
            lambda: torch.ops.aten.embedding_dense_backward(embedded, tokens, spec.vocab_size, -1, False),
        ),
        Operation(
            "windows of 2 words", (embedded.numel() + words.numel()) * _FLOAT, lambda: windows._windows(embedded, size)
        ),
        Operation("maxima of 200 filters", (responses.numel() + highest.numel()) * _FLOAT, lambda: responses.amax(1)),
        Operation("their positions", (3 * responses.numel() + 3 * highest.numel()) * _FLOAT, positions),
        Operation("gradient of 200 filters", (rows.numel() + len(slopes)) * size * _WIDTH * _FLOAT, filter_gradient),
        Operation("dropout", 2 * features.numel() * _FLOAT, lambda: drop_out(features, 0.25)),
    ]


def measure(operation: Operation, turns: int, least: float) -> Traffic:
    """In turns with a copy, each for at least so many seconds; CPU time."""
    source = torch.randn(max(1, operation.size // (2 * _FLOAT)))
    target = torch.empty_like(source)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        for calls, seconds in zip((operation.run, lambda: target.copy_(source)), found, strict=True):
            seconds.append(_timed(calls, least))
    return Traffic(operation.name, operation.size, *found)


def _timed(call: Callable[[], object], least: float) -> float:
    """CPU seconds of a call."""
    call()
    done, many, begun, spent = 0, 1, time.process_time(), 0.0
    while not spent or spent < least:
        for _ in range(many):
            call()
        done, many, spent = done + many, 2 * many, time.process_time() - begun
    return spent / done


def markdown(found: Sequence[Traffic]) -> str:
    """A row for each operation."""
    rows = []
    for one in found:
        median, low, high = spread(one.seconds)
        rows.append(
            (
                one.name,
                f"{one.size / 1e6:.2f}",
                f"{1e6 * median:,.0f} ({1e6 * low:,.0f} to {1e6 * high:,.0f})",
                f"{one.size / median / 1e9:.1f}",
                f"{one.times_a_copy:.2f}",
            )
        )
    return table(("operation", "MB", "µs", "GB/s", "÷ copy"), rows, text=("operation",))


def main(
    turns: Annotated[int, typer.Option(min=1)] = 5,
    least: Annotated[float, typer.Option(min=0, help="CPU seconds of a turn.")] = 0.5,
) -> None:
    """Print how far each operation is from the speed of memory."""
    torch.set_num_threads(1)
    typer.echo(f"{processor()}, torch {torch.__version__}, one thread\n")
    with torch.no_grad():
        typer.echo(markdown([measure(operation, turns, least) for operation in operations()]))


if __name__ == "__main__":
    typer.run(main)
