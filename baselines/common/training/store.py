"""Training sentences kept inside a model, so that checkpoints have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.common.spec import SequenceSpec
from baselines.common.training.counter import Counter

__all__ = ["SentenceStore"]


class SentenceStore(nn.Module):
    """Room for a number of batches of the stream."""

    def __init__(self, spec: SequenceSpec, *, batches: int, batch_size: int) -> None:
        super().__init__()
        self.rows: Tensor
        self.register_buffer("rows", torch.zeros(batches, batch_size, spec.max_len, dtype=torch.int64))
        self.filled = Counter()

    def add(self, batch: Tensor) -> Tensor:
        """Keep one batch (B, T) -> how many sentences are stored, to be logged."""
        self.rows[self.filled.value] = batch
        self.filled.advance()
        return torch.tensor(self.filled.value * self.rows.shape[1])

    def sentences(self) -> Tensor:
        """(N, T): what is stored, up to where a stream in fixed order begins again. Raises ValueError if empty."""
        stored = self.rows[: self.filled.value]
        if not len(stored):
            raise ValueError("no training sentence is stored yet; train the model first")
        begins = (stored[1:] == stored[0]).all(2).all(1).nonzero().flatten() + 1
        for k in begins.tolist():
            if torch.equal(stored[k:], stored[: len(stored) - k]):
                return stored[:k].flatten(0, 1)
        return stored.flatten(0, 1)
