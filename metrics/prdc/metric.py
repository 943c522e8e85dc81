"""Precision, recall, density and coverage: which samples lie where real sentences lie, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, Meaning, MetricInputs
from metrics.common.encoder import EmbeddingMetric, embeddings
from metrics.common.overlap import blocks
from metrics.common.uncertainty import jackknife, ratio

__all__ = ["Prdc", "prdc_of_vectors"]

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]

_ASPECTS: dict[str, Aspect] = {"precision": "quality", "density": "quality", "recall": "diversity", "coverage": "both"}


@dataclass(frozen=True, kw_only=True)
class Prdc(EmbeddingMetric):
    """How the samples' vectors and those of real text cover each other, by balls that reach to the k-th neighbour.

    Keys `prdc_precision`, `prdc_recall`, `prdc_density` and `prdc_coverage`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "higher"
    bounds: ClassVar[Bounds] = (0.0, 1.0)
    counted: ClassVar[tuple[str, ...]] = ("references",)

    nearest_k: int = 5
    """Which neighbour the balls reach to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.nearest_k, bool) or not isinstance(self.nearest_k, int) or self.nearest_k < 1:
            raise ValueError(f"{self.name}: nearest_k must be a whole number from 1, got {self.nearest_k!r}")

    def least(self) -> int:
        """One that has k neighbours."""
        return self.nearest_k + 1

    def keys(self) -> dict[str, Better]:
        """All four are better when they are higher, as far as real text."""
        return {f"{self.name}_{part}": self.better for part in _ASPECTS}

    def meaning(self, key: str) -> Meaning:
        """Precision and density see single sentences, recall the variety, coverage both; density has no upper end."""
        part = key.removeprefix(f"{self.name}_")
        bounds = (0.0, None) if part == "density" else self.bounds
        return replace(super().meaning(key), aspect=_ASPECTS.get(part, ""), bounds=bounds)

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """Precision and density are means over the samples; coverage has the jackknife; recall's error is not known."""
        assert inputs.references is not None
        assert inputs.words is not None
        samples, references = (
            embeddings(corpus, inputs.words, self.encoder) for corpus in (inputs.samples, inputs.references)
        )
        found = prdc_of_vectors(samples, references, self.nearest_k)
        return {f"{self.name}_{part}": found[part] for part in _ASPECTS}


def prdc_of_vectors(samples: NDArray[Any], references: NDArray[Any], nearest_k: int) -> dict[str, Estimate]:
    """(N, D), (M, D) -> `precision`, `recall`, `density`, `coverage`; memory for a block of pairs at a time.

    A ball is closed: what lies on its edge is inside. Equal vectors are one centre with a number of sentences, and its
    radius and all that is compared with it come from one row of distances: ties are exact, as text with repeated
    sentences needs.
    """
    n, m = len(samples), len(references)
    vectors, where, our, their = _distinct(np.asarray(samples, np.float32), np.asarray(references, np.float32))
    ours, theirs = (np.bincount(part, minlength=len(vectors)) for part in (where[:n], where[n:]))
    balls, only = np.zeros(len(vectors)), np.zeros(len(vectors))
    covered, recalled = 0, np.zeros(their.stop - their.start, np.bool_)
    for centres, inside in _balls(vectors, their, our, theirs[their], nearest_k):
        times, held = theirs[centres], inside @ ours[our]
        balls[our] += times @ inside
        covered += int(times @ (held > 0))
        alone = held == 1  # without this sample the real sentence in the middle is not covered
        np.add.at(only[our], inside[alone].argmax(axis=1), times[alone])
    for _, inside in _balls(vectors, our, their, ours[our], nearest_k):
        recalled |= inside.any(axis=0)
    coverage = covered / m
    return {
        "precision": ratio((balls[where[:n]] > 0).astype(np.float64)),
        "recall": Estimate(int(theirs[their] @ recalled) / m, None),
        "density": ratio(balls[where[:n]] / nearest_k),
        "coverage": jackknife(coverage, coverage - only[where[:n]] / m),
    }


def _distinct(samples: Floats, references: Floats) -> tuple[Floats, Ids, slice, slice]:
    """The different rows of both, which of them each row is (N + M,), and where those of either lie.

    Rows of the samples alone come first, then those of both, then those of the references alone.
    """
    rows = np.concatenate([samples, references]) + np.float32(0)  # -0 becomes 0
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    ours, theirs = (np.isin(np.arange(len(first)), part) for part in (where[: len(samples)], where[len(samples) :]))
    order = np.argsort(theirs.astype(np.int64) - ours, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    n_all = len(order)
    return rows[first[order]], places[where], slice(0, int(ours.sum())), slice(n_all - int(theirs.sum()), n_all)


def _balls(
    vectors: Floats, centres: slice, others: slice, times: Ids, k: int
) -> Iterator[tuple[slice, NDArray[np.bool_]]]:
    """Block by block: some of the centres, and which of the others lie in the ball of each, (B, O).

    Centres stand for `times` sentences each, and their k-th nearest is one of them.
    """
    squares = np.einsum("nd,nd->n", vectors, vectors)
    for rows in blocks(centres.stop - centres.start, len(vectors)):
        block = slice(centres.start + rows.start, centres.start + rows.stop)
        distances = vectors[block] @ vectors.T
        distances *= -2
        distances += squares
        distances += squares[block, None]
        np.maximum(distances, 0, out=distances)
        distances[np.arange(rows.stop - rows.start), np.arange(block.start, block.stop)] = 0
        yield block, distances[:, others] <= _radii(distances[:, centres], times, k)


def _radii(distances: Floats, times: Ids, k: int) -> Floats:
    """(B, C) squared distances to centres that stand for `times` (C,) sentences -> (B, 1) to the k-th nearest.

    A sentence is not its own neighbour, but its copies are. Where there are k or fewer it is the farthest's.
    """
    kth = min(k, int(times.sum()) - 1)
    if distances.shape[1] > kth + 1:
        nearest = np.argpartition(distances, kth, axis=1)[:, : kth + 1]
    else:
        nearest = np.broadcast_to(np.arange(distances.shape[1]), distances.shape)
    found = np.take_along_axis(distances, nearest, axis=1)
    order = found.argsort(axis=1, kind="stable")
    reached = np.cumsum(times[np.take_along_axis(nearest, order, axis=1)], axis=1) - 1 >= kth
    return np.take_along_axis(found, np.take_along_axis(order, reached.argmax(axis=1)[:, None], axis=1), axis=1)
