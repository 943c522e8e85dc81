"""The endless stream of real sentences that a step draws from: counted, resumable, on the device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.randomness import derive

__all__ = ["BatchStream"]


class BatchStream(Iterator[Tensor]):
    """Batches (B, T) of one data tensor, without end. Only whole batches: the rest of an epoch is left out.

    The order of an epoch depends on the seed and the epoch alone, so the position is two integers and every model
    with one seed sees the same order. Without shuffling, each epoch is the file's order, as in the released code of
    the SeqGAN line.
    """

    def __init__(
        self, sentences: NDArray[np.int64], batch_size: int, *, shuffle: bool, seed: int, device: torch.device
    ):
        if len(sentences) < batch_size:
            raise ValueError(
                f"the task has {len(sentences)} training sentences, less than one batch of {batch_size}; "
                f"set batch_size to at most {len(sentences)}"
            )
        self._sentences = torch.from_numpy(sentences).to(device)
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._seed = seed
        self._per_epoch = len(sentences) // batch_size
        self._batches_taken = 0
        self._order_epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def device(self) -> torch.device:
        """Where the sentences are."""
        return self._sentences.device

    @property
    def sentences_taken(self) -> int:
        """Real sentences handed out so far."""
        return self._batches_taken * self._batch_size

    def __next__(self) -> Tensor:
        epoch, batch = divmod(self._batches_taken, self._per_epoch)
        self._batches_taken += 1
        start = batch * self._batch_size
        if not self._shuffle:
            return self._sentences[start : start + self._batch_size]
        if epoch != self._order_epoch:
            generator = torch.Generator().manual_seed(derive(self._seed, "batches", epoch))
            self._order = torch.randperm(len(self._sentences), generator=generator).to(self._sentences.device)
            self._order_epoch = epoch
        return self._sentences[self._order[start : start + self._batch_size]]

    def state(self) -> int:
        """Batches taken: all that a checkpoint needs."""
        return self._batches_taken

    def restore(self, state: int) -> None:
        """Go to where `state` was read."""
        self._batches_taken = state
