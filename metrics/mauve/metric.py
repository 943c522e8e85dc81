"""MAUVE: how far the embeddings of the samples and of real text fall into the same clusters."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import TOO_LITTLE_REAL, Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.encoder import EmbeddingMetric, Vectors, embeddings
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import jackknife

__all__ = ["Mauve", "mauve_of_counts"]

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]

_MIXTURES = np.linspace(1e-6, 1 - 1e-6, 25)
"""Shares of the samples in the mixtures, as mauve-text has them."""
_MAX_ITERATIONS = 100


@dataclass(frozen=True, kw_only=True)
class Mauve(EmbeddingMetric):
    """MAUVE of the embeddings, mean over the seeds of the clustering. Key `mauve`.

    `mauve_spread`: standard deviation over these seeds. `mauve_ceiling`: what as many real sentences as there are
    samples get, absent where there are too few.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    aspect: ClassVar[Aspect] = "both"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    modules: ClassVar[Mapping[str, str]] = {**EmbeddingMetric.modules, "mauve": "mauve-text"}

    buckets: int = 500
    """Clusters."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Of k-means: one clustering for each."""
    scaling: float = 5.0
    """c of the definition."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.buckets, int) or self.buckets < 2:
            raise ValueError(f"mauve: buckets must be a whole number from 2, got {self.buckets!r}")
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"mauve: seeds must be at least two different numbers, got {self.seeds!r}")
        if not self.scaling > 0:
            raise ValueError(f"mauve: scaling must be above 0, got {self.scaling!r}")

    def absent(self, inputs: MetricInputs) -> dict[str, str]:
        """The ceiling, where there is too little real text for it."""
        return {} if inputs.as_many_real is not None else {f"{self.name}_ceiling": TOO_LITTLE_REAL}

    def least(self) -> int:
        """A sentence for each bucket; with fewer than 20 the clustering is of little worth."""
        return self.buckets

    def keys(self) -> dict[str, Better]:
        """Only MAUVE itself is better when it is higher: the spread is of k-means, the ceiling of real text."""
        return {"mauve": self.better, "mauve_spread": "real", "mauve_ceiling": "real"}

    def is_ranked(self, key: str) -> bool:
        """Not by the spread or the ceiling."""
        return key == self.name

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is the jackknife's over the samples, and that of a mean over seeds, together."""
        assert inputs.references is not None
        references = self._vectors(inputs.references, inputs)
        by_seed = self._by_seed(self._vectors(inputs.samples, inputs), references)
        values = [estimate.value for estimate in by_seed]
        spread = float(np.std(values, ddof=1))
        known = [estimate.standard_error for estimate in by_seed if estimate.standard_error is not None]
        error = math.hypot(float(np.mean(known)), spread / math.sqrt(len(values))) if known else None
        scores = {"mauve": Estimate(float(np.mean(values)), error), "mauve_spread": Estimate(spread, None)}
        real = inputs.as_many_real
        if real is not None:
            ceiling = np.mean([estimate.value for estimate in self._by_seed(self._vectors(real, inputs), references)])
            scores["mauve_ceiling"] = Estimate(float(ceiling), None)
        return scores

    def _vectors(self, corpus: Tokens, inputs: MetricInputs) -> Vectors:
        assert inputs.words is not None
        return embeddings(corpus, inputs.words, self.encoder)

    def _by_seed(self, samples: Vectors, references: Vectors) -> list[Estimate]:
        """One clustering for each seed; the package's own random numbers, and no sentence is dropped."""
        compute_mauve = importlib.import_module("mauve").compute_mauve
        estimates = []
        for seed in self.seeds:
            result = compute_mauve(
                p_features=samples,
                q_features=references,
                num_buckets=self.buckets,
                kmeans_num_redo=1,
                kmeans_max_iter=_MAX_ITERATIONS,
                seed=seed,
            )
            ours, theirs = np.rint(result.p_hist * len(samples)), np.rint(result.q_hist * len(references))
            estimates.append(mauve_of_counts(ours.astype(np.int64), theirs.astype(np.int64), self.scaling))
        return estimates


def mauve_of_counts(ours: Ids, theirs: Ids, scaling: float = 5.0) -> Estimate:
    """(B,) samples and references in each bucket -> the area under the divergence curve, with its standard error.

    The area under the points (exp(-c KL(q|r)), exp(-c KL(p|r))) for mixtures r = w p + (1 - w) q, from (1, 0) to
    (0, 1), joined by straight lines. A bucket's part of a divergence depends on that bucket alone, so the areas without
    one sample of each bucket, for the jackknife, take one pass.
    """
    q = theirs / theirs.sum()
    total = int(ours.sum())
    to_theirs, to_ours = _parts(ours / total, q)
    value = _area(to_theirs.sum(axis=1), to_ours.sum(axis=1), scaling)
    if total < 2:
        return Estimate(float(value), None)
    held, left = _parts(ours / (total - 1), q), _parts(np.maximum(ours - 1, 0) / (total - 1), q)
    changed = [kept.sum(axis=1, keepdims=True) - kept + less for kept, less in zip(held, left, strict=True)]
    return jackknife(float(value), np.repeat(_area(changed[0], changed[1], scaling), ours))


def _parts(p: Reals, q: Reals) -> tuple[Reals, Reals]:
    """(W, B) what each bucket adds to KL(q|r) and to KL(p|r), for each mixture r."""
    mixture = _MIXTURES[:, None] * p + (1 - _MIXTURES[:, None]) * q
    return _p_log_ratio(q, mixture), _p_log_ratio(p, mixture)


def _p_log_ratio(p: Reals, mixture: Reals) -> Reals:
    """p log(p / mixture); 0 where p is 0."""
    positive = p > 0
    return p * np.log(np.where(positive, p, 1.0) / np.where(positive, mixture, 1.0))


def _area(to_theirs: Reals, to_ours: Reals, scaling: float) -> Reals:
    """(W, ...) divergences -> (...) area under the curve."""
    ends = np.zeros((1, *to_theirs.shape[1:]))
    x = np.concatenate([ends + 1, np.exp(-scaling * to_theirs), ends])
    y = np.concatenate([ends, np.exp(-scaling * to_ours), ends + 1])
    return np.asarray(((x[:-1] - x[1:]) * (y[:-1] + y[1:]) / 2).sum(axis=0), np.float64)
