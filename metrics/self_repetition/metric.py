"""Self-repetition: how many long n-grams of each sample other samples have too."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from metrics.common.base import Aspect, Better, Bounds, Estimate, MetricInputs
from metrics.common.ngrams import Runs, shared_runs
from metrics.common.tokens import Tokens
from metrics.common.uncertainty import EstimatedMetric, ratio

__all__ = ["SelfRepetition", "others_with"]


@dataclass(frozen=True, kw_only=True)
class SelfRepetition(EstimatedMetric):
    """Mean over the samples of log(1 + the other samples that each of its different n-grams is in, added up).

    Key `self_repetition`.
    """

    version: ClassVar[int] = 1
    better: ClassVar[Better] = "real"
    aspect: ClassVar[Aspect] = "diversity"
    bounds: ClassVar[Bounds] = (0.0, None)

    order: int = 4
    """Words of an n-gram."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.order, bool) or not isinstance(self.order, int) or self.order < 1:
            raise ValueError(f"{self.name}: order must be a whole number from 1, got {self.order!r}")

    def missing(self, inputs: MetricInputs) -> str | None:
        """There must be others, and some n-gram."""
        if reason := super().missing(inputs):
            return reason
        if len(inputs.samples) < 2:
            return f"{self.name} needs at least two samples: with one there are no others to compare it with"
        if inputs.samples.lengths.max() < self.order:
            return f"{self.name} needs a sample of at least {self.order} tokens"
        return None

    def estimates(self, inputs: MetricInputs) -> dict[str, Estimate]:
        """The standard error is by the delta method: what a sample adds, its own logarithm and that of the others.

        A sample j is one of the `others` of each sample i that it shares n-grams with; without it the logarithm of i
        is less by shared(i, j) / (1 + others(i)), to first order.
        """
        samples = inputs.samples
        runs = _of_order(samples, self.order)
        others = others_with(runs, len(samples))
        weight = 1 / (1 + others)
        held = runs.by_ngram(weight[runs.sentence])
        to_others = runs.by_sentence(held[runs.gram] - weight[runs.sentence], len(samples))
        error = ratio(np.log1p(others) + to_others).standard_error
        return {self.name: Estimate(float(np.log1p(others).mean()), error)}


def others_with(runs: Runs, n: int) -> NDArray[np.float64]:
    """(n,) for each sentence, the other sentences that its n-grams are in: once for each different n-gram of theirs."""
    sentences = np.diff(runs.first, append=len(runs.gram))
    return runs.by_sentence((sentences - 1)[runs.gram], n)


def _of_order(samples: Tokens, order: int) -> Runs:
    """The n-grams of one order; of those that one sentence has, maybe not all."""
    return deque(shared_runs(samples, order), maxlen=1).pop()
