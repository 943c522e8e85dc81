"""Sentences of numbers, as tests write them down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from baselines.common.spec import SequenceSpec
from metrics.common.tokens import Tokens

__all__ = ["Sentences", "end", "padded", "tokens"]

Sentences = Sequence[Sequence[int]]


def tokens(sentences: Sentences) -> Tokens:
    """As metrics read them."""
    flat = [word for sentence in sentences for word in sentence]
    return Tokens(np.array(flat, np.int64), np.cumsum([0, *map(len, sentences)], dtype=np.int64))


def end(row: list[int], spec: SequenceSpec) -> int:
    """Tokens of a sentence, its end token included."""
    return row.index(spec.eos_id) + 1 if spec.eos_id in row else len(row)


def padded(row: list[int], spec: SequenceSpec) -> list[int]:
    """The same with padding behind its end."""
    stop = end(row, spec)
    return row[:stop] + [spec.pad_id or 0] * (len(row) - stop)
