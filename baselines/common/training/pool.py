"""The training set of a discriminator in the SeqGAN line: drawn anew from time to time, used several times."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from baselines.common.interface import Batches
from baselines.common.spec import SequenceSpec
from baselines.common.training.counter import Counter

__all__ = ["DiscriminatorPool"]


class DiscriminatorPool(nn.Module):
    """Real and freshly generated sentences, half and half, shuffled once; each epoch has the same batches.

    `batches` counts those of real sentences in a pool: `2 batches epochs` training batches come from one pool.
    """

    def __init__(self, spec: SequenceSpec, *, batches: int, batch_size: int, epochs: int) -> None:
        super().__init__()
        self._batches = batches
        self._batch_size = batch_size
        self._epochs = epochs
        self.tokens: Tensor
        self.real: Tensor
        n = 2 * batches * batch_size
        self.register_buffer("tokens", torch.zeros(n, spec.max_len, dtype=torch.int64))
        self.register_buffer("real", torch.zeros(n, dtype=torch.int64))
        self.taken = Counter()

    def next(self, stream: Batches, sample: Callable[[int], Tensor]) -> tuple[Tensor, Tensor]:
        """The next sentences (B, T) and their labels (B,), 1 for real; where the pool is used up, of a new one."""
        per_epoch = 2 * self._batches
        if self.taken.value % (per_epoch * self._epochs) == 0:
            self._fill(stream, sample)
        start = self.taken.value % per_epoch * self._batch_size
        self.taken.advance()
        batch = slice(start, start + self._batch_size)
        return self.tokens[batch], self.real[batch]

    def _fill(self, stream: Batches, sample: Callable[[int], Tensor]) -> None:
        real = torch.cat([next(stream) for _ in range(self._batches)])
        sentences = torch.cat([real, sample(len(real))])
        order = torch.randperm(len(sentences), device=real.device)
        self.tokens.copy_(sentences[order])
        self.real.copy_(order < len(real))
