"""Whole sentences as keys: equal keys, equal sentences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from metrics.common.tokens import Tokens

__all__ = ["sentence_keys"]


def sentence_keys(corpus: Tokens) -> list[bytes]:
    """N hashable keys, the sentences' own bytes: exact, no hash that could collide."""
    text = np.ascontiguousarray(corpus.flat, np.int64).tobytes()
    ends = (corpus.offsets * 8).tolist()
    return [text[a:b] for a, b in pairwise(ends)]
