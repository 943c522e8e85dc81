"""Fréchet distance between the embeddings of the samples and of real text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import TOO_LITTLE_REAL, Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.encoder import EmbeddingMetric, embeddings
from metrics.common.tokens import Tokens

__all__ = ["FrechetEmbeddingDistance", "frechet_distance"]

Floats = NDArray[np.float64]

_NULL = 1e-12
"""Eigenvalues below this share of the largest are rounding: the samples do not vary in these directions."""


@dataclass(frozen=True, kw_only=True)
class FrechetEmbeddingDistance(EmbeddingMetric):
    """Squared Fréchet distance of two normal distributions with the moments of the embeddings.

    Key `frechet_embedding_distance`; `frechet_embedding_distance_floor`: what as many real sentences as there are
    samples get, absent where there are too few.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "lower"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, None)

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The floor, where there is too little real text for it."""
        return {} if inputs.as_many_real is not None else {f"{self.name}_floor": TOO_LITTLE_REAL}

    def least(self) -> int:
        """Two, for a covariance."""
        return 2

    def keys(self) -> dict[str, Better]:
        """The floor is the value to reach, and the same for every model."""
        return {self.name: self.better, f"{self.name}_floor": "real"}

    def is_ranked(self, key: str) -> bool:
        """Not by the floor."""
        return key == self.name

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The samples' distance from the references, and that of real text, whose error is not asked for."""
        assert inputs.references is not None
        references = self._vectors(inputs.references, inputs)
        scores = {self.name: frechet_distance(self._vectors(inputs.samples, inputs), references)}
        real = inputs.as_many_real
        if real is not None:
            floor = frechet_distance(self._vectors(real, inputs), references).value
            scores[f"{self.name}_floor"] = Estimate(floor, None)
        return scores

    def _vectors(self, corpus: Tokens, inputs: MetricInputs) -> Floats:
        assert inputs.words is not None
        return embeddings(corpus, inputs.words, self.encoder).astype(np.float64)


def frechet_distance(samples: NDArray[Any], references: NDArray[Any]) -> Estimate:
    """(N, D) and (M, D) -> |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), with its standard error over the samples.

    With R the root of C2, tr (C1 C2)^(1/2) is the trace of the root of the symmetric R C1 R. The error is that of the
    mean of the influence function: a sample x with z = x - m1 moves the distance by
    2 z.(m1 - m2) + z.(I - A)z - tr((I - A) C1), where A = R (R C1 R)^(-1/2) R carries the one normal distribution over
    to the other.
    """
    ours, mean, covariance = _moments(samples)
    _, other_mean, other_covariance = _moments(references)
    root = _root(other_covariance)
    values, vectors = np.linalg.eigh(root @ covariance @ root)
    shift = mean - other_mean
    trace = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.maximum(values, 0.0)).sum()
    kept = values > _NULL * values[-1]
    carried = root @ (vectors[:, kept] / np.sqrt(np.sqrt(values[kept])))
    change = np.eye(len(mean)) - carried @ carried.T
    influence = 2 * ours @ shift + np.einsum("nd,nd->n", ours @ change, ours)
    distance = max(0.0, float(shift @ shift + trace))
    return Estimate(distance, float(influence.std(ddof=1)) / math.sqrt(len(ours)))


def _moments(vectors: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """(N, D) less their mean, the mean, and the covariance with N - 1."""
    mean = np.asarray(vectors, np.float64).mean(axis=0)
    centred = vectors - mean
    return centred, mean, centred.T @ centred / (len(vectors) - 1)


def _root(matrix: Floats) -> Floats:
    """The root of a symmetric matrix without negative eigenvalues, up to rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
