"""Sentences of numbers, as tests write them down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.common.tokens import Tokens

__all__ = ["Sentences", "tokens"]

Sentences = Sequence[Sequence[int]]


def tokens(sentences: Sentences) -> Tokens:
    """As metrics read them."""
    flat = [word for sentence in sentences for word in sentence]
    return Tokens(np.array(flat, np.int64), np.cumsum([0, *map(len, sentences)], dtype=np.int64))
