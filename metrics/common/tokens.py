"""Sentences as one flat array of integers: what every n-gram metric reads. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokens"]

BLOCK = 10_000  # sentences whose words are numbered at a time


@dataclass(frozen=True, eq=False)
class Tokens:
    """N sentences of any length. Sentence i is `flat[offsets[i] : offsets[i + 1]]`.

    Ids are non-negative and only their equality matters. `Tokens` that are compared with one another must share one
    numbering of words.
    """

    flat: NDArray[np.int64]
    """(total,) ids of all sentences, end to end."""
    offsets: NDArray[np.int64]
    """(N + 1,) where each sentence begins; the last entry is the total."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each sentence."""
        return np.diff(self.offsets)

    def sentence(self, index: int) -> NDArray[np.int64]:
        """The ids of one sentence."""
        return self.flat[self.offsets[index] : self.offsets[index + 1]]

    @staticmethod
    def from_rows(rows: NDArray[np.int64], eos_id: int | None) -> Tokens:
        """(N, T) ids -> sentences, each cut before its first `eos_id`; None: every row has T tokens."""
        n, width = rows.shape
        if eos_id is None:
            return Tokens(np.ascontiguousarray(rows, np.int64).reshape(-1), np.arange(n + 1, dtype=np.int64) * width)
        before_end = np.logical_and.accumulate(rows != eos_id, axis=1)
        offsets = np.concatenate([[0], np.cumsum(before_end.sum(axis=1))]).astype(np.int64)
        return Tokens(rows[before_end].astype(np.int64), offsets)

    @staticmethod
    def from_words(sentences: Iterable[Sequence[str]], numbering: dict[str, int]) -> Tokens:
        """Sentences of words -> ids by `numbering`, which grows by each new word."""
        flat = [np.zeros(0, np.int64)]
        lengths = [0]
        remaining = iter(sentences)
        while block := list(islice(remaining, BLOCK)):
            words = list(chain.from_iterable(block))
            for word in dict.fromkeys(words):
                numbering.setdefault(word, len(numbering))
            flat.append(np.fromiter(map(numbering.__getitem__, words), np.int64, len(words)))
            lengths.extend(map(len, block))
        return Tokens(np.concatenate(flat), np.cumsum(lengths, dtype=np.int64))

    def followed_by(self, others: Tokens) -> Tokens:
        """These sentences, then the others."""
        offsets = np.concatenate([self.offsets, len(self.flat) + others.offsets[1:]])
        return Tokens(np.concatenate([self.flat, others.flat]), offsets)

    def select(self, rows: NDArray[np.int64]) -> Tokens:
        """The sentences at the given indices, in that order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Tokens(self.flat[starts + np.arange(offsets[-1])], offsets)
