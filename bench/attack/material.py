"""What an attack may look at: the training text, how many sentences are wanted, and a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from baselines.common.spec import SequenceSpec
from metrics.common.tokens import Tokens

__all__ = ["Material"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The training text of an attacker. There is nothing of the references, so that no attack can copy them."""

    spec: SequenceSpec
    train: NDArray[np.int64]
    """(N, T) the training sentences as a model reads them."""
    n: int
    """Sentences to write."""
    seed: int

    @cached_property
    def training(self) -> Tokens:
        """The training sentences."""
        return Tokens.from_rows(self.train, self.spec.eos_id)

    def number(self, purpose: str) -> int:
        """A seed of 32 bits for one purpose: what one attack draws changes no other."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/attack/{purpose}".encode()).digest()[:4], "big")

    def stream(self, purpose: str) -> np.random.RandomState:
        """NumPy's frozen stream for one purpose."""
        return np.random.RandomState(self.number(purpose))

    def deal(self, pool: NDArray[np.int64], purpose: str) -> NDArray[np.int64]:
        """n of the pool in random order; none comes again before all have come."""
        return np.resize(self.stream(purpose).permutation(pool), self.n)
