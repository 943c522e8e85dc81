"""Vendi score on embeddings: how many different sentences there are in effect, by their sentence vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.encoder import EmbeddingMetric, embeddings
from metrics.common.vendi import mean_over_groups

__all__ = ["VendiEmbedding", "of_length_one"]


@dataclass(frozen=True, kw_only=True)
class VendiEmbedding(EmbeddingMetric):
    """Mean Vendi score of groups of the samples, two being alike by the cosine of their vectors.

    Key `vendi_embedding`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (1.0, None)
    needs: ClassVar[tuple[str, ...]] = ("words",)
    counted: ClassVar[tuple[str, ...]] = ()

    sentences: int = 1000
    """Of a group, about."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.sentences, bool) or not isinstance(self.sentences, int) or self.sentences < 1:
            raise ValueError(f"{self.name}: sentences must be a whole number from 1, got {self.sentences!r}")

    def least(self) -> int:
        """One."""
        return 1

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is that of a mean over groups."""
        assert inputs.words is not None
        vectors = of_length_one(embeddings(inputs.samples, inputs.words, self.encoder))
        return {self.name: mean_over_groups(vectors, self.sentences)}


def of_length_one(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """(N, D) -> (N, D + 1) the vectors by their lengths; one of length 0 is like the others of length 0 alone."""
    lengths = np.linalg.norm(np.asarray(vectors, np.float64), axis=1, keepdims=True)
    none = lengths == 0
    return np.concatenate([vectors / np.where(none, 1.0, lengths), none], axis=1)
